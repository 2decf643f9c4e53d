import type { ProxyError } from "../errors/proxy-error.ts";
import type { HeaderBlock } from "./header-block.ts";

/** Whose bytes a sink was lent. */
export interface Lender {
  /** The sink is done with the bytes. Called once at most; if it is not called, the lender only has to make new room. */
  giveBack(): void;
}

/**
 * Where the bytes of a body go. A sink is written to by exactly one source. After `end` or `fail` it gets nothing more.
 */
export interface BodySink {
  /**
   * Takes one chunk, which the sink owns from then on. False asks the source to hold still until its `resume` is
   * called.
   */
  write(chunk: Uint8Array): boolean;
  /**
   * Like `write`, with bytes that stay the lender's: the sink may use them until it gives them back, and no longer. It
   * lets a large body pass through with the same few buffers. Optional: a sink without it is given bytes of its own.
   */
  lend?(chunk: Uint8Array, lender: Lender): boolean;
  /** The body is whole. `trailers` are forwarded as trailers, never merged into the header (RFC 9110 §6.5). */
  end(trailers: HeaderBlock | null): void;
  /** The body broke off; what was written must not pass for a whole one. */
  fail(error: ProxyError): void;
}

/**
 * A body, held on the host. It has one consumer: `pipe` may be called once, and then everything is pushed into the
 * sink, never before `pipe` has returned and never re-entrantly from within `resume`'s caller's own `write`.
 *
 * A source that nobody pipes must be cancelled, or its connection is never given back.
 */
export interface BodySource {
  /** Length in bytes, or -1 when it is not known beforehand. */
  readonly length: number;
  pipe(sink: BodySink): void;
  /** The sink takes more, after a `write` that returned false. */
  resume(): void;
  /** Nobody wants the rest. The sink hears nothing more. Idempotent; allowed before `pipe` and after the end. */
  cancel(error: ProxyError): void;
}

/** A body that is already in memory. */
export class BytesBody implements BodySource {
  readonly length: number;
  #bytes: Uint8Array | null;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.length = bytes.length;
  }

  static text(text: string): BytesBody {
    return new BytesBody(Buffer.from(text));
  }

  /** The bytes, for a writer that puts head and body into one write; the body is then used up. */
  take(): Uint8Array {
    const bytes = this.#bytes ?? new Uint8Array(0);
    this.#bytes = null;
    return bytes;
  }

  pipe(sink: BodySink): void {
    const bytes = this.take();
    queueMicrotask(() => {
      if (bytes.length > 0) sink.write(bytes);
      sink.end(null);
    });
  }

  resume(): void {}

  cancel(): void {
    this.#bytes = null;
  }
}
