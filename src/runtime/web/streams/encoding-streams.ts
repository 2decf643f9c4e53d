import { PiecewiseEncoder, TextDecoder, type TextDecoderOptions } from "../encoding.ts";
import { promiseReject, promiseResolve, ReflectApply } from "../primordials.ts";
import { defineInterface } from "../webidl.ts";
import type { ReadableStream } from "./readable-stream.ts";
import { makeReadable } from "./readable-stream.ts";
import { type TransformAlgorithms, TransformCore } from "./transform-stream.ts";
import { makeWritable, type WritableStream } from "./writable-stream.ts";

class EncodeAlgorithms implements TransformAlgorithms {
  readonly #encoder = new PiecewiseEncoder();

  transform(chunk: unknown, core: TransformCore): Promise<unknown> {
    try {
      const bytes = this.#encoder.encode(chunk);
      if (bytes.length > 0) core.enqueue(bytes);
      return promiseResolve(undefined);
    } catch (error) {
      return promiseReject(error);
    }
  }

  flush(core: TransformCore): Promise<unknown> {
    const bytes = this.#encoder.finish();
    if (bytes !== null) core.enqueue(bytes);
    return promiseResolve(undefined);
  }

  cancel(): Promise<unknown> {
    return promiseResolve(undefined);
  }
}

const decode = TextDecoder.prototype.decode;

class DecodeAlgorithms implements TransformAlgorithms {
  readonly #decoder: TextDecoder;

  constructor(decoder: TextDecoder) {
    this.#decoder = decoder;
  }

  transform(chunk: unknown, core: TransformCore): Promise<unknown> {
    return this.#decode(chunk, true, core);
  }

  flush(core: TransformCore): Promise<unknown> {
    return this.#decode(undefined, false, core);
  }

  cancel(): Promise<unknown> {
    return promiseResolve(undefined);
  }

  #decode(chunk: unknown, stream: boolean, core: TransformCore): Promise<unknown> {
    try {
      if (stream && chunk === undefined) throw new TypeError("cannot decode: chunk is not a buffer");
      const text = decodeWith(this.#decoder, chunk as ArrayBufferView, { stream });
      if (text !== "") core.enqueue(text);
      return promiseResolve(undefined);
    } catch (error) {
      return promiseReject(error);
    }
  }
}

function decodeWith(decoder: TextDecoder, chunk: ArrayBufferView, options: { stream: boolean }): string {
  return ReflectApply(decode, decoder, [chunk, options]);
}

/** Encoding §7.6. */
export class TextEncoderStream {
  readonly #readable: ReadableStream;
  readonly #writable: WritableStream;

  constructor() {
    const core = new TransformCore(new EncodeAlgorithms(), 1, null, 0, null);
    core.start(null);
    this.#readable = makeReadable(core.readable);
    this.#writable = makeWritable(core.writable);
  }

  get encoding(): string {
    void this.#readable;
    return "utf-8";
  }

  get readable(): ReadableStream {
    return this.#readable;
  }

  get writable(): WritableStream {
    return this.#writable;
  }
}

/** Encoding §7.5. */
export class TextDecoderStream {
  readonly #decoder: TextDecoder;
  readonly #readable: ReadableStream;
  readonly #writable: WritableStream;

  constructor(label?: string, options?: TextDecoderOptions) {
    this.#decoder = new TextDecoder(label, options);
    const core = new TransformCore(new DecodeAlgorithms(this.#decoder), 1, null, 0, null);
    core.start(null);
    this.#readable = makeReadable(core.readable);
    this.#writable = makeWritable(core.writable);
  }

  get encoding(): string {
    return this.#decoder.encoding;
  }

  get fatal(): boolean {
    return this.#decoder.fatal;
  }

  get ignoreBOM(): boolean {
    return this.#decoder.ignoreBOM;
  }

  get readable(): ReadableStream {
    return this.#readable;
  }

  get writable(): WritableStream {
    return this.#writable;
  }
}

defineInterface(TextEncoderStream, "TextEncoderStream");
defineInterface(TextDecoderStream, "TextDecoderStream");
