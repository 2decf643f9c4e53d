import type { ProxyError } from "../../errors/proxy-error.ts";
import type { BodySink, BodySource, Lender } from "../../http/body.ts";
import type { HeaderBlock } from "../../http/header-block.ts";
import { noLender } from "../../net/read-buffer.ts";

/**
 * A request's body for one attempt after another: what has flowed is kept, up to a bound, and comes again for the next
 * attempt. Until `settle`, an attempt that cancels it only lets go of it.
 */
export class ReplayBody implements BodySource, BodySink {
  readonly length: number;
  readonly #source: BodySource;
  readonly #limit: number;
  #kept: Uint8Array[] = [];
  #size = 0;
  /** Some of what has flowed is not kept. */
  #lossy = false;
  /** No other attempt follows. */
  #settled = false;
  #sink: BodySink | null = null;
  /** The kept chunk that the sink gets next. */
  #at = 0;
  #piped = false;
  /** The source waits for `resume`. */
  #held = false;
  /** The sink waits for nothing: it has asked for more. */
  #wanted = false;
  #playing = false;
  #ended = false;
  #trailers: HeaderBlock | null = null;
  #cancelled: ProxyError | null = null;
  #failed: ProxyError | null = null;

  /** @param limit bytes that are kept; with 0 the body can come again only while none of it has flowed */
  constructor(source: BodySource, limit: number) {
    this.#source = source;
    this.length = source.length;
    this.#limit = limit;
  }

  /** Another attempt can have all of it. */
  get replayable(): boolean {
    return !this.#lossy && !this.#settled;
  }

  /** It flows, and the source has more to bring before anybody else can go on. */
  get awaitsClient(): boolean {
    return this.#piped && !this.#ended && !this.#held;
  }

  /** No attempt follows, so nothing more is kept. Idempotent. */
  settle(): void {
    if (this.#settled) return;
    this.#settled = true;
    if (this.#cancelled !== null) this.cancel(this.#cancelled);
    else this.#forget();
  }

  pipe(sink: BodySink): void {
    this.#sink = sink;
    this.#at = 0;
    this.#cancelled = null;
    this.#wanted = true;
    if (!this.#piped) {
      this.#piped = true;
      this.#source.pipe(this);
      return;
    }
    queueMicrotask(() => {
      if (this.#sink !== sink) return;
      if (this.#failed === null) this.#play();
      else this.fail(this.#failed);
    });
  }

  resume(): void {
    if (this.#sink === null) return;
    this.#wanted = true;
    this.#play();
  }

  cancel(error: ProxyError): void {
    this.#sink = null;
    this.#wanted = false;
    if (!this.#settled) {
      this.#cancelled ??= error;
      return;
    }
    this.#kept = [];
    if (!this.#ended) this.#source.cancel(error);
  }

  // --- what the source tells

  write(chunk: Uint8Array): boolean {
    return this.lend(chunk, noLender);
  }

  lend(chunk: Uint8Array, lender: Lender): boolean {
    const sink = this.#sink;
    const isDirect = sink !== null && this.#wanted && this.#at === this.#kept.length && !this.#playing;
    const keeps = !this.#settled && !this.#lossy && this.#size + chunk.length <= this.#limit;
    if (keeps || !isDirect) {
      const own = Buffer.from(chunk);
      this.#kept.push(own);
      this.#size += own.length;
    }
    if (!keeps && !this.#settled && isDirect) {
      // More than is kept for another attempt: from here on it only passes.
      this.#lossy = true;
      this.#forget();
    }
    if (isDirect) {
      if (keeps) this.#at++;
      this.#wanted = false;
      const more = sink.lend === undefined ? sink.write(Buffer.from(chunk)) : sink.lend(chunk, lender);
      // The attempt may have failed within, and the next one have taken its place.
      if (this.#sink === sink && more) this.#wanted = true;
      const goesOn = this.#sink === sink && this.#wanted;
      this.#held = !goesOn;
      return goesOn;
    }
    // Nobody takes it right now: it waits here, and what follows with whoever sends it.
    lender.giveBack();
    const more = sink === null && keeps;
    this.#held = !more;
    return more;
  }

  end(trailers: HeaderBlock | null): void {
    this.#ended = true;
    this.#trailers = trailers;
    if (this.#sink !== null && this.#at === this.#kept.length) this.#finish();
  }

  fail(error: ProxyError): void {
    // There is no whole body any more, for this attempt or another.
    this.#lossy = true;
    this.#ended = true;
    this.#failed = error;
    const sink = this.#sink;
    this.#sink = null;
    sink?.fail(error);
  }

  // --- inner

  /** Gives the sink what is kept, and then what comes. */
  #play(): void {
    if (this.#playing) return;
    this.#playing = true;
    const sink = this.#sink;
    while (sink !== null && this.#sink === sink && this.#wanted && this.#at < this.#kept.length) {
      const chunk = this.#kept[this.#at] as Uint8Array;
      this.#at++;
      this.#wanted = false;
      if (sink.write(Buffer.from(chunk)) && this.#sink === sink) this.#wanted = true;
    }
    this.#playing = false;
    if (sink === null || this.#sink !== sink || this.#at < this.#kept.length) return;
    if (this.#settled || this.#lossy) this.#forget();
    if (this.#ended) this.#finish();
    else if (this.#wanted && this.#held) {
      this.#held = false;
      this.#source.resume();
    }
  }

  /** Drops what the sink has had. */
  #forget(): void {
    this.#kept.splice(0, this.#at);
    this.#at = 0;
    this.#size = 0;
  }

  #finish(): void {
    const sink = this.#sink;
    this.#sink = null;
    sink?.end(this.#trailers);
  }
}
