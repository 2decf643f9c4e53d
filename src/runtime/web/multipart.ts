import { blobBytes, type File, makeFile, withNewlines } from "./blob.ts";
import { FormData, type FormDataEntryValue, formItems } from "./form-data.ts";
import { joinPieces } from "./pieces.ts";
import {
  ArrayPush,
  MathFloor,
  MathRandom,
  StringIndexOf,
  StringSlice,
  StringStartsWith,
  StringToLowerCase,
  TypedArraySlice,
  TypedArraySubarray,
} from "./primordials.ts";
import { decodeUtf8WithMark, encodeUtf8, latin1 } from "./utf8.ts";

/** A form as it goes on the wire. */
export class MultipartBody {
  readonly bytes: Uint8Array;
  readonly contentType: string;

  /** Fetch §2.2.5 with HTML's multipart/form-data encoding (§4.10.21.8). */
  constructor(form: FormData) {
    const boundary = makeBoundary();
    const chunks: Uint8Array[] = [];
    let size = 0;
    const add = (bytes: Uint8Array): void => {
      ArrayPush(chunks, bytes);
      size += bytes.length;
    };
    const items = formItems(form);
    for (let i = 0; i < items.length; i += 2) {
      const name = escapeName(withNewlines(items[i] as string, "\r\n"));
      const value = items[i + 1] as FormDataEntryValue;
      const head = `--${boundary}\r\nContent-Disposition: form-data; name="${name}"`;
      if (typeof value === "string") {
        add(encodeUtf8(`${head}\r\n\r\n${withNewlines(value, "\r\n")}\r\n`));
      } else {
        const type = value.type === "" ? "application/octet-stream" : value.type;
        add(encodeUtf8(`${head}; filename="${escapeName(value.name)}"\r\nContent-Type: ${type}\r\n\r\n`));
        add(blobBytes(value));
        add(encodeUtf8("\r\n"));
      }
    }
    add(encodeUtf8(`--${boundary}--\r\n`));
    this.bytes = joinPieces(chunks, chunks.length, size);
    this.contentType = `multipart/form-data; boundary=${boundary}`;
  }
}

/** It separates parts, and is no secret. */
function makeBoundary(): string {
  let boundary = "----formdata-sluice-";
  for (let i = 0; i < 16; i++) boundary += "0123456789abcdef"[MathFloor(MathRandom() * 16)];
  return boundary;
}

/** A quote or a line break in a name would end it, and could add fields of its own to the part. */
function escapeName(name: string): string {
  let result = "";
  for (let i = 0; i < name.length; i++) {
    const character = name[i] as string;
    if (character === "\n") result += "%0A";
    else if (character === "\r") result += "%0D";
    else if (character === '"') result += "%22";
    else result += character;
  }
  return result;
}

function unescapeName(name: string): string {
  let result = "";
  for (let i = 0; i < name.length; i++) {
    const three = name[i] === "%" ? StringSlice(name, i, i + 3) : "";
    if (three === "%0A" || three === "%0a") result += "\n";
    else if (three === "%0D" || three === "%0d") result += "\r";
    else if (three === "%22") result += '"';
    else {
      result += name[i];
      continue;
    }
    i += 2;
  }
  return result;
}

class PartHead {
  name: string | null = null;
  filename: string | null = null;
  type = "";
}

/** Reads multipart/form-data (RFC 7578); null when it is malformed. */
export function parseMultipart(bytes: Uint8Array, boundary: string): FormData | null {
  // One character a byte, so that indices agree and searching is the engine's.
  const text = latin1(bytes, bytes.length);
  const delimiter = `--${boundary}`;
  let at = StringStartsWith(text, delimiter) ? 0 : StringIndexOf(text, `\r\n${delimiter}`) + 2;
  if (at === 1) return null;
  const form = new FormData();
  const items = formItems(form);
  for (;;) {
    at += delimiter.length;
    if (StringStartsWith(text, "--", at)) return form;
    while (text[at] === " " || text[at] === "\t") at++;
    if (!StringStartsWith(text, "\r\n", at)) return null;
    at += 2;
    const head = new PartHead();
    const body = parseHead(bytes, text, at, head);
    if (body < 0 || head.name === null) return null;
    const end = StringIndexOf(text, `\r\n${delimiter}`, body);
    if (end < 0) return null;
    ArrayPush(items, head.name);
    ArrayPush(items, makeValue(bytes, body, end, head));
    at = end + 2;
  }
}

function makeValue(bytes: Uint8Array, start: number, end: number, head: PartHead): string | File {
  if (head.filename === null) return decodeUtf8WithMark(TypedArraySubarray(bytes, start, end), end - start);
  const type = head.type === "" ? "text/plain" : head.type;
  return makeFile(TypedArraySlice(bytes, start, end), head.filename, type);
}

/** Reads a part's fields; the index where its body begins, or -1. */
function parseHead(bytes: Uint8Array, text: string, start: number, head: PartHead): number {
  let line = start;
  while (!StringStartsWith(text, "\r\n", line)) {
    const end = StringIndexOf(text, "\r\n", line);
    const colon = StringIndexOf(text, ":", line);
    if (end < 0 || colon < 0 || colon > end) return -1;
    const field = StringToLowerCase(StringSlice(text, line, colon));
    if (field === "content-disposition") {
      if (!parseDisposition(bytes, text, colon + 1, end, head)) return -1;
    } else if (field === "content-type") {
      let from = colon + 1;
      while (text[from] === " " || text[from] === "\t") from++;
      head.type = StringToLowerCase(StringSlice(text, from, end));
    }
    line = end + 2;
  }
  return line + 2;
}

function parseDisposition(
  bytes: Uint8Array,
  text: string,
  start: number,
  end: number,
  head: PartHead,
): boolean {
  let at = start;
  const skip = (): void => {
    while (at < end && (text[at] === " " || text[at] === "\t" || text[at] === ";")) at++;
  };
  skip();
  if (StringToLowerCase(StringSlice(text, at, at + 9)) !== "form-data") return false;
  at += 9;
  for (;;) {
    skip();
    if (at >= end) return true;
    const equals = StringIndexOf(text, "=", at);
    if (equals < 0 || equals > end) return false;
    const key = StringToLowerCase(StringSlice(text, at, equals));
    at = equals + 1;
    let from = at;
    let to: number;
    if (text[at] === '"') {
      from = at + 1;
      to = StringIndexOf(text, '"', from);
      if (to < 0 || to > end) return false;
      at = to + 1;
    } else {
      to = StringIndexOf(text, ";", at);
      if (to < 0 || to > end) to = end;
      at = to;
    }
    const value = unescapeName(decodeUtf8WithMark(TypedArraySubarray(bytes, from, to), to - from));
    if (key === "name") head.name = value;
    else if (key === "filename") head.filename = value;
  }
}
