import { ProxyError } from "../../../errors/proxy-error.ts";
import type { BodySink, BodySource, Lender } from "../../../http/body.ts";
import type { HeaderBlock } from "../../../http/header-block.ts";
import { type TimerOwner, type TimerWheel, WheelTimer } from "../../../net/timer-wheel.ts";
import type { Coding } from "./accept-encoding.ts";
import { type Coder, flushKinds, type Levels, makeCoder } from "./coder.ts";

/** What has been written comes out when nothing more has come for so long. */
const idleMs = 50;

/** What a body tells when its coder is free. */
export interface CoderOwner {
  readonly levels: Levels;
  readonly wheel: TimerWheel;
  onCoderFree(): void;
}

/**
 * A body in a coding. Its bytes go through a coder on a thread of the pool, with backpressure on both sides, and the coder's
 * memory is freed at the end, whichever it is.
 */
export class CodedBody implements BodySource, BodySink, TimerOwner {
  readonly length = -1;
  readonly #source: BodySource;
  readonly #coding: Coding;
  /** Each event of an event stream comes out at once. */
  readonly #isEventStream: boolean;
  readonly #owner: CoderOwner;
  readonly #timer = new WheelTimer(this);
  #coder: Coder | null = null;
  #sink: BodySink | null = null;
  #trailers: HeaderBlock | null = null;
  #hasUnflushed = false;
  #isEnding = false;
  #isOver = false;

  constructor(source: BodySource, coding: Coding, isEventStream: boolean, owner: CoderOwner) {
    this.#source = source;
    this.#coding = coding;
    this.#isEventStream = isEventStream;
    this.#owner = owner;
  }

  pipe(sink: BodySink): void {
    this.#sink = sink;
    let coder: Coder;
    try {
      coder = makeCoder(this.#coding, this.#owner.levels);
    } catch (error) {
      // zlib has no memory for it. The sink hears of it once `pipe` has returned.
      queueMicrotask(() => this.#onError(error as Error));
      return;
    }
    this.#coder = coder;
    coder.on("data", (chunk: Uint8Array) => this.#onData(chunk));
    coder.on("drain", () => this.#onDrain());
    coder.on("end", () => this.#onEnd());
    coder.on("error", (error) => this.#onError(error));
    this.#source.pipe(this);
  }

  resume(): void {
    if (!this.#isOver) this.#coder?.resume();
  }

  cancel(error: ProxyError): void {
    if (this.#isOver) return;
    this.#free();
    this.#source.cancel(error);
  }

  write(chunk: Uint8Array): boolean {
    const coder = this.#coder;
    if (this.#isOver || coder === null) return false;
    this.#hasUnflushed = true;
    return coder.write(chunk, (error) => {
      if (!(error instanceof Error)) this.#onConsumed();
    });
  }

  lend(chunk: Uint8Array, lender: Lender): boolean {
    const coder = this.#coder;
    if (this.#isOver || coder === null) {
      lender.giveBack();
      return false;
    }
    this.#hasUnflushed = true;
    return coder.write(chunk, (error) => {
      // A coder that was destroyed may still be reading them.
      if (error instanceof Error) return;
      lender.giveBack();
      this.#onConsumed();
    });
  }

  end(trailers: HeaderBlock | null): void {
    if (this.#isOver) return;
    this.#isEnding = true;
    this.#trailers = trailers;
    this.#owner.wheel.cancel(this.#timer);
    this.#coder?.end();
  }

  fail(error: ProxyError): void {
    if (this.#isOver) return;
    const sink = this.#sink;
    this.#free();
    sink?.fail(error);
  }

  onTimer(): void {
    this.#flush();
  }

  #onData(chunk: Uint8Array): void {
    if (!this.#isOver && this.#sink?.write(chunk) === false) this.#coder?.pause();
  }

  #onDrain(): void {
    if (!this.#isOver && !this.#isEnding) this.#source.resume();
  }

  #onConsumed(): void {
    if (this.#isOver || this.#isEnding || this.#coder?.writableLength !== 0) return;
    if (this.#isEventStream) this.#flush();
    else this.#owner.wheel.arm(this.#timer, this.#owner.wheel.now() + idleMs);
  }

  #flush(): void {
    if (!this.#hasUnflushed || this.#isOver || this.#isEnding) return;
    this.#hasUnflushed = false;
    this.#coder?.flush(flushKinds[this.#coding]);
  }

  #onEnd(): void {
    if (this.#isOver) return;
    const sink = this.#sink;
    this.#free();
    sink?.end(this.#trailers);
  }

  #onError(cause: Error): void {
    if (this.#isOver) return;
    const sink = this.#sink;
    const error = new ProxyError("internal", "cannot compress the response: the coder failed", { cause });
    this.#free();
    this.#source.cancel(error);
    sink?.fail(error);
  }

  #free(): void {
    this.#isOver = true;
    this.#sink = null;
    this.#owner.wheel.cancel(this.#timer);
    const coder = this.#coder;
    this.#coder = null;
    coder?.destroy();
    this.#owner.onCoderFree();
  }
}
