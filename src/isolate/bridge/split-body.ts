import { ProxyError } from "../../errors/proxy-error.ts";
import type { BodySink, BodySource } from "../../http/body.ts";
import type { HostBuffer } from "./host-buffer.ts";

/** Splits a source in two that each yield all of it; the slower one's part is kept in `buffer`. */
export function splitBody(source: BodySource, buffer: HostBuffer): [BodySource, BodySource] {
  const split = new Split(source, buffer);
  return [split.first, split.second];
}

class Split implements BodySink {
  readonly first: Branch;
  readonly second: Branch;
  readonly source: BodySource;
  readonly buffer: HostBuffer;
  #piped = false;
  #ended = false;

  constructor(source: BodySource, buffer: HostBuffer) {
    this.source = source;
    this.buffer = buffer;
    this.first = new Branch(this);
    this.second = new Branch(this);
  }

  wanted(): void {
    if (this.#piped) {
      if (!this.#ended) this.source.resume();
    } else {
      this.#piped = true;
      this.source.pipe(this);
    }
  }

  dropped(error: ProxyError): void {
    if (this.first.isCancelled && this.second.isCancelled) this.source.cancel(error);
    else if (this.#piped && !this.#ended) this.source.resume();
  }

  write(chunk: Uint8Array): boolean {
    const first = this.first.push(chunk);
    const second = this.second.push(chunk);
    return first || second;
  }

  end(): void {
    this.#ended = true;
    this.first.finish(null);
    this.second.finish(null);
  }

  fail(error: ProxyError): void {
    this.#ended = true;
    this.first.finish(error);
    this.second.finish(error);
  }
}

class Branch implements BodySource {
  readonly length: number;
  isCancelled = false;
  readonly #split: Split;
  #sink: BodySink | null = null;
  #queue: Uint8Array[] = [];
  #queued = 0;
  #holding = false;
  #end: { error: ProxyError | null } | null = null;

  constructor(split: Split) {
    this.#split = split;
    this.length = split.source.length;
  }

  pipe(sink: BodySink): void {
    this.#sink = sink;
    queueMicrotask(() => {
      this.#flush();
      if (!this.#holding && this.#end === null) this.#split.wanted();
    });
  }

  resume(): void {
    this.#holding = false;
    this.#flush();
    if (!this.#holding && this.#end === null) this.#split.wanted();
  }

  cancel(error: ProxyError): void {
    if (this.isCancelled) return;
    this.isCancelled = true;
    this.#sink = null;
    this.#queue = [];
    this.#split.buffer.give(this.#queued);
    this.#queued = 0;
    this.#split.dropped(error);
  }

  /** True when this branch takes more. */
  push(chunk: Uint8Array): boolean {
    if (this.isCancelled) return false;
    if (this.#sink !== null && !this.#holding && this.#queue.length === 0) {
      if (!this.#sink.write(chunk)) this.#holding = true;
      return this.#sink !== null && !this.#holding;
    }
    if (this.#split.buffer.take(chunk.length)) {
      this.#queue.push(chunk);
      this.#queued += chunk.length;
      this.#flush();
    } else {
      const sink = this.#sink;
      this.cancel(new ProxyError("worker_memory_exceeded", "cannot keep a split body: one half is not read"));
      sink?.fail(new ProxyError("worker_memory_exceeded", "cannot keep a split body: one half is not read"));
      return false;
    }
    return this.#sink !== null && !this.#holding;
  }

  finish(error: ProxyError | null): void {
    this.#end = { error };
    this.#flush();
  }

  #flush(): void {
    const sink = this.#sink;
    if (sink === null) return;
    while (this.#queue.length > 0 && !this.#holding) {
      const chunk = this.#queue.shift() as Uint8Array;
      this.#queued -= chunk.length;
      this.#split.buffer.give(chunk.length);
      if (!sink.write(chunk)) this.#holding = true;
    }
    if (this.#queue.length > 0 || this.#end === null || this.isCancelled) return;
    this.#sink = null;
    if (this.#end.error === null) sink.end(null);
    else sink.fail(this.#end.error);
  }
}
