import {
  ObjectDefineProperty,
  ObjectGetPrototypeOf,
  ObjectSetPrototypeOf,
  ReflectApply,
  ReflectDeleteProperty,
  SymbolIterator,
  SymbolToStringTag,
} from "./primordials.ts";

/** What is iterated: pairs by index, read anew at each step, so that changes while iterating are seen (Web IDL §3.7.10). */
export interface PairSource {
  count(): number;
  key(index: number): string;
  value(index: number): unknown;
}

export type PairKind = 0 | 1 | 2;
export const keys = 0;
export const values = 1;
export const entries = 2;

const IteratorPrototype = ObjectGetPrototypeOf(ObjectGetPrototypeOf([][SymbolIterator]())) as object;

/** Makes the iterator class of one interface, and gives the function that creates its instances. */
export function definePairIterator(
  name: string,
): <T>(source: PairSource, kind: PairKind) => IterableIterator<T> {
  class PairIterator {
    readonly #source: PairSource;
    readonly #kind: PairKind;
    #index = 0;

    constructor(source: PairSource, kind: PairKind) {
      this.#source = source;
      this.#kind = kind;
    }

    next(): { value: unknown; done: boolean } {
      const source = this.#source;
      const index = this.#index;
      if (index >= source.count()) return { value: undefined, done: true };
      this.#index = index + 1;
      if (this.#kind === keys) return { value: source.key(index), done: false };
      if (this.#kind === values) return { value: source.value(index), done: false };
      return { value: [source.key(index), source.value(index)], done: false };
    }
  }
  const { prototype } = PairIterator;
  ObjectSetPrototypeOf(prototype, IteratorPrototype);
  ReflectDeleteProperty(prototype, "constructor");
  ObjectDefineProperty(prototype, "next", { __proto__: null, enumerable: true } as PropertyDescriptor);
  ObjectDefineProperty(prototype, SymbolToStringTag, {
    __proto__: null,
    value: `${name} Iterator`,
    configurable: true,
  } as PropertyDescriptor);
  return <T>(source: PairSource, kind: PairKind) =>
    new PairIterator(source, kind) as unknown as IterableIterator<T>;
}

/** `forEach` of a pair iterable. */
export function forEachPair(self: object, source: PairSource, callback: unknown, thisArg: unknown): void {
  if (typeof callback !== "function") throw new TypeError("cannot iterate: callback is not a function");
  for (let i = 0; i < source.count(); i++) {
    ReflectApply(callback as (...args: unknown[]) => unknown, thisArg, [
      source.value(i),
      source.key(i),
      self,
    ]);
  }
}

/** Makes `interface[Symbol.iterator]` the same function as one of its methods, as Web IDL has it. */
export function aliasIterator(prototype: object, method: unknown): void {
  ObjectDefineProperty(prototype, SymbolIterator, {
    __proto__: null,
    value: method,
    writable: true,
    configurable: true,
  } as PropertyDescriptor);
}

/** The pairs of a `sequence<sequence<…>>` argument, flat: name, value, name, value. */
export function readPairs(iterable: Iterable<unknown>, what: string): unknown[] {
  const flat: unknown[] = [];
  for (const pair of iterable) {
    if (pair === null || typeof pair !== "object" || !(SymbolIterator in pair)) {
      throw new TypeError(`${what} has an item that is not a pair`);
    }
    let count = 0;
    for (const item of pair as Iterable<unknown>) {
      if (++count > 2) break;
      flat[flat.length] = item;
    }
    if (count !== 2) throw new TypeError(`${what} has an item that is not a pair of two`);
  }
  return flat;
}
