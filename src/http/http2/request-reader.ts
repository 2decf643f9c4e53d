import { HeaderBlock } from "../header-block.ts";
import { validAuthority, validAuthorityWithPort } from "../http1/authority.ts";
import type { ParserLimits } from "../http1/events.ts";
import { CONTENT_LENGTH, EXPECT, HOST, kindOfText, ORDINARY, TE } from "../http1/field-kind.ts";
import { parseContentLength } from "../http1/field-values.ts";
import { targetTable } from "../http1/octets.ts";
import { malformed, Violation } from "../http1/violation.ts";
import { RequestHead } from "../message.ts";
import { newKey } from "../websocket/handshake.ts";
import { fieldLine, isForbidden } from "./fields.ts";

/** A request as a header section of HTTP/2 tells it. */
export interface Http2Request {
  readonly head: RequestHead;
  /** Every request but a plain CONNECT names scheme, authority and path. */
  readonly form: "absolute" | "authority";
  /** Bytes of the body; 0 without one, -1 when it is not known. */
  readonly length: number;
}

/**
 * Reads the header section of a request (RFC 9113 §8.3). node:http2 has checked the order of pseudo-fields; everything
 * that a later reader could take in two ways is checked here.
 *
 * An extended CONNECT for a WebSocket (RFC 8441) becomes the GET with Upgrade that it stands for, so that services need
 * to know of one kind only.
 *
 * @param raw names and values in turn, Latin-1
 * @param ended the section ended the stream: there is no body
 * @throws Violation `malformed` is a stream error; every other one is answered
 */
export function readRequest(raw: readonly string[], ended: boolean, limits: ParserLimits): Http2Request {
  let method = "";
  let scheme = "";
  let authority: string | null = null;
  let path: string | null = null;
  let protocol = "";
  let host: string | null = null;
  let cookie = "";
  let expect = "";
  let contentLength = -1;
  let acceptsTrailers = false;
  let text = "";
  let bytes = 0;
  if (raw.length / 2 > limits.headerFields + 5) throw tooManyFields(limits);
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] as string;
    const value = raw[i + 1] as string;
    bytes += name.length + value.length + 4;
    if (name.charCodeAt(0) === 0x3a) {
      if (name === ":method") method = value;
      else if (name === ":scheme") scheme = value.toLowerCase();
      else if (name === ":authority") authority = value;
      else if (name === ":path") path = value;
      else if (name === ":protocol") protocol = value;
      else throw malformed("a pseudo-field is unknown");
      continue;
    }
    const kind = kindOfText(name, 0, name.length);
    if (kind === ORDINARY) {
      // RFC 9113 §8.2.3: a cookie may come in pieces, which HTTP/1.1 does not know.
      if (name === "cookie") cookie = cookie === "" ? value : `${cookie}; ${value}`;
      else text += fieldLine(name, value);
    } else if (kind === TE) {
      if (value.toLowerCase() !== "trailers") throw malformed("TE is not trailers");
      acceptsTrailers = true;
    } else if (kind === HOST) {
      if (host !== null) throw malformed("Host is repeated");
      host = value;
    } else if (kind === CONTENT_LENGTH) {
      if (contentLength >= 0) throw malformed("Content-Length is repeated");
      contentLength = parseContentLength(value);
    } else if (kind === EXPECT) {
      expect = value.toLowerCase();
    } else if (isForbidden(kind)) {
      throw malformed("a field of the connection stands in it");
    }
  }
  if (bytes > limits.headerBytes) {
    throw new Violation("headTooLarge", `the head is over ${limits.headerBytes} bytes`);
  }
  if (cookie !== "") text += fieldLine("cookie", cookie);
  const named = readAuthority(authority, host, method === "CONNECT" && protocol === "");
  const length = ended ? 0 : contentLength;
  if (ended && contentLength > 0) throw malformed("Content-Length announces a body that does not come");

  const head = new RequestHead(method, "http", named, "/", new HeaderBlock(text));
  head.acceptsTrailers = acceptsTrailers;
  if (method === "CONNECT" && protocol === "") {
    if (scheme !== "" || path !== null) throw malformed("CONNECT has a scheme or a path");
    return { head, form: "authority", length: 0 };
  }
  if (scheme !== "http" && scheme !== "https") throw malformed("the scheme is neither http nor https");
  head.scheme = scheme;
  head.target = readPath(path, method, limits);
  if (protocol !== "") {
    openUpgrade(head, protocol);
    return { head, form: "absolute", length: 0 };
  }
  if (expect !== "") {
    if (expect !== "100-continue") throw new Violation("expectationUnknown", "the expectation is unknown");
    head.expectContinue = !ended;
  }
  return { head, form: "absolute", length };
}

/** RFC 9113 §8.3.1: `:authority` wins, and a Host that says otherwise is a trap for one of two readers. */
function readAuthority(authority: string | null, host: string | null, isConnect: boolean): string {
  const named = authority ?? host ?? "";
  if (isConnect) {
    if (!validAuthorityWithPort(named)) {
      throw new Violation("connectTargetInvalid", "the target of CONNECT is no host and port");
    }
  } else if (!validAuthority(named)) {
    throw malformed("the authority is invalid");
  }
  if (authority !== null && host !== null && authority.toLowerCase() !== host.toLowerCase()) {
    throw malformed("Host is not :authority");
  }
  return named;
}

function readPath(path: string | null, method: string, limits: ParserLimits): string {
  if (path === null) throw malformed("the path is missing");
  if (path.length > limits.targetBytes) {
    throw new Violation("targetTooLong", `the target is over ${limits.targetBytes} bytes`);
  }
  if (path === "*" && method === "OPTIONS") return path;
  if (path.charCodeAt(0) !== 0x2f) throw malformed("the path does not begin with a slash");
  for (let i = 0; i < path.length; i++) {
    const code = path.charCodeAt(i);
    if (code > 0x7e || targetTable[code] === 0) throw malformed("the path has forbidden characters");
  }
  return path;
}

/** RFC 8441 §5: what the handshake of RFC 6455 has in fields that HTTP/2 has no use for is made up here. */
function openUpgrade(head: RequestHead, protocol: string): void {
  if (head.method !== "CONNECT") throw malformed("a protocol stands in a request that is no CONNECT");
  if (protocol !== "websocket") throw new Violation("codingUnknown", "the protocol is unknown");
  head.method = "GET";
  head.upgrade = protocol;
  head.headers.set("sec-websocket-key", newKey());
}

function tooManyFields(limits: ParserLimits): Violation {
  return new Violation("headTooLarge", `more than ${limits.headerFields} fields`);
}
