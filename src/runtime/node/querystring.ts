import { nodeError } from "./errors.ts";

type Values = Record<string, string | string[]>;

/** Percent-encodes as `encodeURIComponent` does, and says what is wrong in Node's words. */
function escapeText(value: unknown): string {
  const text =
    typeof value === "string" ? value : typeof value === "object" ? String(value) : `${value as string}`;
  try {
    return encodeURIComponent(text);
  } catch {
    throw nodeError(URIError, "ERR_INVALID_URI", "URI malformed");
  }
}

/** The bytes of a text whose `%XX` stand for bytes; what is no such sequence stays as it is. */
function unescapeBuffer(text: string): number[] {
  const bytes: number[] = [];
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 37 && /^[0-9a-fA-F]{2}/.test(text.slice(i + 1, i + 3))) {
      bytes.push(Number.parseInt(text.slice(i + 1, i + 3), 16));
      i += 2;
    } else bytes.push(code & 0xff);
  }
  return bytes;
}

function unescapeText(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return new TextDecoder().decode(new Uint8Array(unescapeBuffer(value)));
  }
}

declare const TextDecoder: new () => { decode(bytes: Uint8Array): string };

function primitive(value: unknown): string {
  if (typeof value === "string") return value;
  if (typeof value === "number" && Number.isFinite(value)) return `${value}`;
  if (typeof value === "bigint") return `${value}`;
  return typeof value === "boolean" ? `${value}` : "";
}

interface StringifyOptions {
  encodeURIComponent?: (text: string) => string;
}

function stringify(
  source: unknown,
  separator?: string | null,
  equals?: string | null,
  options?: StringifyOptions,
): string {
  if (source === null || typeof source !== "object") return "";
  const encode = options?.encodeURIComponent ?? ((text: string) => querystring.escape(text));
  const [between, is] = [separator || "&", equals || "="];
  const pieces: string[] = [];
  for (const [key, value] of Object.entries(source)) {
    const name = encode(primitive(key)) + is;
    if (Array.isArray(value)) for (const item of value) pieces.push(name + encode(primitive(item)));
    else pieces.push(name + encode(primitive(value)));
  }
  return pieces.join(between);
}

interface ParseOptions {
  maxKeys?: number;
  decodeURIComponent?: (text: string) => string;
}

function parse(
  text: unknown,
  separator?: string | null,
  equals?: string | null,
  options?: ParseOptions,
): Values {
  const values = { __proto__: null } as unknown as Values;
  if (typeof text !== "string" || text === "") return values;
  const [between, is] = [separator ? `${separator}` : "&", equals ? `${equals}` : "="];
  const decode = options?.decodeURIComponent ?? querystring.unescape;
  const attempt = (piece: string): string => {
    const spaced = piece.replaceAll("+", " ");
    if (decode === unescapeText && !spaced.includes("%")) return spaced;
    try {
      return decode(spaced);
    } catch {
      return unescapeText(spaced);
    }
  };
  const maximum = typeof options?.maxKeys === "number" ? options.maxKeys : 1000;
  let pieces = text.split(between);
  if (maximum > 0) pieces = pieces.filter((piece) => piece !== "").slice(0, maximum);
  for (const piece of pieces) {
    if (piece === "") continue;
    const at = piece.indexOf(is);
    const name = attempt(at < 0 ? piece : piece.slice(0, at));
    const value = at < 0 ? "" : attempt(piece.slice(at + is.length));
    const known = values[name];
    if (known === undefined) values[name] = value;
    else if (Array.isArray(known)) known.push(value);
    else values[name] = [known, value];
  }
  return values;
}

/** node:querystring. */
export const querystring = {
  decode: parse,
  encode: stringify,
  escape: escapeText,
  parse,
  stringify,
  unescape: unescapeText,
  unescapeBuffer: (text: string): Uint8Array => new Uint8Array(unescapeBuffer(text)),
};
