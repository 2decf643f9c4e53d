import type { ClientHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import { ProxyError } from "../../../errors/proxy-error.ts";
import type { BodySink, BodySource } from "../../../http/body.ts";
import type { HeaderBlock } from "../../../http/header-block.ts";
import { Violation } from "../../../http/http1/violation.ts";
import {
  CANCEL,
  CONNECT_ERROR,
  NO_ERROR,
  PROTOCOL_ERROR,
  REFUSED_STREAM,
} from "../../../http/http2/codes.ts";
import { addFields, noFields, type OutgoingFields, readTrailers } from "../../../http/http2/fields.ts";
import { StreamBody, type StreamBodyOwner } from "../../../http/http2/stream-body.ts";
import { guardRead } from "../../../http/http2/stream-end.ts";
import { StreamWriter, type StreamWriterOwner } from "../../../http/http2/stream-writer.ts";
import { ResponseHead, responseIsBodiless } from "../../../http/message.ts";
import { acceptKey } from "../../../http/websocket/handshake.ts";
import { TransportStream } from "../../../net/stream.ts";
import { type TimerOwner, WheelTimer } from "../../../net/timer-wheel.ts";
import type { Attempt, AttemptOwner } from "../attempt.ts";
import type { Endpoint } from "../endpoint.ts";
import { isIdempotent } from "../idempotent.ts";
import type { Http2Pool } from "./pool.ts";
import { type Http2Response, readResponse } from "./response-fields.ts";
import type { Http2Session } from "./session.ts";

/** Waits for a session, or sends; no final response has come. */
const ASKING = 0;
/** The response's body is on its way. */
const READING = 1;
const DONE = 2;

/** How long a request that expects `100 Continue` holds its body back for a server that does not answer (RFC 9110 §10.1.1). */
const continueMs = 1_000;

/** Interim responses before the final one; a server that sends more does it on purpose. */
const maxInterim = 32;

interface Carrier {
  sluiceAttempt?: Http2Attempt;
}

/** An attempt over a stream of HTTP/2. */
export class Http2Attempt implements Attempt, BodySink, StreamBodyOwner, StreamWriterOwner, TimerOwner {
  readonly #endpoint: Endpoint;
  readonly #pool: Http2Pool;
  readonly #owner: AttemptOwner;
  readonly #fresh: boolean;
  readonly #timer: WheelTimer = new WheelTimer(this);
  #session: Http2Session | null = null;
  #stream: ClientHttp2Stream | null = null;
  #state: 0 | 1 | 2 = ASKING;
  #retried = false;
  /** Something of a response has come. */
  #answered = false;
  #interims = 0;
  #awaitingContinue = false;
  /** The request's body is with the stream, as far as it has come. */
  #begun = false;
  /** The request is whole. */
  #asked = false;
  #writer: StreamWriter | null = null;
  #source: BodySource | null = null;
  #body: StreamBody | null = null;

  constructor(endpoint: Endpoint, pool: Http2Pool, owner: AttemptOwner, fresh: boolean) {
    this.#endpoint = endpoint;
    this.#pool = pool;
    this.#owner = owner;
    this.#fresh = fresh;
  }

  start(): void {
    this.#source = this.#owner.requestBody;
    this.#pool.acquire(this, this.#fresh);
  }

  // --- what the pool tells

  onSession(session: Http2Session): void {
    this.#session = session;
    const source = this.#source;
    const { request } = this.#owner;
    if (request.upgrade !== "" && !session.takesConnect) {
      this.#leaveSession();
      this.fail(
        new ProxyError("upgrade_unsupported", "cannot upgrade: the server does not take it in HTTP/2"),
      );
      return;
    }
    let stream: ClientHttp2Stream;
    const length = source === null ? 0 : source.length;
    const ended = source === null && request.upgrade === "";
    const sendsTrailers = !ended && length < 0;
    try {
      stream = session.request(this.#fields(length), ended, sendsTrailers);
    } catch (problem) {
      this.#leaveSession();
      this.fail(ProxyError.from(problem));
      return;
    }
    this.#stream = stream;
    (stream as Carrier).sluiceAttempt = this;
    stream.on("headers", onInterim);
    stream.on("response", onResponse);
    stream.on("trailers", onTrailers);
    stream.on("error", ignore);
    stream.on("close", onClose);
    if (source === null) {
      this.#asked = true;
      this.#armHead();
      return;
    }
    this.#writer = new StreamWriter(stream, this, source, length, sendsTrailers);
    if (request.expectContinue) {
      this.#awaitingContinue = true;
      this.#arm(continueMs);
    } else {
      this.#sendBody();
    }
  }

  onNoSession(error: ProxyError): void {
    this.fail(error);
  }

  // --- what the stream tells

  onInterim(status: number, raw: readonly string[]): void {
    if (this.#state !== ASKING) return;
    this.#answered = true;
    if (++this.#interims > maxInterim) {
      this.#malformed("too many interim responses");
      return;
    }
    const response = this.#read(status, raw);
    if (response === null) return;
    this.#owner.onInterim(response.head);
    if (status === 100 && this.#awaitingContinue) this.#sendBody();
  }

  onResponse(status: number, ended: boolean, raw: readonly string[]): void {
    if (this.#state !== ASKING) return;
    this.#answered = true;
    const response = this.#read(status, raw);
    const stream = this.#stream;
    if (response === null || stream === null) return;
    const { head, length } = response;
    const { request } = this.#owner;
    if (request.upgrade !== "" && status >= 200 && status < 300) {
      this.#switch(head, stream);
      return;
    }
    this.#awaitingContinue = false;
    const none = responseIsBodiless(request.method, status);
    if (none || ended) {
      if (none) head.announcedLength = status === 204 ? -1 : length;
      else if (length > 0) {
        this.#malformed("its body is missing");
        return;
      }
      // Nothing comes, but it must be read for the stream to close.
      stream.resume();
      this.#complete();
      this.#owner.onResponse(head, null);
    } else {
      const body = new StreamBody(stream, length);
      body.owner = this;
      this.#body = body;
      this.#state = READING;
      this.#arm(0);
      this.#owner.onResponse(head, body);
    }
  }

  onTrailers(raw: readonly string[]): void {
    if (this.#body === null) return;
    try {
      this.#body.trailers = readTrailers(raw);
    } catch {
      this.#malformed("its trailers are malformed");
    }
  }

  onClosed(): void {
    const stream = this.#stream;
    const session = this.#session;
    this.#leaveSession();
    if (this.#state === DONE || stream === null) return;
    const { rstCode } = stream;
    const isUnprocessed =
      !this.#answered && (rstCode === REFUSED_STREAM || session?.isUnprocessed(stream) === true);
    const isStale = !this.#answered && session?.isStale === true && isIdempotent(this.#owner.request.method);
    if ((isUnprocessed || isStale) && this.#mayRepeat()) {
      this.#repeat(session);
      return;
    }
    const { where } = this.#endpoint;
    const code = this.#answered
      ? "upstream_truncated"
      : rstCode === PROTOCOL_ERROR
        ? "upstream_malformed"
        : "upstream_reset";
    const message = `cannot get a whole response from ${where}: the stream was reset (code ${rstCode})`;
    this.#fail(new ProxyError(code, message, { details: { http2Code: rstCode } }), isUnprocessed);
  }

  // --- the request's body

  write(chunk: Uint8Array): boolean {
    const writer = this.#writer;
    if (this.#state === DONE || writer === null || this.#source === null) return false;
    const more = writer.write(chunk);
    if (!writer.isOver) return more;
    this.#brokenRequest("it is longer than was announced");
    return false;
  }

  end(trailers: HeaderBlock | null): void {
    const writer = this.#writer;
    if (this.#state === DONE || writer === null || this.#source === null) return;
    if (writer.isShort) {
      this.#brokenRequest("it is shorter than was announced");
      return;
    }
    this.#source = null;
    this.#asked = true;
    writer.end(trailers);
    if (this.#state === ASKING) this.#armHead();
  }

  onWriterBlocked(): void {
    if (this.#state === ASKING) this.#arm(this.#endpoint.upstream.config.timeouts.idle);
  }

  onWriterFree(): void {
    if (this.#state === ASKING && !this.#asked) this.#arm(0);
  }

  // --- the response's body

  onBodyWanted(): void {
    this.#arm(this.#endpoint.upstream.config.timeouts.idle);
  }

  onBodyBytes(_received: number, more: boolean): boolean {
    this.#arm(more ? this.#endpoint.upstream.config.timeouts.idle : 0);
    return true;
  }

  onBodyEnd(): ProxyError | null {
    const body = this.#body;
    if (body === null || this.#state !== READING) return gone();
    if (body.isCut || (this.#stream?.rstCode ?? NO_ERROR) !== NO_ERROR) {
      const error = new ProxyError("upstream_truncated", "cannot read the response's body: it broke off");
      this.#finish();
      this.#owner.onDone(error);
      return error;
    }
    this.#complete();
    this.#owner.onDone(null);
    return null;
  }

  onBodyCancelled(error: ProxyError): void {
    if (this.#state === READING) {
      this.#finish();
      this.#cancelRequest(error);
      this.#stream?.close(CANCEL);
      this.#owner.onDone(error);
    }
    this.#discard();
  }

  // --- what the owner tells

  fail(error: ProxyError): void {
    this.#fail(error, this.#stream === null);
  }

  abort(error: ProxyError): void {
    if (this.#state === DONE) return;
    this.#finish();
    this.#cancelRequest(error);
    this.#reset(CANCEL);
    this.#discard();
  }

  onTimer(): void {
    const { timeouts } = this.#endpoint.upstream.config;
    const { where } = this.#endpoint;
    if (this.#awaitingContinue) {
      this.#sendBody();
    } else if (this.#state === ASKING && this.#asked) {
      const message = `cannot get a response from ${where}: no head within ${timeouts.head} ms`;
      this.fail(new ProxyError("upstream_head_timeout", message));
    } else {
      const message = `cannot go on with ${where}: nothing moved for ${timeouts.idle} ms`;
      this.fail(new ProxyError("upstream_idle_timeout", message));
    }
  }

  // --- inner

  #fields(length: number): OutgoingFields {
    const { request } = this.#owner;
    const { tls, upstream } = this.#endpoint;
    const isProxy = upstream.config.http.style === "proxy";
    const fields = noFields();
    const isUpgrade = request.upgrade !== "";
    fields[":method"] = isUpgrade ? "CONNECT" : request.method;
    if (isUpgrade) fields[":protocol"] = request.upgrade;
    fields[":scheme"] = isProxy ? request.scheme : tls === null ? "http" : "https";
    fields[":authority"] = request.authority;
    fields[":path"] = request.target;
    addFields(fields, request.headers);
    if (length > 0) fields["content-length"] = String(length);
    if (request.acceptsTrailers) fields.te = "trailers";
    if (request.expectContinue && length !== 0) fields.expect = "100-continue";
    if (isUpgrade) delete fields["sec-websocket-key"];
    return fields;
  }

  #read(status: number, raw: readonly string[]): Http2Response | null {
    try {
      return readResponse(status, raw);
    } catch (problem) {
      if (!(problem instanceof Violation)) throw problem;
      this.#malformed(problem.reason);
      return null;
    }
  }

  #malformed(reason: string): void {
    this.#fail(
      new ProxyError("upstream_malformed", `cannot read the response: ${reason}`),
      false,
      PROTOCOL_ERROR,
    );
  }

  /** 200 to an extended CONNECT is what 101 is in HTTP/1.1 (RFC 8441 §5). */
  #switch(head: ResponseHead, stream: ClientHttp2Stream): void {
    const { request } = this.#owner;
    const { config, wheel } = this.#endpoint.upstream;
    this.#finish();
    const key = request.headers.get("sec-websocket-key") ?? "";
    const opened = new ResponseHead(101, head.headers);
    opened.headers.set("Sec-WebSocket-Accept", acceptKey(key));
    const socket = stream as unknown as Socket;
    guardRead(stream);
    socket.resetAndDestroy = () => {
      stream.close(CONNECT_ERROR);
      return socket;
    };
    const tunnel = TransportStream.over(socket, wheel, config.timeouts.idle);
    tunnel.closed = () => this.#owner.onDone(null);
    this.#owner.onSwitch(opened, tunnel);
  }

  #sendBody(): void {
    this.#awaitingContinue = false;
    this.#begun = true;
    this.#arm(0);
    this.#source?.pipe(this);
  }

  #brokenRequest(reason: string): void {
    const error = new ProxyError("internal", `cannot send the request's body: ${reason}`);
    this.#cancelRequest(error);
    this.fail(error);
  }

  /** Nothing of the request is used up, so that it can be sent as it is. */
  #mayRepeat(): boolean {
    return this.#state === ASKING && !this.#retried && !this.#begun;
  }

  #repeat(session: Http2Session | null): void {
    this.#retried = true;
    this.#awaitingContinue = false;
    this.#asked = false;
    this.#stream = null;
    this.#writer = null;
    this.#arm(0);
    session?.distrust();
    this.#pool.acquire(this, false);
  }

  #fail(error: ProxyError, isUnprocessed: boolean, code: number = CANCEL): void {
    if (this.#state === DONE) return;
    const body = this.#state === READING ? this.#body : null;
    this.#finish();
    if (body === null) {
      // The next attempt may need the body.
      this.#source = null;
      this.#reset(code);
      this.#discard();
      this.#owner.onFailed(error, isUnprocessed ? "unprocessed" : this.#answered ? "answered" : "sent");
      return;
    }
    this.#cancelRequest(error);
    this.#reset(code);
    this.#owner.onDone(error);
    body.fail(error);
    this.#discard();
  }

  /** The response is whole. */
  #complete(): void {
    this.#finish();
    if (this.#asked) return;
    // An early answer: the server wants no more of the request.
    this.#cancelRequest(
      new ProxyError("upstream_reset", "cannot send more of the request: it has its answer"),
    );
    this.#stream?.close(CANCEL);
  }

  #cancelRequest(error: ProxyError): void {
    const source = this.#source;
    this.#source = null;
    source?.cancel(error);
  }

  #reset(code: number): void {
    if (this.#stream === null) this.#pool.leave(this);
    else this.#stream.close(code);
  }

  /** A stream with bytes that nobody reads is never closed, and would keep its place in the session. */
  #discard(): void {
    if (this.#body !== null) this.#body.discard();
    else this.#stream?.resume();
  }

  #finish(): void {
    this.#state = DONE;
    this.#endpoint.upstream.wheel.cancel(this.#timer);
  }

  #leaveSession(): void {
    const session = this.#session;
    this.#session = null;
    session?.ended();
  }

  #armHead(): void {
    this.#arm(this.#endpoint.upstream.config.timeouts.head);
  }

  /** @param ms from now; 0 is no deadline. */
  #arm(ms: number): void {
    const { wheel } = this.#endpoint.upstream;
    wheel.arm(this.#timer, ms > 0 ? wheel.now() + ms : Number.POSITIVE_INFINITY);
  }
}

function gone(): ProxyError {
  return new ProxyError("upstream_reset", "cannot read the response's body: nobody wants it");
}

function ignore(): void {}

type Fields = { readonly ":status"?: number | undefined };

function onInterim(this: ClientHttp2Stream, fields: Fields, _flags: number, raw: string[]): void {
  (this as Carrier).sluiceAttempt?.onInterim(fields[":status"] ?? 0, raw);
}

function onResponse(this: ClientHttp2Stream, fields: Fields, flags: number, raw: string[]): void {
  (this as Carrier).sluiceAttempt?.onResponse(fields[":status"] ?? 0, (flags & 1) !== 0, raw);
}

function onTrailers(this: ClientHttp2Stream, _fields: unknown, _flags: number, raw: string[]): void {
  (this as Carrier).sluiceAttempt?.onTrailers(raw);
}

function onClose(this: ClientHttp2Stream): void {
  (this as Carrier).sluiceAttempt?.onClosed();
}
