import type { ProxyError } from "../../errors/proxy-error.ts";
import type { HeaderBlock } from "../header-block.ts";
import type { RequestHead, ResponseHead } from "../message.ts";

/** What `next()` of a parser found. Small integers, so that a busy connection allocates nothing for them. */
export const NEED_INPUT = 0;
/** A head is complete: see `head` and `framing`. A response parser gives this for 1xx too. */
export const HEAD = 1;
/** Some of the body: see `chunk`. It views the input, it is no copy. */
export const DATA = 2;
/** The message is whole: see `trailers`. */
export const END = 3;
/** The peer broke the protocol: see `error`. The connection must be closed, never reused. */
export const ERROR = 4;
/** After END, until `resume()` is called: the next message waits, unread. */
export const PAUSED = 5;
export type Event = 0 | 1 | 2 | 3 | 4 | 5;

export interface ParserLimits {
  /** Bytes of a head, request or status line included; also bounds trailers. */
  readonly headerBytes: number;
  readonly headerFields: number;
  /** Bytes of the request target; at least 8,000 (RFC 9112 §3). */
  readonly targetBytes: number;
}

/** How the body of the message just begun is delimited (RFC 9112 §6.3). */
export interface Framing {
  /** Content-Length; 0 when there is no body; -1 when chunked or until the connection closes. */
  readonly length: number;
  /** The connection can serve another message after this one. */
  readonly keepAlive: boolean;
}

interface Parser {
  /** Adds input. The parser reads it during `next()` and keeps no more than an incomplete head, line or chunk size. */
  push(bytes: Uint8Array): void;
  /** The peer has closed its side; what is then incomplete becomes an ERROR from `next()`. */
  finish(): void;
  next(): Event;
  /** After END: go on to the next message. */
  resume(): void;
  readonly chunk: Uint8Array;
  readonly trailers: HeaderBlock | null;
  readonly error: ProxyError | null;
  readonly framing: Framing;
  /** Takes whatever input is left unread, for a connection that leaves HTTP (upgrade, CONNECT). */
  takeRest(): Uint8Array;
  /** True when nothing of a message has been read: the connection is idle between messages. */
  readonly idle: boolean;
}

export interface RequestParserApi extends Parser {
  /** The request at HEAD. `authority` comes from an absolute-form target if there is one, else from Host (§3.2). */
  readonly head: RequestHead;
  /** 0 for HTTP/1.0, 1 for HTTP/1.1. */
  readonly minor: 0 | 1;
  /** `origin` is a path, `absolute` a full URL, `authority` is CONNECT's host:port, `asterisk` is OPTIONS's `*`. */
  readonly form: "origin" | "absolute" | "authority" | "asterisk";
}

export interface ResponseParserApi extends Parser {
  readonly head: ResponseHead;
  /** Tells the parser which request the next response answers, since that decides its framing (§6.3). */
  expect(method: string): void;
}
