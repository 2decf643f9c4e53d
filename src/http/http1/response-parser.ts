import { type ErrorCode, ProxyError } from "../../errors/proxy-error.ts";
import { HeaderBlock } from "../header-block.ts";
import { ResponseHead, responseIsBodiless } from "../message.ts";
import type { ParserLimits, ResponseParserApi } from "./events.ts";
import { checkTransferCodings } from "./field-values.ts";
import { SPACE } from "./octets.ts";
import { MessageParser } from "./parser.ts";
import type { BodyKind } from "./states.ts";
import { readMinorVersion } from "./version.ts";
import { malformed, type Violation, type ViolationKind } from "./violation.ts";

/** Interim responses before one final response; more are a flood, not information (RFC 9110 §15.2). */
const MAX_INTERIM = 32;
/** `HTTP/1.1 200` */
const STATUS_END = 12;

const codes = {
  malformed: "upstream_malformed",
  headTooLarge: "upstream_malformed",
  targetTooLong: "upstream_malformed",
  codingUnknown: "upstream_malformed",
  versionUnsupported: "upstream_malformed",
  expectationUnknown: "upstream_malformed",
  connectTargetInvalid: "upstream_malformed",
  headCutOff: "upstream_truncated",
  bodyCutOff: "upstream_truncated",
} as const satisfies Record<ViolationKind, ErrorCode>;

/** Reads the responses of one upstream connection, in the role of a client (RFC 9112 §4). */
export class ResponseParser extends MessageParser implements ResponseParserApi {
  head: ResponseHead = new ResponseHead(200);
  minor: 0 | 1 = 1;
  /**
   * The protocol that a 101 response switches to, lower case, or empty. The caller must compare it with what it has
   * offered before it lets a byte through (RFC 9110 §7.8).
   */
  upgrade = "";

  protected readonly startLineBytes: number;
  protected readonly skipsEmptyLine = false;
  #method = "GET";
  #status = 0;
  #interim = 0;
  /** An interim response has announced the close that comes after the final one (RFC 9112 §9.6). */
  #closes = false;

  constructor(limits: ParserLimits) {
    super(limits);
    this.startLineBytes = limits.headerBytes;
  }

  expect(method: string): void {
    this.#method = method;
    this.#interim = 0;
    this.#closes = false;
  }

  /** The space after the status may be missing when there is no reason; origins often leave it out (§4). */
  protected readStartLine(bytes: Uint8Array, from: number, to: number): void {
    this.minor = readMinorVersion(bytes, from, from + 8 < to ? from + 8 : to);
    const after = from + STATUS_END;
    let status = 0;
    for (let at = from + 9; at < after; at++) {
      const digit = at < to ? (bytes[at] as number) - 48 : -1;
      if (digit < 0 || digit > 9) throw malformed("the status is no three digits");
      status = status * 10 + digit;
    }
    if (bytes[from + 8] !== SPACE || (after < to && bytes[after] !== SPACE)) {
      throw malformed("the status line is no version, status and reason");
    }
    if (status < 100 || status > 599) throw malformed("the status is not 100 to 599");
    this.#status = status;
  }

  protected readHead(text: string): BodyKind {
    const { fields } = this;
    const status = this.#status;
    const head = new ResponseHead(
      status,
      new HeaderBlock(fields.text),
      text.slice(STATUS_END + 1, text.indexOf("\r\n")),
    );
    this.head = head;
    this.upgrade = status === 101 ? (fields.protocols?.join(",") ?? "") : "";

    if (status < 200) return this.#readInterim(status);
    const kind = this.#bodyKind(head);
    const persists = (this.minor === 1 || fields.keepAlive) && !fields.close && !this.#closes;
    this.framing = {
      length: kind === "fixed" ? fields.contentLength : kind === "none" ? 0 : -1,
      keepAlive: persists && kind !== "untilClose" && !this.#leavesDoubt(status),
    };
    return kind;
  }

  protected report(violation: Violation): ProxyError {
    return new ProxyError(codes[violation.kind], `cannot read the response: ${violation.reason}`);
  }

  /** RFC 9112 §6.1, RFC 9110 §8.6: a 1xx response has no framing fields; 101 is the last one on its connection. */
  #readInterim(status: number): BodyKind {
    if (this.fields.transferEncoding !== null || this.fields.contentLength > 0) {
      throw malformed("a 1xx response claims a body");
    }
    if (++this.#interim > MAX_INTERIM) throw malformed(`more than ${MAX_INTERIM} interim responses`);
    if (this.fields.close) this.#closes = true;
    this.framing = { length: 0, keepAlive: status !== 101 && !this.#closes };
    return status === 101 ? "none" : "interim";
  }

  /** RFC 9112 §6.3, in the order of its list. */
  #bodyKind(head: ResponseHead): BodyKind {
    const { transferEncoding, contentLength } = this.fields;
    if (transferEncoding !== null) {
      if (this.minor === 0) throw malformed("Transfer-Encoding stands in an HTTP/1.0 response");
      if (contentLength >= 0) throw malformed("Transfer-Encoding and Content-Length stand together");
      checkTransferCodings(transferEncoding);
    }
    if (this.#method === "CONNECT" && head.status < 300) return "none";
    if (responseIsBodiless(this.#method, head.status)) {
      if (head.status !== 204) head.announcedLength = contentLength;
      return "none";
    }
    if (transferEncoding !== null) return "chunked";
    if (contentLength < 0) return "untilClose";
    return contentLength === 0 ? "none" : "fixed";
  }

  /**
   * A 204 has no body, but an origin that frames one may send it all the same; the octets would be read as the next
   * response (RFC 9112 §6.3, §11.1). And after a 2xx to CONNECT nothing more is HTTP.
   */
  #leavesDoubt(status: number): boolean {
    if (this.#method === "CONNECT") return true;
    return status === 204 && (this.fields.transferEncoding !== null || this.fields.contentLength > 0);
  }
}
