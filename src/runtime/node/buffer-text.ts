import { decode, encode, encodingOf } from "./buffer-encodings.ts";
import { type Buffer, isAnyArrayBuffer, wrap } from "./buffer-make.ts";
import { demandBytes } from "./buffer-search.ts";
import { invalidType, nodeError } from "./errors.ts";

function demandInput(value: unknown): Uint8Array {
  if (
    (value as { buffer?: { detached?: boolean }; detached?: boolean })?.buffer?.detached === true ||
    (value as ArrayBuffer)?.detached === true
  )
    throw nodeError(Error, "ERR_INVALID_STATE", "Invalid state: Cannot validate on a detached buffer");
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  if (isAnyArrayBuffer(value)) return new Uint8Array(value);
  throw invalidType("input", "an instance of ArrayBuffer, Buffer, or TypedArray", value);
}

export function transcode(source: unknown, fromEncoding: unknown, toEncoding: unknown): Buffer {
  demandBytes(source, "source");
  const [read, written] = [encodingOf(fromEncoding), encodingOf(toEncoding)];
  const known = new Set(["utf8", "utf16le", "latin1", "ascii"]);
  if (read === undefined || written === undefined || !known.has(read) || !known.has(written))
    throw nodeError(
      Error,
      "U_ILLEGAL_ARGUMENT_ERROR",
      "Unable to transcode Buffer [U_ILLEGAL_ARGUMENT_ERROR]",
    );
  let text = decode(source, read);
  const highest = written === "ascii" ? 0x7f : written === "latin1" ? 0xff : 0x10ffff;
  if (highest < 0x10ffff)
    text = Array.from(text, (c) => ((c.codePointAt(0) ?? 0) > highest ? "?" : c)).join("");
  return wrap(encode(text, written));
}

export function isUtf8(input: unknown): boolean {
  const bytes = demandInput(input);
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}

declare const TextDecoder: new (label: string, options: object) => { decode(bytes: Uint8Array): string };

export function isAscii(input: unknown): boolean {
  return demandInput(input).every((byte) => byte < 128);
}
