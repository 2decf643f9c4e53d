import { relative, sep } from "node:path";
import type { Diagnostic } from "./diagnostic.ts";
import type { Place } from "./source.ts";

export interface FormatOptions {
  /** Terminal colours; the caller knows whether the output is a terminal and NO_COLOR is unset. */
  readonly colour: boolean;
  /** Paths inside this directory are shown relative to it; `process.cwd()` unless given. */
  readonly directory?: string;
}

const maxLine = 160;

/** All diagnostics as text for people: each with its place, the source line and a caret, and its notes; ends in a line feed. */
export function formatDiagnostics(diagnostics: readonly Diagnostic[], options: FormatOptions): string {
  const printer = new Printer(options);
  let text = "";
  for (const diagnostic of diagnostics) {
    text += printer.print(diagnostic.place, diagnostic.severity, diagnostic.message);
    for (const note of diagnostic.notes) text += printer.print(note.place, "note", note.message);
  }
  return text;
}

const codes = { error: "1;31", warning: "1;35", note: "1;36", bold: "1", dim: "2", caret: "1;32" } as const;

class Printer {
  readonly #colour: boolean;
  readonly #directory: string;

  constructor(options: FormatOptions) {
    this.#colour = options.colour;
    this.#directory = options.directory ?? process.cwd();
  }

  print(place: Place | null, label: "error" | "warning" | "note", message: string): string {
    const head = `${this.#paint(label, `${label}:`)} ${this.#paint("bold", printable(message))}\n`;
    if (place === null) return head;
    const at = `${this.#file(place.file)}:${place.line}:${place.column}:`;
    const { text, column, length } = crop(place);
    const number = String(place.line).padStart(4);
    const caret = "^".repeat(Math.max(1, width(text.slice(column, column + length))));
    return (
      `${this.#paint("bold", at)} ${head}` +
      `${this.#paint("dim", `${number} |`)} ${printable(text)}\n` +
      `${this.#paint("dim", "     |")} ${blank(text.slice(0, column))}${this.#paint("caret", caret)}\n`
    );
  }

  #file(file: string): string {
    const path = relative(this.#directory, file);
    return printable(path === "" || path === ".." || path.startsWith(`..${sep}`) ? file : path);
  }

  #paint(code: keyof typeof codes, text: string): string {
    return this.#colour ? `\u001b[${codes[code]}m${text}\u001b[0m` : text;
  }
}

/** The part of a long line around the caret; column is 0-based. */
function crop(place: Place): { text: string; column: number; length: number } {
  const column = place.column - 1;
  const line = place.lineText;
  if (line.length <= maxLine) return { text: line, column, length: place.length };
  const from = Math.max(0, Math.min(column - 40, line.length - maxLine));
  const to = Math.min(line.length, from + maxLine);
  const before = from > 0 ? "…" : "";
  const text = before + line.slice(from, to) + (to < line.length ? "…" : "");
  const start = column - from + before.length;
  return { text, column: start, length: Math.min(place.length, text.length - start) };
}

/** A terminal acts on control characters; a tab stays, since the caret's line repeats it. */
function printable(text: string): string {
  let result = "";
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    const control = (code < 0x20 && code !== 0x09) || (code >= 0x7f && code < 0xa0);
    result += control ? "\ufffd" : character;
  }
  return result;
}

/** As wide as `text`, but empty. */
function blank(text: string): string {
  let result = "";
  for (const character of text) result += character === "\t" ? "\t" : " ".repeat(width(character));
  return result;
}

/** Columns that a terminal gives to `text`: two for East Asian wide characters and emoji, none for combining marks. */
function width(text: string): number {
  let columns = 0;
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    if (code < 0x300) columns += 1;
    else if (/\p{Mark}/u.test(character) || code === 0x200d) columns += 0;
    else if (
      (code >= 0x1100 && code <= 0x115f) ||
      (code >= 0x2e80 && code <= 0xa4cf) ||
      (code >= 0xac00 && code <= 0xd7a3) ||
      (code >= 0xf900 && code <= 0xfaff) ||
      (code >= 0xfe30 && code <= 0xfe6f) ||
      (code >= 0xff00 && code <= 0xff60) ||
      (code >= 0xffe0 && code <= 0xffe6) ||
      code >= 0x1f300
    )
      columns += 2;
    else columns += 1;
  }
  return columns;
}
