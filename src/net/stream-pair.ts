import type { ProxyError } from "../errors/proxy-error.ts";
import type { BodySink, BodySource } from "../http/body.ts";
import type { ByteStream, StreamSink } from "../http/exchange.ts";

/** One direction of bytes within the process, with backpressure: what is written to it is what it yields. */
export class Passage implements BodySource, StreamSink {
  readonly length = -1;
  /** Called after bytes have come before anyone pipes them, with all that wait. */
  onWaiting: ((bytes: Uint8Array) => void) | null = null;
  /** Called when nothing comes any more although nobody has piped yet. @param error null for an orderly end */
  onEnded: ((error: ProxyError | null) => void) | null = null;
  #sink: BodySink | null = null;
  #source: Pick<BodySource, "resume" | "cancel"> | null = null;
  #waiting: Uint8Array[] = [];
  #holding = true;
  #delivering = false;
  #ended = false;
  #failed: ProxyError | null = null;
  #over = false;

  pipe(sink: BodySink): void {
    this.#sink = sink;
    queueMicrotask(() => this.resume());
  }

  resume(): void {
    if (this.#sink === null) return;
    this.#holding = false;
    if (this.#delivering) return;
    this.#deliver();
    if (!this.#holding) this.#source?.resume();
  }

  /** More is to come although nobody pipes yet. */
  more(): void {
    this.#source?.resume();
  }

  cancel(error: ProxyError): void {
    if (this.#over) return;
    this.#over = true;
    this.#sink = null;
    this.#waiting = [];
    const source = this.#source;
    this.#source = null;
    if (!this.#ended && this.#failed === null) source?.cancel(error);
  }

  attach(source: Pick<BodySource, "resume" | "cancel">): void {
    this.#source = source;
  }

  write(chunk: Uint8Array): boolean {
    if (this.#over) return false;
    if (this.#holding || this.#sink === null || this.#delivering || this.#waiting.length > 0) {
      this.#waiting.push(chunk);
      if (this.#sink === null) this.onWaiting?.(this.#joined());
      return false;
    }
    if (!this.#sink.write(chunk)) this.#holding = true;
    return !this.#holding;
  }

  end(): void {
    this.#ended = true;
    if (this.#sink === null) this.#tellEnded();
    else if (!this.#delivering) this.#deliver();
  }

  fail(error: ProxyError): void {
    this.#failed = error;
    this.#waiting = [];
    if (this.#sink === null) this.#tellEnded();
    else if (!this.#delivering) this.#deliver();
  }

  #joined(): Uint8Array {
    if (this.#waiting.length > 1) this.#waiting = [Buffer.concat(this.#waiting)];
    return this.#waiting[0] ?? new Uint8Array(0);
  }

  #tellEnded(): void {
    const { onEnded } = this;
    this.onEnded = null;
    onEnded?.(this.#failed);
  }

  #deliver(): void {
    this.#delivering = true;
    while (this.#waiting.length > 0 && !this.#holding && this.#sink !== null) {
      const chunk = this.#waiting.shift();
      if (chunk !== undefined && !this.#sink.write(chunk)) this.#holding = true;
    }
    this.#delivering = false;
    const sink = this.#sink;
    if (sink === null || this.#over) return;
    if (this.#failed !== null) {
      this.#over = true;
      sink.fail(this.#failed);
    } else if (this.#ended && this.#waiting.length === 0) {
      this.#over = true;
      sink.end(null);
    }
  }
}

/** Two ends of one stream within the process: what is written to one is read from the other. */
export class StreamPair {
  /** From the near end to the far one. */
  readonly outward: Passage = new Passage();
  /** From the far end to the near one. */
  readonly inward: Passage = new Passage();
  readonly near: ByteStream;
  readonly far: ByteStream;

  /** @param isTimed the far end keeps time limits of its own; see `ByteStream.isTimed` */
  constructor(isTimed: boolean) {
    this.near = { readable: this.inward, writable: this.outward, isTimed };
    this.far = { readable: this.outward, writable: this.inward };
  }
}
