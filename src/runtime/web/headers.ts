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
  ObjectIsEnumerable,
  ReflectOwnKeys,
  StringCharCodeAt,
  StringIndexOf,
  StringSlice,
  StringToLowerCase,
  SymbolIterator,
} from "./primordials.ts";
import { defineInterface, isObject, quote, requireArguments, toByteString } from "./webidl.ts";
import { isHttpSpace } from "./whitespace.ts";

/** Who may change a header list (Fetch §5.1). Only `immutable` differs: a proxy sets the fields that browsers forbid. */
export type Guard = "none" | "request" | "response" | "immutable";

export type HeadersInit = Headers | Iterable<readonly [string, string]> | Readonly<Record<string, string>>;

/** 1 for each code that may stand in a field name (RFC 9110 §5.6.2). */
const token = new Uint8Array(128);
const tokenCharacters = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
for (let i = 0; i < tokenCharacters.length; i++) token[tokenCharacters.charCodeAt(i)] = 1;

/** @throws TypeError unless `value` is a field name. */
function toName(value: unknown): string {
  const name = typeof value === "string" ? value : `${value as string}`;
  let valid = name.length > 0;
  for (let i = 0; i < name.length; i++) {
    const code = StringCharCodeAt(name, i);
    if (code >= 128 || token[code] !== 1) valid = false;
  }
  if (!valid) throw new TypeError(`cannot use header: ${quote(name)} is not a valid name`);
  return name;
}

/**
 * A field value without surrounding white space.
 * @throws TypeError for what cannot stand in one (RFC 9110 §5.5): CR, LF and NUL would split the message, other
 * controls are refused by strict recipients.
 */
function toValue(value: unknown, name: string): string {
  const text = typeof value === "string" ? value : `${value as string}`;
  let start = 0;
  let end = text.length;
  while (start < end && isHttpSpace(StringCharCodeAt(text, start))) start++;
  while (end > start && isHttpSpace(StringCharCodeAt(text, end - 1))) end--;
  for (let i = start; i < end; i++) {
    const code = StringCharCodeAt(text, i);
    if ((code < 32 && code !== 9) || code === 127 || code > 255) {
      throw new TypeError(`cannot set header "${name}": its value has a forbidden character at index ${i}`);
    }
  }
  return start === 0 && end === text.length ? text : StringSlice(text, start, end);
}

function lower(code: number): number {
  return code >= 65 && code <= 90 ? code + 32 : code;
}

function sameName(text: string, at: number, name: string): boolean {
  for (let i = 0; i < name.length; i++) {
    const a = StringCharCodeAt(text, at + i);
    const b = StringCharCodeAt(name, i);
    if (a !== b && lower(a) !== lower(b)) return false;
  }
  return true;
}

/** The index of the first line at or after `from`, itself the start of a line, whose name is `name`; or -1. */
function findLine(block: string, name: string, from: number): number {
  const { length } = name;
  for (let line = from; line < block.length; line = nextLine(block, line)) {
    if (StringCharCodeAt(block, line + length) === 58 && sameName(block, line, name)) return line;
  }
  return -1;
}

function nextLine(block: string, line: number): number {
  return StringIndexOf(block, "\r\n", line) + 2;
}

function valueAt(block: string, start: number): string {
  let from = start;
  let to = StringIndexOf(block, "\r\n", start);
  while (from < to && isHttpSpace(StringCharCodeAt(block, from))) from++;
  while (to > from && isHttpSpace(StringCharCodeAt(block, to - 1))) to--;
  return StringSlice(block, from, to);
}

/** The value of `name` in a block, its lines joined with ", " (Fetch §2.2.2, get), or null. */
export function blockGet(block: string, name: string): string | null {
  let line = findLine(block, name, 0);
  if (line < 0) return null;
  let value = valueAt(block, line + name.length + 1);
  for (;;) {
    line = findLine(block, name, nextLine(block, line));
    if (line < 0) return value;
    value += `, ${valueAt(block, line + name.length + 1)}`;
  }
}

/** Takes out every line of that name. */
export function blockDelete(block: string, name: string): string {
  let result = block;
  for (let line = findLine(result, name, 0); line >= 0; line = findLine(result, name, line)) {
    result = StringSlice(result, 0, line) + StringSlice(result, nextLine(result, line));
  }
  return result;
}

/** The list as `sort and combine` yields it (Fetch §2.2.2), made when somebody iterates. */
class SortedHeaders implements PairSource {
  readonly #owner: Headers;
  #block = "";
  #names: string[] = [];
  #values: string[] = [];

  constructor(owner: Headers) {
    this.#owner = owner;
  }

  /** Iteration sees changes, so the list is made anew whenever the block is another one. */
  count(): number {
    const block = toBlock(this.#owner);
    if (block !== this.#block) this.#sort(block);
    return this.#names.length;
  }

  key(index: number): string {
    return this.#names[index] as string;
  }

  value(index: number): string {
    return this.#values[index] as string;
  }

  #sort(block: string): void {
    const names: string[] = [];
    const found: string[] = [];
    for (let line = 0; line < block.length; line = nextLine(block, line)) {
      const colon = StringIndexOf(block, ":", line);
      ArrayPush(names, StringToLowerCase(StringSlice(block, line, colon)));
      ArrayPush(found, valueAt(block, colon + 1));
    }
    const order: number[] = [];
    for (let i = 0; i < names.length; i++) ArrayPush(order, i);
    ArraySort(order, (a, b) => {
      const left = names[a] as string;
      const right = names[b] as string;
      return left < right ? -1 : left > right ? 1 : a - b;
    });
    this.#block = block;
    this.#names = [];
    this.#values = [];
    for (let i = 0; i < order.length; i++) {
      const at = order[i] as number;
      const name = names[at] as string;
      const last = this.#names.length - 1;
      if (last >= 0 && this.#names[last] === name && name !== "set-cookie") {
        this.#values[last] = `${this.#values[last]}, ${found[at]}`;
      } else {
        ArrayPush(this.#names, name);
        ArrayPush(this.#values, found[at] as string);
      }
    }
  }
}

const iterate = definePairIterator("Headers");

export let isHeaders: (value: unknown) => value is Headers;
/** The lines as they go on the wire; the very text that came in when nothing was changed. */
export let toBlock: (headers: Headers) => string;
/** @param block lines that are known to be valid. */
export let fromBlock: (block: string, guard: Guard) => Headers;

/**
 * Fetch §5.1, over the wire form of `src/http/header-block.ts`: lines `name: value\r\n` in one string. Reading scans the
 * text, writing splices it, and a list that nobody changed goes out as the text that came in.
 */
export class Headers {
  #block = "";
  #immutable = false;

  constructor(init?: HeadersInit) {
    if (init !== undefined) this.#block = blockFrom(init);
  }

  append(name: string, value: string): void {
    requireArguments(arguments.length, 2, "Headers.append");
    const key = toName(name);
    const text = toValue(value, key);
    this.#mutable();
    this.#block += `${key}: ${text}\r\n`;
  }

  delete(name: string): void {
    requireArguments(arguments.length, 1, "Headers.delete");
    const key = toName(name);
    this.#mutable();
    this.#block = blockDelete(this.#block, key);
  }

  get(name: string): string | null {
    requireArguments(arguments.length, 1, "Headers.get");
    return blockGet(this.#block, toName(name));
  }

  /** Every Set-Cookie value by itself: they cannot be combined (RFC 6265 §3). */
  getSetCookie(): string[] {
    return this.#all("set-cookie");
  }

  /** As in workerd: all values of Set-Cookie. */
  getAll(name: string): string[] {
    requireArguments(arguments.length, 1, "Headers.getAll");
    if (StringToLowerCase(toName(name)) !== "set-cookie") {
      throw new TypeError('cannot get all values: getAll() takes "Set-Cookie" only');
    }
    return this.#all("set-cookie");
  }

  #all(name: string): string[] {
    const block = this.#block;
    const found: string[] = [];
    for (
      let line = findLine(block, name, 0);
      line >= 0;
      line = findLine(block, name, nextLine(block, line))
    ) {
      ArrayPush(found, valueAt(block, line + name.length + 1));
    }
    return found;
  }

  has(name: string): boolean {
    requireArguments(arguments.length, 1, "Headers.has");
    return findLine(this.#block, toName(name), 0) >= 0;
  }

  /** Replaces the first line of that name in its place, removes the others, or adds a line. */
  set(name: string, value: string): void {
    requireArguments(arguments.length, 2, "Headers.set");
    const key = toName(name);
    const text = toValue(value, key);
    this.#mutable();
    this.#block = blockSet(this.#block, key, text);
  }

  entries(): IterableIterator<[string, string]> {
    return iterate(this.#sorted(), entries);
  }

  keys(): IterableIterator<string> {
    return iterate(this.#sorted(), keys);
  }

  values(): IterableIterator<string> {
    return iterate(this.#sorted(), values);
  }

  forEach(callback: (value: string, name: string, parent: Headers) => unknown, thisArg?: unknown): void {
    forEachPair(this, this.#sorted(), callback, thisArg);
  }

  declare [Symbol.iterator]: () => IterableIterator<[string, string]>;

  #sorted(): SortedHeaders {
    void this.#block;
    return new SortedHeaders(this);
  }

  #mutable(): void {
    if (this.#immutable) throw new TypeError("cannot change headers: they are immutable");
  }

  static {
    isHeaders = (value): value is Headers => isObject(value) && #block in value;
    toBlock = (headers) => headers.#block;
    fromBlock = (block, guard) => {
      const headers = new Headers();
      headers.#block = block;
      headers.#immutable = guard === "immutable";
      return headers;
    };
  }
}

function blockSet(block: string, name: string, value: string): string {
  const line = findLine(block, name, 0);
  if (line < 0) return `${block}${name}: ${value}\r\n`;
  const end = nextLine(block, line);
  const rest =
    findLine(block, name, end) < 0 ? StringSlice(block, end) : blockDelete(StringSlice(block, end), name);
  return `${StringSlice(block, 0, line)}${name}: ${value}\r\n${rest}`;
}

/** Adds a field that the runtime itself chose, unless there is one (for Content-Type from a body). */
export function blockDefault(block: string, name: string, value: string): string {
  return findLine(block, name, 0) < 0 ? `${block}${name}: ${value}\r\n` : block;
}

/** Fills a list (Fetch §5.1) and gives its lines. */
export function blockFrom(init: unknown): string {
  if (isHeaders(init)) return toBlock(init);
  if (!isObject(init)) throw new TypeError("cannot make headers: init is not an object");
  const iterator = (init as Partial<Iterable<unknown>>)[SymbolIterator];
  let block = "";
  if (iterator !== undefined && iterator !== null) {
    const pairs = readPairs(init as Iterable<unknown>, "init");
    for (let i = 0; i < pairs.length; i += 2) {
      const name = toName(toByteString(pairs[i], "a header name"));
      block += `${name}: ${toValue(pairs[i + 1], name)}\r\n`;
    }
    return block;
  }
  const names = ReflectOwnKeys(init);
  for (let i = 0; i < names.length; i++) {
    const key = names[i] as string;
    if (!ObjectIsEnumerable(init, key)) continue;
    if (typeof key === "symbol") throw new TypeError("cannot make headers: a name is a symbol");
    const name = toName(key);
    block += `${name}: ${toValue((init as Record<string, unknown>)[key], name)}\r\n`;
  }
  return block;
}

defineInterface(Headers, "Headers", 0, { forEach: 1 });
aliasIterator(Headers.prototype, Headers.prototype.entries);
