import { ProxyError } from "../../../errors/proxy-error.ts";
import type { BodySink, BodySource } from "../../../http/body.ts";
import type { ClientFacts } from "../../../http/exchange.ts";
import type { HeaderBlock } from "../../../http/header-block.ts";
import { requestHead } from "../../../http/http1/writer.ts";
import { type ResponseHead, responseIsBodiless } from "../../../http/message.ts";
import { isTlsFailure } from "../../../net/connect.ts";
import type { Transport } from "../../../net/transport.ts";
import type { Attempt, AttemptOwner } from "../attempt.ts";
import type { Endpoint } from "../endpoint.ts";
import { isIdempotent } from "../idempotent.ts";
import type { Upstream } from "../upstream.ts";
import type { Http1Connection } from "./connection.ts";
import type { Http1Pool } from "./pool.ts";
import { RequestSender, type SenderOwner } from "./request-sender.ts";

/** Waits for a connection, or sends; no byte of the response has come. */
const ASKING = 0;
/** Reads the response's body. */
const READING = 1;
const DONE = 2;

/** How long a request that expects `100 Continue` holds its body back for an upstream that does not answer (§10.1.1). */
const continueMs = 1_000;

/** The rest of an unwanted body up to this size is read for the sake of the connection. */
const discardBytes = 65_536;

/** An attempt over HTTP/1.1: it sends the request, takes the response, and is the source of its body. */
export class Http1Attempt implements Attempt, SenderOwner, BodySource {
  /** Of the response's body; see `BodySource`. */
  length = -1;
  readonly #endpoint: Endpoint;
  readonly #upstream: Upstream;
  readonly #pool: Http1Pool;
  readonly #owner: AttemptOwner;
  readonly #fresh: boolean;
  #connection: Http1Connection | null = null;
  #state: 0 | 1 | 2 = ASKING;
  #retried = false;
  /** Some of the request is with the transport. */
  #sent = false;
  /** A byte of the response has come. */
  #answered = false;

  /** Null when the request has no body. */
  #sender: RequestSender | null = null;
  #awaitingContinue = false;

  #sink: BodySink | null = null;
  #holding = true;
  /** Nobody wants the body any more, but the connection is worth reading the rest of it. */
  #discarding = false;
  #received = 0;
  #keepAlive = false;
  #failed: ProxyError | null = null;

  constructor(endpoint: Endpoint, pool: Http1Pool, owner: AttemptOwner, fresh: boolean) {
    this.#endpoint = endpoint;
    this.#upstream = endpoint.upstream;
    this.#pool = pool;
    this.#owner = owner;
    this.#fresh = fresh;
  }

  start(): void {
    const body = this.#owner.requestBody;
    if (body !== null) this.#sender = new RequestSender(this, body);
    this.#pool.acquire(this, this.#fresh);
  }

  get client(): ClientFacts {
    return this.#owner.client;
  }

  /** The connection is to read on: a head is expected, or somebody takes the body. */
  get reading(): boolean {
    return this.#state === ASKING || (this.#state === READING && (!this.#holding || this.#discarding));
  }

  /** Somebody takes the body, and has enough for now. */
  get held(): boolean {
    return this.#state === READING && this.#holding && this.#sink !== null;
  }

  // --- what the pool and the connection tell

  /** A connection is being opened for it. */
  connecting(connection: Http1Connection): void {
    this.#connection = connection;
  }

  onConnection(connection: Http1Connection): void {
    this.#connection = connection;
    const { request } = this.#owner;
    const { style } = this.#upstream.config.http;
    let text: string;
    try {
      text = requestHead(request, {
        length: this.#sender?.length ?? 0,
        keepAlive: true,
        form: style === "proxy" ? "absolute" : "origin",
      });
    } catch (problem) {
      this.fail(ProxyError.from(problem));
      return;
    }
    this.#sent = true;
    connection.parser.expect(request.method);
    connection.transport.text(text);
    if (this.#sender === null) {
      this.#armHead();
    } else if (request.expectContinue) {
      this.#awaitingContinue = true;
      this.#arm(continueMs);
    } else {
      this.#sendBody();
    }
  }

  onNoConnection(error: ProxyError): void {
    this.#connection = null;
    this.fail(error);
  }

  onDrain(): void {
    // Disarmed first, since the body may block again at once.
    if (this.#sender?.blocked === true && this.#state === ASKING) this.#arm(0);
    this.#sender?.drained();
  }

  onInterim(head: ResponseHead): void {
    this.#answered = true;
    this.#owner.onInterim(head);
    if (head.status === 100 && this.#awaitingContinue) this.#sendBody();
  }

  onHead(head: ResponseHead, length: number, keepAlive: boolean): void {
    this.#answered = true;
    this.#state = READING;
    this.#keepAlive = keepAlive;
    this.#awaitingContinue = false;
    const none = length === 0 || responseIsBodiless(this.#owner.request.method, head.status);
    if (!none) {
      this.length = length;
      this.#arm(this.#upstream.config.timeouts.idle);
      this.#owner.onResponse(head, this);
      // Whoever took the answer does not read it yet: the upstream is not to blame that nothing moves.
      if (this.#holding && this.#state === READING && !this.#discarding) this.#arm(0);
      return;
    }
    // The connection is given back first, since the answer may bring the client's next request at once.
    const connection = this.#connection;
    // There is nothing between the head and END.
    if (connection !== null) connection.parser.next();
    this.#finish();
    this.#owner.onResponse(head, null);
  }

  onData(chunk: Uint8Array, transport: Transport): void {
    this.#received += chunk.length;
    if (this.#discarding) {
      if (this.#received > discardBytes) this.#drop();
      return;
    }
    // Set beforehand, so that a sink which resumes from within `write` is heard.
    this.#holding = true;
    const sink = this.#sink;
    if (sink !== null && transport.deliver(chunk, sink)) this.#holding = false;
    else if (this.#holding && this.#state === READING) this.#arm(0);
  }

  onEnd(trailers: HeaderBlock | null): void {
    const sink = this.#sink;
    this.#sink = null;
    const discarding = this.#discarding;
    this.#finish();
    if (!discarding) this.#owner.onDone(null);
    sink?.end(trailers);
  }

  /** All input is read, and more is to come. */
  onStarved(): void {
    if (this.#state === READING && !this.#discarding) this.#arm(this.#upstream.config.timeouts.idle);
  }

  /** 101: checked against the offer before a byte goes through (RFC 9110 §7.8). */
  onSwitch(head: ResponseHead, protocol: string): void {
    const { upgrade } = this.#owner.request;
    const connection = this.#connection;
    if (connection === null) return;
    if (upgrade === "" || protocol.toLowerCase() !== upgrade || !this.#requestDone) {
      this.fail(
        new ProxyError(
          "upstream_malformed",
          "cannot switch protocols: the upstream chose one that was not offered",
        ),
      );
      return;
    }
    this.#state = DONE;
    this.#connection = null;
    const stream = connection.detach();
    const { closed } = stream;
    stream.closed = (error) => {
      closed?.(error);
      this.#owner.onDone(null);
    };
    this.#owner.onSwitch(head, stream);
  }

  /** The upstream broke the protocol, or ended in the middle. */
  onBroken(error: ProxyError): void {
    this.#answered = true;
    this.fail(error);
  }

  /**
   * The connection is closed before the response's end.
   * @param begun some of its head has come.
   */
  onLost(cause: Error | null, begun: boolean): void {
    const connection = this.#connection;
    if (begun) this.#answered = true;
    if (this.#mayRetry(connection)) {
      this.#retried = true;
      this.#connection = null;
      this.#awaitingContinue = false;
      connection?.destroy();
      this.#pool.acquire(this, true);
      return;
    }
    const reason = cause === null ? "the upstream closed the connection" : cause.message;
    const code = this.#answered
      ? "upstream_truncated"
      : isTlsFailure(cause)
        ? "upstream_tls_failed"
        : "upstream_reset";
    const message = `cannot get a whole response from ${this.#endpoint.where}: ${reason}`;
    this.fail(new ProxyError(code, message, { cause: cause ?? undefined }));
  }

  onTimer(): void {
    const { timeouts } = this.#upstream.config;
    const { where } = this.#endpoint;
    if (this.#awaitingContinue) {
      this.#sendBody();
    } else if (this.#state === ASKING && this.#requestDone) {
      const message = `cannot get a response from ${where}: no head within ${timeouts.head} ms`;
      this.fail(new ProxyError("upstream_head_timeout", message));
    } else {
      const message = `cannot go on with ${where}: nothing moved for ${timeouts.idle} ms`;
      this.fail(new ProxyError("upstream_idle_timeout", message));
    }
  }

  // --- what the owner tells

  fail(error: ProxyError): void {
    if (this.#state === DONE) return;
    const responded = this.#state === READING;
    const discarding = this.#discarding;
    const sink = this.#sink;
    this.#end();
    if (discarding) return;
    if (!responded) {
      const progress = this.#answered ? "answered" : this.#sent ? "sent" : "unprocessed";
      // The next attempt may need the body.
      this.#sender?.letGo();
      this.#owner.onFailed(error, progress);
      return;
    }
    this.#sender?.cancel(error);
    if (sink === null) this.#failed = error;
    this.#owner.onDone(error);
    sink?.fail(error);
  }

  abort(error: ProxyError): void {
    if (this.#state === DONE) return;
    this.#end();
    this.#sender?.cancel(error);
  }

  // --- the request's body

  onSent(): void {
    if (this.#state === ASKING) this.#armHead();
  }

  onSendBlocked(): void {
    if (this.#state === ASKING) this.#arm(this.#upstream.config.timeouts.idle);
  }

  onSendFailed(error: ProxyError): void {
    this.fail(error);
  }

  // --- the response's body, as its source

  pipe(sink: BodySink): void {
    const failed = this.#failed;
    if (failed !== null) {
      queueMicrotask(() => sink.fail(failed));
      return;
    }
    this.#sink = sink;
    this.#holding = false;
    this.#connection?.wakeLater();
  }

  resume(): void {
    if (!this.#holding || this.#sink === null) return;
    this.#holding = false;
    this.#connection?.wake();
  }

  cancel(error: ProxyError): void {
    this.#sink = null;
    if (this.#state !== READING || this.#discarding) return;
    const rest = this.length - this.#received;
    if (this.length < 0 || rest > discardBytes || !this.#requestDone || !this.#keepAlive) {
      this.#drop();
      this.#owner.onDone(error);
      return;
    }
    this.#discarding = true;
    this.#received = 0;
    this.#owner.onDone(null);
    this.#arm(Math.min(this.#upstream.config.timeouts.idle || continueMs, continueMs));
    this.#connection?.wakeLater();
  }

  // --- inner

  #sendBody(): void {
    this.#awaitingContinue = false;
    this.#arm(0);
    const transport = this.#connection?.transport;
    if (transport !== undefined) this.#sender?.begin(transport);
  }

  get #requestDone(): boolean {
    return this.#sender === null || this.#sender.done;
  }

  /**
   * RFC 9110 §9.2.2, RFC 9112 §9.3.1: a connection that was kept may be closed by the upstream just as it is used again. A
   * request that may be repeated, and of whose body nothing is used up, is then sent once more.
   */
  #mayRetry(connection: Http1Connection | null): boolean {
    return (
      this.#state === ASKING &&
      connection?.reused === true &&
      !this.#answered &&
      !this.#retried &&
      this.#sender?.begun !== true &&
      isIdempotent(this.#owner.request.method)
    );
  }

  /** The response is whole; the connection goes back if it can serve another. */
  #finish(): void {
    const connection = this.#connection;
    this.#connection = null;
    this.#state = DONE;
    if (this.#keepAlive && this.#requestDone) {
      connection?.release();
    } else {
      // An early answer: the upstream wants no more of the request, and its framing cannot be completed.
      connection?.destroy();
      this.#sender?.cancel(
        new ProxyError("upstream_reset", "cannot send more of the request: it has its answer"),
      );
    }
  }

  /** Nobody wants the rest of the response. */
  #drop(): void {
    const connection = this.#connection;
    this.#connection = null;
    this.#state = DONE;
    connection?.destroy();
    this.#sender?.cancel(
      new ProxyError("upstream_reset", "cannot send more of the request: nobody reads the answer"),
    );
  }

  #end(): void {
    const connection = this.#connection;
    this.#connection = null;
    this.#state = DONE;
    this.#sink = null;
    if (connection === null) this.#pool.leave(this);
    else connection.destroy();
  }

  #armHead(): void {
    this.#arm(this.#upstream.config.timeouts.head);
  }

  /** @param ms from now; 0 is no deadline. */
  #arm(ms: number): void {
    this.#connection?.arm(ms > 0 ? this.#upstream.wheel.now() + ms : Number.POSITIVE_INFINITY);
  }
}
