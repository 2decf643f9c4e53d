import { type Blob, isBlob } from "./blob.ts";
import { isDOMException } from "./dom-exception.ts";
import { Headers, isHeaders } from "./headers.ts";
import {
  ArrayBufferByteLength,
  ArrayIsArray,
  ArrayJoin,
  ArrayPush,
  DateGetTime,
  DateToISOString,
  isArrayBuffer,
  JSONStringify,
  MapForEach,
  MapSize,
  NumberIsNaN,
  ObjectIsEnumerable,
  ReflectApply,
  ReflectGetOwnPropertyDescriptor,
  ReflectGetPrototypeOf,
  ReflectOwnKeys,
  RegExpPrototype,
  SetForEach,
  SetSize,
  StringCharCodeAt,
  StringIndexOf,
  StringRepeat,
  StringSlice,
  StringStartsWith,
  SymbolToString,
  TypedArrayLength,
  TypedArrayTag,
} from "./primordials.ts";
import { isRequest, type Request } from "./request.ts";
import { isResponse, type Response } from "./response.ts";
import { isError } from "./structured-clone.ts";
import { isURL, type URL } from "./url.ts";
import { isURLSearchParams, URLSearchParams } from "./url-search-params.ts";
import { isObject } from "./webidl.ts";

/** No text is longer, whatever it describes: a log line is not a dump. */
const maximumText = 16_384;
const maximumItems = 100;
const maximumDepth = 3;
const lineWidth = 76;

const toRegExpText = RegExpPrototype.toString;
const headersEntries = Headers.prototype.entries;
const paramsEntries = URLSearchParams.prototype.entries;

/** Describes values for people. Runs no getter of a Worker, so that looking changes nothing. */
class Inspector {
  /** What is left of the bound on the whole text. */
  #budget = maximumText;
  readonly #path: object[] = [];

  describe(value: unknown, depth: number): string {
    const text = this.#value(value, depth);
    this.#budget -= text.length;
    return text;
  }

  #value(value: unknown, depth: number): string {
    switch (typeof value) {
      case "string":
        return quoteText(value);
      case "symbol":
        return SymbolToString(value);
      case "bigint":
        return `${value}n`;
      case "number":
        return value === 0 && 1 / value < 0 ? "-0" : `${value}`;
      case "undefined":
      case "boolean":
        return `${value}`;
    }
    if (!isObject(value)) return "null";
    if (this.#budget <= 0) return "…";
    for (let i = 0; i < this.#path.length; i++) if (this.#path[i] === value) return "[Circular]";
    ArrayPush(this.#path, value);
    const text = this.#object(value, depth);
    this.#path.length--;
    return text;
  }

  #object(value: object, depth: number): string {
    if (typeof value === "function") return this.#withMembers(functionName(value), value, depth);
    if (isDOMException(value) || isError(value)) return this.#error(value, depth);
    if (depth >= maximumDepth) return ArrayIsArray(value) ? "[Array]" : `[${className(value) ?? "Object"}]`;
    if (ArrayIsArray(value)) return this.#array(value, depth);
    const special = this.#special(value, depth);
    if (special !== null) return special;
    const name = className(value);
    return this.#withMembers(
      name === "Object" ? "" : (name ?? "[Object: null prototype]"),
      value,
      depth,
      true,
    );
  }

  /** Objects that are described by what they stand for; null for ordinary ones. */
  #special(value: object, depth: number): string | null {
    const tag = TypedArrayTag(value);
    if (tag !== undefined) {
      const length = TypedArrayLength(value);
      const items: string[] = [];
      for (let i = 0; i < length && i < maximumItems; i++) {
        ArrayPush(items, this.describe((value as unknown as ArrayLike<unknown>)[i], depth + 1));
      }
      more(items, length);
      return `${tag}(${length}) ${brackets("[", items, "]", depth)}`;
    }
    if (isArrayBuffer(value)) return `ArrayBuffer { byteLength: ${ArrayBufferByteLength(value)} }`;
    const size = attempt(MapSize, value);
    if (size !== undefined) return this.#map(value as Map<unknown, unknown>, size, depth);
    const count = attempt(SetSize, value);
    if (count !== undefined) return this.#set(value as Set<unknown>, count, depth);
    const time = attempt(DateGetTime, value);
    if (time !== undefined) return !NumberIsNaN(time) ? DateToISOString(value) : "Invalid Date";
    if (value !== RegExpPrototype && value instanceof RegExp) {
      return ReflectApply(toRegExpText, value, []);
    }
    if (value instanceof Promise) return "Promise {}";
    return this.#platform(value, depth);
  }

  #platform(value: object, depth: number): string | null {
    if (isURL(value)) return `URL ${quoteText((value as URL).href)}`;
    if (isHeaders(value)) return this.#pairs("Headers", ReflectApply(headersEntries, value, []), depth);
    if (isURLSearchParams(value)) {
      return this.#pairs("URLSearchParams", ReflectApply(paramsEntries, value, []), depth);
    }
    if (isRequest(value)) {
      const { method, url, headers } = value as Request;
      return this.#fields("Request", ["method", method, "url", url, "headers", headers], depth);
    }
    if (isResponse(value)) {
      const { status, statusText, headers, url } = value as Response;
      return this.#fields(
        "Response",
        ["status", status, "statusText", statusText, "headers", headers, "url", url],
        depth,
      );
    }
    if (isBlob(value)) {
      const { size, type } = value as Blob;
      return this.#fields(className(value) ?? "Blob", ["size", size, "type", type], depth);
    }
    return null;
  }

  #fields(name: string, members: readonly unknown[], depth: number): string {
    const items: string[] = [];
    for (let i = 0; i < members.length; i += 2) {
      ArrayPush(items, `${members[i] as string}: ${this.describe(members[i + 1], depth + 1)}`);
    }
    return `${name} ${brackets("{", items, "}", depth)}`;
  }

  #pairs(name: string, iterator: IterableIterator<[string, string]>, depth: number): string {
    const items: string[] = [];
    for (let step = iterator.next(); !step.done && items.length < maximumItems; step = iterator.next()) {
      ArrayPush(items, `${keyText(step.value[0])}: ${quoteText(step.value[1])}`);
    }
    return `${name} ${brackets("{", items, "}", depth)}`;
  }

  #map(map: Map<unknown, unknown>, size: number, depth: number): string {
    const items: string[] = [];
    MapForEach(map, (value, key) => {
      if (items.length >= maximumItems || this.#budget <= 0) return;
      ArrayPush(items, `${this.describe(key, depth + 1)} => ${this.describe(value, depth + 1)}`);
    });
    more(items, size);
    return `Map(${size}) ${brackets("{", items, "}", depth)}`;
  }

  #set(set: Set<unknown>, size: number, depth: number): string {
    const items: string[] = [];
    SetForEach(set, (value) => {
      if (items.length < maximumItems && this.#budget > 0) ArrayPush(items, this.describe(value, depth + 1));
    });
    more(items, size);
    return `Set(${size}) ${brackets("{", items, "}", depth)}`;
  }

  #array(array: readonly unknown[], depth: number): string {
    const items: string[] = [];
    for (let i = 0; i < array.length && i < maximumItems && this.#budget > 0; i++) {
      const descriptor = ReflectGetOwnPropertyDescriptor(array, i);
      ArrayPush(items, descriptor === undefined ? "<empty>" : this.#member(descriptor, depth));
    }
    more(items, array.length);
    this.#members(array, items, depth, true);
    return brackets("[", items, "]", depth);
  }

  #error(error: object, depth: number): string {
    const { stack } = error as { stack?: unknown };
    const name = textOf(error, "name") ?? "Error";
    const message = textOf(error, "message") ?? "";
    const head = message === "" ? name : `${name}: ${message}`;
    let text = typeof stack === "string" && stack !== "" ? stack : `[${head}]`;
    // The stack was written when the error was made; its message may have changed since.
    if (StringIndexOf(text, message) < 0) text = `${head}\n${text}`;
    const items: string[] = [];
    this.#members(error, items, depth, false);
    const cause = ReflectGetOwnPropertyDescriptor(error, "cause");
    if (cause !== undefined && "value" in cause && depth < maximumDepth) {
      ArrayPush(items, `[cause]: ${this.describe(cause.value, depth + 1)}`);
    }
    return items.length === 0 ? text : `${text} ${brackets("{", items, "}", depth)}`;
  }

  #withMembers(name: string, value: object, depth: number, always = false): string {
    if (depth >= maximumDepth) return name;
    const items: string[] = [];
    this.#members(value, items, depth, false);
    if (items.length === 0 && !always) return name;
    const text = brackets("{", items, "}", depth);
    return name === "" ? text : `${name} ${text}`;
  }

  #members(value: object, items: string[], depth: number, skipIndices: boolean): void {
    const keys = ReflectOwnKeys(value);
    for (let i = 0; i < keys.length && this.#budget > 0; i++) {
      const key = keys[i] as PropertyKey;
      if (!ObjectIsEnumerable(value, key) || (skipIndices && isIndex(key))) continue;
      if (key === "cause" || key === "stack" || key === "message") {
        if (isError(value)) continue;
      }
      if (items.length >= maximumItems) {
        ArrayPush(items, "…");
        return;
      }
      const descriptor = ReflectGetOwnPropertyDescriptor(value, key);
      if (descriptor === undefined) continue;
      const name = typeof key === "symbol" ? `[${SymbolToString(key)}]` : keyText(`${key}`);
      ArrayPush(items, `${name}: ${this.#member(descriptor, depth)}`);
    }
  }

  #member(descriptor: PropertyDescriptor, depth: number): string {
    if (!("value" in descriptor)) {
      if (descriptor.get === undefined) return "[Setter]";
      return descriptor.set === undefined ? "[Getter]" : "[Getter/Setter]";
    }
    return this.describe(descriptor.value, depth + 1);
  }
}

function isIndex(key: PropertyKey): boolean {
  if (typeof key !== "string" || key === "") return false;
  for (let i = 0; i < key.length; i++) {
    const code = StringCharCodeAt(key, i);
    if (code < 48 || code > 57) return false;
  }
  return true;
}

function attempt(read: (value: unknown) => number, value: object): number | undefined {
  try {
    return read(value);
  } catch {
    return undefined;
  }
}

/** A data property of the object or its prototypes that holds text; getters are run only of the runtime's own errors. */
function textOf(value: object, key: string): string | undefined {
  if (isDOMException(value)) return `${value[key as "name" | "message"]}`;
  for (let holder: object | null = value; holder !== null; holder = ReflectGetPrototypeOf(holder)) {
    const descriptor = ReflectGetOwnPropertyDescriptor(holder, key);
    if (descriptor === undefined) continue;
    return typeof descriptor.value === "string" ? descriptor.value : undefined;
  }
  return undefined;
}

function className(value: object): string | undefined {
  for (let holder = ReflectGetPrototypeOf(value); holder !== null; holder = ReflectGetPrototypeOf(holder)) {
    const descriptor = ReflectGetOwnPropertyDescriptor(holder, "constructor");
    if (descriptor === undefined || typeof descriptor.value !== "function") continue;
    return textOf(descriptor.value as object, "name");
  }
  return undefined;
}

function functionName(value: object): string {
  const name = textOf(value, "name");
  const isClass = StringStartsWith(ReflectApply(functionToString, value, []), "class");
  const kind = isClass ? "class" : "Function";
  if (name === undefined || name === "") return `[${kind} (anonymous)]`;
  return isClass ? `[class ${name}]` : `[Function: ${name}]`;
}

const functionToString = Function.prototype.toString;

function keyText(key: string): string {
  let plain = key !== "";
  for (let i = 0; i < key.length && plain; i++) {
    const code = StringCharCodeAt(key, i);
    const letter = (code | 32) >= 97 && (code | 32) <= 122;
    plain = letter || code === 95 || code === 36 || (i > 0 && code >= 48 && code <= 57);
  }
  return plain ? key : quoteText(key);
}

function quoteText(text: string): string {
  const bounded = text.length > maximumText ? `${StringSlice(text, 0, maximumText)}…` : text;
  if (StringIndexOf(bounded, "'") < 0 && isPrintable(bounded)) return `'${bounded}'`;
  return JSONStringify(bounded);
}

function isPrintable(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = StringCharCodeAt(text, i);
    if (code < 32 || code === 127 || code === 92) return false;
  }
  return true;
}

function more(items: string[], total: number): void {
  const left = total - maximumItems;
  if (left > 0) ArrayPush(items, `… ${left} more item${left === 1 ? "" : "s"}`);
}

/** On one line where that is short, else one item a line. */
function brackets(open: string, items: string[], close: string, depth: number): string {
  if (items.length === 0) return `${open}${close}`;
  let width = depth * 2;
  let broken = false;
  for (let i = 0; i < items.length; i++) {
    const item = items[i] as string;
    width += item.length + 2;
    if (StringIndexOf(item, "\n") >= 0) broken = true;
  }
  if (!broken && width <= lineWidth) return `${open} ${ArrayJoin(items, ", ")} ${close}`;
  const indent = StringRepeat("  ", depth + 1);
  return `${open}\n${indent}${ArrayJoin(items, `,\n${indent}`)}\n${StringRepeat("  ", depth)}${close}`;
}

function bound(text: string): string {
  return text.length > maximumText ? `${StringSlice(text, 0, maximumText)}…` : text;
}

/** One value, as an object's member is shown. */
export function inspect(value: unknown): string {
  try {
    return bound(new Inspector().describe(value, 0));
  } catch {
    // A Proxy's trap threw, or the stack is full: the log must not make a Worker fail.
    return "[cannot be shown]";
  }
}

/** The arguments of a console call as one text: %s, %d, %i, %f, %j, %o, %O and %c in the first (Console §2.2.1). */
export function format(args: readonly unknown[]): string {
  let text = "";
  let next = 0;
  const first = args[0];
  if (typeof first === "string") {
    next = 1;
    if (args.length === 1) return bound(first);
    let start = 0;
    for (let at = StringIndexOf(first, "%"); at >= 0; at = StringIndexOf(first, "%", at)) {
      const directive = first[at + 1];
      const replacement =
        directive === "%" ? "%" : next < args.length ? directed(directive, args[next]) : null;
      if (replacement === null) {
        at++;
        continue;
      }
      if (directive !== "%") next++;
      text += StringSlice(first, start, at) + replacement;
      at += 2;
      start = at;
    }
    text += StringSlice(first, start);
  }
  for (let i = next; i < args.length && text.length < maximumText; i++) {
    if (i > 0) text += " ";
    text += plain(args[i]);
  }
  return bound(text);
}

function plain(value: unknown): string {
  return typeof value === "string" ? value : inspect(value);
}

function directed(directive: string | undefined, value: unknown): string | null {
  switch (directive) {
    case "s":
      return isObject(value)
        ? inspect(value)
        : typeof value === "symbol"
          ? SymbolToString(value)
          : `${value}`;
    case "d":
      return isObject(value) ? "NaN" : typeof value === "bigint" ? `${value}n` : `${+(value as number)}`;
    case "i":
      return isObject(value) ? "NaN" : `${parseInt(`${value as string}`, 10)}`;
    case "f":
      return typeof value === "symbol" ? "NaN" : `${parseFloat(`${value as string}`)}`;
    case "j":
    case "o":
    case "O":
      return inspect(value);
    case "c":
      return "";
    default:
      return null;
  }
}
