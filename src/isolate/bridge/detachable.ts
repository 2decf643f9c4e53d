import type { ProxyError } from "../../errors/proxy-error.ts";
import type { BodySink, BodySource } from "../../http/body.ts";
import type { ByteStream, StreamSink } from "../../http/exchange.ts";

/**
 * A stream that can be taken away from those who use it: TLS is started on it, and they must neither read nor write any
 * more. What came in and was not read is dropped, since it came before TLS: whoever can write into the plain connection
 * must not be able to say something as if it had come over TLS (the injection of STARTTLS, RFC 3207 §6).
 */
export class Detachable implements ByteStream {
  readonly readable: DetachableSource;
  readonly writable: DetachableSink;
  readonly #trust: readonly string[];

  constructor(stream: ByteStream) {
    this.#trust = stream.trust ?? [];
    this.readable = new DetachableSource(stream.readable);
    this.writable = new DetachableSink(stream.writable);
  }

  /** The stream for its next users. Called once. */
  detach(): ByteStream {
    return { readable: this.readable.detach(), writable: this.writable.detach(), trust: this.#trust };
  }
}

class DetachableSource implements BodySource, BodySink {
  readonly length = -1;
  readonly #inner: BodySource;
  #sink: BodySink | null = null;
  #isPiped = false;
  #isDetached = false;

  constructor(inner: BodySource) {
    this.#inner = inner;
  }

  pipe(sink: BodySink): void {
    if (this.#isDetached) return;
    this.#pipe(sink);
  }

  resume(): void {
    if (!this.#isDetached) this.#inner.resume();
  }

  cancel(error: ProxyError): void {
    if (!this.#isDetached) this.#inner.cancel(error);
  }

  write(chunk: Uint8Array): boolean {
    return this.#sink?.write(chunk) ?? false;
  }

  end(): void {
    this.#sink?.end(null);
  }

  fail(error: ProxyError): void {
    this.#sink?.fail(error);
  }

  detach(): BodySource {
    this.#isDetached = true;
    this.#sink = null;
    const inner = this.#inner;
    return {
      length: -1,
      pipe: (sink) => this.#pipe(sink),
      resume: () => inner.resume(),
      cancel: (error) => inner.cancel(error),
    };
  }

  /** The inner source is piped once, whoever its consumer is. */
  #pipe(sink: BodySink): void {
    this.#sink = sink;
    if (this.#isPiped) queueMicrotask(() => this.#inner.resume());
    else {
      this.#isPiped = true;
      this.#inner.pipe(this);
    }
  }
}

class DetachableSink implements StreamSink {
  readonly #inner: StreamSink;
  #source: Pick<BodySource, "resume" | "cancel"> | null = null;
  #isDetached = false;

  constructor(inner: StreamSink) {
    this.#inner = inner;
    inner.attach({
      resume: () => this.#source?.resume(),
      cancel: (error) => this.#source?.cancel(error),
    });
  }

  attach(source: Pick<BodySource, "resume" | "cancel">): void {
    if (!this.#isDetached) this.#source = source;
  }

  write(chunk: Uint8Array): boolean {
    return this.#isDetached || this.#inner.write(chunk);
  }

  end(): void {
    if (!this.#isDetached) this.#inner.end(null);
  }

  fail(error: ProxyError): void {
    if (!this.#isDetached) this.#inner.fail(error);
  }

  detach(): StreamSink {
    this.#isDetached = true;
    this.#source = null;
    const inner = this.#inner;
    return {
      attach: (source) => {
        this.#source = source;
      },
      write: (chunk) => inner.write(chunk),
      end: (trailers) => inner.end(trailers),
      fail: (error) => inner.fail(error),
    };
  }
}
