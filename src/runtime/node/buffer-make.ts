import { encode } from "./buffer-encodings.ts";
import type { NumberMethods } from "./buffer-numbers.ts";
import { demandEncoding, isBytes } from "./buffer-search.ts";
import { invalidType, nodeError, received, validateInteger, validateNumber } from "./errors.ts";

/** The longest that V8 makes a typed array and a string. */
export const maxLength = 2 ** 53 - 1;
export const maxStringLength = 536870888;

/** The bytes themselves; `Buffer` is the function that makes them. */
export class FastBuffer extends Uint8Array {
  static get [Symbol.species](): Uint8ArrayConstructor {
    return FastBuffer as unknown as Uint8ArrayConstructor;
  }
}

export interface Buffer extends Uint8Array<ArrayBuffer>, NumberMethods {
  toString(encoding?: string, start?: number, end?: number): string;
  write(text: string, offset?: unknown, length?: unknown, encoding?: unknown): number;
  equals(other: Uint8Array): boolean;
  copy(target: Uint8Array, targetStart?: number, sourceStart?: number, sourceEnd?: number): number;
  slice(start?: number, end?: number): Buffer;
  toJSON(): { type: "Buffer"; data: number[] };
}

export function isBuffer(value: unknown): value is Buffer {
  return value instanceof FastBuffer;
}

export function isAnyArrayBuffer(value: unknown): value is ArrayBuffer {
  return value instanceof ArrayBuffer || Object.prototype.toString.call(value) === "[object ArrayBuffer]";
}

export function wrap(bytes: Uint8Array): Buffer {
  return new FastBuffer(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.length) as unknown as Buffer;
}

export function make(length: number): Buffer {
  return new FastBuffer(length) as unknown as Buffer;
}

function fromText(text: string, encoding: unknown): Buffer {
  return wrap(encode(text, demandEncoding(encoding)));
}

function fromArrayBuffer(buffer: ArrayBuffer, offset: unknown, length: unknown): Buffer {
  const start = offset === undefined ? 0 : +(offset as number) || 0;
  const rest = buffer.byteLength - start;
  if (rest < 0)
    throw nodeError(RangeError, "ERR_BUFFER_OUT_OF_BOUNDS", '"offset" is outside of buffer bounds');
  if (length === undefined) return new FastBuffer(buffer, start) as unknown as Buffer;
  const size = +(length as number);
  if (!(size > 0)) return new FastBuffer(buffer, start, 0) as unknown as Buffer;
  if (size > rest)
    throw nodeError(RangeError, "ERR_BUFFER_OUT_OF_BOUNDS", '"length" is outside of buffer bounds');
  return new FastBuffer(buffer, start, size) as unknown as Buffer;
}

export function fromArrayLike(source: ArrayLike<unknown>): Buffer {
  const length = source.length > 0 ? Math.trunc(source.length) : 0;
  const buffer = make(length);
  if (isBytes(source)) buffer.set(source);
  else for (let i = 0; i < length; i++) buffer[i] = source[i] as number;
  return buffer;
}

/** Takes objects with a length, and what `JSON.stringify` makes of a buffer; undefined for others. */
function fromObject(value: {
  length?: unknown;
  buffer?: unknown;
  type?: unknown;
  data?: unknown;
}): Buffer | undefined {
  if (value.length !== undefined || isAnyArrayBuffer(value.buffer)) {
    return typeof value.length === "number" ? fromArrayLike(value as ArrayLike<unknown>) : make(0);
  }
  if (value.type === "Buffer" && Array.isArray(value.data)) return fromArrayLike(value.data);
  return undefined;
}

export function from(value: unknown, second?: unknown, third?: unknown): Buffer {
  if (typeof value === "string") return fromText(value, second);
  if (typeof value === "object" && value !== null) {
    if (isAnyArrayBuffer(value)) return fromArrayBuffer(value, second, third);
    const primitive = value.valueOf?.() as unknown;
    if (
      primitive !== null &&
      primitive !== undefined &&
      primitive !== value &&
      (typeof primitive === "string" || typeof primitive === "object")
    )
      return from(primitive, second, third);
    const made = fromObject(value as object);
    if (made !== undefined) return made;
    const toPrimitive = (value as { [Symbol.toPrimitive]?: unknown })[Symbol.toPrimitive];
    if (typeof toPrimitive === "function") {
      const text: unknown = toPrimitive.call(value, "string");
      if (typeof text === "string") return fromText(text, second);
    }
  }
  throw nodeError(
    TypeError,
    "ERR_INVALID_ARG_TYPE",
    `The first argument must be of type string or an instance of Buffer, ArrayBuffer, or Array or an Array-like Object.${received(value)}`,
  );
}

function demandSize(size: unknown): asserts size is number {
  validateNumber(size, "size", 0, maxLength);
}

export function alloc(size: unknown, fill?: unknown, encoding?: unknown): Buffer {
  demandSize(size);
  const buffer = make(size);
  if (fill !== undefined && fill !== 0 && size > 0) {
    if (encoding !== undefined && typeof encoding !== "string")
      throw invalidType("encoding", "of type string", encoding);
    (buffer as unknown as { fill(v: unknown, e?: unknown): void }).fill(fill, encoding);
  }
  return buffer;
}

export function allocUnsafe(size: unknown): Buffer {
  demandSize(size);
  return make(size);
}

export function concat(list: unknown, length?: unknown): Buffer {
  if (!Array.isArray(list)) throw invalidType("list", "an instance of Array", list);
  if (list.length === 0) return make(0);
  let total = 0;
  if (length === undefined) {
    for (const item of list as { length?: number }[]) if (item?.length) total += item.length;
  } else {
    validateInteger(length, "length", 0);
    total = length;
  }
  const buffer = make(total);
  let at = 0;
  for (let i = 0; i < list.length; i++) {
    const item: unknown = list[i];
    if (!isBytes(item)) throw invalidType(`list[${i}]`, "an instance of Buffer or Uint8Array", item);
    const rest = total - at;
    if (rest <= 0) continue;
    buffer.set(item.length > rest ? item.subarray(0, rest) : item, at);
    at += Math.min(item.length, rest);
  }
  return buffer;
}
