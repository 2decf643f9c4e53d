import { ArrayPush, StringCharCodeAt, StringIndexOf, StringSlice, TypedArraySlice } from "./primordials.ts";
import { ascii, decodeUtf8WithMark, encodeUtf8 } from "./utf8.ts";

/** application/x-www-form-urlencoded parsing (URL §5.1): name, value, name, value… */
export function parseUrlencoded(input: string): string[] {
  const list: string[] = [];
  const { length } = input;
  for (let start = 0; start < length; ) {
    let end = StringIndexOf(input, "&", start);
    if (end < 0) end = length;
    if (end > start) {
      let equals = StringIndexOf(input, "=", start);
      if (equals < 0 || equals > end) equals = end;
      ArrayPush(list, decode(input, start, equals));
      ArrayPush(list, equals < end ? decode(input, equals + 1, end) : "");
    }
    start = end + 1;
  }
  return list;
}

function hexValue(code: number): number {
  if (code >= 48 && code <= 57) return code - 48;
  if (code >= 65 && code <= 70) return code - 55;
  if (code >= 97 && code <= 102) return code - 87;
  return -1;
}

function decode(input: string, start: number, end: number): string {
  const text = StringSlice(input, start, end);
  let plain = true;
  for (let i = 0; i < text.length && plain; i++) {
    const code = StringCharCodeAt(text, i);
    plain = code !== 43 && code !== 37;
  }
  return plain ? text : percentDecode(encodeUtf8(text));
}

/** The same, for bytes that need not be UTF-8 until they are decoded. They stay as they are. */
export function parseUrlencodedBytes(bytes: Uint8Array): string[] {
  const { length } = bytes;
  const text = ascii(bytes, length);
  if (text !== null) return parseUrlencoded(text);
  const list: string[] = [];
  for (let start = 0; start < length; ) {
    let end = start;
    let equals = -1;
    for (; end < length && bytes[end] !== 38; end++) if (bytes[end] === 61 && equals < 0) equals = end;
    if (end > start) {
      const nameEnd = equals < 0 ? end : equals;
      ArrayPush(list, percentDecode(TypedArraySlice(bytes, start, nameEnd)));
      ArrayPush(list, equals < 0 ? "" : percentDecode(TypedArraySlice(bytes, equals + 1, end)));
    }
    start = end + 1;
  }
  return list;
}

/** @param bytes are overwritten. */
function percentDecode(bytes: Uint8Array): string {
  let at = 0;
  for (let i = 0; i < bytes.length; i++) {
    let byte = bytes[i] as number;
    if (byte === 43) {
      byte = 32;
    } else if (byte === 37 && i + 2 < bytes.length) {
      const high = hexValue(bytes[i + 1] as number);
      const low = hexValue(bytes[i + 2] as number);
      if (high >= 0 && low >= 0) {
        byte = (high << 4) | low;
        i += 2;
      }
    }
    bytes[at++] = byte;
  }
  return decodeUtf8WithMark(bytes, at);
}

const hex = "0123456789ABCDEF";
const escapes: string[] = [];
for (let i = 0; i < 256; i++) {
  const character = String.fromCharCode(i);
  const keep =
    (i >= 48 && i <= 57) || (i >= 65 && i <= 90) || (i >= 97 && i <= 122) || "*-._".includes(character);
  escapes[i] = keep ? character : i === 32 ? "+" : `%${hex[i >> 4]}${hex[i & 15]}`;
}

function encode(text: string): string {
  let plain = true;
  for (let i = 0; i < text.length && plain; i++) {
    const code = StringCharCodeAt(text, i);
    plain = code < 128 && (escapes[code] as string).length === 1 && code !== 32;
  }
  if (plain) return text;
  const bytes = encodeUtf8(text);
  let result = "";
  for (let i = 0; i < bytes.length; i++) result += escapes[bytes[i] as number];
  return result;
}

/** application/x-www-form-urlencoded serialising (URL §5.2) of a flat list. */
export function serializeUrlencoded(list: readonly string[]): string {
  let result = "";
  for (let i = 0; i < list.length; i += 2) {
    if (i > 0) result += "&";
    result += `${encode(list[i] as string)}=${encode(list[i + 1] as string)}`;
  }
  return result;
}
