import { ProxyError } from "../../errors/proxy-error.ts";
import { reasonPhrase } from "../../wire/reason-phrases.ts";
import { type HeaderBlock, validName, validValue } from "../header-block.ts";
import type { RequestHead, ResponseHead } from "../message.ts";
import { validAuthority } from "./authority.ts";
import { kindOfText, ORDINARY, textIs } from "./field-kind.ts";
import { targetTable } from "./octets.ts";
import { allowedTrailers } from "./trailer-fields.ts";

export interface RequestWriting {
  /** Bytes of the body: 0 without one, -1 when it is not known, which makes it chunked. */
  readonly length: number;
  /** False asks the origin to close the connection after its response. */
  readonly keepAlive: boolean;
  /** `absolute` for a request to a proxy, `authority` for CONNECT. By default `origin`, which `*` belongs to. */
  readonly form?: "origin" | "absolute" | "authority";
}

export interface ResponseWriting {
  /**
   * Bytes of the body, or -1. With -1 and not `chunked`, the response either has no body (HEAD, 1xx, 204, 304, 2xx to
   * CONNECT), or it ends when the connection closes, as it must for an HTTP/1.0 client.
   */
  readonly length: number;
  /** The body goes out in chunks; for HTTP/1.1 clients only (RFC 9112 §6.1). */
  readonly chunked: boolean;
  readonly keepAlive: boolean;
  /** The client's version, 0 for HTTP/1.0. */
  readonly minor: 0 | 1;
  /** The Date to write when the response has none (RFC 9110 §6.6.1); see HttpDate. Empty for none. */
  readonly date: string;
  /** The protocol that a 101 switches to. */
  readonly upgrade?: string;
}

export interface ErrorWriting {
  readonly date?: string;
  /** False by default: most errors leave the connection in doubt. */
  readonly keepAlive?: boolean;
  /** True when the request's method is HEAD. */
  readonly head?: boolean;
  readonly minor?: 0 | 1;
  /** Seconds for Retry-After. */
  readonly retryAfter?: number;
  /** A header that goes with the status, such as a challenge; it must be valid. */
  readonly field?: readonly [name: string, value: string] | null;
}

/**
 * The head of a request to an origin, as Latin-1 text. Framing, Host and the fields of this connection are made anew
 * from the head and `writing`; should the block hold any such field, it is left out (RFC 9110 §7.6.1).
 *
 * @throws ProxyError `internal` when method, target or authority could break the message.
 */
export function requestHead(head: RequestHead, writing: RequestWriting): string {
  const { method, authority, target } = head;
  const { length, form } = writing;
  if (!validName(method)) throw unwritable("the request", "its method is no token");
  if (authority !== "" && !validAuthority(authority)) throw unwritable("the request", "its host is invalid");
  let line: string;
  if (form === "authority") {
    line = authority;
  } else {
    if (!validTarget(target)) throw unwritable("the request", "its target is invalid");
    if (form !== "absolute") line = target;
    else line = `${head.scheme}://${authority}${target === "*" ? "" : target}`;
  }
  let text = `${method} ${line} HTTP/1.1\r\nHost: ${authority}\r\n`;
  if (length > 0) text += `Content-Length: ${length}\r\n`;
  else if (length < 0) text += "Transfer-Encoding: chunked\r\n";
  else if (expectsBody(method)) text += "Content-Length: 0\r\n";
  if (head.upgrade === "websocket") {
    text += head.acceptsTrailers
      ? "Connection: upgrade, te\r\nUpgrade: websocket\r\nTE: trailers\r\n"
      : "Connection: upgrade\r\nUpgrade: websocket\r\n";
  } else if (head.acceptsTrailers) {
    text += writing.keepAlive
      ? "Connection: te\r\nTE: trailers\r\n"
      : "Connection: close, te\r\nTE: trailers\r\n";
  } else if (!writing.keepAlive) {
    text += "Connection: close\r\n";
  }
  if (head.expectContinue && length !== 0) text += "Expect: 100-continue\r\n";
  return `${text + fieldLines(head.headers, "")}\r\n`;
}

/**
 * The head of a final response or a 101, as Latin-1 text, with framing made anew. The status line always says HTTP/1.1,
 * our own version (RFC 9110 §2.5).
 *
 * @throws ProxyError `internal` when the status is none.
 */
export function responseHead(head: ResponseHead, writing: ResponseWriting): string {
  const { length, minor } = writing;
  let text = statusLine(head);
  if (length >= 0) text += `Content-Length: ${length}\r\n`;
  else if (writing.chunked) text += "Transfer-Encoding: chunked\r\n";
  else if (head.announcedLength >= 0) text += `Content-Length: ${head.announcedLength}\r\n`;
  if (head.status === 101) text += `Connection: upgrade\r\nUpgrade: ${writing.upgrade ?? "websocket"}\r\n`;
  else if (!writing.keepAlive) text += "Connection: close\r\n";
  else if (minor === 0) text += "Connection: keep-alive\r\n";
  return `${text + fieldLines(head.headers, writing.date)}\r\n`;
}

/** An interim response (RFC 9110 §15.2). Never for an HTTP/1.0 client, and never 101. */
export function interimHead(head: ResponseHead): string {
  return `${statusLine(head)}${fieldLines(head.headers, "")}\r\n`;
}

/**
 * A whole response that tells an error without telling anything of its cause: the status, and the id under which the log
 * has it. `id` must be plain ASCII.
 */
export function errorResponse(status: number, id: string, writing: ErrorWriting = {}): string {
  const body = errorText(status, id);
  let text = `HTTP/1.1 ${status} ${reasonPhrase(status)}\r\nContent-Length: ${body.length}\r\n`;
  if (writing.keepAlive !== true) text += "Connection: close\r\n";
  else if (writing.minor === 0) text += "Connection: keep-alive\r\n";
  text += "Content-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\n";
  if (writing.retryAfter !== undefined) text += `Retry-After: ${writing.retryAfter}\r\n`;
  if (writing.field !== undefined && writing.field !== null) {
    text += `${writing.field[0]}: ${writing.field[1]}\r\n`;
  }
  if (writing.date !== undefined && writing.date !== "") text += `Date: ${writing.date}\r\n`;
  return writing.head === true ? `${text}\r\n` : `${text}\r\n${body}`;
}

/** The body of such a response. */
export function errorText(status: number, id: string): string {
  return `${status} ${reasonPhrase(status)}\nid: ${id}\n`;
}

/** What goes before the `length` bytes of a chunk; never 0, which would end the body (RFC 9112 §7.1). */
export function chunkPrefix(length: number): string {
  return `${length.toString(16)}\r\n`;
}

/** What goes after the bytes of a chunk. */
export const chunkSuffix = "\r\n";

/** The end of a chunked body, with the trailers that may be passed on (RFC 9112 §7.1.2, RFC 9110 §6.5.1). */
export function lastChunk(trailers: HeaderBlock | null): string {
  return trailers === null ? "0\r\n\r\n" : `0\r\n${allowedTrailers(trailers.text)}\r\n`;
}

function statusLine(head: ResponseHead): string {
  const { status, reason } = head;
  if (!Number.isInteger(status) || status < 100 || status > 599) {
    throw unwritable("the response", "its status is not 100 to 599");
  }
  return `HTTP/1.1 ${status} ${reason !== "" && validValue(reason) ? reason : reasonPhrase(status)}\r\n`;
}

/** The lines of a block without any field that is not the block's to set, and with a Date if it has none. */
function fieldLines(block: HeaderBlock, date: string): string {
  const { text } = block;
  let kept = "";
  let run = 0;
  let dated = date === "";
  let line = 0;
  while (line < text.length) {
    // A valid block has LF at line ends only; a search for one character is several times faster than for two.
    const next = text.indexOf("\n", line) + 1;
    if (next === 0) throw unwritable("the head", "a field line has no end");
    const length = text.indexOf(":", line) - line;
    if (kindOfText(text, line, length) !== ORDINARY) {
      kept += text.slice(run, line);
      run = next;
    } else if (length === 4 && textIs(text, line, "date")) {
      dated = true;
    }
    line = next;
  }
  const lines = run === 0 ? text : kept + text.slice(run);
  return dated ? lines : `${lines}Date: ${date}\r\n`;
}

/** Methods whose content has a meaning, so that its absence is said (RFC 9110 §8.6). */
function expectsBody(method: string): boolean {
  return method === "POST" || method === "PUT" || method === "PATCH";
}

function validTarget(target: string): boolean {
  const first = target.charCodeAt(0);
  if (first !== 0x2f && target !== "*") return false;
  for (let i = 0; i < target.length; i++) {
    const code = target.charCodeAt(i);
    if (code > 0x7e || targetTable[code] === 0) return false;
  }
  return true;
}

function unwritable(what: string, reason: string): ProxyError {
  return new ProxyError("internal", `cannot write ${what}: ${reason}`);
}
