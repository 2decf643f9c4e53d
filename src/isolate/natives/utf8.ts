import { GuestFailure } from "../guest-failure.ts";
import type { Native } from "./native.ts";

/** 16 MiB take some 10 ms, the most that a call should hold the shard up. The guest goes on by itself beyond it. */
const MAX_LENGTH = 16 * 1024 * 1024;

const lenient = new TextDecoder("utf-8", { ignoreBOM: true });
const strict = new TextDecoder("utf-8", { ignoreBOM: true, fatal: true });

/** "UTF-8 decode without BOM", and with the text `fatal` the same "or fail" (Encoding §6). */
const decodeUtf8: Native = (text, bytes) => {
  if (bytes.length > MAX_LENGTH)
    throw new GuestFailure("RangeError", `more than ${MAX_LENGTH} bytes to decode`);
  if (text !== "fatal") return lenient.decode(bytes);
  try {
    return strict.decode(bytes);
  } catch {
    throw new GuestFailure("TypeError", "cannot decode: the data is not valid UTF-8");
  }
};

/** "UTF-8 encode" (Encoding §6); lone surrogates become U+FFFD. */
const encodeUtf8: Native = (text) => {
  if (text.length > MAX_LENGTH)
    throw new GuestFailure("RangeError", `more than ${MAX_LENGTH} characters to encode`);
  return Buffer.from(text, "utf8");
};

export const utf8Natives: readonly (readonly [string, Native])[] = [
  ["decodeUtf8", decodeUtf8],
  ["encodeUtf8", encodeUtf8],
];
