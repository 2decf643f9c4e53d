import { Buffer } from "../parts/node-buffer.ts";
import { decode, type Encoding, encodingOf } from "./buffer-encodings.ts";
import { invalidType, nodeError } from "./errors.ts";

const none = new Uint8Array(0);

/** Bytes that end within a character wait for the rest of it. */
class Decoder {
  readonly encoding: string;
  readonly #coded: Encoding;
  #rest: Uint8Array = none;

  constructor(encoding?: unknown) {
    const coded = encodingOf(encoding);
    if (coded === undefined)
      throw nodeError(TypeError, "ERR_UNKNOWN_ENCODING", `Unknown encoding: ${String(encoding)}`);
    this.#coded = coded;
    this.encoding = coded;
  }

  get lastChar(): Uint8Array {
    return Buffer(this.#rest);
  }

  /** Bytes of the character that waits, in all. */
  get lastTotal(): number {
    return this.#rest.length === 0 ? 0 : this.#rest.length + this.lastNeed;
  }

  get lastNeed(): number {
    const { length } = this.#rest;
    if (length === 0) return 0;
    switch (this.#coded) {
      case "utf8":
        return sequenceLength(this.#rest[0] as number) - length;
      case "utf16le":
        return length % 2 === 1 ? 1 : 2;
      case "base64":
      case "base64url":
        return 3 - length;
      default:
        return 0;
    }
  }

  write(chunk: unknown): string {
    if (typeof chunk === "string") return chunk;
    if (!ArrayBuffer.isView(chunk))
      throw invalidType("buf", "an instance of Buffer, TypedArray, or DataView", chunk);
    let bytes = new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    if (this.#rest.length > 0) {
      const joined = new Uint8Array(this.#rest.length + bytes.length);
      joined.set(this.#rest);
      joined.set(bytes, this.#rest.length);
      bytes = joined;
    }
    const end = complete(bytes, this.#coded);
    this.#rest = end === bytes.length ? none : bytes.slice(end);
    return decode(end === bytes.length ? bytes : bytes.subarray(0, end), this.#coded);
  }

  end(chunk?: unknown): string {
    const text = chunk === undefined ? "" : this.write(chunk);
    const rest = this.#rest;
    this.#rest = none;
    if (rest.length === 0) return text;
    return text + decode(rest, this.#coded);
  }

  text(chunk: Uint8Array, offset: number): string {
    this.#rest = none;
    return this.write(chunk.subarray(offset));
  }
}

/** @returns bytes of the UTF-8 sequence that begins so; 0 for none. */
function sequenceLength(byte: number): number {
  if (byte < 0x80) return 1;
  if (byte >= 0xc2 && byte < 0xe0) return 2;
  if (byte >= 0xe0 && byte < 0xf0) return 3;
  return byte >= 0xf0 && byte < 0xf5 ? 4 : 0;
}

/** Where the last whole character ends. */
function complete(bytes: Uint8Array, encoding: Encoding): number {
  const { length } = bytes;
  switch (encoding) {
    case "utf16le": {
      const even = length - (length % 2);
      const high = even > 0 ? ((bytes[even - 1] as number) & 0xfc) === 0xd8 : false;
      return high ? even - 2 : even;
    }
    case "base64":
    case "base64url":
      return length - (length % 3);
    case "utf8": {
      // A sequence is cut off only when each byte that has come may stand where it does.
      for (let back = 1; back <= 3 && back <= length; back++) {
        const byte = bytes[length - back] as number;
        if ((byte & 0xc0) === 0x80) continue;
        const size = sequenceLength(byte);
        if (size <= back) return length;
        if (back > 1 && !mayFollow(byte, bytes[length - back + 1] as number)) return length;
        return length - back;
      }
      return length;
    }
    default:
      return length;
  }
}

/** Unicode §3.9, table 3-7: what the second byte of a sequence may be. */
function mayFollow(first: number, second: number): boolean {
  if (first === 0xe0) return second >= 0xa0;
  if (first === 0xed) return second < 0xa0;
  if (first === 0xf0) return second >= 0x90;
  if (first === 0xf4) return second < 0x90;
  return true;
}

const state = Symbol("decoder");

interface Holder {
  [state]: Decoder;
  encoding: string;
}

/** node:string_decoder. A function, since older packages call it on objects of their own. */
function StringDecoder(this: Holder | undefined, encoding?: unknown): unknown {
  const holder: Holder =
    this === undefined || (this as unknown) === globalThis
      ? (Object.create(StringDecoder.prototype as object) as Holder)
      : this;
  const decoder = new Decoder(encoding);
  Object.defineProperty(holder, state, { value: decoder, writable: true });
  holder.encoding = decoder.encoding;
  return holder;
}

Object.assign(StringDecoder.prototype, {
  write(this: Holder, chunk: unknown): string {
    return this[state].write(chunk);
  },
  end(this: Holder, chunk?: unknown): string {
    return this[state].end(chunk);
  },
  text(this: Holder, chunk: Uint8Array, offset: number): string {
    return this[state].text(chunk, offset);
  },
});
for (const name of ["lastChar", "lastNeed", "lastTotal"] as const) {
  Object.defineProperty(StringDecoder.prototype, name, {
    get(this: Holder) {
      return this[state][name];
    },
    configurable: true,
    enumerable: true,
  });
}

export const stringDecoder = { StringDecoder };
