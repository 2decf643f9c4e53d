import type { ProxyError } from "../../errors/proxy-error.ts";
import type { BodySource } from "../../http/body.ts";
import type { ByteStream, ClientFacts } from "../../http/exchange.ts";
import type { RequestHead, ResponseHead } from "../../http/message.ts";

/**
 * How far an attempt came before it failed, which decides whether there may be another (RFC 9110 §9.2.2):
 * - `unprocessed`: the server did nothing with the request, provably: there was no connection, or the server said so
 *   (REFUSED_STREAM, a GOAWAY with a lower stream id).
 * - `sent`: some of the request went out, and nothing of a response has come.
 * - `answered`: something of a response has come.
 */
export type Progress = "unprocessed" | "sent" | "answered";

/** One try to have a request answered by one endpoint, in whatever protocol the endpoint speaks. */
export interface Attempt {
  /** Called once by the owner, who may hear of the attempt before this has returned. */
  start(): void;
  /** Breaks it off with an error, as if the upstream had caused it: the owner hears `onFailed` or `onDone`. */
  fail(error: ProxyError): void;
  /** Nobody wants it any more: neither the owner nor whoever takes the response's body hears anything. Idempotent. */
  abort(error: ProxyError): void;
}

/**
 * Whose request it is. After `start` it hears of interim responses, and then of exactly one of `onResponse`, `onSwitch`
 * and `onFailed`, unless it aborts the attempt.
 */
export interface AttemptOwner {
  readonly request: RequestHead;
  readonly client: ClientFacts;
  /**
   * The request's body, null when it has none. An attempt that fails before its response lets go of the body without
   * cancelling it, since the next one may need it; afterwards it cancels what it has not used.
   */
  readonly requestBody: BodySource | null;
  /** 1xx other than 101. */
  onInterim(head: ResponseHead): void;
  /**
   * The final response. With null for a body the attempt is over. Otherwise it is the body's source, and over when it
   * has called `onDone`: at the body's end, when it broke off, or when nobody wanted the rest.
   */
  onResponse(head: ResponseHead, body: BodySource | null): void;
  /** 101, or 2xx to an extended CONNECT. `onDone` follows when the stream is closed. */
  onSwitch(head: ResponseHead, stream: ByteStream): void;
  /** There is no response. */
  onFailed(error: ProxyError, progress: Progress): void;
  /** @param error why the response did not come to its end; null when it did. */
  onDone(error: ProxyError | null): void;
}

/** What makes attempts on one endpoint: the connections or sessions to it, in one protocol. */
export interface EndpointClient {
  /** Connections, those that are being opened included. */
  readonly open: number;
  /** Connections that stand and do nothing. */
  readonly idle: number;
  /** Attempts that wait for a connection. */
  readonly pending: number;
  /** @param fresh an idle connection will not do: one has just failed. */
  attempt(owner: AttemptOwner, fresh: boolean): Attempt;
  /** From now on so many connections are kept open, busy or idle, as far as the limits allow. */
  keepWarm(count: number): void;
  /** No attempt follows; what is idle is closed, and the rest when its attempt is over. Idempotent. */
  close(): void;
}
