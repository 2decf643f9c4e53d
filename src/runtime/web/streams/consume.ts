import { joinPieces } from "../pieces.ts";
import { Deferred, PromiseThen, promiseResolve, TypedArrayTag, viewLength } from "../primordials.ts";
import { type ReadableCore, ReaderCore, type ReadRequest } from "./readable-core.ts";

/** Reads a whole stream into one fresh array (Fetch §2.2.4, fully read). */
export class Consumer extends Deferred<Uint8Array<ArrayBuffer>> implements ReadRequest {
  readonly #reader: ReaderCore;
  readonly #chunks: Uint8Array[] = [];
  #count = 0;
  #size = 0;
  #looping = false;
  #again = false;

  /** @throws TypeError when the stream is locked. */
  constructor(stream: ReadableCore) {
    super();
    this.#reader = new ReaderCore(stream, false);
    this.#read();
  }

  /** A loop where chunks are there at once: recursion would go as deep as there are chunks. */
  #read(): void {
    this.#again = true;
    if (this.#looping) return;
    this.#looping = true;
    while (this.#again) {
      this.#again = false;
      this.#reader.read(this);
    }
    this.#looping = false;
  }

  chunk(value: unknown): void {
    if (TypedArrayTag(value) !== "Uint8Array") {
      const error = new TypeError("cannot read the body: a chunk is not a Uint8Array");
      this.reject(error);
      const { stream } = this.#reader;
      if (stream !== null) PromiseThen(stream.cancel(error), undefined, ignore);
      return;
    }
    const bytes = value as Uint8Array;
    this.#chunks[this.#count++] = bytes;
    this.#size += viewLength(bytes);
    this.#read();
  }

  close(): void {
    const first = this.#chunks[0];
    if (this.#count === 1 && first !== undefined && viewLength(first) === first.buffer.byteLength) {
      this.resolve(first as Uint8Array<ArrayBuffer>);
      return;
    }
    this.resolve(joinPieces(this.#chunks, this.#count, this.#size));
  }

  error(reason: unknown): void {
    this.reject(reason);
  }
}

function ignore(): void {}

/** A stream that yields `bytes` and ends. */
export class BytesSource {
  #bytes: Uint8Array | null;
  readonly #stream: ReadableCore;

  constructor(stream: ReadableCore, bytes: Uint8Array) {
    this.#stream = stream;
    this.#bytes = bytes;
  }

  pull(): undefined {
    const bytes = this.#bytes;
    this.#bytes = null;
    const controller = this.#stream.controller as unknown as {
      enqueue(buffer: ArrayBuffer, offset: number, length: number): void;
      close(): void;
    };
    if (bytes !== null && bytes.length > 0) {
      controller.enqueue(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.length);
    }
    controller.close();
  }

  cancel(): Promise<undefined> {
    this.#bytes = null;
    return promiseResolve(undefined);
  }
}
