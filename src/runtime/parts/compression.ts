import { CALL_ZLIB } from "../../wire/ops.ts";
import { viewBytes } from "../web/encoding.ts";
import { type HostCallHandler, host } from "../web/host.ts";
import { closeCoder, OpenCoders } from "../web/open-coders.ts";
import {
  Deferred,
  MathMin,
  promiseReject,
  promiseResolve,
  TypedArrayLength,
  Uint8ArrayNative,
  viewBuffer,
  viewOffset,
} from "../web/primordials.ts";
import type { ReadableStream } from "../web/streams/readable-stream.ts";
import { makeReadable } from "../web/streams/readable-stream.ts";
import { type TransformAlgorithms, TransformCore } from "../web/streams/transform-stream.ts";
import { makeWritable, type WritableStream } from "../web/streams/writable-stream.ts";
import { defineInterface, quote, requireArguments } from "../web/webidl.ts";

/** The standard's formats, and zstd. */
export type CompressionFormat = "gzip" | "deflate" | "deflate-raw" | "brotli" | "zstd";

/** Bytes that go to the host at once. */
const PIECE = 131_072;
let lastId = 0;
const open = new OpenCoders();
const noBytes = new Uint8ArrayNative(0);

/** Has the host's zlib work, off its main thread, and takes the output as fast as the readable side is read. */
class ZlibAlgorithms implements TransformAlgorithms {
  readonly #id = ++lastId;
  readonly #kind: string;
  /** The host holds state. */
  isOpen = false;
  #cancelled = false;

  /** @param kind see src/isolate/calls/zlib.ts */
  constructor(kind: string) {
    this.#kind = kind;
  }

  transform(chunk: unknown, core: TransformCore): Promise<unknown> {
    let bytes: Uint8Array;
    try {
      bytes = viewBytes(chunk as ArrayBufferView, "chunk");
    } catch (error) {
      this.#close();
      return promiseReject(error);
    }
    return this.#write(bytes, core);
  }

  flush(core: TransformCore): Promise<unknown> {
    return this.#run("end", noBytes, core);
  }

  cancel(): Promise<unknown> {
    this.#cancelled = true;
    this.#close();
    return promiseResolve(undefined);
  }

  async #write(bytes: Uint8Array, core: TransformCore): Promise<void> {
    const size = TypedArrayLength(bytes);
    for (let from = 0; from < size && !this.#cancelled; from += PIECE) {
      const length = MathMin(PIECE, size - from);
      await this.#run(
        "write",
        new Uint8ArrayNative(viewBuffer(bytes), viewOffset(bytes) + from, length),
        core,
      );
    }
  }

  async #run(verb: string, bytes: Uint8Array, core: TransformCore): Promise<void> {
    this.#opened();
    let next = verb;
    let input = bytes;
    while (next !== "") {
      const step = new Step();
      host.call(CALL_ZLIB, `${this.#id} ${this.#kind} ${next}`, input, step);
      try {
        await step.promise;
      } catch (error) {
        this.isOpen = false;
        throw error;
      }
      if (this.#cancelled) return;
      if (TypedArrayLength(step.bytes) > 0) core.enqueue(step.bytes);
      next = step.more ? "more" : "";
      input = noBytes;
      if (next !== "") await core.room;
      if (this.#cancelled) return;
    }
    if (verb === "end") this.isOpen = false;
  }

  #opened(): void {
    if (this.isOpen) return;
    this.isOpen = true;
    open.add(this.#id, this);
  }

  #close(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    closeCoder(this.#id);
  }
}

/** The answer to one call. */
class Step extends Deferred<undefined> implements HostCallHandler {
  bytes: Uint8Array = noBytes;
  more = false;

  done(text: string, bytes: Uint8Array): void {
    this.bytes = bytes;
    this.more = text === "more";
    this.resolve(undefined);
  }

  failed(error: Error): void {
    this.reject(error);
  }
}

function makeCore(direction: "+" | "-", format: unknown): TransformCore {
  const name = `${format as string}`;
  switch (name) {
    case "gzip":
    case "deflate":
    case "deflate-raw":
    case "brotli":
    case "zstd": {
      const core = new TransformCore(new ZlibAlgorithms(direction + name), 1, null, 0, null);
      core.start(null);
      return core;
    }
    default: {
      const what = direction === "+" ? "CompressionStream" : "DecompressionStream";
      throw new TypeError(`cannot make a ${what}: ${quote(name)} is not a format`);
    }
  }
}

/** Compression §4. */
export class CompressionStream {
  readonly #readable: ReadableStream;
  readonly #writable: WritableStream;

  constructor(format: CompressionFormat) {
    requireArguments(arguments.length, 1, "CompressionStream constructor");
    const core = makeCore("+", format);
    this.#readable = makeReadable(core.readable);
    this.#writable = makeWritable(core.writable);
  }

  get readable(): ReadableStream {
    return this.#readable;
  }

  get writable(): WritableStream {
    return this.#writable;
  }
}

/** Compression §5. Input that is cut short, damaged, or goes on after its end is a TypeError. */
export class DecompressionStream {
  readonly #readable: ReadableStream;
  readonly #writable: WritableStream;

  constructor(format: CompressionFormat) {
    requireArguments(arguments.length, 1, "DecompressionStream constructor");
    const core = makeCore("-", format);
    this.#readable = makeReadable(core.readable);
    this.#writable = makeWritable(core.writable);
  }

  get readable(): ReadableStream {
    return this.#readable;
  }

  get writable(): WritableStream {
    return this.#writable;
  }
}

defineInterface(CompressionStream, "CompressionStream", 1);
defineInterface(DecompressionStream, "DecompressionStream", 1);
