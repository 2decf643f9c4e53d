import { part } from "../part.ts";
import {
  ArrayBufferIsView,
  isArrayBuffer,
  StringCharCodeAt,
  StringFromCharCode,
  StringSlice,
  StringStartsWith,
  StringToLowerCase,
  TypedArrayTag,
  Uint8ArrayNative,
  viewBuffer,
  viewLength,
  viewOffset,
} from "./primordials.ts";
import {
  ascii,
  decodeUtf8Fatal,
  decodeUtf8WithMark,
  encodeUtf8,
  encodeUtf8Into,
  progress,
  Units,
  Utf8Decoder,
} from "./utf8.ts";
import { defineInterface, quote, toDictionary } from "./webidl.ts";
import { trimAsciiSpace } from "./whitespace.ts";

/** Encoding §7.4. */
export class TextEncoder {
  get encoding(): string {
    return "utf-8";
  }

  encode(input: string = ""): Uint8Array<ArrayBuffer> {
    return encodeUtf8(`${input}`);
  }

  encodeInto(source: string, destination: Uint8Array): { read: number; written: number } {
    if (TypedArrayTag(destination) !== "Uint8Array") {
      throw new TypeError("cannot encode: destination is not a Uint8Array");
    }
    encodeUtf8Into(`${source}`, destination, viewLength(destination));
    return { read: progress.read, written: progress.written };
  }
}

/** The labels of Encoding §4.2 for the encodings that are here; `parts/legacy-encodings.ts` has the others. */
const labels = (() => {
  const table = { __proto__: null } as unknown as Record<string, string>;
  const add = (encoding: string, names: string): void => {
    const list = names.split(" ");
    for (let i = 0; i < list.length; i++) table[list[i] as string] = encoding;
  };
  add("utf-8", "unicode-1-1-utf-8 unicode11utf8 unicode20utf8 utf-8 utf8 x-unicode20utf8");
  add("utf-16le", "csunicode iso-10646-ucs-2 ucs-2 unicode unicodefeff utf-16 utf-16le");
  add("utf-16be", "unicodefffe utf-16be");
  add(
    "windows-1252",
    "ansi_x3.4-1968 ascii cp1252 cp819 csisolatin1 ibm819 iso-8859-1 iso-ir-100 iso8859-1 iso88591 " +
      "iso_8859-1 iso_8859-1:1987 l1 latin1 us-ascii windows-1252 x-cp1252",
  );
  return table;
})();

/** What windows-1252 has at 0x80 to 0x9F, where it differs from Latin-1. */
const high1252 =
  "\u20ac\x81\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u0160\u2039\u0152\x8d\u017d\x8f" +
  "\x90\u2018\u2019\u201c\u201d\u2022\u2013\u2014\u02dc\u2122\u0161\u203a\u0153\x9d\u017e\u0178";

function labelOf(value: unknown): string {
  return trimAsciiSpace(StringToLowerCase(`${value as string}`));
}

/** The bytes of a BufferSource, seen without copying. */
export function viewBytes(value: unknown, what: string): Uint8Array<ArrayBuffer> {
  if (ArrayBufferIsView(value)) {
    return new Uint8ArrayNative(viewBuffer(value), viewOffset(value), viewLength(value));
  }
  if (isArrayBuffer(value)) return new Uint8ArrayNative(value);
  throw new TypeError(`${what} is neither an ArrayBuffer nor a view of one`);
}

/** The UTF-16 decoders (Encoding §14.2.1): half a code unit, or half a surrogate pair, stays for the next chunk. */
class Utf16Decoder implements Decoder {
  readonly #fatal: boolean;
  readonly #bigEndian: boolean;
  #byte = -1;
  #lead = -1;

  constructor(fatal: boolean, bigEndian: boolean) {
    this.#fatal = fatal;
    this.#bigEndian = bigEndian;
  }

  decode(bytes: Uint8Array, end: number, last: boolean): string {
    const units = new Units();
    for (let i = 0; i < end; i++) {
      const byte = bytes[i] as number;
      if (this.#byte < 0) {
        this.#byte = byte;
        continue;
      }
      const unit = this.#bigEndian ? (this.#byte << 8) | byte : (byte << 8) | this.#byte;
      this.#byte = -1;
      this.#add(unit, units);
    }
    if (last && (this.#lead >= 0 || this.#byte >= 0)) {
      this.#lead = -1;
      this.#byte = -1;
      this.#error(units);
    }
    return units.finish();
  }

  #add(unit: number, units: Units): void {
    const lead = this.#lead;
    this.#lead = -1;
    const isTrail = (unit & 0xfc00) === 0xdc00;
    if (lead >= 0) {
      if (isTrail) {
        units.push(lead);
        units.push(unit);
        return;
      }
      this.#error(units);
    }
    if ((unit & 0xfc00) === 0xd800) this.#lead = unit;
    else if (isTrail) this.#error(units);
    else units.push(unit);
  }

  #error(units: Units): void {
    if (this.#fatal) throw new TypeError("cannot decode: the data is not valid UTF-16");
    units.push(0xfffd);
  }
}

class Windows1252Decoder implements Decoder {
  decode(bytes: Uint8Array, end: number): string {
    const plain = ascii(bytes, end);
    if (plain !== null) return plain;
    let text = "";
    for (let i = 0; i < end; i++) {
      const byte = bytes[i] as number;
      text += byte >= 0x80 && byte < 0xa0 ? high1252[byte - 0x80] : StringFromCharCode(byte);
    }
    return text;
  }
}

/** What decodes one stream. Its `decode` throws a TypeError for malformed data when that is fatal. */
export interface Decoder {
  /** @param end of the bytes to decode. @param last nothing follows, so an unfinished character is malformed. */
  decode(bytes: Uint8Array, end: number, last: boolean): string;
}

const loadLegacy = (): typeof import("../parts/legacy-encodings.ts") => part("legacy-encodings");

/** "Get an encoding" (Encoding §4.2). */
function encodingOf(label: string): string {
  const name = labelOf(label);
  const encoding = labels[name] ?? loadLegacy().legacyEncoding(name);
  if (encoding === undefined || encoding === "replacement") {
    throw new RangeError(`cannot make a TextDecoder: label ${quote(`${label}`)} is not that of an encoding`);
  }
  return encoding;
}

function makeDecoder(encoding: string, fatal: boolean): Decoder {
  switch (encoding) {
    case "utf-8":
      return new Utf8Decoder(fatal);
    case "utf-16le":
      return new Utf16Decoder(fatal, false);
    case "utf-16be":
      return new Utf16Decoder(fatal, true);
    case "windows-1252":
      return new Windows1252Decoder();
    default:
      return loadLegacy().makeLegacyDecoder(encoding, fatal);
  }
}

export interface TextDecoderOptions {
  fatal?: boolean;
  ignoreBOM?: boolean;
}

const nothing = new Uint8ArrayNative(0);

/** Encoding §7.2. */
export class TextDecoder {
  readonly #encoding: string;
  /** UTF-8 or UTF-16, the encodings that may begin with a byte order mark. */
  readonly #isUnicode: boolean;
  readonly #fatal: boolean;
  readonly #ignoreBOM: boolean;
  /** Kept from one call to the next only while streaming. */
  #decoder: Decoder | null = null;
  #bomSeen = false;

  constructor(label: string = "utf-8", options?: TextDecoderOptions) {
    this.#encoding = label === "utf-8" ? label : encodingOf(label);
    this.#isUnicode = StringStartsWith(this.#encoding, "utf-");
    const dictionary = toDictionary(options, "options");
    this.#fatal = dictionary !== null && !!dictionary.fatal;
    this.#ignoreBOM = dictionary !== null && !!dictionary.ignoreBOM;
  }

  get encoding(): string {
    return this.#encoding;
  }

  get fatal(): boolean {
    return this.#fatal;
  }

  get ignoreBOM(): boolean {
    return this.#ignoreBOM;
  }

  decode(input?: ArrayBuffer | ArrayBufferView, options?: { stream?: boolean }): string {
    const bytes = input === undefined ? nothing : viewBytes(input, "input");
    const dictionary = toDictionary(options, "options");
    const stream = dictionary !== null && !!dictionary.stream;
    const { length } = bytes;
    if (this.#decoder === null && !stream && this.#encoding === "utf-8") {
      const whole = this.#fatal ? decodeUtf8Fatal(bytes) : decodeUtf8WithMark(bytes, length);
      return this.#ignoreBOM || StringCharCodeAt(whole, 0) !== 0xfeff ? whole : StringSlice(whole, 1);
    }
    this.#decoder ??= makeDecoder(this.#encoding, this.#fatal);
    const decoder = this.#decoder;
    if (!stream) this.#decoder = null;
    let text: string;
    try {
      text = decoder.decode(bytes, length, !stream);
    } catch (error) {
      this.#decoder = null;
      this.#bomSeen = false;
      throw error;
    }
    if (!this.#bomSeen && !this.#ignoreBOM && this.#isUnicode && text !== "") {
      this.#bomSeen = true;
      if (StringCharCodeAt(text, 0) === 0xfeff) text = StringSlice(text, 1);
    }
    if (!stream) this.#bomSeen = false;
    return text;
  }
}

/** UTF-8 for text that comes in pieces: a surrogate pair may be cut in two (Encoding §7.6). */
export class PiecewiseEncoder {
  #lead = "";

  encode(chunk: unknown): Uint8Array<ArrayBuffer> {
    let text = `${this.#lead}${chunk as string}`;
    this.#lead = "";
    const last = StringCharCodeAt(text, text.length - 1);
    if ((last & 0xfc00) === 0xd800) {
      this.#lead = StringSlice(text, text.length - 1);
      text = StringSlice(text, 0, text.length - 1);
    }
    return encodeUtf8(text);
  }

  finish(): Uint8Array<ArrayBuffer> | null {
    if (this.#lead === "") return null;
    this.#lead = "";
    return encodeUtf8("\ufffd");
  }
}

defineInterface(TextEncoder, "TextEncoder");
defineInterface(TextDecoder, "TextDecoder", 0, { decode: 0 });
