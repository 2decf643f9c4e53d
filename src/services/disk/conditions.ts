import type { HeaderBlock } from "../../http/header-block.ts";
import { parseHttpDate } from "./http-date.ts";

/** What conditions are compared with. */
export interface Validators {
  /** A strong entity tag, quotes included. */
  readonly etag: string;
  /** Whole seconds since 1970. */
  readonly modified: number;
}

export type Verdict = "go-on" | "not-modified" | "failed";

/**
 * Evaluates the conditions of a request in the order of RFC 9110 §13.2.2.
 *
 * @param current null when there is no such file.
 * @param reading GET or HEAD.
 */
export function evaluate(headers: HeaderBlock, current: Validators | null, reading: boolean): Verdict {
  const ifMatch = listHeader(headers, "if-match");
  if (ifMatch !== null) {
    if (current === null || !matchesTag(ifMatch, current.etag, true)) return "failed";
  } else {
    const since = dateHeader(headers, "if-unmodified-since");
    if (since !== null && (current === null || current.modified > since)) return "failed";
  }
  const ifNoneMatch = listHeader(headers, "if-none-match");
  if (ifNoneMatch !== null) {
    if (current !== null && matchesTag(ifNoneMatch, current.etag, false))
      return reading ? "not-modified" : "failed";
  } else if (reading && current !== null) {
    const since = dateHeader(headers, "if-modified-since");
    if (since !== null && current.modified <= since) return "not-modified";
  }
  return "go-on";
}

/** True when Range holds: there is no If-Range, or it names what is there now (RFC 9110 §13.1.5). */
export function rangeHolds(headers: HeaderBlock, current: Validators): boolean {
  const value = headers.get("if-range");
  if (value === null) return true;
  if (value.includes('"')) return value === current.etag;
  return parseHttpDate(value) === current.modified;
}

function listHeader(headers: HeaderBlock, name: string): string | null {
  const first = headers.get(name);
  if (first === null) return null;
  const all = headers.getAll(name);
  return all.length === 1 ? first : all.join(",");
}

/** A field that is repeated or no date is ignored (RFC 9110 §13.1.3, §13.1.4). */
function dateHeader(headers: HeaderBlock, name: string): number | null {
  const first = headers.get(name);
  if (first === null || headers.getAll(name).length > 1) return null;
  return parseHttpDate(first);
}

/**
 * Looks for a tag in a list of entity tags, or `*` (RFC 9110 §8.8.3, §13.1.1). A list stops to count where it breaks the
 * grammar.
 *
 * @param strong weak tags match nothing (RFC 9110 §8.8.3.2).
 */
function matchesTag(list: string, etag: string, strong: boolean): boolean {
  if (list.trim() === "*") return true;
  let at = 0;
  while (at < list.length) {
    const code = list.charCodeAt(at);
    if (code === 32 || code === 9 || code === 44) {
      at++;
      continue;
    }
    const weak = list.startsWith("W/", at);
    const open = weak ? at + 2 : at;
    if (list.charCodeAt(open) !== 34) return false;
    const close = list.indexOf('"', open + 1);
    if (close === -1) return false;
    if (!(weak && strong) && list.slice(open, close + 1) === etag) return true;
    at = close + 1;
  }
  return false;
}
