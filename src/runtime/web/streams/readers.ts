import {
  ArrayBufferByteLength,
  ArrayBufferDetached,
  ArrayBufferIsView,
  Deferred,
  promiseReject,
  TypedArrayLength,
  TypedArrayTag,
  viewBuffer,
  viewLength,
} from "../primordials.ts";
import { makerOf } from "../view-classes.ts";
import { defineInterface, enforceRange, isObject, requireArguments, toDictionary } from "../webidl.ts";
import type { ByteController } from "./readable-bytes.ts";
import { type ReadableCore, ReaderCore, type ReadRequest } from "./readable-core.ts";

export interface ReadResult<T = unknown> {
  done: boolean;
  value: T;
}

/** A read request that settles a promise. */
class PromiseRequest extends Deferred<ReadResult> implements ReadRequest {
  chunk(value: unknown): void {
    this.resolve({ value, done: false });
  }

  close(view?: unknown): void {
    this.resolve({ value: view, done: true });
  }

  error(reason: unknown): void {
    this.reject(reason);
  }
}

/** Gives the state behind a public stream, undefined for anything else; provided by the stream's own module. */
let coreOf: (value: unknown) => ReadableCore | undefined;

export function provideReadable(read: (value: unknown) => ReadableCore | undefined): void {
  coreOf = read;
}

function requireCore(stream: unknown): ReadableCore {
  const core = coreOf(stream);
  if (core === undefined) throw new TypeError("cannot make a reader: stream is not a ReadableStream");
  return core;
}

function unlocked(): TypeError {
  return new TypeError("cannot use the reader: it was released");
}

/** Streams §4.4. */
export class ReadableStreamDefaultReader {
  readonly #core: ReaderCore;

  constructor(stream: unknown) {
    requireArguments(arguments.length, 1, "ReadableStreamDefaultReader constructor");
    this.#core = new ReaderCore(requireCore(stream), false);
  }

  get closed(): Promise<undefined> {
    if (!(isObject(this) && #core in this)) return promiseReject(wrongReceiver("closed"));
    return this.#core.closedPromise();
  }

  cancel(reason?: unknown): Promise<undefined> {
    if (!(isObject(this) && #core in this)) return promiseReject(wrongReceiver("cancel"));
    const { stream } = this.#core;
    return stream === null ? promiseReject(unlocked()) : stream.cancel(reason);
  }

  read(): Promise<ReadResult> {
    if (!(isObject(this) && #core in this)) return promiseReject(wrongReceiver("read"));
    const core = this.#core;
    if (core.stream === null) return promiseReject(unlocked());
    const request = new PromiseRequest();
    core.read(request);
    return request.promise;
  }

  releaseLock(): void {
    this.#core.release();
  }
}

function wrongReceiver(what: string): TypeError {
  return new TypeError(`cannot call ${what}: the receiver is not a reader`);
}

/** Streams §4.5. */
export class ReadableStreamBYOBReader {
  readonly #core: ReaderCore;

  constructor(stream: unknown) {
    requireArguments(arguments.length, 1, "ReadableStreamBYOBReader constructor");
    this.#core = new ReaderCore(requireCore(stream), true);
  }

  get closed(): Promise<undefined> {
    if (!(isObject(this) && #core in this)) return promiseReject(wrongReceiver("closed"));
    return this.#core.closedPromise();
  }

  cancel(reason?: unknown): Promise<undefined> {
    if (!(isObject(this) && #core in this)) return promiseReject(wrongReceiver("cancel"));
    const { stream } = this.#core;
    return stream === null ? promiseReject(unlocked()) : stream.cancel(reason);
  }

  read(view: ArrayBufferView, options?: { min?: number }): Promise<ReadResult> {
    if (!(isObject(this) && #core in this)) return promiseReject(wrongReceiver("read"));
    try {
      return this.#read(view, options);
    } catch (error) {
      return promiseReject(error);
    }
  }

  /** As in workerd: `read(view, { min })` by another name. @param minBytes elements, in fact, of which no fewer come unless the stream ends */
  readAtLeast(minBytes: number, view: ArrayBufferView): Promise<ReadResult> {
    if (!(isObject(this) && #core in this)) return promiseReject(wrongReceiver("readAtLeast"));
    try {
      return this.#read(view, { min: minBytes });
    } catch (error) {
      return promiseReject(error);
    }
  }

  #read(view: ArrayBufferView, options: unknown): Promise<ReadResult> {
    if (!ArrayBufferIsView(view)) throw new TypeError("cannot read: view is not an array buffer view");
    const dictionary = toDictionary(options, "options");
    const wanted = dictionary === null ? undefined : dictionary.min;
    const minimum = wanted === undefined ? 1 : enforceRange(wanted, Number.MAX_SAFE_INTEGER, "min");
    const buffer = viewBuffer(view);
    if (ArrayBufferDetached(buffer)) throw new TypeError("cannot read: the view's buffer was detached");
    if (viewLength(view) === 0 || ArrayBufferByteLength(buffer) === 0) {
      throw new TypeError("cannot read: the view is empty");
    }
    if (minimum === 0) throw new TypeError("cannot read: min is 0");
    const typed = TypedArrayTag(view) !== undefined;
    const length = typed ? TypedArrayLength(view) : viewLength(view);
    if (minimum > length) throw new RangeError("cannot read: min is more than the view holds");
    const core = this.#core;
    const { stream } = core;
    if (stream === null) throw unlocked();
    const request = new PromiseRequest();
    stream.disturbed = true;
    if (stream.state === "errored") {
      request.error(stream.storedError);
    } else {
      const elementSize = typed ? viewLength(view) / length : 1;
      (stream.controller as ByteController).pullInto(view, elementSize, makerOf(view), minimum, request);
    }
    return request.promise;
  }

  releaseLock(): void {
    this.#core.release();
  }
}

defineInterface(ReadableStreamDefaultReader, "ReadableStreamDefaultReader", 1, { cancel: 0 });
defineInterface(ReadableStreamBYOBReader, "ReadableStreamBYOBReader", 1, { cancel: 0, read: 1 });
