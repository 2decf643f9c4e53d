import {
  aliasIterator,
  definePairIterator,
  entries,
  forEachPair,
  keys,
  type PairSource,
  readPairs,
  values,
} from "./pair-iterator.ts";
import {
  ArrayPush,
  ArraySort,
  ArraySplice,
  ObjectIsEnumerable,
  ReflectOwnKeys,
  StringCharCodeAt,
  StringSlice,
  SymbolIterator,
} from "./primordials.ts";
import { parseUrlencoded, serializeUrlencoded } from "./urlencoded.ts";
import { defineInterface, isObject, requireArguments, toUSVString } from "./webidl.ts";

/** Names and values in turn, and the URL that follows when they change. */
class ParamList implements PairSource {
  items: string[] = [];
  owner: ParamsOwner | null = null;

  count(): number {
    return this.items.length >> 1;
  }

  key(index: number): string {
    return this.items[index * 2] as string;
  }

  value(index: number): string {
    return this.items[index * 2 + 1] as string;
  }

  add(name: string, value: string): void {
    ArrayPush(this.items, name);
    ArrayPush(this.items, value);
  }

  changed(): void {
    this.owner?.queryChanged(serializeUrlencoded(this.items));
  }
}

/** The URL whose query a URLSearchParams object is. */
export interface ParamsOwner {
  queryChanged(query: string): void;
}

const iterate = definePairIterator("URLSearchParams");

type Init = string | Iterable<readonly [string, string]> | Readonly<Record<string, string>> | URLSearchParams;

export let isURLSearchParams: (value: unknown) => value is URLSearchParams;
export let serializeParams: (params: URLSearchParams) => string;
/** The live query of a URL. @param query without "?". */
export let paramsOf: (query: string, owner: ParamsOwner) => URLSearchParams;
/** The URL's query was set otherwise. */
export let resetParams: (params: URLSearchParams, query: string) => void;

/** URL §6.2. */
export class URLSearchParams {
  readonly #list = new ParamList();

  constructor(init?: Init) {
    if (init === undefined) return;
    const list = this.#list;
    if (!isObject(init)) {
      const text = toUSVString(init);
      list.items = parseUrlencoded(StringCharCodeAt(text, 0) === 63 ? StringSlice(text, 1) : text);
      return;
    }
    const iterator = (init as Partial<Iterable<unknown>>)[SymbolIterator];
    if (iterator !== undefined && iterator !== null) {
      const pairs = readPairs(init as Iterable<unknown>, "init");
      for (let i = 0; i < pairs.length; i++) ArrayPush(list.items, toUSVString(pairs[i]));
      return;
    }
    this.#fillFromRecord(init as Record<string, unknown>);
  }

  #fillFromRecord(record: Record<string, unknown>): void {
    const names = ReflectOwnKeys(record);
    const list = this.#list;
    for (let i = 0; i < names.length; i++) {
      const name = names[i] as string;
      if (!ObjectIsEnumerable(record, name)) continue;
      const key = toUSVString(name);
      const value = toUSVString(record[name]);
      // Two keys may become one when lone surrogates are replaced (Web IDL §3.2.23).
      let at = 0;
      while (at < list.items.length && list.items[at] !== key) at += 2;
      if (at < list.items.length) list.items[at + 1] = value;
      else list.add(key, value);
    }
  }

  get size(): number {
    return this.#list.count();
  }

  append(name: string, value: string): void {
    requireArguments(arguments.length, 2, "append");
    this.#list.add(toUSVString(name), toUSVString(value));
    this.#list.changed();
  }

  delete(name: string, value?: string): void {
    requireArguments(arguments.length, 1, "delete");
    const key = toUSVString(name);
    const wanted = value === undefined ? null : toUSVString(value);
    const { items } = this.#list;
    for (let i = items.length - 2; i >= 0; i -= 2) {
      if (items[i] === key && (wanted === null || items[i + 1] === wanted)) ArraySplice(items, i, 2);
    }
    this.#list.changed();
  }

  get(name: string): string | null {
    requireArguments(arguments.length, 1, "get");
    const key = toUSVString(name);
    const { items } = this.#list;
    for (let i = 0; i < items.length; i += 2) if (items[i] === key) return items[i + 1] as string;
    return null;
  }

  getAll(name: string): string[] {
    requireArguments(arguments.length, 1, "getAll");
    const key = toUSVString(name);
    const { items } = this.#list;
    const found: string[] = [];
    for (let i = 0; i < items.length; i += 2) if (items[i] === key) ArrayPush(found, items[i + 1] as string);
    return found;
  }

  has(name: string, value?: string): boolean {
    requireArguments(arguments.length, 1, "has");
    const key = toUSVString(name);
    const wanted = value === undefined ? null : toUSVString(value);
    const { items } = this.#list;
    for (let i = 0; i < items.length; i += 2) {
      if (items[i] === key && (wanted === null || items[i + 1] === wanted)) return true;
    }
    return false;
  }

  set(name: string, value: string): void {
    requireArguments(arguments.length, 2, "set");
    const key = toUSVString(name);
    const text = toUSVString(value);
    const { items } = this.#list;
    let first = -1;
    for (let i = 0; i < items.length && first < 0; i += 2) if (items[i] === key) first = i;
    if (first < 0) {
      this.#list.add(key, text);
    } else {
      items[first + 1] = text;
      for (let i = items.length - 2; i > first; i -= 2) if (items[i] === key) ArraySplice(items, i, 2);
    }
    this.#list.changed();
  }

  /** By name, in code units; equal names keep their order. */
  sort(): void {
    const { items } = this.#list;
    const order: number[] = [];
    for (let i = 0; i < items.length; i += 2) ArrayPush(order, i);
    ArraySort(order, (a, b) => {
      const left = items[a] as string;
      const right = items[b] as string;
      return left < right ? -1 : left > right ? 1 : a - b;
    });
    const sorted: string[] = [];
    for (let i = 0; i < order.length; i++) {
      const at = order[i] as number;
      ArrayPush(sorted, items[at] as string);
      ArrayPush(sorted, items[at + 1] as string);
    }
    this.#list.items = sorted;
    this.#list.changed();
  }

  entries(): IterableIterator<[string, string]> {
    return iterate(this.#list, entries);
  }

  keys(): IterableIterator<string> {
    return iterate(this.#list, keys);
  }

  values(): IterableIterator<string> {
    return iterate(this.#list, values);
  }

  forEach(
    callback: (value: string, name: string, parent: URLSearchParams) => unknown,
    thisArg?: unknown,
  ): void {
    forEachPair(this, this.#list, callback, thisArg);
  }

  declare [Symbol.iterator]: () => IterableIterator<[string, string]>;

  toString(): string {
    return serializeUrlencoded(this.#list.items);
  }

  static {
    isURLSearchParams = (value): value is URLSearchParams => isObject(value) && #list in value;
    serializeParams = (params) => serializeUrlencoded(params.#list.items);
    paramsOf = (query, owner) => {
      const params = new URLSearchParams();
      params.#list.items = parseUrlencoded(query);
      params.#list.owner = owner;
      return params;
    };
    resetParams = (params, query) => {
      params.#list.items = parseUrlencoded(query);
    };
  }
}

defineInterface(URLSearchParams, "URLSearchParams", 0, { delete: 1, has: 1, forEach: 1 });
aliasIterator(URLSearchParams.prototype, URLSearchParams.prototype.entries);
