import { type AbortSignal, isAbortSignal } from "../abort.ts";
import {
  Deferred,
  markHandled,
  ObjectCreate,
  ObjectDefineProperty,
  ObjectGetPrototypeOf,
  PromiseThen,
  promiseReject,
  promiseResolve,
  ReflectApply,
  SymbolAsyncIterator,
  SymbolIterator,
} from "../primordials.ts";
import {
  defineInterface,
  enforceRange,
  internal,
  isObject,
  requireArguments,
  toDictionary,
} from "../webidl.ts";
import { Pipe } from "./pipe.ts";
import { ByteController, ReadableByteStreamController } from "./readable-bytes.ts";
import { ReadableCore, ReaderCore, type ReadRequest, type Source } from "./readable-core.ts";
import { DefaultController, promiseCall, ReadableStreamDefaultController } from "./readable-default.ts";
import {
  provideReadable,
  ReadableStreamBYOBReader,
  ReadableStreamDefaultReader,
  type ReadResult,
} from "./readers.ts";
import { type QueuingStrategy, Strategy } from "./strategy.ts";
import { Tee } from "./tee.ts";
import {
  isWritableStream,
  readMethod,
  readPair,
  type WritableStream,
  writableCore,
} from "./writable-stream.ts";

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
    const size = object === null ? undefined : object["autoAllocateChunkSize"];
    this.autoAllocate =
      size === undefined ? undefined : enforceRange(size, Number.MAX_SAFE_INTEGER, "autoAllocateChunkSize");
    this.#cancel = readMethod(object, "cancel");
    this.#pull = readMethod(object, "pull");
    this.#start = readMethod(object, "start");
    const type = object === null ? undefined : object["type"];
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
      controller.start(promiseResolve(source.start()));
    } else {
      const controller = new DefaultController(core, source, queue.mark(1), queue.size);
      source.controller = new ReadableStreamDefaultController(internal, controller);
      controller.start(promiseResolve(source.start()));
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
    const mode = dictionary === null ? undefined : dictionary["mode"];
    if (mode === undefined) return new ReadableStreamDefaultReader(this);
    if (`${mode as string}` !== "byob") {
      throw new TypeError('cannot get a reader: mode is neither undefined nor "byob"');
    }
    return new ReadableStreamBYOBReader(this);
  }

  pipeThrough<T>(transform: { readable: T; writable: WritableStream }, options?: PipeOptions): T {
    const core = this.#core;
    requireArguments(arguments.length, 1, "pipeThrough");
    const { readable, writable } = readPair(transform);
    if (!isReadableStream(readable)) {
      throw new TypeError("cannot pipe through: transform.readable is not a ReadableStream");
    }
    if (!isWritableStream(writable)) {
      throw new TypeError("cannot pipe through: transform.writable is not a WritableStream");
    }
    const settings = new PipeSettings(options);
    if (core.locked) throw new TypeError("cannot pipe through: the stream is locked to a reader");
    if (writableCore(writable).locked) {
      throw new TypeError("cannot pipe through: transform.writable is locked to a writer");
    }
    markHandled(settings.pipe(core, writable));
    return readable as T;
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
    const tee = new Tee(this.#core);
    return [makeReadable(tee.first), makeReadable(tee.second)];
  }

  values(options?: { preventCancel?: boolean }): AsyncIterableIterator<unknown> {
    const dictionary = toDictionary(options, "options");
    const preventCancel = dictionary !== null && !!dictionary["preventCancel"];
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
    this.preventAbort = dictionary !== null && !!dictionary["preventAbort"];
    this.preventCancel = dictionary !== null && !!dictionary["preventCancel"];
    this.preventClose = dictionary !== null && !!dictionary["preventClose"];
    const signal = dictionary === null ? undefined : dictionary["signal"];
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

/** Streams §4.9.1, ReadableStreamFromIterable. */
class IterableSource implements Source {
  readonly #core: ReadableCore;
  readonly #iterator: object;
  readonly #next: unknown;

  constructor(core: ReadableCore, iterable: unknown) {
    this.#core = core;
    if (iterable === null || iterable === undefined) {
      throw new TypeError("cannot make a ReadableStream: asyncIterable is not iterable");
    }
    const object = iterable as Record<symbol, unknown>;
    const method = object[SymbolAsyncIterator] ?? object[SymbolIterator];
    if (typeof method !== "function") {
      throw new TypeError("cannot make a ReadableStream: asyncIterable is not iterable");
    }
    const iterator = ReflectApply(method as Method, iterable, []);
    if (!isObject(iterator))
      throw new TypeError("cannot make a ReadableStream: the iterator is not an object");
    this.#iterator = iterator;
    this.#next = (iterator as { next?: unknown }).next;
  }

  async pull(): Promise<void> {
    const result = await ReflectApply(this.#next as Method, this.#iterator, []);
    if (!isObject(result)) throw new TypeError("cannot read: the iterator's result is not an object");
    const controller = this.#core.controller as DefaultController;
    const { done, value } = result as { done?: unknown; value?: unknown };
    if (done) controller.close();
    else controller.enqueue(await value);
  }

  async cancel(reason: unknown): Promise<void> {
    const method = (this.#iterator as { return?: unknown }).return;
    if (method === undefined || method === null) return;
    const result = await ReflectApply(method as Method, this.#iterator, [reason]);
    if (!isObject(result)) throw new TypeError("cannot cancel: the iterator's result is not an object");
  }
}

/** Streams §4.2.6: reads one after another, however often `next` is called meanwhile. */
class StreamIterator {
  readonly #reader: ReaderCore;
  readonly #preventCancel: boolean;
  #ongoing: Promise<unknown> | null = null;
  #finished = false;
  #reading = false;

  constructor(reader: ReaderCore, preventCancel: boolean) {
    this.#reader = reader;
    this.#preventCancel = preventCancel;
  }

  next(): Promise<unknown> {
    const ongoing = this.#ongoing;
    // A chunk that is there settles the read before its promise is known here.
    const promise = ongoing === null ? this.#read() : this.#readAfter(ongoing);
    this.#ongoing = ongoing === null && !this.#reading ? null : promise;
    return promise;
  }

  return(value?: unknown): Promise<unknown> {
    const ongoing = this.#ongoing;
    this.#ongoing = ongoing === null ? this.#return(value) : this.#returnAfter(ongoing, value);
    return this.#ongoing;
  }

  async #readAfter(ongoing: Promise<unknown>): Promise<ReadResult> {
    await settled(ongoing);
    return await this.#read();
  }

  async #returnAfter(ongoing: Promise<unknown>, value: unknown): Promise<ReadResult> {
    await settled(ongoing);
    return await this.#return(value);
  }

  #read(): Promise<ReadResult> {
    if (this.#finished) return promiseResolve({ value: undefined, done: true });
    const request = new IteratorRequest(this);
    this.#reading = true;
    this.#reader.read(request);
    return request.promise;
  }

  /** The read that was under way is done, so the next one need not wait for its promise. */
  settled(): void {
    this.#ongoing = null;
    this.#reading = false;
  }

  finish(): void {
    this.settled();
    this.#finished = true;
    this.#reader.release();
  }

  #return(value: unknown): Promise<ReadResult> {
    if (this.#finished) return promiseResolve({ value, done: true });
    this.#finished = true;
    const { stream } = this.#reader;
    const result = this.#preventCancel || stream === null ? promiseResolve(undefined) : stream.cancel(value);
    this.#reader.release();
    return PromiseThen(result, () => ({ value, done: true }));
  }
}

async function settled(promise: Promise<unknown>): Promise<void> {
  try {
    await promise;
  } catch {
    // Whoever has the promise hears of it.
  }
}

class IteratorRequest extends Deferred<ReadResult> implements ReadRequest {
  readonly #iterator: StreamIterator;

  constructor(iterator: StreamIterator) {
    super();
    this.#iterator = iterator;
  }

  chunk(value: unknown): void {
    this.#iterator.settled();
    this.resolve({ value, done: false });
  }

  close(): void {
    this.#iterator.finish();
    this.resolve({ value: undefined, done: true });
  }

  error(reason: unknown): void {
    this.#iterator.finish();
    this.reject(reason);
  }
}

const AsyncIteratorPrototype = ObjectGetPrototypeOf(
  ObjectGetPrototypeOf((async function* () {})()).constructor.prototype,
) as object;

/** The object that `for await` sees; what it iterates with stays in a private field. */
class PublicIterator {
  readonly #iterator: StreamIterator;

  constructor(iterator: StreamIterator) {
    this.#iterator = iterator;
  }

  next(): Promise<unknown> {
    if (!(isObject(this) && #iterator in this)) return promiseReject(notIterator());
    return this.#iterator.next();
  }

  return(value?: unknown): Promise<unknown> {
    if (!(isObject(this) && #iterator in this)) return promiseReject(notIterator());
    return this.#iterator.return(value);
  }
}

function notIterator(): TypeError {
  return new TypeError("cannot iterate: the receiver is not a stream's iterator");
}

Reflect.setPrototypeOf(PublicIterator.prototype, AsyncIteratorPrototype);
defineInterface(PublicIterator, "ReadableStreamAsyncIterator");
Reflect.deleteProperty(PublicIterator.prototype, "constructor");

function makeIterator(reader: ReaderCore, preventCancel: boolean): AsyncIterableIterator<unknown> {
  return new PublicIterator(
    new StreamIterator(reader, preventCancel),
  ) as unknown as AsyncIterableIterator<unknown>;
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
