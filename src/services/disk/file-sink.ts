import type { FileHandle } from "node:fs/promises";
import { ProxyError } from "../../errors/proxy-error.ts";
import type { BodySink, BodySource } from "../../http/body.ts";

/** Chunks that may wait while one is written. */
const waitingBytes = 262_144;

/** Writes a body into an open file, one chunk after another. */
export class FileSink implements BodySink {
  /** Settles when all is written, or the body or a write has failed. No write is under way then. */
  readonly done: Promise<void>;
  readonly #file: FileHandle;
  readonly #source: BodySource;
  readonly #resolve: () => void;
  readonly #reject: (error: Error) => void;
  #chunks: Uint8Array[] = [];
  #waiting = 0;
  #busy = false;
  #held = false;
  #ended = false;
  #error: Error | null = null;

  constructor(file: FileHandle, source: BodySource) {
    this.#file = file;
    this.#source = source;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.done = promise;
    this.#resolve = resolve;
    this.#reject = reject;
    source.pipe(this);
  }

  write(chunk: Uint8Array): boolean {
    if (this.#error !== null) return false;
    this.#chunks.push(chunk);
    this.#waiting += chunk.length;
    void this.#drain();
    this.#held = this.#waiting > waitingBytes;
    return !this.#held;
  }

  end(): void {
    this.#ended = true;
    void this.#drain();
  }

  fail(error: ProxyError): void {
    this.#error ??= error;
    void this.#drain();
  }

  /** Nobody wants the file any more. */
  abort(error: ProxyError): void {
    if (this.#error === null && !this.#ended) this.#source.cancel(error);
    this.fail(error);
  }

  /** Never rejects. */
  async #drain(): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    try {
      for (let chunk = this.#chunks.shift(); chunk !== undefined; chunk = this.#chunks.shift()) {
        if (this.#error !== null) break;
        await this.#writeAll(chunk);
        this.#waiting -= chunk.length;
        if (this.#held && this.#waiting < waitingBytes / 2) {
          this.#held = false;
          this.#source.resume();
        }
      }
    } catch (thrown) {
      const error = thrown instanceof Error ? thrown : new Error(String(thrown));
      this.#error ??= error;
      this.#source.cancel(new ProxyError("disk_failed", `cannot write a file: ${error.message}`));
    }
    this.#busy = false;
    if (this.#error !== null) {
      this.#chunks = [];
      this.#reject(this.#error);
    } else if (this.#ended) {
      this.#resolve();
    }
  }

  async #writeAll(chunk: Uint8Array): Promise<void> {
    let from = 0;
    while (from < chunk.length) {
      const { bytesWritten } = await this.#file.write(chunk, from, chunk.length - from);
      from += bytesWritten;
    }
  }
}
