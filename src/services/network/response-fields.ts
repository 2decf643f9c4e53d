import { ProxyError } from "../../errors/proxy-error.ts";
import { HeaderBlock, validName, validValue } from "../../http/header-block.ts";
import { ResponseHead } from "../../http/message.ts";

/** What the fields of one connection, which are not passed on, said about a response. */
export interface ResponseFields {
  readonly head: ResponseHead;
  /** Content-Length, or -1. */
  readonly length: number;
  /** The body ends where the connection does (RFC 9112 §6.3, 8.). */
  readonly untilClose: boolean;
  /** The Upgrade field in lower case, or empty. */
  readonly upgrade: string;
}

/** Fields of the connection (RFC 9110 §7.6.1), and those that say where the body ends. */
const ownFields: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "te",
  "transfer-encoding",
  "upgrade",
  "content-length",
]);

/**
 * Sorts the field lines of a response into those that go on and those that were for us (RFC 9110 §7.6.1).
 *
 * @param raw names and values in turn, as undici hands them out.
 * @throws ProxyError upstream_malformed when the body's end is in doubt (RFC 9112 §6.3, §11.2).
 */
export function readResponse(status: number, reason: string, raw: unknown): ResponseFields {
  if (status < 100 || status > 599) throw malformed("its status is not 100 to 599");
  const lines = toLines(raw);
  const dropped = namedByConnection(lines);
  let text = "";
  let length = -1;
  let chunked = false;
  let upgrade = "";
  for (const [name, value] of lines) {
    if (!validName(name) || !validValue(value)) throw malformed("a header field is not valid");
    const lower = name.toLowerCase();
    if (lower === "content-length") {
      const read = readLength(value);
      if (read === -1 || (length !== -1 && length !== read)) throw malformed("Content-Length is not valid");
      length = read;
    } else if (lower === "transfer-encoding") {
      if (chunked || value.trim().toLowerCase() !== "chunked")
        throw malformed("Transfer-Encoding is not supported");
      chunked = true;
    } else if (lower === "upgrade") {
      upgrade = value.trim().toLowerCase();
    }
    if (!ownFields.has(lower) && !dropped.has(lower)) text += `${name}: ${value}\r\n`;
  }
  if (chunked && length !== -1) throw malformed("it has both Content-Length and Transfer-Encoding");
  const head = new ResponseHead(status, new HeaderBlock(text), validValue(reason) ? reason : "");
  return { head, length, untilClose: !chunked && length === -1, upgrade };
}

/** Trailers as they go on: without fields that would change what was already decided by the header (RFC 9110 §6.5.1). */
export function readTrailers(raw: unknown): HeaderBlock | null {
  let text = "";
  for (const [name, value] of toLines(raw)) {
    if (!validName(name) || !validValue(value)) continue;
    const lower = name.toLowerCase();
    if (!ownFields.has(lower) && lower !== "host" && lower !== "trailer") text += `${name}: ${value}\r\n`;
  }
  return text === "" ? null : new HeaderBlock(text);
}

function toLines(raw: unknown): Array<readonly [name: string, value: string]> {
  if (!Array.isArray(raw)) return [];
  const lines: Array<readonly [string, string]> = [];
  for (let i = 0; i + 1 < raw.length; i += 2) lines.push([toText(raw[i]), toText(raw[i + 1])]);
  return lines;
}

function toText(value: unknown): string {
  return value instanceof Uint8Array
    ? Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("latin1")
    : String(value);
}

function namedByConnection(lines: ReadonlyArray<readonly [string, string]>): ReadonlySet<string> {
  const names = new Set<string>();
  for (const [name, value] of lines) {
    if (name.length !== 10 || name.toLowerCase() !== "connection") continue;
    for (const option of value.split(",")) names.add(option.trim().toLowerCase());
  }
  return names;
}

function readLength(value: string): number {
  const digits = value.trim();
  if (digits.length === 0 || digits.length > 15) return -1;
  let length = 0;
  for (let i = 0; i < digits.length; i++) {
    const digit = digits.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return -1;
    length = length * 10 + digit;
  }
  return length;
}

function malformed(reason: string): ProxyError {
  return new ProxyError("upstream_malformed", `cannot read the response: ${reason}`);
}
