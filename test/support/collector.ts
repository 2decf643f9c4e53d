import { ProxyError } from "../../src/errors/proxy-error.ts";
import type { BodySink, BodySource } from "../../src/http/body.ts";

/** Collects a body into one buffer, at most `limit` bytes. Calls back once, with either an error or the bytes. */
export class Collector implements BodySink {
  readonly #source: BodySource;
  readonly #limit: number;
  readonly #done: (error: ProxyError | null, bytes: Buffer) => void;
  #chunks: Uint8Array[] = [];
  #size = 0;
  #settled = false;

  constructor(source: BodySource, limit: number, done: (error: ProxyError | null, bytes: Buffer) => void) {
    this.#source = source;
    this.#limit = limit;
    this.#done = done;
    source.pipe(this);
  }

  write(chunk: Uint8Array): boolean {
    this.#size += chunk.length;
    if (this.#size > this.#limit) {
      const error = new ProxyError(
        "request_body_too_large",
        `cannot buffer a body: more than ${this.#limit} bytes`,
      );
      this.#source.cancel(error);
      this.fail(error);
      return false;
    }
    this.#chunks.push(chunk);
    return true;
  }

  end(): void {
    if (this.#settled) return;
    this.#settled = true;
    const only = this.#chunks.length === 1 ? this.#chunks[0] : undefined;
    const bytes =
      only === undefined
        ? Buffer.concat(this.#chunks)
        : Buffer.from(only.buffer as ArrayBuffer, only.byteOffset, only.byteLength);
    this.#chunks = [];
    this.#done(null, bytes);
  }

  fail(error: ProxyError): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#chunks = [];
    this.#done(error, Buffer.alloc(0));
  }
}
