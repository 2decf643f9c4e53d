import { nativeBytes, nativeText } from "../bridge/natives.ts";
import {
  ArraySlice,
  ReflectApply,
  StringCharCodeAt,
  StringFromCharCode,
  StringSlice,
  TypedArraySubarray,
  Uint8ArrayNative,
} from "./primordials.ts";

/** Number of bytes that `text` takes in UTF-8; a lone surrogate counts as U+FFFD. */
export function utf8Length(text: string): number {
  let length = text.length;
  for (let i = 0; i < text.length; i++) {
    const code = StringCharCodeAt(text, i);
    if (code < 0x80) continue;
    if (code < 0x800) {
      length += 1;
    } else if (isHigh(code) && i + 1 < text.length && isLow(StringCharCodeAt(text, i + 1))) {
      length += 2;
      i++;
    } else {
      length += 2;
    }
  }
  return length;
}

function isHigh(code: number): boolean {
  return (code & 0xfc00) === 0xd800;
}

function isLow(code: number): boolean {
  return (code & 0xfc00) === 0xdc00;
}

/** How far `encodeUtf8Into` came: code units read, bytes written. One object serves all calls. */
export const progress = { read: 0, written: 0 };

/** Writes as many whole code points as fit, and leaves the counts in `progress`. */
export function encodeUtf8Into(text: string, bytes: Uint8Array, capacity: number): void {
  let at = 0;
  let i = 0;
  for (; i < text.length; i++) {
    const code = StringCharCodeAt(text, i);
    if (code < 0x80) {
      if (at >= capacity) break;
      bytes[at++] = code;
    } else if (code < 0x800) {
      if (at + 2 > capacity) break;
      bytes[at++] = 0xc0 | (code >> 6);
      bytes[at++] = 0x80 | (code & 63);
    } else if (isHigh(code) && i + 1 < text.length && isLow(StringCharCodeAt(text, i + 1))) {
      if (at + 4 > capacity) break;
      const point = ((code & 0x3ff) << 10) + (StringCharCodeAt(text, i + 1) & 0x3ff) + 0x10000;
      bytes[at++] = 0xf0 | (point >> 18);
      bytes[at++] = 0x80 | ((point >> 12) & 63);
      bytes[at++] = 0x80 | ((point >> 6) & 63);
      bytes[at++] = 0x80 | (point & 63);
      i++;
    } else {
      if (at + 3 > capacity) break;
      const unit = (code & 0xf800) === 0xd800 ? 0xfffd : code;
      bytes[at++] = 0xe0 | (unit >> 12);
      bytes[at++] = 0x80 | ((unit >> 6) & 63);
      bytes[at++] = 0x80 | (unit & 63);
    }
  }
  progress.read = i;
  progress.written = at;
}

/** `text` in UTF-8, in an array of exactly its size (Encoding §6). */
export function encodeUtf8(text: string): Uint8Array<ArrayBuffer> {
  const { length } = text;
  if (length >= nativeFrom && length <= nativeTo) {
    return nativeBytes("encodeUtf8", text) as Uint8Array<ArrayBuffer>;
  }
  const bytes = new Uint8ArrayNative(length);
  let i = 0;
  for (; i < length; i++) {
    const code = StringCharCodeAt(text, i);
    if (code >= 0x80) break;
    bytes[i] = code;
  }
  if (i === length) return bytes;
  const size = utf8Length(text);
  const larger = new Uint8ArrayNative(size);
  encodeUtf8Into(text, larger, size);
  return larger;
}

/** Lengths that the host's native code takes over; it refuses more, so that no call holds the shard up. */
const nativeFrom = 8192;
const nativeTo = 16 * 1024 * 1024;

const blockSize = 1024;
// String.fromCharCode applied to a plain array makes 1,024 characters in one call: 2.3 ns a character, where
// concatenation takes 5 ns and an array view 4 ns.
const block: number[] = new Array<number>(blockSize).fill(0);

/** Collects UTF-16 code units into a string. One instance is in use at a time: it shares the block. */
export class Units {
  text = "";
  used = 0;

  push(unit: number): void {
    block[this.used++] = unit;
    if (this.used === blockSize) this.flush();
  }

  flush(): void {
    if (this.used === 0) return;
    const units = this.used === blockSize ? block : ArraySlice(block, 0, this.used);
    this.text += ReflectApply(StringFromCharCode, undefined, units);
    this.used = 0;
  }

  finish(): string {
    this.flush();
    return this.text;
  }
}

/** Bytes as characters U+0000 to U+00FF; null as soon as one has a bit that is not in `mask`. */
function characters(bytes: Uint8Array, end: number, mask: number): string | null {
  let text = "";
  for (let start = 0; start < end; start += blockSize) {
    const count = end - start < blockSize ? end - start : blockSize;
    let bits = 0;
    for (let i = 0; i < count; i++) {
      const byte = bytes[start + i] as number;
      bits |= byte;
      block[i] = byte;
    }
    if ((bits & ~mask) !== 0) return null;
    const units = count === blockSize ? block : ArraySlice(block, 0, count);
    text += ReflectApply(StringFromCharCode, undefined, units);
  }
  return text;
}

/** Each byte as the character of that number. */
export function latin1(bytes: Uint8Array, end: number): string {
  return characters(bytes, end, 0xff) as string;
}

/** The text when all of it is ASCII, else null. */
export function ascii(bytes: Uint8Array, end: number): string | null {
  return characters(bytes, end, 0x7f);
}

/**
 * The UTF-8 decoder (Encoding §8.1.1): keeps an unfinished sequence from one call to the next. Each ill-formed
 * sequence becomes one U+FFFD for its maximal valid prefix, or a TypeError when `fatal`.
 */
export class Utf8Decoder {
  readonly #fatal: boolean;
  #point = 0;
  #needed = 0;
  #lower = 0x80;
  #upper = 0xbf;

  constructor(fatal: boolean) {
    this.#fatal = fatal;
  }

  /** @param last the input ends here, so an unfinished sequence is ill-formed. */
  decode(bytes: Uint8Array, end: number, last: boolean): string {
    const units = new Units();
    for (let i = 0; i < end; i++) {
      const byte = bytes[i] as number;
      if (this.#needed === 0) {
        if (byte < 0x80) {
          units.push(byte);
        } else if (byte >= 0xc2 && byte <= 0xdf) {
          this.#needed = 1;
          this.#point = byte & 0x1f;
        } else if (byte >= 0xe0 && byte <= 0xef) {
          if (byte === 0xe0) this.#lower = 0xa0;
          if (byte === 0xed) this.#upper = 0x9f;
          this.#needed = 2;
          this.#point = byte & 0xf;
        } else if (byte >= 0xf0 && byte <= 0xf4) {
          if (byte === 0xf0) this.#lower = 0x90;
          if (byte === 0xf4) this.#upper = 0x8f;
          this.#needed = 3;
          this.#point = byte & 7;
        } else {
          this.#error(units);
        }
        continue;
      }
      if (byte < this.#lower || byte > this.#upper) {
        this.#reset();
        this.#error(units);
        i--;
        continue;
      }
      this.#lower = 0x80;
      this.#upper = 0xbf;
      this.#point = (this.#point << 6) | (byte & 63);
      if (--this.#needed > 0) continue;
      const point = this.#point;
      if (point < 0x10000) {
        units.push(point);
      } else {
        units.push(0xd7c0 + (point >> 10));
        units.push(0xdc00 | (point & 0x3ff));
      }
    }
    if (last && this.#needed > 0) {
      this.#reset();
      this.#error(units);
    }
    return units.finish();
  }

  #reset(): void {
    this.#needed = 0;
    this.#lower = 0x80;
    this.#upper = 0xbf;
  }

  #error(units: Units): void {
    if (this.#fatal) {
      this.#reset();
      throw new TypeError("cannot decode: the data is not valid UTF-8");
    }
    units.push(0xfffd);
  }
}

/** "UTF-8 decode" (Encoding §6): a leading BOM is dropped, ill-formed sequences become U+FFFD. */
export function decodeUtf8(bytes: Uint8Array): string {
  const text = decodeUtf8WithMark(bytes, bytes.length);
  return StringCharCodeAt(text, 0) === 0xfeff ? StringSlice(text, 1) : text;
}

/** "UTF-8 decode without BOM" (Encoding §6), which keeps a leading U+FEFF. */
export function decodeUtf8WithMark(bytes: Uint8Array, end: number): string {
  if (end >= nativeFrom && end <= nativeTo) {
    return nativeText("decodeUtf8", "", TypedArraySubarray(bytes, 0, end));
  }
  return ascii(bytes, end) ?? new Utf8Decoder(false).decode(bytes, end, true);
}

/** The same, with a TypeError for ill-formed sequences. */
export function decodeUtf8Fatal(bytes: Uint8Array): string {
  const end = bytes.length;
  if (end >= nativeFrom && end <= nativeTo) return nativeText("decodeUtf8", "fatal", bytes);
  return ascii(bytes, end) ?? new Utf8Decoder(true).decode(bytes, end, true);
}
