import {
  Deferred,
  ObjectGetPrototypeOf,
  PromiseThen,
  promiseReject,
  promiseResolve,
} from "../primordials.ts";
import { defineInterface, isObject } from "../webidl.ts";
import type { ReaderCore, ReadRequest } from "./readable-core.ts";
import type { ReadResult } from "./readers.ts";

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
    // One more turn, as the standard has it: the source is asked for more before the loop's body runs and may end it.
    return PromiseThen(request.promise, same);
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

function same<T>(value: T): T {
  return value;
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

/** The iterator of a stream that the reader has locked. */
export function makeIterator(reader: ReaderCore, preventCancel: boolean): AsyncIterableIterator<unknown> {
  return new PublicIterator(
    new StreamIterator(reader, preventCancel),
  ) as unknown as AsyncIterableIterator<unknown>;
}
