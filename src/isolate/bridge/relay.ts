import { ProxyError } from "../../errors/proxy-error.ts";
import type { BodySink, BodySource } from "../../http/body.ts";
import type { StreamSink } from "../../http/exchange.ts";

/** Joins a writer that comes first with a reader that comes later: the writing half of a tunnel, as a body. */
export class Relay implements StreamSink, BodySource {
  readonly length = -1;
  #writer: Pick<BodySource, "resume" | "cancel"> | null = null;
  #sink: BodySink | null = null;
  #queue: Uint8Array[] = [];
  #holding = false;
  #end: { readonly error: ProxyError | null } | null = null;
  #isOver = false;

  attach(source: Pick<BodySource, "resume" | "cancel">): void {
    this.#writer = source;
    if (this.#isOver) source.cancel(gone());
  }

  write(chunk: Uint8Array): boolean {
    if (this.#isOver) return true;
    if (this.#sink === null || this.#holding) {
      this.#queue.push(chunk);
      return false;
    }
    if (!this.#sink.write(chunk)) this.#holding = true;
    return !this.#holding;
  }

  end(): void {
    this.#end ??= { error: null };
    this.#flush();
  }

  fail(error: ProxyError): void {
    this.#end ??= { error };
    this.#flush();
  }

  pipe(sink: BodySink): void {
    this.#sink = sink;
    queueMicrotask(() => this.resume());
  }

  resume(): void {
    this.#holding = false;
    this.#flush();
    if (!this.#holding && this.#end === null && this.#sink !== null) this.#writer?.resume();
  }

  cancel(error: ProxyError): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#sink = null;
    this.#queue = [];
    this.#writer?.cancel(error);
  }

  #flush(): void {
    const sink = this.#sink;
    if (sink === null || this.#isOver) return;
    while (this.#queue.length > 0 && !this.#holding) {
      if (!sink.write(this.#queue.shift() as Uint8Array)) this.#holding = true;
    }
    if (this.#queue.length > 0 || this.#end === null) return;
    this.#isOver = true;
    if (this.#end.error === null) sink.end(null);
    else sink.fail(this.#end.error);
  }
}

function gone(): ProxyError {
  return new ProxyError("client_disconnected", "cannot relay: nobody reads any more");
}
