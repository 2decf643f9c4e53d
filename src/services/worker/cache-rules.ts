import type { HeaderBlock } from "../../http/header-block.ts";

/** How long a response with that status is fresh when its head does not say, in seconds. */
const usual: Readonly<Record<number, number>> = {
  200: 7200,
  301: 7200,
  302: 1200,
  303: 1200,
  404: 180,
  410: 180,
};

/** The directives of Cache-Control, names in lower case (RFC 9111 §5.2); null for one without a value. */
function directives(headers: HeaderBlock): Map<string, string | null> {
  const found = new Map<string, string | null>();
  const text = headers.getAll("cache-control").join(",");
  for (const match of text.matchAll(/([!#$%&'*+\-.^_`|~\w]+)(?:=(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*)))?/g)) {
    const name = (match[1] as string).toLowerCase();
    if (!found.has(name)) found.set(name, match[2] ?? match[3] ?? null);
  }
  return found;
}

function seconds(value: string | null | undefined): number {
  return value !== null && value !== undefined && /^\d{1,10}$/.test(value) ? Number(value) : -1;
}

/**
 * Seconds for which a shared cache may keep a response (RFC 9111 §3, §4.2.1), or 0 when it may not. Takes Set-Cookie out
 * when the response says `private=Set-Cookie`: else a response with it is meant for one client, and not kept.
 *
 * @param wall milliseconds since 1970, for Expires without Date
 */
export function lifetime(status: number, headers: HeaderBlock, wall: number): number {
  const control = directives(headers);
  const privates = control.get("private");
  if (control.has("no-store") || control.has("no-cache") || privates === null) return 0;
  if (privates !== undefined) {
    for (const name of privates.split(",")) if (name.trim() !== "") headers.delete(name.trim());
  }
  if (headers.has("set-cookie")) return 0;
  const age = Math.max(0, seconds(headers.get("age")));
  for (const name of ["s-maxage", "max-age"]) {
    if (control.has(name)) return Math.max(0, seconds(control.get(name)) - age);
  }
  const expires = headers.get("expires");
  if (expires !== null) {
    const until = Date.parse(expires);
    const from = Date.parse(headers.get("date") ?? "");
    // What is not a date has expired already (RFC 9111 §5.3).
    if (Number.isNaN(until)) return 0;
    return Math.max(0, (until - (Number.isNaN(from) ? wall : from)) / 1000 - age);
  }
  return Math.max(0, (usual[status] ?? 0) - age);
}

/** True when the client has this very response already (RFC 9110 §13.1.2, §13.1.3). */
export function isNotModified(request: HeaderBlock, stored: HeaderBlock): boolean {
  const known = request.getAll("if-none-match").join(",");
  if (known !== "") {
    if (known.trim() === "*") return true;
    const tag = stored.get("etag");
    return (
      tag !== null && [...known.matchAll(/(?:W\/)?("[^"]*")/g)].some(([, opaque]) => opaque === weak(tag))
    );
  }
  const since = Date.parse(request.get("if-modified-since") ?? "");
  const modified = Date.parse(stored.get("last-modified") ?? "");
  return modified <= since;
}

function weak(tag: string): string {
  return tag.startsWith("W/") ? tag.slice(2) : tag;
}

/**
 * The one range of bytes that is asked for, its end excluded (RFC 9110 §14.2); null when the whole is to be sent, and
 * "outside" when the range is not in it.
 */
export function rangeOf(
  request: HeaderBlock,
  stored: HeaderBlock,
  size: number,
): { readonly from: number; readonly to: number } | "outside" | null {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(request.get("range") ?? "");
  if (match === null) return null;
  const condition = request.get("if-range");
  if (condition !== null) {
    const tag = stored.get("etag");
    const same = condition.startsWith('"') ? condition === tag : condition === stored.get("last-modified");
    if (!same) return null;
  }
  const [, first = "", last = ""] = match;
  if (first === "") {
    if (last === "") return null;
    const length = Math.min(Number(last), size);
    return length === 0 ? "outside" : { from: size - length, to: size };
  }
  const from = Number(first);
  const to = last === "" ? size : Math.min(Number(last) + 1, size);
  if (last !== "" && Number(last) < from) return null;
  return from >= size ? "outside" : { from, to };
}
