import { viewBytes } from "../encoding.ts";
import { Deferred, promiseReject, promiseResolve, TypedArraySlice } from "../primordials.ts";
import { encodeUtf8 } from "../utf8.ts";
import { defineInterface, enforceRange, requireArguments } from "../webidl.ts";
import { ByteController } from "./readable-bytes.ts";
import { ReadableCore, type Source } from "./readable-core.ts";
import { makeReadable, type ReadableStream } from "./readable-stream.ts";
import { type Sink, WritableCore } from "./writable-core.ts";
import { makeWritable, type WritableStream } from "./writable-stream.ts";

/** Bytes written are bytes to be read; a write is done when its bytes have been taken. */
class BytePassage implements Sink, Source {
  readonly readable = new ReadableCore();
  readonly writable: WritableCore;
  readonly #controller: ByteController;
  #taken: Deferred<undefined> | null = null;
  /** Bytes still to come, or -1 for as many as there are. */
  #left: number;

  constructor(length: number) {
    this.#left = length;
    this.readable.length = length;
    this.writable = new WritableCore(this, 1, null);
    // With a mark of one byte, `pull` is called whenever the queue has run empty.
    this.#controller = new ByteController(this.readable, this, 1, 0);
    this.writable.start(null);
    this.#controller.start(null);
  }

  write(chunk: unknown): Promise<unknown> {
    let bytes: Uint8Array;
    try {
      bytes = typeof chunk === "string" ? encodeUtf8(chunk) : viewBytes(chunk, "chunk");
      if (this.#left >= 0 && bytes.length > this.#left) {
        throw new TypeError("cannot write: more bytes than the stream's fixed length");
      }
    } catch (error) {
      this.#controller.error(error);
      return promiseReject(error);
    }
    if (bytes.length === 0) return promiseResolve(undefined);
    if (this.#left >= 0) this.#left -= bytes.length;
    const copy = typeof chunk === "string" ? bytes : TypedArraySlice(bytes, 0);
    const taken = new Deferred<undefined>();
    this.#taken = taken;
    this.#controller.enqueue(copy.buffer as ArrayBuffer, 0, copy.length);
    return taken.promise;
  }

  close(): Promise<unknown> {
    if (this.#left > 0) {
      const error = new TypeError("cannot close: fewer bytes were written than the stream's fixed length");
      this.#controller.error(error);
      return promiseReject(error);
    }
    this.#controller.close();
    if (this.#controller.hasPending) this.#controller.respond(0);
    return promiseResolve(undefined);
  }

  abort(reason: unknown): Promise<unknown> {
    this.#controller.error(reason);
    this.#settle();
    return promiseResolve(undefined);
  }

  pull(): undefined {
    this.#settle();
  }

  cancel(reason: unknown): undefined {
    this.writable.errorIfNeeded(reason);
    this.#settle();
  }

  #settle(): void {
    const taken = this.#taken;
    this.#taken = null;
    taken?.resolve(undefined);
  }
}

/** Passes bytes through unchanged, its readable side a byte stream (as in workerd). */
export class IdentityTransformStream {
  readonly #readable: ReadableStream;
  readonly #writable: WritableStream;

  constructor() {
    const passage = new BytePassage(-1);
    this.#readable = makeReadable(passage.readable);
    this.#writable = makeWritable(passage.writable);
  }

  get readable(): ReadableStream {
    return this.#readable;
  }

  get writable(): WritableStream {
    return this.#writable;
  }
}

/** Passes exactly so many bytes; a body made of it is sent with that Content-Length (as in workerd). */
export class FixedLengthStream {
  readonly #readable: ReadableStream;
  readonly #writable: WritableStream;

  constructor(length: number | bigint) {
    requireArguments(arguments.length, 1, "FixedLengthStream constructor");
    const number = typeof length === "bigint" ? Number(length) : length;
    const passage = new BytePassage(enforceRange(number, Number.MAX_SAFE_INTEGER, "length"));
    this.#readable = makeReadable(passage.readable);
    this.#writable = makeWritable(passage.writable);
  }

  get readable(): ReadableStream {
    return this.#readable;
  }

  get writable(): WritableStream {
    return this.#writable;
  }
}

defineInterface(IdentityTransformStream, "IdentityTransformStream");
defineInterface(FixedLengthStream, "FixedLengthStream", 1);
