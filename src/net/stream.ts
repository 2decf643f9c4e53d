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
  /** Called once, when the transport is closed; with null when both directions had come to their end. */
  closed: ((error: ProxyError | null) => void) | null = null;
  /** Bytes written to the transport. */
  written = 0;
  /** Bytes read from it. */
  received = 0;
  /** At the other end is who opened the tunnel: what it breaks off is its own doing, and no upstream's. */
  isClient = false;
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
  /** Why it is closed from this side. */
  #failure: ProxyError | null = null;

  /**
   * @param transport stands; the stream becomes its owner.
   * @param idleMs without a byte in either direction after which it is closed; 0 is never.
   * @param first bytes that were read from it already.
   */
  constructor(transport: Transport, wheel: TimerWheel, idleMs: number, first: Uint8Array | null = null) {
    this.#transport = transport;
    this.#wheel = wheel;
    this.#idleMs = idleMs;
    if (first !== null && first.length > 0) {
      this.#waiting.push(first);
      this.received = first.length;
    }
    transport.owner = this;
    this.#moved();
  }

  /** A stream over a socket that stands, and that nobody else reads. */
  static over(socket: Socket, wheel: TimerWheel, idleMs = 0): TransportStream {
    return new TransportStream(Transport.wrap(nobody, socket), wheel, idleMs);
  }

  /** A stream over a connection from a `Listener`. */
  static accepted(socket: Socket, wheel: TimerWheel, idleMs: number): TransportStream {
    return new TransportStream(Transport.accepted(nobody, socket), wheel, idleMs);
  }

  get socket(): Socket {
    return this.#transport.socket;
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
    if (this.#endDelivered || this.#transport.destroyed) return;
    this.#failure ??= error;
    this.#transport.destroy(error);
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

  fail(error: ProxyError): void {
    this.#failure ??= error;
    // The other end must not take what it got for all there was, and in a stream only the manner of its end says so.
    this.#transport.reset();
  }

  onConnect(): void {}

  onBytes(bytes: Buffer): void {
    this.#moved();
    this.received += bytes.length;
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
    const isWhole = this.#endDelivered && this.#writeEnded && this.#failure === null && error === null;
    const broken = this.#failure ?? this.#broken(error);
    const sink = this.#sink;
    const source = this.#source;
    this.#sink = null;
    this.#source = null;
    // First the sink, which closes with a reset; after a cancel it would close as if all had been said.
    if (!this.#endDelivered) sink?.fail(broken);
    if (!this.#writeEnded) source?.cancel(broken);
    const { closed } = this;
    this.closed = null;
    closed?.(isWhole ? null : broken);
  }

  onTimer(): void {
    const message = "cannot go on with a tunnel: nothing was sent for too long";
    const code = this.isClient ? "tunnel_idle_timeout" : "upstream_idle_timeout";
    this.#transport.destroy(new ProxyError(code, message));
  }

  #broken(error: Error | null): ProxyError {
    if (error instanceof ProxyError) return error;
    const code = this.isClient ? "client_disconnected" : "upstream_reset";
    const message = `cannot go on with a tunnel: ${error?.message ?? "it was closed"}`;
    return new ProxyError(code, message, { cause: error ?? undefined });
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
