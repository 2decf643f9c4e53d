import { type ErrorCode, ProxyError } from "../../errors/proxy-error.ts";
import { HeaderBlock, tokenTable } from "../header-block.ts";
import { prefaceLine } from "../http2/codes.ts";
import { RequestHead } from "../message.ts";
import { validAuthority, validAuthorityWithPort } from "./authority.ts";
import type { ParserLimits, RequestParserApi } from "./events.ts";
import { checkTransferCodings } from "./field-values.ts";
import { SPACE, targetTable } from "./octets.ts";
import { MessageParser } from "./parser.ts";
import type { BodyKind } from "./states.ts";
import { readMinorVersion } from "./version.ts";
import { malformed, Violation, type ViolationKind } from "./violation.ts";

/** Octets of a method; the longest registered one has 17 (RFC 9110 §16.1). */
const MAX_METHOD_BYTES = 64;
const TWO = 0x32;
/** Two spaces, the version and CRLF. */
const REST_OF_LINE_BYTES = 12;

/** The error code of each way in which a request breaks the rules. */
export const violationCodes = {
  malformed: "request_malformed",
  headTooLarge: "request_headers_too_large",
  targetTooLong: "request_target_too_long",
  codingUnknown: "request_coding_unknown",
  versionUnsupported: "request_version_unsupported",
  expectationUnknown: "request_expectation_unknown",
  connectTargetInvalid: "connect_target_invalid",
  headCutOff: "request_malformed",
  bodyCutOff: "request_body_incomplete",
} as const satisfies Record<ViolationKind, ErrorCode>;

/** Reads the requests of one connection, in the role of a server (RFC 9112 §3). */
export class RequestParser extends MessageParser implements RequestParserApi {
  head: RequestHead;
  minor: 0 | 1 = 1;
  form: "origin" | "absolute" | "authority" | "asterisk" = "origin";

  protected readonly startLineBytes: number;
  protected readonly skipsEmptyLine = true;
  /** Of the connection; what a target says goes into `head` only. */
  readonly scheme: "http" | "https";
  /** Ends of method and target, from the start of the head. */
  #methodEnd = 0;
  #targetEnd = 0;
  /** No request has been read: only the first bytes of a connection can be the preface of HTTP/2. */
  #isFirst = true;

  /** `scheme` is what a request has whose target names none: `https` on a connection with TLS. */
  constructor(limits: ParserLimits, scheme: "http" | "https" = "http") {
    super(limits);
    this.startLineBytes = MAX_METHOD_BYTES + limits.targetBytes + REST_OF_LINE_BYTES;
    this.scheme = scheme;
    this.head = new RequestHead("GET", scheme, "", "/");
  }

  protected readStartLine(bytes: Uint8Array, from: number, to: number): void {
    let at = from;
    while (at < to && tokenTable[bytes[at] as number] === 1) at++;
    if (at === from || bytes[at] !== SPACE) throw malformed("the method is no token");
    if (at - from > MAX_METHOD_BYTES) throw malformed(`the method is over ${MAX_METHOD_BYTES} bytes`);
    this.#methodEnd = at - from;
    const target = ++at;
    while (at < to && targetTable[bytes[at] as number] === 1) at++;
    if (at - target > this.limits.targetBytes) {
      throw new Violation("targetTooLong", `the target is over ${this.limits.targetBytes} bytes`);
    }
    if (at === target || at === to || bytes[at] !== SPACE) {
      throw malformed("the request line is no method, target and version");
    }
    this.#targetEnd = at - from;
    if (this.#isFirst && bytes[at + 6] === TWO) this.preface = isText(bytes, from, to, prefaceLine);
    this.minor = readMinorVersion(bytes, at + 1, to);
    this.#isFirst = false;
  }

  protected readHead(text: string): BodyKind {
    const { fields, minor } = this;
    const method = text.slice(0, this.#methodEnd);
    const head = new RequestHead(method, this.scheme, "", "", new HeaderBlock(fields.text));
    this.head = head;
    this.#checkHost();
    this.#readTarget(head, text.slice(this.#methodEnd + 1, this.#targetEnd));

    const kind = this.#bodyKind(method);
    this.framing = {
      length: kind === "chunked" ? -1 : kind === "fixed" ? fields.contentLength : 0,
      // An HTTP/1.0 client cannot know whether a proxy that it talks to keeps connections as it does (RFC 9112 §9.3).
      // After CONNECT, a client may have sent bytes for the tunnel already: they must never be read as a request.
      keepAlive: minor === 1 && !fields.close && method !== "CONNECT",
    };
    head.acceptsTrailers = fields.acceptsTrailers && minor === 1;
    if (fields.expect !== null) this.#readExpect(head, fields.expect, kind);
    if (fields.protocols !== null && fields.upgrades && minor === 1 && method === "GET") {
      this.#readOffer(head, fields.protocols, kind);
    }
    return kind;
  }

  protected report(violation: Violation): ProxyError {
    return new ProxyError(violationCodes[violation.kind], `cannot read the request: ${violation.reason}`);
  }

  /** RFC 9112 §3.2: one valid Host in every HTTP/1.1 request, whatever form its target has. */
  #checkHost(): void {
    const { hosts, host } = this.fields;
    if (hosts > 1) throw malformed("Host is repeated");
    if (hosts === 0 && this.minor === 1) throw malformed("Host is missing");
    if (host === "") {
      if (this.minor === 1) throw malformed("Host is empty");
    } else if (!validAuthority(host)) throw malformed("Host is invalid");
  }

  #readTarget(head: RequestHead, target: string): void {
    if (head.method === "CONNECT") {
      if (!validAuthorityWithPort(target)) {
        throw new Violation("connectTargetInvalid", "the target of CONNECT is no host and port");
      }
      this.form = "authority";
      head.authority = target;
    } else if (target.charCodeAt(0) === 0x2f) {
      this.form = "origin";
      head.authority = this.fields.host;
      head.target = target;
    } else if (target === "*" && head.method === "OPTIONS") {
      this.form = "asterisk";
      head.authority = this.fields.host;
      head.target = target;
    } else {
      this.form = "absolute";
      this.#readUrl(head, target);
    }
  }

  /**
   * RFC 9112 §3.2.2: the authority of a full URL replaces Host. Without a path, the target is `/`; for OPTIONS also
   * without a query, it is `*` (§3.2.4).
   */
  #readUrl(head: RequestHead, url: string): void {
    const colon = url.indexOf("://");
    const scheme = colon < 0 ? "" : url.slice(0, colon).toLowerCase();
    if (scheme !== "http" && scheme !== "https") throw malformed("the target is no path and no http URL");
    const from = colon + 3;
    let to = from;
    while (to < url.length && url.charCodeAt(to) !== 0x2f && url.charCodeAt(to) !== 0x3f) to++;
    const authority = url.slice(from, to);
    if (!validAuthority(authority)) throw malformed("the target's authority is invalid");
    head.scheme = scheme;
    head.authority = authority;
    if (to === url.length) head.target = head.method === "OPTIONS" ? "*" : "/";
    else head.target = url.charCodeAt(to) === 0x2f ? url.slice(to) : `/${url.slice(to)}`;
  }

  /**
   * RFC 9112 §6.1, §6.3. Two framings at once, or a Transfer-Encoding that an HTTP/1.0 recipient would have ignored, is
   * how a request is smuggled inside of another's body.
   */
  #bodyKind(method: string): BodyKind {
    const { transferEncoding, contentLength } = this.fields;
    if (transferEncoding === null) {
      if (contentLength <= 0) return "none";
      if (method === "CONNECT") throw malformed("CONNECT has a body");
      return "fixed";
    }
    if (this.minor === 0) throw malformed("Transfer-Encoding stands in an HTTP/1.0 request");
    if (contentLength >= 0) throw malformed("Transfer-Encoding and Content-Length stand together");
    checkTransferCodings(transferEncoding);
    if (method === "CONNECT") throw malformed("CONNECT has a body");
    return "chunked";
  }

  /**
   * Of what may be offered (RFC 9110 §7.8) a WebSocket alone is ever taken up. It begins with a GET without content (RFC 6455
   * §4.1): with content it would be in doubt where the one protocol ends and the next begins. Offers in other methods are
   * not heard.
   */
  #readOffer(head: RequestHead, protocols: readonly string[], kind: BodyKind): void {
    head.upgrade = protocols.includes("websocket") ? "websocket" : (protocols[0] ?? "");
    if (head.upgrade === "websocket" && kind !== "none")
      throw malformed("a WebSocket is asked for with a body");
  }

  /** RFC 9110 §10.1.1: nothing but `100-continue` is defined, and it says nothing in HTTP/1.0 or without a body. */
  #readExpect(head: RequestHead, expect: string, kind: BodyKind): void {
    if (expect.toLowerCase() !== "100-continue") {
      throw new Violation("expectationUnknown", "the expectation is unknown");
    }
    head.expectContinue = this.minor === 1 && kind !== "none";
  }
}

function isText(bytes: Uint8Array, from: number, to: number, text: string): boolean {
  if (to - from !== text.length) return false;
  for (let i = 0; i < text.length; i++) if (bytes[from + i] !== text.charCodeAt(i)) return false;
  return true;
}
