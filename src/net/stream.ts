import type { Socket } from "node:net";
import { ProxyError } from "../errors/proxy-error.ts";
import type { BodySink, BodySource, Lender } from "../http/body.ts";
import type { ByteStream, StreamSink } from "../http/exchange.ts";
import { noLender } from "./read-buffer.ts";
import { type TimerOwner, type TimerWheel, WheelTimer } from "./timer-wheel.ts";
import { Transport, type TransportOwner } from "./transport.ts";

/** Lets the bytes of two streams flow into one another, with backpressure and half-close. */
export function join(a: ByteStream, b: ByteStream): void {
  a.writable.attach(b.readable);
  b.writable.attach(a.readable);
  a.readable.pipe(b.writable);
  b.readable.pipe(a.writable);
}

/**
 * A connection as two directions of bytes. It is its own readable and writable half, and closes its transport when both
 * directions have ended, one has failed, or nothing has moved for the idle time.
 */
export class TransportStream implements ByteStream, BodySource, StreamSink, TransportOwner, TimerOwner {
  readonly length = -1;
  /** Called once, when the transport is closed. */
  closed: (() => void) | null = null;
  /** Bytes written to the transport. */
  written = 0;
  readonly #transport: Transport;
  readonly #wheel: TimerWheel;
  readonly #timer: WheelTimer = new WheelTimer(this);
  readonly #idleMs: number;
  #sink: BodySink | null = null;
  #source: Pick<BodySource, "resume" | "cancel"> | null = null;
  /** Input that came before there was a sink, or while it held; never more than one read besides the first. */
  #waiting: Uint8Array[] = [];
  #holding = true;
  #readEnded = false;
  #endDelivered = false;
  #writeEnded = false;

  /**
   * @param transport stands; the stream becomes its owner.
   * @param idleMs without a byte in either direction after which it is closed; 0 is never.
   * @param first bytes that were read from it already.
   */
  constructor(transport: Transport, wheel: TimerWheel, idleMs: number, first: Uint8Array | null = null) {
    this.#transport = transport;
    this.#wheel = wheel;
    this.#idleMs = idleMs;
    if (first !== null && first.length > 0) this.#waiting.push(first);
    transport.owner = this;
    this.#moved();
  }

  /** A stream over a socket that stands, and that nobody else reads. */
  static over(socket: Socket, wheel: TimerWheel, idleMs = 0): TransportStream {
    return new TransportStream(Transport.wrap(nobody, socket), wheel, idleMs);
  }

  get readable(): BodySource {
    return this;
  }

  get writable(): StreamSink {
    return this;
  }

  pipe(sink: BodySink): void {
    this.#sink = sink;
    queueMicrotask(() => this.resume());
  }

  resume(): void {
    if (this.#sink === null) return;
    this.#holding = false;
    this.#deliver();
    if (!this.#holding) this.#transport.resume();
  }

  /** Nobody reads any more: nothing can follow on either side that anybody wants. */
  cancel(error: ProxyError): void {
    this.#sink = null;
    this.#waiting = [];
    if (!this.#endDelivered && !this.#transport.destroyed) this.#transport.destroy(error);
  }

  attach(source: Pick<BodySource, "resume" | "cancel">): void {
    this.#source = source;
  }

  write(chunk: Uint8Array): boolean {
    return this.lend(chunk, noLender);
  }

  lend(chunk: Uint8Array, lender: Lender): boolean {
    if (this.#transport.destroyed) return false;
    this.#moved();
    this.written += chunk.length;
    return this.#transport.lend(chunk, lender);
  }

  end(): void {
    if (this.#writeEnded) return;
    this.#writeEnded = true;
    this.#transport.end();
  }

  fail(): void {
    // The other end must not take what it got for all there was, and in a stream only the manner of its end says so.
    this.#transport.reset();
  }

  onConnect(): void {}

  onBytes(bytes: Buffer): void {
    this.#moved();
    if (this.#holding || this.#sink === null) {
      this.#waiting.push(this.#transport.own(bytes));
      this.#transport.pause();
    } else if (!this.#transport.deliver(bytes, this.#sink)) {
      this.#holding = true;
      this.#transport.pause();
    }
  }

  onEnd(): void {
    this.#readEnded = true;
    if (!this.#holding) this.#deliver();
  }

  onDrain(): void {
    this.#moved();
    this.#source?.resume();
  }

  onClose(error: Error | null): void {
    this.#wheel.cancel(this.#timer);
    const broken =
      error instanceof ProxyError
        ? error
        : new ProxyError(
            "upstream_reset",
            `cannot go on with a tunnel: ${error?.message ?? "it was closed"}`,
            {
              cause: error ?? undefined,
            },
          );
    const sink = this.#sink;
    const source = this.#source;
    this.#sink = null;
    this.#source = null;
    // First the sink, which closes with a reset; after a cancel it would close as if all had been said.
    if (!this.#endDelivered) sink?.fail(broken);
    if (!this.#writeEnded) source?.cancel(broken);
    const { closed } = this;
    this.closed = null;
    closed?.();
  }

  onTimer(): void {
    const message = "cannot go on with a tunnel: nothing was sent for too long";
    this.#transport.destroy(new ProxyError("upstream_idle_timeout", message));
  }

  #deliver(): void {
    while (this.#waiting.length > 0 && !this.#holding && this.#sink !== null) {
      const chunk = this.#waiting.shift();
      if (chunk !== undefined && !this.#sink.write(chunk)) this.#holding = true;
    }
    if (this.#holding || this.#endDelivered || !this.#readEnded || this.#sink === null) return;
    this.#endDelivered = true;
    this.#sink.end(null);
  }

  #moved(): void {
    if (this.#idleMs > 0) this.#wheel.arm(this.#timer, this.#wheel.now() + this.#idleMs);
  }
}

const nobody: TransportOwner = {
  onConnect() {},
  onBytes() {},
  onEnd() {},
  onDrain() {},
  onClose() {},
};
