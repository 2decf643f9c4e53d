import { invalidType, nodeError, outOfRange } from "./errors.ts";

/** The methods that `defineNumbers` adds, as far as other modules use them. */
export interface NumberMethods {
  readUInt8(offset?: number): number;
  readUInt16BE(offset?: number): number;
  readUInt32BE(offset?: number): number;
  writeUInt32BE(value: number, offset?: number): number;
}

const float32 = new Float32Array(1);
const float32Bytes = new Uint8Array(float32.buffer);
const float64 = new Float64Array(1);
const float64Bytes = new Uint8Array(float64.buffer);

/** What is wrong with an offset at which `size` bytes do not lie. */
function badOffset(buffer: Uint8Array, offset: unknown, size: number): Error {
  if (typeof offset !== "number") return invalidType("offset", "of type number", offset);
  if (Math.floor(offset) !== offset) return outOfRange("offset", "an integer", offset);
  if (buffer.length < size)
    return nodeError(
      RangeError,
      "ERR_BUFFER_OUT_OF_BOUNDS",
      "Attempt to access memory outside buffer bounds",
    );
  return outOfRange("offset", `>= 0 and <= ${buffer.length - size}`, offset);
}

function demand(buffer: Uint8Array, offset: unknown, size: number): number {
  if (typeof offset === "number" && offset >= 0 && offset + size <= buffer.length && Number.isInteger(offset))
    return offset;
  throw badOffset(buffer, offset, size);
}

function demandSize(size: unknown): number {
  if (typeof size !== "number") throw invalidType("byteLength", "of type number", size);
  if (Math.floor(size) !== size) throw outOfRange("byteLength", "an integer", size);
  if (size < 1 || size > 6) throw outOfRange("byteLength", ">= 1 and <= 6", size);
  return size;
}

function readUnsigned(buffer: Uint8Array, at: number, size: number, little: boolean): number {
  let value = 0;
  for (let i = 0; i < size; i++)
    value = value * 256 + (buffer[little ? at + size - 1 - i : at + i] as number);
  return value;
}

function readSigned(buffer: Uint8Array, at: number, size: number, little: boolean): number {
  const value = readUnsigned(buffer, at, size, little);
  return value >= 2 ** (size * 8 - 1) ? value - 2 ** (size * 8) : value;
}

function checkValue(value: number, size: number, signed: boolean): void {
  const high = signed ? 2 ** (size * 8 - 1) - 1 : 2 ** (size * 8) - 1;
  const low = signed ? -(2 ** (size * 8 - 1)) : 0;
  if (!(value > high || value < low)) return;
  const bits = size * 8;
  let range = signed ? `>= -(2 ** ${bits - 1}) and < 2 ** ${bits - 1}` : `>= 0 and < 2 ** ${bits}`;
  if (size <= 4) range = `>= ${low} and <= ${high}`;
  throw outOfRange("value", range, value);
}

function writeInteger(
  buffer: Uint8Array,
  given: unknown,
  offset: unknown,
  size: number,
  little: boolean,
  signed: boolean,
): number {
  const value = +(given as number);
  checkValue(value, size, signed);
  const at = demand(buffer, offset, size);
  let rest = Math.trunc(value) || 0;
  if (rest < 0) rest += 2 ** (size * 8);
  for (let i = 0; i < size; i++) {
    buffer[little ? at + i : at + size - 1 - i] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  return at + size;
}

function readFloat(buffer: Uint8Array, offset: unknown, size: 4 | 8, little: boolean): number {
  const at = demand(buffer, offset, size);
  const bytes = size === 4 ? float32Bytes : float64Bytes;
  for (let i = 0; i < size; i++) bytes[i] = buffer[little ? at + i : at + size - 1 - i] as number;
  return (size === 4 ? float32[0] : float64[0]) as number;
}

function writeFloat(
  buffer: Uint8Array,
  value: unknown,
  offset: unknown,
  size: 4 | 8,
  little: boolean,
): number {
  const number = +(value as number);
  const at = demand(buffer, offset, size);
  if (size === 4) float32[0] = number;
  else float64[0] = number;
  const bytes = size === 4 ? float32Bytes : float64Bytes;
  for (let i = 0; i < size; i++) buffer[little ? at + i : at + size - 1 - i] = bytes[i] as number;
  return at + size;
}

function readBig(buffer: Uint8Array, offset: unknown, little: boolean, signed: boolean): bigint {
  const at = demand(buffer, offset, 8);
  const first = BigInt(readUnsigned(buffer, at, 4, little));
  const second = BigInt(readUnsigned(buffer, at + 4, 4, little));
  const value = little ? (second << 32n) | first : (first << 32n) | second;
  return signed ? BigInt.asIntN(64, value) : value;
}

function writeBig(
  buffer: Uint8Array,
  value: unknown,
  offset: unknown,
  little: boolean,
  signed: boolean,
): number {
  if (typeof value !== "bigint") throw invalidType("value", "of type bigint", value);
  const low = signed ? -(2n ** 63n) : 0n;
  const high = signed ? 2n ** 63n : 2n ** 64n;
  if (value < low || value >= high)
    throw outOfRange("value", signed ? ">= -(2n ** 63n) and < 2n ** 63n" : ">= 0n and < 2n ** 64n", value);
  const at = demand(buffer, offset, 8);
  const bits = BigInt.asUintN(64, value);
  const upper = Number(bits >> 32n);
  const lower = Number(bits & 0xffffffffn);
  writeInteger(buffer, little ? lower : upper, at, 4, little, false);
  writeInteger(buffer, little ? upper : lower, at + 4, 4, little, false);
  return at + 8;
}

/** Adds Node's `readUInt8` … `writeDoubleLE` to a prototype of typed arrays. */
export function defineNumbers(prototype: object): void {
  const define = (name: string, value: unknown): void => {
    Object.defineProperty(prototype, name, { value, writable: true, configurable: true });
    // `readUint8` is the same function as `readUInt8`.
    if (name.includes("UInt")) {
      const alias = name.replace("UInt", "Uint");
      Object.defineProperty(prototype, alias, { value, writable: true, configurable: true });
    }
  };
  const integers = (size: 1 | 2 | 4, signed: boolean, order: "" | "LE" | "BE"): void => {
    const kind = `${signed ? "Int" : "UInt"}${size * 8}${order}`;
    const little = order !== "BE";
    const read = signed ? readSigned : readUnsigned;
    define(`read${kind}`, function (this: Uint8Array, offset: unknown = 0): number {
      return read(this, demand(this, offset, size), size, little);
    });
    define(`write${kind}`, function (this: Uint8Array, value: unknown, offset: unknown = 0): number {
      return writeInteger(this, value, offset, size, little, signed);
    });
  };
  for (const signed of [false, true]) {
    integers(1, signed, "");
    for (const order of ["LE", "BE"] as const) {
      const little = order === "LE";
      integers(2, signed, order);
      integers(4, signed, order);
      const kind = signed ? "Int" : "UInt";
      const read = signed ? readSigned : readUnsigned;
      define(`read${kind}${order}`, function (this: Uint8Array, offset: unknown, size: unknown): number {
        if (offset === undefined) throw invalidType("offset", "of type number", offset);
        const length = demandSize(size);
        return read(this, demand(this, offset, length), length, little);
      });
      define(
        `write${kind}${order}`,
        function (this: Uint8Array, value: unknown, offset: unknown, size: unknown): number {
          const length = demandSize(size);
          return writeInteger(this, value, offset, length, little, signed);
        },
      );
      const big = `Big${signed ? "Int" : "UInt"}64${order}`;
      define(`read${big}`, function (this: Uint8Array, offset: unknown = 0): bigint {
        return readBig(this, offset, little, signed);
      });
      define(`write${big}`, function (this: Uint8Array, value: unknown, offset: unknown = 0): number {
        return writeBig(this, value, offset, little, signed);
      });
    }
  }
  for (const order of ["LE", "BE"] as const) {
    const little = order === "LE";
    for (const [name, size] of [
      ["Float", 4],
      ["Double", 8],
    ] as const) {
      define(`read${name}${order}`, function (this: Uint8Array, offset: unknown = 0): number {
        return readFloat(this, offset, size, little);
      });
      define(
        `write${name}${order}`,
        function (this: Uint8Array, value: unknown, offset: unknown = 0): number {
          return writeFloat(this, value, offset, size, little);
        },
      );
    }
  }
}
