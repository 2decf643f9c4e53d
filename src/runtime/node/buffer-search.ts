import { type Encoding, encode, encodingOf } from "./buffer-encodings.ts";
import { invalidType, nodeError, validateNumber } from "./errors.ts";

export function demandEncoding(name: unknown): Encoding {
  const encoding = encodingOf(name);
  if (encoding === undefined)
    throw nodeError(TypeError, "ERR_UNKNOWN_ENCODING", `Unknown encoding: ${String(name)}`);
  return encoding;
}

export function isBytes(value: unknown): value is Uint8Array {
  return value instanceof Uint8Array;
}

export function demandBytes(value: unknown, name: string): asserts value is Uint8Array {
  if (!isBytes(value)) throw invalidType(name, "an instance of Buffer or Uint8Array", value);
}

/** What `indexOf` and its kin look for; a number stands for one byte. */
function needle(value: unknown, encoding: Encoding): Uint8Array | number {
  if (typeof value === "number") return (value >>> 0) & 255;
  if (typeof value === "string") return encode(value, encoding);
  if (isBytes(value)) return value;
  throw invalidType("value", "one of type number or string or an instance of Buffer or Uint8Array", value);
}

export function search(
  bytes: Uint8Array,
  value: unknown,
  offset: unknown,
  encoding: unknown,
  forward: boolean,
): number {
  let from = offset;
  let name = encoding;
  if (typeof from === "string") {
    name = from;
    from = undefined;
  }
  let at = +(from as number);
  if (Number.isNaN(at)) at = forward ? 0 : bytes.length;
  at = Math.trunc(Math.max(-0x80000000, Math.min(0x7fffffff, at)));
  const coded = typeof value === "number" ? "utf8" : demandEncoding(name);
  const wanted = needle(value, coded);
  if (at < 0) at += bytes.length;
  if (typeof wanted === "number") {
    if (at < 0) {
      if (!forward) return -1;
      at = 0;
    }
    return forward
      ? Uint8Array.prototype.indexOf.call(bytes, wanted, at)
      : at < 0
        ? -1
        : Uint8Array.prototype.lastIndexOf.call(bytes, wanted, at);
  }
  const { length } = wanted;
  if (at < 0) {
    if (!forward) return -1;
    at = 0;
  }
  if (length === 0) return Math.min(at, bytes.length);
  const last = bytes.length - length;
  const step = coded === "utf16le" ? 2 : 1;
  if (step === 2 && (length < 2 || bytes.length < 2)) return -1;
  const first = wanted[0] as number;
  if (forward) {
    for (let i = at; i <= last; i += step) {
      if (step === 1) {
        i = Uint8Array.prototype.indexOf.call(bytes, first, i);
        if (i < 0 || i > last) return -1;
      }
      if (matches(bytes, wanted, i)) return i;
    }
    return -1;
  }
  for (let i = Math.min(at, last); i >= 0; i--) {
    if ((step === 1 || i % step === 0) && matches(bytes, wanted, i)) return i;
  }
  return -1;
}

function matches(bytes: Uint8Array, wanted: Uint8Array, at: number): boolean {
  for (let i = 0; i < wanted.length; i++) if (bytes[at + i] !== wanted[i]) return false;
  return true;
}

export function swap(buffer: Uint8Array, size: number): Uint8Array {
  if (buffer.length % size !== 0)
    throw nodeError(
      RangeError,
      "ERR_INVALID_BUFFER_SIZE",
      `Buffer size must be a multiple of ${size * 8}-bits`,
    );
  for (let i = 0; i < buffer.length; i += size) buffer.subarray(i, i + size).reverse();
  return buffer;
}

export function fillBytes(
  buffer: Uint8Array,
  value: unknown,
  offset: unknown,
  end: unknown,
  encoding: unknown,
): Uint8Array {
  let [from, to, name] = [offset, end, encoding];
  if (typeof value === "string") {
    if (from === undefined || typeof from === "string") {
      name = from;
      from = undefined;
    } else if (typeof to === "string") {
      name = to;
      to = undefined;
    }
    if (name !== undefined && typeof name !== "string") throw invalidType("encoding", "of type string", name);
  }
  if (from !== undefined) validateNumber(from, "offset", 0, buffer.length);
  if (to !== undefined) validateNumber(to, "end", 0, buffer.length);
  const start = (from as number | undefined) ?? 0;
  const stop = (to as number | undefined) ?? buffer.length;
  if (start >= stop) return buffer;
  let pattern: Uint8Array;
  if (typeof value === "string") {
    const coded = demandEncoding(name);
    if (value === "") return Uint8Array.prototype.fill.call(buffer, 0, start, stop);
    pattern = encode(value, coded);
    if (pattern.length === 0)
      throw nodeError(
        TypeError,
        "ERR_INVALID_ARG_VALUE",
        `The argument 'value' is invalid. Received '${value}'`,
      );
  } else if (isBytes(value)) {
    pattern = value;
    if (pattern.length === 0)
      throw nodeError(
        TypeError,
        "ERR_INVALID_ARG_VALUE",
        "The argument 'value' is invalid. Received an empty array",
      );
  } else {
    const byte = typeof value === "boolean" ? +value : Number(value) & 255;
    return Uint8Array.prototype.fill.call(buffer, byte, start, stop);
  }
  if (pattern.length === 1) return Uint8Array.prototype.fill.call(buffer, pattern[0] as number, start, stop);
  for (let i = start; i < stop; i++) buffer[i] = pattern[(i - start) % pattern.length] as number;
  return buffer;
}
