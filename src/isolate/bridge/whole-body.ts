import { ProxyError } from "../../errors/proxy-error.ts";
import type { BodySink, BodySource } from "../../http/body.ts";
import type { HostBuffer } from "./host-buffer.ts";

/** Collects a body that a guest asked for as a whole. Calls back once, with either an error or the bytes. */
export class WholeBody implements BodySink {
  readonly #source: BodySource;
  readonly #buffer: HostBuffer;
  readonly #done: (error: ProxyError | null, bytes: Buffer) => void;
  #chunks: Uint8Array[] = [];
  #size = 0;
  #settled = false;

  constructor(
    source: BodySource,
    buffer: HostBuffer,
    done: (error: ProxyError | null, bytes: Buffer) => void,
  ) {
    this.#source = source;
    this.#buffer = buffer;
    this.#done = done;
    source.pipe(this);
  }

  write(chunk: Uint8Array): boolean {
    if (this.#settled) return false;
    if (!this.#buffer.take(chunk.length)) {
      const error = new ProxyError("worker_memory_exceeded", "cannot read the body: there is no room for it");
      this.fail(error);
      this.#source.cancel(error);
      return false;
    }
    this.#size += chunk.length;
    this.#chunks.push(chunk);
    return true;
  }

  end(): void {
    if (this.#settled) return;
    const [first] = this.#chunks;
    const bytes =
      this.#chunks.length === 1 && first !== undefined
        ? Buffer.from(first.buffer as ArrayBuffer, first.byteOffset, first.byteLength)
        : Buffer.concat(this.#chunks);
    this.drop();
    this.#done(null, bytes);
  }

  fail(error: ProxyError): void {
    if (this.#settled) return;
    this.drop();
    this.#done(error, Buffer.alloc(0));
  }

  /** Nobody wants it any more. */
  drop(): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#buffer.give(this.#size);
    this.#chunks = [];
  }
}
