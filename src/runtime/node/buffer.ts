import { part } from "../part.ts";
import { atob, btoa } from "../web/base64.ts";
import { Blob, File } from "../web/blob.ts";
import { decode, type Encoding, encodedLength, encodeInto, encodingOf } from "./buffer-encodings.ts";
import {
  alloc,
  allocUnsafe,
  type Buffer as Bytes,
  concat,
  FastBuffer,
  from,
  fromArrayLike,
  isAnyArrayBuffer,
  isBuffer,
  make,
  maxLength,
  maxStringLength,
} from "./buffer-make.ts";
import { defineNumbers } from "./buffer-numbers.ts";
import { demandBytes, demandEncoding, fillBytes, isBytes, search, swap } from "./buffer-search.ts";
import { isAscii, isUtf8, transcode } from "./buffer-text.ts";
import { invalidType, outOfRange, validateInteger, validateNumber, validateString } from "./errors.ts";

const customInspect = Symbol.for("nodejs.util.inspect.custom");
let inspectedBytes = 50;

/** As `toString` has it: what is no text names no encoding. */
function demandText(name: unknown): Encoding {
  return demandEncoding(typeof name === "string" ? name : { toString: () => String(name) });
}

/** As `buffer.slice` reads its bounds: negative ones from the end, cut to the length. */
function bound(value: unknown, length: number, fallback: number): number {
  if (value === undefined) return fallback;
  const number = Math.trunc(+(value as number)) || 0;
  if (number < 0) return Math.max(length + number, 0);
  return Math.min(number, length);
}

function byteLength(value: unknown, encoding?: unknown): number {
  if (typeof value === "string") return encodedLength(value, encodingOf(encoding) ?? "utf8");
  if (ArrayBuffer.isView(value) || isAnyArrayBuffer(value)) return value.byteLength;
  throw invalidType("string", "of type string or an instance of Buffer or ArrayBuffer", value);
}

function compareBytes(one: Uint8Array, other: Uint8Array): number {
  const length = Math.min(one.length, other.length);
  for (let i = 0; i < length; i++) {
    if (one[i] !== other[i]) return (one[i] as number) < (other[i] as number) ? -1 : 1;
  }
  return one.length < other.length ? -1 : one.length > other.length ? 1 : 0;
}

export type Buffer = Bytes;

/** node:buffer.Buffer, called with and without `new`. */
export function Buffer(value: unknown, second?: unknown, third?: unknown): Buffer {
  if (typeof value === "number") {
    if (typeof second === "string") throw invalidType("string", "of type string", value);
    return alloc(value);
  }
  return from(value, second, third);
}

const statics = {
  alloc,
  allocUnsafe,
  allocUnsafeSlow: (size: unknown): Buffer => allocUnsafe(size),
  byteLength,
  compare(one: unknown, other: unknown): number {
    demandBytes(one, "buf1");
    demandBytes(other, "buf2");
    return compareBytes(one, other);
  },
  concat,
  copyBytesFrom(view: unknown, offset?: unknown, length?: unknown): Buffer {
    if (!ArrayBuffer.isView(view) || view instanceof DataView)
      throw invalidType("view", "an instance of TypedArray", view);
    const source = view as Uint8Array;
    if (offset !== undefined) validateInteger(offset, "offset", 0);
    if (length !== undefined) validateInteger(length, "length", 0);
    const start = (offset as number | undefined) ?? 0;
    const end = length === undefined ? source.length : Math.min(start + (length as number), source.length);
    if (start >= source.length) return make(0);
    const piece = source.subarray(start, end);
    return fromArrayLike(new Uint8Array(piece.buffer, piece.byteOffset, piece.byteLength));
  },
  from,
  isBuffer,
  isEncoding: (name: unknown): boolean =>
    typeof name === "string" && name !== "" && encodingOf(name) !== undefined,
  of: (...items: number[]): Buffer => fromArrayLike(items),
};
for (const [name, value] of Object.entries(statics)) {
  Object.defineProperty(Buffer, name, { value, writable: true, configurable: true, enumerable: true });
}
Object.defineProperty(Buffer, "poolSize", {
  value: 8192,
  writable: true,
  enumerable: true,
  configurable: true,
});
Object.defineProperty(Buffer, Symbol.species, { get: () => FastBuffer, configurable: true });
Object.setPrototypeOf(Buffer, Uint8Array);
Buffer.prototype = FastBuffer.prototype;

const members = {
  asciiSlice(this: Buffer, start?: number, end?: number) {
    return piece(this, "ascii", start, end);
  },
  base64Slice(this: Buffer, start?: number, end?: number) {
    return piece(this, "base64", start, end);
  },
  base64urlSlice(this: Buffer, start?: number, end?: number) {
    return piece(this, "base64url", start, end);
  },
  hexSlice(this: Buffer, start?: number, end?: number) {
    return piece(this, "hex", start, end);
  },
  latin1Slice(this: Buffer, start?: number, end?: number) {
    return piece(this, "latin1", start, end);
  },
  ucs2Slice(this: Buffer, start?: number, end?: number) {
    return piece(this, "utf16le", start, end);
  },
  utf8Slice(this: Buffer, start?: number, end?: number) {
    return piece(this, "utf8", start, end);
  },
  asciiWrite(this: Buffer, text: string, offset = 0, length?: number) {
    return put(this, text, offset, length, "ascii");
  },
  base64Write(this: Buffer, text: string, offset = 0, length?: number) {
    return put(this, text, offset, length, "base64");
  },
  base64urlWrite(this: Buffer, text: string, offset = 0, length?: number) {
    return put(this, text, offset, length, "base64url");
  },
  hexWrite(this: Buffer, text: string, offset = 0, length?: number) {
    return put(this, text, offset, length, "hex");
  },
  latin1Write(this: Buffer, text: string, offset = 0, length?: number) {
    return put(this, text, offset, length, "latin1");
  },
  ucs2Write(this: Buffer, text: string, offset = 0, length?: number) {
    return put(this, text, offset, length, "utf16le");
  },
  utf8Write(this: Buffer, text: string, offset = 0, length?: number) {
    return put(this, text, offset, length, "utf8");
  },
  compare(
    this: Buffer,
    target: unknown,
    targetStart?: unknown,
    targetEnd?: unknown,
    sourceStart?: unknown,
    sourceEnd?: unknown,
  ): number {
    demandBytes(target, "target");
    const read = (value: unknown, name: string, high: number, fallback: number): number => {
      if (value === undefined) return fallback;
      validateInteger(value, name, 0, high);
      return value;
    };
    const from = read(targetStart, "targetStart", maxLength, 0);
    const to = read(targetEnd, "targetEnd", target.length, target.length);
    const ownFrom = read(sourceStart, "sourceStart", maxLength, 0);
    const ownTo = read(sourceEnd, "sourceEnd", this.length, this.length);
    if (ownFrom >= ownTo) return from >= to ? 0 : -1;
    if (from >= to) return 1;
    return compareBytes(this.subarray(ownFrom, ownTo), target.subarray(from, to));
  },
  copy(
    this: Buffer,
    target: unknown,
    targetStart?: unknown,
    sourceStart?: unknown,
    sourceEnd?: unknown,
  ): number {
    if (!isBytes(target)) throw invalidType("target", "an instance of Buffer or Uint8Array", target);
    const whole = (value: unknown, name: string, fallback: number, high?: number): number => {
      if (value === undefined) return fallback;
      const number = Math.trunc(+(value as number)) || 0;
      if (number < 0 || (high !== undefined && number > high))
        throw outOfRange(name, high === undefined ? ">= 0" : `>= 0 && <= ${high}`, value);
      return number;
    };
    const at = whole(targetStart, "targetStart", 0);
    const from = whole(sourceStart, "sourceStart", 0, this.length);
    const to = Math.min(whole(sourceEnd, "sourceEnd", this.length), this.length);
    if (at >= target.length || from >= to) return 0;
    const count = Math.min(to - from, target.length - at);
    target.set(new Uint8Array(this.buffer, this.byteOffset + from, count), at);
    return count;
  },
  equals(this: Buffer, other: unknown): boolean {
    demandBytes(other, "otherBuffer");
    return this === other || (this.length === other.length && compareBytes(this, other) === 0);
  },
  fill(this: Buffer, value: unknown, offset?: unknown, end?: unknown, encoding?: unknown): Uint8Array {
    return fillBytes(this, value, offset, end, encoding);
  },
  includes(this: Buffer, value: unknown, offset?: unknown, encoding?: unknown): boolean {
    return search(this, value, offset, encoding, true) !== -1;
  },
  indexOf(this: Buffer, value: unknown, offset?: unknown, encoding?: unknown): number {
    return search(this, value, offset, encoding, true);
  },
  lastIndexOf(this: Buffer, value: unknown, offset?: unknown, encoding?: unknown): number {
    return search(this, value, offset, encoding, false);
  },
  slice(this: Buffer, start?: unknown, end?: unknown): Buffer {
    const from = bound(start, this.length, 0);
    const to = bound(end, this.length, this.length);
    return new FastBuffer(
      this.buffer as ArrayBuffer,
      this.byteOffset + from,
      Math.max(to - from, 0),
    ) as unknown as Buffer;
  },
  subarray(this: Buffer, start?: unknown, end?: unknown): Buffer {
    return members.slice.call(this, start, end);
  },
  swap16(this: Buffer) {
    return swap(this, 2);
  },
  swap32(this: Buffer) {
    return swap(this, 4);
  },
  swap64(this: Buffer) {
    return swap(this, 8);
  },
  toJSON(this: Buffer) {
    return { type: "Buffer", data: Array.from(this) };
  },
  toLocaleString(this: Buffer, encoding?: unknown, start?: unknown, end?: unknown): string {
    return members.toString.call(this, encoding, start, end);
  },
  toString(this: Buffer, encoding?: unknown, start?: unknown, end?: unknown): string {
    if (arguments.length === 0) return decode(this, "utf8");
    const { length } = this;
    const from = start === undefined ? 0 : Math.trunc(+(start as number)) || 0;
    const to = end === undefined ? length : Math.trunc(+(end as number)) || 0;
    const coded = encoding === undefined ? "utf8" : demandText(encoding);
    return piece(this, coded, Math.max(from, 0), Math.min(to, length));
  },
  write(this: Buffer, text: unknown, offset?: unknown, length?: unknown, encoding?: unknown): number {
    if (offset === undefined) {
      validateString(text, "argument");
      return put(this, text, 0, undefined, "utf8");
    }
    validateString(text, "argument");
    if (length === undefined && typeof offset === "string")
      return put(this, text, 0, undefined, demandEncoding(offset));
    validateInteger(offset, "offset", 0, this.length);
    const rest = this.length - offset;
    if (length === undefined)
      return put(this, text, offset, rest, encoding === undefined ? "utf8" : demandEncoding(encoding));
    if (typeof length === "string") return put(this, text, offset, rest, demandEncoding(length));
    validateInteger(length, "length", 0, this.length);
    return put(this, text, offset, Math.min(length, rest), encoding ? demandEncoding(encoding) : "utf8");
  },
  [customInspect](
    this: Buffer,
    _depth: unknown,
    options: { maxArrayLength?: number } & Record<string, unknown>,
  ): string {
    const shown = Math.min(inspectedBytes, this.length);
    let text = "";
    for (let i = 0; i < shown; i++)
      text += `${i > 0 ? " " : ""}${(this[i] as number).toString(16).padStart(2, "0")}`;
    const more = this.length - shown;
    if (more > 0) text += ` ... ${more} more byte${more > 1 ? "s" : ""}`;
    const extra: string[] = [];
    for (const key of Object.keys(this)) {
      if (/^\d+$/.test(key)) continue;
      const { inspect } = part<{ util: { inspect(value: unknown, options: unknown): string } }>(
        "node-util",
      ).util;
      extra.push(
        `${key}: ${inspect((this as unknown as Record<string, unknown>)[key], { ...options, breakLength: Infinity, compact: true })}`,
      );
    }
    if (extra.length > 0) text += `${text === "" ? "" : ", "}${extra.join(", ")}`;
    const name = this.constructor?.name ?? "Buffer";
    return `<${name} ${text}>`;
  },
};

function piece(buffer: Uint8Array, encoding: Encoding, start = 0, end = buffer.length): string {
  if (start >= end) return "";
  if (start === 0 && end >= buffer.length) return decode(buffer, encoding);
  return decode(
    new Uint8Array(buffer.buffer, buffer.byteOffset + start, Math.min(end, buffer.length) - start),
    encoding,
  );
}

function put(
  buffer: Uint8Array,
  text: string,
  offset: number,
  length: number | undefined,
  encoding: Encoding,
): number {
  const rest = buffer.length - offset;
  const size = length === undefined || length > rest ? rest : length;
  if (size <= 0) return 0;
  return encodeInto(text, new Uint8Array(buffer.buffer, buffer.byteOffset + offset, size), encoding);
}

for (const key of Reflect.ownKeys(members)) {
  Object.defineProperty(FastBuffer.prototype, key, {
    value: members[key as keyof typeof members],
    writable: true,
    configurable: true,
  });
}
Object.defineProperty(FastBuffer.prototype, "constructor", {
  value: Buffer,
  writable: true,
  configurable: true,
});
Object.defineProperty(FastBuffer.prototype, "inspect", {
  value: members[customInspect],
  writable: true,
  configurable: true,
});
for (const [key, name] of [
  ["parent", "buffer"],
  ["offset", "byteOffset"],
] as const) {
  Object.defineProperty(FastBuffer.prototype, key, {
    get(this: unknown) {
      return isBuffer(this) ? (this as Uint8Array)[name] : undefined;
    },
    enumerable: true,
    configurable: true,
  });
}
defineNumbers(FastBuffer.prototype);

/** Called with and without `new`. */
function SlowBuffer(size: unknown): Buffer {
  return allocUnsafe(size);
}

/** node:buffer. */
export const buffer = {
  Blob,
  Buffer,
  File,
  SlowBuffer,
  atob,
  btoa,
  constants: Object.freeze({ __proto__: null, MAX_LENGTH: maxLength, MAX_STRING_LENGTH: maxStringLength }),
  get INSPECT_MAX_BYTES(): number {
    return inspectedBytes;
  },
  set INSPECT_MAX_BYTES(value: number) {
    validateNumber(value, "INSPECT_MAX_BYTES", 0);
    inspectedBytes = value;
  },
  isAscii,
  isUtf8,
  kMaxLength: maxLength,
  kStringMaxLength: maxStringLength,
  resolveObjectURL: (_id: string): undefined => undefined,
  transcode,
};
