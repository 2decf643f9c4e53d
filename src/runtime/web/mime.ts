import { StringCharCodeAt, StringIndexOf, StringSlice, StringToLowerCase } from "./primordials.ts";

/** A parsed MIME type (MIME Sniffing §4.4). */
export interface MimeType {
  /** `type/subtype`, lower case. */
  readonly essence: string;
  /** Names in lower case and values, in turn; the first of each name counts. */
  readonly parameters: readonly string[];
}

function isSpace(code: number): boolean {
  return code === 32 || code === 9 || code === 10 || code === 13;
}

function trim(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isSpace(StringCharCodeAt(text, start))) start++;
  while (end > start && isSpace(StringCharCodeAt(text, end - 1))) end--;
  return StringSlice(text, start, end);
}

/** Null when `value` is not a MIME type. */
export function parseMime(value: string): MimeType | null {
  const semicolon = StringIndexOf(value, ";");
  const essence = StringToLowerCase(trim(semicolon < 0 ? value : StringSlice(value, 0, semicolon)));
  const slash = StringIndexOf(essence, "/");
  if (slash <= 0 || slash === essence.length - 1) return null;
  const parameters: string[] = [];
  let at = semicolon < 0 ? value.length : semicolon + 1;
  while (at < value.length) {
    while (at < value.length && isSpace(StringCharCodeAt(value, at))) at++;
    let end = at;
    while (end < value.length && value[end] !== ";" && value[end] !== "=") end++;
    const name = StringToLowerCase(StringSlice(value, at, end));
    if (end >= value.length || value[end] === ";") {
      at = end + 1;
      continue;
    }
    at = end + 1;
    let text = "";
    if (value[at] === '"') {
      for (at++; at < value.length && value[at] !== '"'; at++) {
        if (value[at] === "\\" && at + 1 < value.length) at++;
        text += value[at];
      }
      const next = StringIndexOf(value, ";", at);
      at = next < 0 ? value.length : next + 1;
    } else {
      const next = StringIndexOf(value, ";", at);
      const stop = next < 0 ? value.length : next;
      text = trim(StringSlice(value, at, stop));
      at = stop + 1;
      if (text === "") continue;
    }
    if (name !== "" && parameter(parameters, name) === null) {
      parameters[parameters.length] = name;
      parameters[parameters.length] = text;
    }
  }
  return { essence, parameters };
}

export function parameter(parameters: readonly string[], name: string): string | null {
  for (let i = 0; i < parameters.length; i += 2)
    if (parameters[i] === name) return parameters[i + 1] as string;
  return null;
}

/** MIME Sniffing §4.5. */
export function serializeMime(type: MimeType): string {
  let text = type.essence;
  for (let i = 0; i < type.parameters.length; i += 2) {
    const value = type.parameters[i + 1] as string;
    text += `;${type.parameters[i]}=${isToken(value) ? value : quoted(value)}`;
  }
  return text;
}

function isToken(value: string): boolean {
  for (let i = 0; i < value.length; i++) {
    if (StringIndexOf(tokenCharacters, value[i] as string) < 0) return false;
  }
  return value !== "";
}

const tokenCharacters = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

function quoted(value: string): string {
  let text = '"';
  for (let i = 0; i < value.length; i++) {
    const character = value[i] as string;
    text += character === '"' || character === "\\" ? `\\${character}` : character;
  }
  return `${text}"`;
}
