import { ProxyError } from "../../../errors/proxy-error.ts";
import type { ByteStream } from "../../../http/exchange.ts";
import { ResponseParser } from "../../../http/http1/response-parser.ts";
import { connectError, openTransport } from "../../../net/connect.ts";
import { MessagePump, type PumpOwner } from "../../../net/message-pump.ts";
import { TransportStream } from "../../../net/stream.ts";
import { type TimerOwner, WheelTimer } from "../../../net/timer-wheel.ts";
import type { Transport, TransportOwner } from "../../../net/transport.ts";
import type { Endpoint } from "../endpoint.ts";
import type { Upstream } from "../upstream.ts";
import type { Http1Attempt } from "./attempt.ts";
import type { Http1Pool } from "./pool.ts";

const CONNECTING = 0;
const BUSY = 1;
const IDLE = 2;
const CLOSED = 3;

/** One HTTP/1.1 connection to an endpoint, which serves one attempt at a time. */
export class Http1Connection implements TransportOwner, TimerOwner, PumpOwner {
  readonly parser: ResponseParser;
  /** It has served an attempt before: if it closes now without a byte, the upstream had let it go. */
  reused = false;
  /** When it could be used first, in milliseconds of the wheel's clock; Infinity as long as it could not. */
  stoodAt = Number.POSITIVE_INFINITY;
  readonly #endpoint: Endpoint;
  readonly #upstream: Upstream;
  readonly #pool: Http1Pool;
  readonly #timer: WheelTimer = new WheelTimer(this);
  readonly #pump: MessagePump;
  readonly #connectDeadline: number;
  #transport: Transport | null = null;
  #attempt: Http1Attempt | null;
  #state: 0 | 1 | 2 | 3 = CONNECTING;
  /** Nothing more will come, and why if it was no orderly end. */
  #peerEnded = false;
  #broken: Error | null = null;

  constructor(endpoint: Endpoint, pool: Http1Pool, attempt: Http1Attempt | null, connectDeadline: number) {
    const { upstream } = endpoint;
    this.#endpoint = endpoint;
    this.#upstream = upstream;
    this.#pool = pool;
    this.#attempt = attempt;
    this.#connectDeadline = connectDeadline;
    this.parser = new ResponseParser(upstream.parserLimits);
    this.#pump = new MessagePump(this, this.parser);
    attempt?.connecting(this);
  }

  open(): void {
    this.#upstream.wheel.arm(this.#timer, this.#connectDeadline);
    try {
      const preamble = this.#upstream.preambles?.of(this.#attempt?.client ?? null) ?? null;
      this.#transport = openTransport(this, this.#endpoint.address, this.#endpoint.tls, preamble);
    } catch (problem) {
      const error = problem instanceof Error ? problem : new Error(String(problem));
      queueMicrotask(() => this.onClose(error));
    }
  }

  /** It stands, is idle, and the upstream has not ended it. */
  get usable(): boolean {
    return this.#state === IDLE && !this.#peerEnded && this.#transport?.destroyed === false;
  }

  get transport(): Transport {
    return this.#transport as Transport;
  }

  /** Takes on the next attempt. */
  begin(attempt: Http1Attempt): void {
    this.#state = BUSY;
    this.reused = true;
    this.#attempt = attempt;
    attempt.onConnection(this);
  }

  /** The attempt's deadline; Infinity is none. */
  arm(deadline: number): void {
    this.#upstream.wheel.arm(this.#timer, deadline);
  }

  /** The attempt takes more of the body. */
  wake(): void {
    this.#pump.run();
  }

  /** The same, but not before the caller has returned. */
  wakeLater(): void {
    this.#pump.runLater();
  }

  /** The attempt is done with it, and the response was read to its end. */
  release(): void {
    this.#attempt = null;
    if (this.#state !== BUSY) return;
    this.parser.resume();
    this.#state = IDLE;
    if (this.#peerEnded || this.transport.destroyed || !this.parser.idle) {
      this.destroy();
      return;
    }
    const { keepAlive } = this.#upstream.config.timeouts;
    const { wheel } = this.#upstream;
    wheel.arm(this.#timer, keepAlive > 0 ? wheel.now() + keepAlive : Number.POSITIVE_INFINITY);
    this.transport.resume();
    if (!this.#pool.release(this)) this.destroy();
  }

  /** Nothing more comes of it; an attempt that still has it hears nothing. */
  destroy(): void {
    this.#attempt = null;
    this.#close();
    this.#transport?.destroy();
  }

  /** Leaves HTTP: what was read beyond the head is the stream's first input. */
  detach(): TransportStream {
    const { config, wheel } = this.#upstream;
    const transport = this.transport;
    wheel.cancel(this.#timer);
    this.#state = CLOSED;
    this.#attempt = null;
    const rest = transport.own(this.parser.takeRest());
    const stream = new TransportStream(transport, wheel, config.timeouts.idle, rest);
    stream.closed = () => this.#pool.forget(this);
    return stream satisfies ByteStream;
  }

  onConnect(): void {
    if (this.#state !== CONNECTING) return;
    const attempt = this.#attempt;
    this.stoodAt = this.#upstream.wheel.now();
    this.#state = BUSY;
    // One that was opened ahead waits for its first attempt.
    if (attempt === null) this.release();
    else attempt.onConnection(this);
  }

  onBytes(bytes: Buffer): void {
    if (this.#state === BUSY) this.#pump.feed(bytes);
    // Nobody asked: whatever it is, it must not be taken for the answer to the next request.
    else if (this.#state === IDLE) this.destroy();
  }

  onEnd(): void {
    this.#peerEnded = true;
    if (this.#state === IDLE) this.destroy();
    else if (this.#state === BUSY) this.#finish(null);
  }

  onDrain(): void {
    this.#attempt?.onDrain();
  }

  onClose(error: Error | null): void {
    const attempt = this.#attempt;
    const state = this.#state;
    if (state === CLOSED) return;
    if (state === BUSY && attempt !== null) {
      this.#peerEnded = true;
      this.#pool.forget(this);
      this.#finish(error);
      return;
    }
    this.#attempt = null;
    this.#close();
    if (state === CONNECTING) attempt?.onNoConnection(connectError(error, this.#endpoint.where));
  }

  onTimer(): void {
    const attempt = this.#attempt;
    switch (this.#state) {
      case CONNECTING: {
        const { connect } = this.#upstream.config.timeouts;
        const message = `cannot connect to ${this.#endpoint.where}: it took longer than ${connect} ms`;
        this.destroy();
        attempt?.onNoConnection(new ProxyError("upstream_connect_timeout", message));
        return;
      }
      case BUSY:
        attempt?.onTimer();
        return;
      case IDLE:
        this.destroy();
    }
  }

  // --- what the pump tells

  get reading(): boolean {
    return this.#state === BUSY && this.#attempt?.reading === true;
  }

  get held(): boolean {
    return this.#attempt?.held === true;
  }

  onHead(): void {
    const { head, framing, upgrade } = this.parser;
    if (head.status === 101) this.#attempt?.onSwitch(head, upgrade);
    else if (head.status < 200) this.#attempt?.onInterim(head);
    else this.#attempt?.onHead(head, framing.length, framing.keepAlive);
  }

  onData(chunk: Uint8Array): void {
    this.#attempt?.onData(chunk, this.transport);
  }

  onMessageEnd(): void {
    this.#attempt?.onEnd(this.parser.trailers);
  }

  onViolation(): void {
    const { error } = this.parser;
    this.#attempt?.onBroken(error ?? new ProxyError("upstream_malformed", "cannot read the response"));
  }

  onStarved(): boolean {
    if (this.#peerEnded) this.#attempt?.onLost(this.#broken, !this.parser.idle);
    else this.#attempt?.onStarved();
    return !this.#peerEnded;
  }

  // --- inner

  /**
   * The upstream sends no more: what has come is still read, and then the rest is missing or there was none. A reset is
   * no end, not even of a body that runs until the close.
   */
  #finish(cause: Error | null): void {
    if (cause === null) this.parser.finish();
    else this.#broken = cause;
    this.#pump.run();
  }

  #close(): void {
    this.#state = CLOSED;
    this.#upstream.wheel.cancel(this.#timer);
    this.#pool.forget(this);
  }
}
