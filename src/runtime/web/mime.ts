import { ArrayPush, StringCharCodeAt, StringIndexOf, StringSlice, StringToLowerCase } from "./primordials.ts";
import { isHttpSpace } from "./whitespace.ts";

/** A parsed MIME type (MIME Sniffing §4.4). */
export interface MimeType {
  /** `type/subtype`, lower case. */
  readonly essence: string;
  /** Names in lower case and values, in turn; the first of each name counts. */
  readonly parameters: readonly string[];
}

/** Without HTTP whitespace at its end, and `both` also at its beginning. */
function trim(text: string, both: boolean): string {
  let start = 0;
  let end = text.length;
  while (both && start < end && isHttpSpace(StringCharCodeAt(text, start))) start++;
  while (end > start && isHttpSpace(StringCharCodeAt(text, end - 1))) end--;
  return StringSlice(text, start, end);
}

/** MIME Sniffing §4.4; null when `value` is not a MIME type. */
export function parseMime(value: string): MimeType | null {
  const input = trim(value, true);
  const slash = StringIndexOf(input, "/");
  if (slash < 0) return null;
  let at = find(input, ";", slash);
  const type = StringSlice(input, 0, slash);
  const subtype = trim(StringSlice(input, slash + 1, at), false);
  if (!isToken(type) || !isToken(subtype)) return null;
  const parameters: string[] = [];
  while (at < input.length) {
    at++;
    while (at < input.length && isHttpSpace(StringCharCodeAt(input, at))) at++;
    const end = find(input, ";", at);
    const equals = StringIndexOf(input, "=", at);
    if (equals < 0 || equals > end) {
      at = end;
      continue;
    }
    const name = StringToLowerCase(StringSlice(input, at, equals));
    at = equals + 1;
    if (at >= input.length) break;
    let text: string;
    if (input[at] === '"') {
      text = "";
      for (at++; at < input.length && input[at] !== '"'; at++) {
        if (input[at] === "\\" && at + 1 < input.length) at++;
        text += input[at];
      }
      at = find(input, ";", at);
    } else {
      const stop = find(input, ";", at);
      text = trim(StringSlice(input, at, stop), false);
      at = stop;
      if (text === "") continue;
    }
    if (isToken(name) && isQuotable(text) && parameter(parameters, name) === null) {
      ArrayPush(parameters, name);
      ArrayPush(parameters, text);
    }
  }
  return { essence: StringToLowerCase(`${type}/${subtype}`), parameters };
}

/** The index of `character` from `from` on, or the length. */
function find(text: string, character: string, from: number): number {
  const at = StringIndexOf(text, character, from);
  return at < 0 ? text.length : at;
}

/** Only what can stand in an HTTP quoted string: tab, and U+0020 to U+00FF without DEL. */
function isQuotable(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = StringCharCodeAt(text, i);
    if ((code < 32 && code !== 9) || code === 127 || code > 255) return false;
  }
  return true;
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
