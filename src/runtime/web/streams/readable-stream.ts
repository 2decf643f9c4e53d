import { type AbortSignal, isAbortSignal } from "../abort.ts";
import {
  markHandled,
  ObjectCreate,
  ObjectDefineProperty,
  promiseReject,
  promiseResolve,
  ReflectApply,
  SymbolAsyncIterator,
} from "../primordials.ts";
import {
  defineInterface,
  enforceRange,
  internal,
  isObject,
  requireArguments,
  toDictionary,
} from "../webidl.ts";
import { ReadableByteStreamController } from "./byte-stream-controller.ts";
import { IterableSource } from "./iterable-source.ts";
import { Pipe } from "./pipe.ts";
import { ByteController } from "./readable-bytes.ts";
import { ReadableCore, ReaderCore, type Source } from "./readable-core.ts";
import {
  DefaultController,
  promiseCall,
  promiseOf,
  ReadableStreamDefaultController,
} from "./readable-default.ts";
import { provideReadable, ReadableStreamBYOBReader, ReadableStreamDefaultReader } from "./readers.ts";
import { type QueuingStrategy, Strategy } from "./strategy.ts";
import { makeIterator } from "./stream-iterator.ts";
import { teeStream } from "./tee.ts";
import { isWritableStream, readMethod, type WritableStream, writableCore } from "./writable-stream.ts";

export interface UnderlyingSource {
  start?(controller: never): unknown;
  pull?(controller: never): unknown;
  cancel?(reason?: unknown): unknown;
  type?: "bytes" | undefined;
  autoAllocateChunkSize?: number;
}

export interface PipeOptions {
  preventClose?: boolean;
  preventAbort?: boolean;
  preventCancel?: boolean;
  signal?: AbortSignal;
}

type Method = (...args: unknown[]) => unknown;

/** A Worker's underlying source. */
class UserSource implements Source {
  readonly #object: unknown;
  readonly autoAllocate: number | undefined;
  readonly bytes: boolean;
  readonly #cancel: Method | null;
  readonly #pull: Method | null;
  readonly #start: Method | null;
  controller: unknown;

  constructor(object: Record<string, unknown> | null) {
    this.#object = object ?? undefined;
    const size = object === null ? undefined : object.autoAllocateChunkSize;
    this.autoAllocate =
      size === undefined ? undefined : enforceRange(size, Number.MAX_SAFE_INTEGER, "autoAllocateChunkSize");
    this.#cancel = readMethod(object, "cancel");
    this.#pull = readMethod(object, "pull");
    this.#start = readMethod(object, "start");
    const type = object === null ? undefined : object.type;
    if (type !== undefined && `${type as string}` !== "bytes") {
      throw new TypeError('cannot make a ReadableStream: type is neither undefined nor "bytes"');
    }
    this.bytes = type !== undefined;
  }

  start(): unknown {
    return this.#start === null ? undefined : ReflectApply(this.#start, this.#object, [this.controller]);
  }

  pull(): Promise<unknown> {
    const method = this.#pull;
    if (method === null) return promiseResolve(undefined);
    return promiseCall(() => ReflectApply(method, this.#object, [this.controller]));
  }

  cancel(reason: unknown): Promise<unknown> {
    const method = this.#cancel;
    if (method === null) return promiseResolve(undefined);
    return promiseCall(() => ReflectApply(method, this.#object, [reason]));
  }
}

export let isReadableStream: (value: unknown) => value is ReadableStream;
export let readableCore: (stream: ReadableStream) => ReadableCore;

/** Streams §4.2. */
export class ReadableStream {
  readonly #core: ReadableCore;

  constructor(underlyingSource?: UnderlyingSource | null, strategy?: QueuingStrategy) {
    if (underlyingSource === (internal as unknown)) {
      this.#core = strategy as unknown as ReadableCore;
      return;
    }
    if (underlyingSource !== undefined && !isObject(underlyingSource)) {
      throw new TypeError("cannot make a ReadableStream: underlyingSource is not an object");
    }
    const queue = new Strategy(strategy);
    const source = new UserSource((underlyingSource ?? null) as Record<string, unknown> | null);
    const core = new ReadableCore();
    this.#core = core;
    if (source.bytes) {
      if (queue.size !== null) {
        throw new RangeError("cannot make a ReadableStream: a byte stream's strategy has no size");
      }
      if (source.autoAllocate === 0) {
        throw new TypeError("cannot make a ReadableStream: autoAllocateChunkSize is 0");
      }
      const controller = new ByteController(core, source, queue.mark(0), source.autoAllocate ?? 0);
      source.controller = new ReadableByteStreamController(internal, controller);
      controller.start(promiseOf(source.start()));
    } else {
      const controller = new DefaultController(core, source, queue.mark(1), queue.size);
      source.controller = new ReadableStreamDefaultController(internal, controller);
      controller.start(promiseOf(source.start()));
    }
  }

  static from(iterable: unknown): ReadableStream {
    requireArguments(arguments.length, 1, "ReadableStream.from");
    const core = new ReadableCore();
    new DefaultController(core, new IterableSource(core, iterable), 0, null).start(null);
    return makeReadable(core);
  }

  get locked(): boolean {
    return this.#core.locked;
  }

  cancel(reason?: unknown): Promise<undefined> {
    if (!isReadableStream(this)) return promiseReject(new TypeError("cannot cancel: not a ReadableStream"));
    if (this.#core.locked)
      return promiseReject(new TypeError("cannot cancel: the stream is locked to a reader"));
    return this.#core.cancel(reason);
  }

  getReader(options?: { mode?: undefined }): ReadableStreamDefaultReader;
  getReader(options: { mode: "byob" }): ReadableStreamBYOBReader;
  getReader(options?: { mode?: string | undefined }): ReadableStreamDefaultReader | ReadableStreamBYOBReader {
    void this.#core;
    const dictionary = toDictionary(options, "options");
    const mode = dictionary === null ? undefined : dictionary.mode;
    if (mode === undefined) return new ReadableStreamDefaultReader(this);
    if (`${mode as string}` !== "byob") {
      throw new TypeError('cannot get a reader: mode is neither undefined nor "byob"');
    }
    return new ReadableStreamBYOBReader(this);
  }

  pipeThrough<T>(transform: { readable: T; writable: WritableStream }, options?: PipeOptions): T {
    const core = this.#core;
    requireArguments(arguments.length, 1, "pipeThrough");
    const pair = toDictionary(transform, "transform");
    const readable = pair === null ? undefined : pair.readable;
    if (!isReadableStream(readable)) {
      throw new TypeError("cannot pipe through: transform.readable is not a ReadableStream");
    }
    const writable = (pair as Record<string, unknown>).writable;
    if (!isWritableStream(writable)) {
      throw new TypeError("cannot pipe through: transform.writable is not a WritableStream");
    }
    const settings = new PipeSettings(options);
    if (core.locked) throw new TypeError("cannot pipe through: the stream is locked to a reader");
    if (writableCore(writable).locked) {
      throw new TypeError("cannot pipe through: transform.writable is locked to a writer");
    }
    markHandled(settings.pipe(core, writable));
    return readable as unknown as T;
  }

  pipeTo(destination: WritableStream, options?: PipeOptions): Promise<undefined> {
    try {
      const core = this.#core;
      if (!isWritableStream(destination)) {
        throw new TypeError("cannot pipe: destination is not a WritableStream");
      }
      const settings = new PipeSettings(options);
      if (core.locked) throw new TypeError("cannot pipe: the stream is locked to a reader");
      if (writableCore(destination).locked) {
        throw new TypeError("cannot pipe: the destination is locked to a writer");
      }
      return settings.pipe(core, destination);
    } catch (error) {
      return promiseReject(error);
    }
  }

  tee(): [ReadableStream, ReadableStream] {
    const tee = teeStream(this.#core);
    return [makeReadable(tee.first), makeReadable(tee.second)];
  }

  values(options?: { preventCancel?: boolean }): AsyncIterableIterator<unknown> {
    const dictionary = toDictionary(options, "options");
    const preventCancel = dictionary !== null && !!dictionary.preventCancel;
    return makeIterator(new ReaderCore(this.#core, false), preventCancel);
  }

  declare [Symbol.asyncIterator]: (options?: { preventCancel?: boolean }) => AsyncIterableIterator<unknown>;

  static {
    isReadableStream = (value): value is ReadableStream => isObject(value) && #core in value;
    readableCore = (stream) => stream.#core;
    provideReadable((value) => (isReadableStream(value) ? value.#core : undefined));
  }
}

/** A public stream over an internal one. */
export function makeReadable(core: ReadableCore): ReadableStream {
  return new ReadableStream(internal as never, core as never);
}

class PipeSettings {
  readonly preventAbort: boolean;
  readonly preventCancel: boolean;
  readonly preventClose: boolean;
  readonly signal: AbortSignal | null;

  constructor(value: unknown) {
    const dictionary = toDictionary(value, "options");
    this.preventAbort = dictionary !== null && !!dictionary.preventAbort;
    this.preventCancel = dictionary !== null && !!dictionary.preventCancel;
    this.preventClose = dictionary !== null && !!dictionary.preventClose;
    const signal = dictionary === null ? undefined : dictionary.signal;
    if (signal !== undefined && !isAbortSignal(signal)) {
      throw new TypeError("cannot pipe: signal is not an AbortSignal");
    }
    this.signal = signal ?? null;
  }

  pipe(source: ReadableCore, destination: WritableStream): Promise<undefined> {
    const core = writableCore(destination);
    return new Pipe(source, core, this.preventClose, this.preventAbort, this.preventCancel, this.signal)
      .promise;
  }
}

defineInterface(ReadableStream, "ReadableStream", 0, {
  cancel: 0,
  getReader: 0,
  pipeThrough: 1,
  pipeTo: 1,
  values: 0,
});
ObjectDefineProperty(
  ReadableStream.prototype,
  SymbolAsyncIterator,
  Object.assign(ObjectCreate(null), {
    value: ReadableStream.prototype.values,
    writable: true,
    configurable: true,
  }),
);
