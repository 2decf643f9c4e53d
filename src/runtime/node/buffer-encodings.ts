import { ascii, encodeUtf8, encodeUtf8Into, progress, Utf8Decoder, utf8Length } from "../web/utf8.ts";

export type Encoding = "utf8" | "utf16le" | "latin1" | "ascii" | "base64" | "base64url" | "hex";

/** Node's canonical name of an encoding; undefined when there is none of that name. */
export function encodingOf(name: unknown): Encoding | undefined {
  if (name === "utf8" || name === undefined || name === null || name === "") return "utf8";
  switch (`${name}`.toLowerCase()) {
    case "utf8":
    case "utf-8":
      return "utf8";
    case "ucs2":
    case "ucs-2":
    case "utf16le":
    case "utf-16le":
      return "utf16le";
    case "latin1":
    case "binary":
      return "latin1";
    case "ascii":
      return "ascii";
    case "base64":
      return "base64";
    case "base64url":
      return "base64url";
    case "hex":
      return "hex";
    default:
      return undefined;
  }
}

/** What V8 of Node.js 26 has, and that of 24 does not. */
interface NativeCodecs {
  toHex?(): string;
  toBase64?(options?: { alphabet?: string; omitPadding?: boolean }): string;
}

const codecs = Uint8Array.prototype as NativeCodecs;
const nativeHex = codecs.toHex;
const nativeBase64 = codecs.toBase64;
const blockSize = 4096;

/** @param mask 0xff for latin1, 0x7f for ascii. */
function characters(bytes: Uint8Array, mask: number): string {
  let text = "";
  for (let from = 0; from < bytes.length; from += blockSize) {
    const to = Math.min(from + blockSize, bytes.length);
    const codes = new Array<number>(to - from);
    for (let i = from; i < to; i++) codes[i - from] = (bytes[i] as number) & mask;
    text += String.fromCharCode.apply(undefined, codes);
  }
  return text;
}

function utf16(bytes: Uint8Array): string {
  let text = "";
  const units = bytes.length >> 1;
  for (let from = 0; from < units; from += blockSize) {
    const to = Math.min(from + blockSize, units);
    const codes = new Array<number>(to - from);
    for (let i = from; i < to; i++)
      codes[i - from] = (bytes[i * 2] as number) | ((bytes[i * 2 + 1] as number) << 8);
    text += String.fromCharCode.apply(undefined, codes);
  }
  return text;
}

const hexDigits = "0123456789abcdef";
const hexPairs: string[] = [];
for (let i = 0; i < 256; i++) hexPairs.push((hexDigits[i >> 4] as string) + hexDigits[i & 15]);

function toHex(bytes: Uint8Array): string {
  if (nativeHex !== undefined) return nativeHex.call(bytes);
  let text = "";
  for (let i = 0; i < bytes.length; i++) text += hexPairs[bytes[i] as number];
  return text;
}

const standard = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const urlSafe = `${standard.slice(0, 62)}-_`;
/** Values of characters of both alphabets; -1 for others. */
const sextets = new Int8Array(256).fill(-1);
for (let i = 0; i < 64; i++) {
  sextets[standard.charCodeAt(i)] = i;
  sextets[urlSafe.charCodeAt(i)] = i;
}

function toBase64(bytes: Uint8Array, url: boolean): string {
  if (nativeBase64 !== undefined)
    return nativeBase64.call(bytes, url ? { alphabet: "base64url", omitPadding: true } : undefined);
  const alphabet = url ? urlSafe : standard;
  const pieces: string[] = [];
  let text = "";
  const whole = bytes.length - (bytes.length % 3);
  for (let i = 0; i < whole; i += 3) {
    const value = ((bytes[i] as number) << 16) | ((bytes[i + 1] as number) << 8) | (bytes[i + 2] as number);
    text +=
      (alphabet[value >> 18] as string) +
      alphabet[(value >> 12) & 63] +
      alphabet[(value >> 6) & 63] +
      alphabet[value & 63];
    if (text.length > 8192) {
      pieces.push(text);
      text = "";
    }
  }
  if (bytes.length - whole === 1) {
    const value = bytes[whole] as number;
    text += (alphabet[value >> 2] as string) + alphabet[(value & 3) << 4] + (url ? "" : "==");
  } else if (bytes.length - whole === 2) {
    const value = ((bytes[whole] as number) << 8) | (bytes[whole + 1] as number);
    text +=
      (alphabet[value >> 10] as string) +
      alphabet[(value >> 4) & 63] +
      alphabet[(value & 15) << 2] +
      (url ? "" : "=");
  }
  return pieces.length === 0 ? text : pieces.join("") + text;
}

export function decode(bytes: Uint8Array, encoding: Encoding): string {
  switch (encoding) {
    case "utf8":
      return ascii(bytes, bytes.length) ?? new Utf8Decoder(false).decode(bytes, bytes.length, true);
    case "utf16le":
      return utf16(bytes);
    case "latin1":
      return characters(bytes, 0xff);
    case "ascii":
      return characters(bytes, 0x7f);
    case "hex":
      return toHex(bytes);
    case "base64":
      return toBase64(bytes, false);
    case "base64url":
      return toBase64(bytes, true);
  }
}

/** How many bytes Node sets aside for base64: padding at the very end is looked at, nothing else. */
function base64Length(text: string): number {
  let { length } = text;
  if (text.charCodeAt(length - 1) === 0x3d) length--;
  if (length > 1 && text.charCodeAt(length - 1) === 0x3d) length--;
  return (length * 3) >>> 2;
}

export function encodedLength(text: string, encoding: Encoding): number {
  switch (encoding) {
    case "utf8":
      return utf8Length(text);
    case "utf16le":
      return text.length * 2;
    case "latin1":
    case "ascii":
      return text.length;
    case "hex":
      return text.length >>> 1;
    case "base64":
    case "base64url":
      return base64Length(text);
  }
}

/** Writes as much of `text` as fits, whole characters only; gives the number of bytes. */
export function encodeInto(text: string, bytes: Uint8Array, encoding: Encoding): number {
  switch (encoding) {
    case "utf8":
      encodeUtf8Into(text, bytes, bytes.length);
      return progress.written;
    case "utf16le": {
      const units = Math.min(text.length, bytes.length >> 1);
      for (let i = 0; i < units; i++) {
        const code = text.charCodeAt(i);
        bytes[i * 2] = code & 0xff;
        bytes[i * 2 + 1] = code >> 8;
      }
      return units * 2;
    }
    case "latin1":
    case "ascii": {
      const length = Math.min(text.length, bytes.length);
      for (let i = 0; i < length; i++) bytes[i] = text.charCodeAt(i);
      return length;
    }
    case "hex": {
      const length = Math.min(text.length >>> 1, bytes.length);
      for (let i = 0; i < length; i++) {
        const high = hexValue(text.charCodeAt(i * 2));
        const low = hexValue(text.charCodeAt(i * 2 + 1));
        if (high < 0 || low < 0) return i;
        bytes[i] = (high << 4) | low;
      }
      return length;
    }
    case "base64":
    case "base64url":
      return fromBase64(text, bytes);
  }
}

function hexValue(code: number): number {
  if (code >= 48 && code <= 57) return code - 48;
  const letter = code | 32;
  return letter >= 97 && letter <= 102 ? letter - 87 : -1;
}

/** Takes both alphabets, passes over what belongs to neither, and ends at the padding. */
function fromBase64(text: string, bytes: Uint8Array): number {
  let at = 0;
  let bits = 0;
  let value = 0;
  for (let i = 0; i < text.length && at < bytes.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 0x3d) break;
    const sextet = code < 256 ? (sextets[code] as number) : -1;
    if (sextet < 0) continue;
    value = ((value << 6) | sextet) & 0xffffff;
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    bytes[at++] = (value >> bits) & 0xff;
  }
  return at;
}

/** The bytes of `text`, in an array of just their number. */
export function encode(text: string, encoding: Encoding): Uint8Array {
  if (encoding === "utf8") return encodeUtf8(text);
  const bytes = new Uint8Array(encodedLength(text, encoding));
  const written = encodeInto(text, bytes, encoding);
  return written === bytes.length ? bytes : bytes.slice(0, written);
}
