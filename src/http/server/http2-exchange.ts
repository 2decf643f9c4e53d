import type { ServerHttp2Stream } from "node:http2";
import { ProxyError } from "../../errors/proxy-error.ts";
import type { TimerOwner } from "../../net/timer-wheel.ts";
import { type BodySink, type BodySource, BytesBody } from "../body.ts";
import { type ByteStream, type ClientFacts, Exchange } from "../exchange.ts";
import { HeaderBlock } from "../header-block.ts";
import { CANCEL, INTERNAL_ERROR, NO_ERROR } from "../http2/codes.ts";
import { readTrailers } from "../http2/fields.ts";
import type { Http2Request } from "../http2/request-reader.ts";
import { StreamBody, type StreamBodyOwner } from "../http2/stream-body.ts";
import { StreamWriter, type StreamWriterOwner } from "../http2/stream-writer.ts";
import { ResponseHead, responseIsBodiless } from "../message.ts";
import { BodyClock } from "./body-clock.ts";
import { bodyTooLarge, bodyTooSlow, clientGone, exchangeTooLong, responseUnread } from "./client-faults.ts";
import { ConnectTunnel, type TunnelCarrier } from "./connect-tunnel.ts";
import { ConnectionClock } from "./connection-clock.ts";
import { errorBody } from "./error-answer.ts";
import { recordExchange } from "./exchange-record.ts";
import type { HttpServer } from "./http-server.ts";
import type { Http2Connection } from "./http2-connection.ts";
import { checkAccept, discard, resetCode, sendFields, sendHead, sendInterim } from "./http2-heads.ts";

const WAITING = 0;
const RESPONDING = 1;
/** The response is with node:http2, which sends it as the client's window allows. */
const ENDING = 2;
const DONE = 3;

/** A body up to this size goes out with its head. */
const smallBody = 4_096;

/** How long a client whose request nobody reads may take to hear that it is answered, before the stream is reset. */
const lingerMs = 50;

interface Carrier {
  sluiceExchange?: Http2Exchange;
}

/** A request that came on a stream of HTTP/2, with its response. */
export class Http2Exchange
  extends Exchange
  implements BodySink, StreamBodyOwner, StreamWriterOwner, TimerOwner, TunnelCarrier
{
  /** Milliseconds of the server's clock at which the head was complete. */
  readonly started: number;
  /** The request's body, also after the service has taken it. */
  readonly requestBody: StreamBody | null;
  /** Status of the response; 0 as long as there is none. */
  status = 0;
  /** Body bytes of the response, before framing. */
  sent = 0;
  /** Why there is no whole response, if so. */
  error: ProxyError | null = null;
  readonly #connection: Http2Connection;
  readonly #stream: ServerHttp2Stream;
  readonly #clock: ConnectionClock;
  readonly #bodyClock: BodyClock | null;
  /** Of an extended CONNECT: what the answer to the handshake must prove to have read. */
  readonly #key: string;
  #state: 0 | 1 | 2 | 3 = WAITING;
  #continued = false;
  #source: BodySource | null = null;
  #writer: StreamWriter | null = null;
  /** A CONNECT that is neither accepted nor refused. */
  #tunnel: ConnectTunnel | null = null;

  constructor(
    connection: Http2Connection,
    stream: ServerHttp2Stream,
    { head, length }: Http2Request,
    client: ClientFacts,
  ) {
    const body = length === 0 ? null : new StreamBody(stream, length);
    super(head, body, client, 0);
    if (body !== null) body.owner = this;
    const { wheel, config } = connection.server;
    const { timeouts, limits } = config;
    this.#connection = connection;
    this.#stream = stream;
    this.requestBody = body;
    this.started = wheel.now();
    this.#clock = new ConnectionClock(wheel, this);
    this.#bodyClock = body === null ? null : new BodyClock(timeouts.idle, limits.minBodyRate);
    this.#key = head.upgrade === "" ? "" : (head.headers.get("sec-websocket-key") ?? "");
    (stream as Carrier).sluiceExchange = this;
    stream.on("aborted", onAborted);
    stream.on("close", onClose);
    if (body !== null) stream.on("trailers", onTrailers);
    if (timeouts.request > 0) this.#clock.begin(this.started + timeouts.request);
  }

  get server(): HttpServer {
    return this.#connection.server;
  }

  /** Asks the server's service for the tunnel that a CONNECT wants. */
  connect(): void {
    this.#clock.stop();
    const tunnel = new ConnectTunnel(this, this);
    this.#tunnel = tunnel;
    this.server.service.connect(tunnel);
  }

  inform(head: ResponseHead): void {
    if (this.#state !== WAITING || this.aborted !== null) return;
    if (head.status < 100 || head.status > 199 || head.status === 101) return;
    if (head.status === 100) this.#sendContinue();
    else sendInterim(this.#stream, head.status, head.headers);
  }

  respond(head: ResponseHead, body: BodySource | null): void {
    if (this.#state !== WAITING || this.aborted !== null) {
      body?.cancel(this.aborted ?? new ProxyError("internal", "cannot respond: the exchange has its answer"));
      return;
    }
    if (this.#key !== "" && head.status < 300) {
      // To the client this would be the WebSocket that it has asked for, and the body its first bytes (RFC 8441 §5).
      const declined = new ProxyError(
        "upgrade_unsupported",
        "cannot upgrade: the service did not take it up",
      );
      body?.cancel(declined);
      this.fail(declined);
      return;
    }
    // The answer is made of the request's body, so the client is asked for it while a 1xx may still be sent.
    if (body !== null && body === this.requestBody) this.#sendContinue();
    const { server } = this.#connection;
    if (server.responseEdits.active) server.responseEdits.apply(head.headers);
    server.via?.response(head.headers);
    const bodiless = responseIsBodiless(this.request.method, head.status) || head.status === 205;
    // A body that is known to be empty needs no frame of its own; gRPC tells answers of headers alone by that.
    const none = bodiless || body === null || body.length === 0;
    const length = none ? 0 : body.length;
    const announced = bodiless ? head.announcedLength : none ? -1 : length;
    const sendsTrailers = !none && (length < 0 || this.request.acceptsTrailers);
    this.status = head.status;
    this.#state = RESPONDING;
    const problem = sendHead(this.#stream, head, announced, none, sendsTrailers, server.date.text());
    if (problem !== null) {
      body?.cancel(problem);
      this.#state = WAITING;
      this.fail(problem);
    } else if (none) {
      body?.cancel(new ProxyError("internal", "cannot send the body: the response has none"));
      this.#ending();
    } else if (body instanceof BytesBody && length <= smallBody && !sendsTrailers) {
      this.sent = length;
      this.#stream.end(body.take());
      this.#ending();
    } else {
      this.#source = body;
      this.#writer = new StreamWriter(this.#stream, this, body, length, sendsTrailers);
      body.pipe(this);
    }
  }

  /** A WebSocket over a stream (RFC 8441 §5): 200 says what 101 says in HTTP/1.1, and DATA carries the bytes. */
  upgrade(head: ResponseHead, stream: ByteStream): void {
    const refused = this.#refuseUpgrade(head);
    if (refused !== null) {
      discard(stream, refused);
      if (this.#state === WAITING) this.fail(refused);
      return;
    }
    const { server } = this.#connection;
    if (server.responseEdits.active) server.responseEdits.apply(head.headers);
    head.headers.delete("sec-websocket-accept");
    this.status = 200;
    this.#openTunnel(head.headers, stream, (written) => {
      this.sent = written;
      recordExchange(server, this);
    });
  }

  openConnect(stream: ByteStream, ended: (written: number) => void): void {
    this.#openTunnel(null, stream, ended);
  }

  refuseTunnel(error: ProxyError): void {
    this.#state = DONE;
    this.#tunnel = null;
    if (this.#stream.closed || this.#stream.destroyed) return;
    const { fields, text } = errorBody(error);
    if (sendFields(this.#stream, fields, false, false, this.server.date.text()) !== null)
      this.#stream.close(INTERNAL_ERROR);
    else this.#stream.end(text, "latin1", () => this.#stream.close(NO_ERROR));
  }

  fail(error: ProxyError): void {
    if (this.#state >= ENDING) return;
    this.error = error;
    this.#source = null;
    this.handler = null;
    if (this.#state === RESPONDING) this.#breakOff(error);
    else if (this.aborted === null) this.#answerError(error);
  }

  write(chunk: Uint8Array): boolean {
    const writer = this.#writer;
    if (this.#state !== RESPONDING || writer === null) return false;
    const more = writer.write(chunk);
    this.sent = writer.written;
    if (!writer.isOver) return more;
    this.#breakWith("it is longer than was announced");
    return false;
  }

  end(trailers: HeaderBlock | null): void {
    const writer = this.#writer;
    if (this.#state !== RESPONDING || writer === null) return;
    if (writer.isShort) {
      this.#breakWith("it is shorter than was announced");
      return;
    }
    this.#source = null;
    writer.end(trailers);
    this.#ending();
  }

  override abort(error: ProxyError): void {
    if (this.aborted !== null || this.#state === DONE) return;
    this.error ??= error;
    const source = this.#source;
    this.#source = null;
    super.abort(error);
    source?.cancel(error);
    this.requestBody?.fail(error);
  }

  /** The client did wrong or took too long: it gets the error if it can, and the service hears that it is over. */
  reject(error: ProxyError): void {
    const { handler } = this;
    const source = this.#source;
    const begun = this.#state;
    this.fail(error);
    if (begun < ENDING) {
      this.handler = handler;
      super.abort(error);
      source?.cancel(error);
    }
    this.requestBody?.fail(error);
    if (this.#state === ENDING) this.#linger();
  }

  // --- what the stream tells

  /** The stream was reset, or its connection is gone, before the response had ended. */
  onAborted(): void {
    if (this.#state < ENDING) this.#gone();
  }

  onClosed(): void {
    if (this.#state === ENDING) {
      const { rstCode, writableFinished } = this.#stream;
      if (rstCode === NO_ERROR || writableFinished || this.error !== null) this.#finish();
      else this.#gone();
    } else if (this.#state < ENDING) {
      this.#gone();
    }
    this.requestBody?.fail(clientGone());
    this.#connection.streamClosed();
  }

  onTrailers(raw: readonly string[]): void {
    const body = this.requestBody;
    if (body === null) return;
    try {
      body.trailers = readTrailers(raw);
    } catch {
      this.reject(new ProxyError("request_malformed", "cannot read the request: its trailers are malformed"));
    }
  }

  // --- the request's body

  onBodyWanted(): void {
    this.#sendContinue();
    this.#awaitBody(this.requestBody?.received ?? 0);
  }

  onBodyBytes(received: number, more: boolean): boolean {
    const { bodyBytes } = this.#connection.server.config.limits;
    if (bodyBytes > 0 && received > bodyBytes) {
      this.reject(bodyTooLarge(bodyBytes));
      return false;
    }
    if (more) {
      this.#awaitBody(received);
    } else {
      // The client does not send because we do not read.
      this.#bodyClock?.stop();
      this.#clock.awaitFor(0);
    }
    return true;
  }

  onBodyEnd(): ProxyError | null {
    const body = this.requestBody;
    if (this.#state < ENDING) this.#clock.awaitFor(0);
    const isCut = body === null || body.isCut || this.#stream.rstCode !== NO_ERROR;
    return isCut ? clientGone() : null;
  }

  onBodyCancelled(): void {
    if (this.#state < ENDING) this.#clock.awaitFor(0);
    else this.#linger();
  }

  // --- the response's body

  onWriterBlocked(): void {
    this.#clock.blockFor(this.#connection.server.config.timeouts.idle);
  }

  onWriterFree(): void {
    if (this.#state < ENDING) this.#clock.blockFor(0);
  }

  onTimer(now: number): void {
    const { timeouts } = this.#connection.server.config;
    if (this.#state === ENDING) {
      this.#endingTimer(now);
    } else if (now >= this.#clock.total) {
      const isReading = this.#state === WAITING && this.requestBody?.ended === false;
      this.reject(exchangeTooLong(isReading, timeouts.request));
    } else if (now >= this.#clock.blocked) {
      this.reject(responseUnread());
    } else if (this.#bodyClock?.tooSlow(now, this.requestBody?.received ?? 0) === true) {
      this.reject(bodyTooSlow());
    } else if (this.#bodyClock !== null) {
      this.#clock.await(this.#bodyClock.deadline);
    }
  }

  // --- inner

  /** Leaves HTTP for bytes in both directions. */
  #openTunnel(headers: HeaderBlock | null, stream: ByteStream, ended: (written: number) => void): void {
    const head = new ResponseHead(200, headers ?? new HeaderBlock());
    this.#state = DONE;
    this.#tunnel = null;
    this.handler = null;
    this.#clock.stop();
    const problem = sendHead(this.#stream, head, -1, false, false, this.server.date.text());
    if (problem !== null) {
      discard(stream, problem);
      this.error = problem;
      this.#stream.close(INTERNAL_ERROR);
      ended(0);
      return;
    }
    this.#connection.openTunnel(this.#stream, stream, ended);
  }

  #awaitBody(received: number): void {
    const clock = this.#bodyClock;
    if (clock !== null) this.#clock.await(clock.wait(this.#clock.now(), received));
  }

  #sendContinue(): void {
    if (!this.request.expectContinue || this.#continued || this.#state !== WAITING) return;
    this.#continued = true;
    sendInterim(this.#stream, 100, null);
  }

  #refuseUpgrade(head: ResponseHead): ProxyError | null {
    if (this.aborted !== null) return this.aborted;
    if (this.#state !== WAITING) {
      return new ProxyError("internal", "cannot upgrade: the exchange has its answer");
    }
    if (this.#key === "" || head.status !== 101) {
      return new ProxyError("upgrade_unsupported", "cannot upgrade: the client did not ask for it");
    }
    return checkAccept(head, this.#key);
  }

  #answerError(error: ProxyError): void {
    const { server } = this.#connection;
    server.report(error, this.request.target);
    this.status = error.status;
    if (error.status === 0 || this.#stream.destroyed || this.#stream.closed) {
      this.#finish();
      this.#stream.close(CANCEL);
      return;
    }
    const { fields, text } = errorBody(error);
    this.#state = RESPONDING;
    const isHead = this.request.method === "HEAD";
    const problem = sendFields(this.#stream, fields, isHead, false, server.date.text());
    if (problem !== null) {
      this.#finish();
      this.#stream.close(INTERNAL_ERROR);
      return;
    }
    if (!isHead) {
      this.sent = text.length;
      this.#stream.end(text, "latin1");
    }
    this.#ending();
  }

  /** The response broke off: the stream is reset, so that what was sent cannot pass for all of it. */
  #breakOff(error: ProxyError): void {
    this.#connection.server.report(error, this.request.target);
    this.#finish();
    this.#stream.close(resetCode(error));
    this.requestBody?.fail(error);
  }

  #breakWith(reason: string): void {
    const error = new ProxyError("internal", `cannot send the response's body: ${reason}`);
    this.#source?.cancel(error);
    this.fail(error);
  }

  /** The response is complete, as far as we are concerned. */
  #ending(): void {
    this.#state = ENDING;
    this.handler = null;
    const { timeouts } = this.#connection.server.config;
    this.#clock.total = Number.POSITIVE_INFINITY;
    this.#clock.blockFor(timeouts.idle);
    const body = this.requestBody;
    if (body === null || body.ended) return;
    this.takeBody()?.cancel(new ProxyError("internal", "cannot use the body: the response is complete"));
    if (!body.flowing) this.#linger();
  }

  /** Nobody reads the rest of the request: the client is told to stop (RFC 9113 §8.1). */
  #linger(): void {
    this.#clock.awaitFor(lingerMs);
  }

  #endingTimer(now: number): void {
    const { writableFinished } = this.#stream;
    const body = this.requestBody;
    if (!writableFinished && now >= this.#clock.blocked) {
      this.error ??= responseUnread();
      this.#connection.server.report(this.error, this.request.target);
      this.#stream.close(CANCEL);
      body?.fail(this.error);
    } else if (!writableFinished) {
      this.#clock.awaitFor(lingerMs);
    } else if (body === null || body.ended || !body.flowing) {
      this.#stream.close(NO_ERROR);
      // node:http2 keeps a stream for as long as something of it is unread.
      body?.discard();
    } else if (this.#bodyClock?.tooSlow(now, body.received) === true) {
      body.fail(bodyTooSlow());
      this.#stream.close(CANCEL);
    } else if (this.#bodyClock !== null) {
      this.#clock.await(this.#bodyClock.deadline);
    }
  }

  #finish(): void {
    if (this.#state === DONE) return;
    this.#state = DONE;
    this.handler = null;
    this.#clock.stop();
    recordExchange(this.#connection.server, this);
    this.requestBody?.fail(clientGone());
  }

  /** The client left. */
  #gone(): void {
    const error = clientGone();
    const tunnel = this.#tunnel;
    if (tunnel !== null) {
      this.#state = DONE;
      this.#tunnel = null;
      tunnel.abort(error);
    } else {
      if (this.#state === ENDING) this.error ??= error;
      else this.abort(error);
      this.#finish();
    }
    this.#connection.streamReset();
  }
}

function onAborted(this: ServerHttp2Stream): void {
  (this as Carrier).sluiceExchange?.onAborted();
}

function onClose(this: ServerHttp2Stream): void {
  (this as Carrier).sluiceExchange?.onClosed();
}

function onTrailers(this: ServerHttp2Stream, _fields: unknown, _flags: number, raw: string[]): void {
  (this as Carrier).sluiceExchange?.onTrailers(raw);
}
