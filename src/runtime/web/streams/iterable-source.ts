import { ReflectApply, SymbolAsyncIterator, SymbolIterator } from "../primordials.ts";
import { isObject } from "../webidl.ts";
import type { ReadableCore, Source } from "./readable-core.ts";
import type { DefaultController } from "./readable-default.ts";

type Method = (...args: unknown[]) => unknown;

/** Streams §4.9.1, ReadableStreamFromIterable. */
export class IterableSource implements Source {
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
