import {
  ArrayPush,
  RegExpExec,
  StringCharCodeAt,
  StringCodePointAt,
  StringFromCodePoint,
  StringSlice,
} from "../web/primordials.ts";
import { quote } from "../web/webidl.ts";

export type TokenType =
  | "open"
  | "close"
  | "regexp"
  | "name"
  | "char"
  | "escaped-char"
  | "other-modifier"
  | "asterisk"
  | "end"
  | "invalid-char";

export interface Token {
  readonly type: TokenType;
  /** Where it begins in the input. */
  readonly index: number;
  readonly value: string;
}

const nameStart = /^[$_\p{ID_Start}]$/u;
const namePart = /^(?:[$_\p{ID_Continue}]|\u200c|\u200d)$/u;

/** URL Pattern §2.1.2, "is a valid name code point". */
export function isNamePoint(point: number, first: boolean): boolean {
  return RegExpExec(first ? nameStart : namePart, StringFromCodePoint(point)) !== null;
}

/**
 * The tokens of a pattern string, the last of which is "end" (URL Pattern §2.1.2).
 *
 * @param strict throws a TypeError for what is malformed; else that becomes "invalid-char".
 */
export function tokenize(input: string, strict: boolean): Token[] {
  const tokenizer = new Tokenizer(input, strict);
  tokenizer.run();
  return tokenizer.tokens;
}

class Tokenizer {
  readonly tokens: Token[] = [];
  readonly #input: string;
  readonly #strict: boolean;
  #index = 0;

  constructor(input: string, strict: boolean) {
    this.#input = input;
    this.#strict = strict;
  }

  run(): void {
    const { length } = this.#input;
    while (this.#index < length) this.#next();
    this.#add("end", length, length);
  }

  /** The index after the code point at `index`. */
  #after(index: number): number {
    return StringCodePointAt(this.#input, index) > 0xffff ? index + 2 : index + 1;
  }

  #next(): void {
    const start = this.#index;
    const next = this.#after(start);
    switch (StringCharCodeAt(this.#input, start)) {
      case 42: // *
        this.#add("asterisk", next, start);
        break;
      case 43: // +
      case 63: // ?
        this.#add("other-modifier", next, start);
        break;
      case 92: // \
        if (next >= this.#input.length) this.#fail(next, start, "it ends with a backslash");
        else this.#add("escaped-char", this.#after(next), next);
        break;
      case 123: // {
        this.#add("open", next, start);
        break;
      case 125: // }
        this.#add("close", next, start);
        break;
      case 58: // :
        this.#name(next);
        break;
      case 40: // (
        this.#regexp(next);
        break;
      default:
        this.#add("char", next, start);
    }
  }

  #name(start: number): void {
    const input = this.#input;
    let end = start;
    while (end < input.length && isNamePoint(StringCodePointAt(input, end), end === start))
      end = this.#after(end);
    if (end === start) this.#fail(start, this.#index, "a colon is without a name");
    else this.#add("name", end, start);
  }

  #regexp(start: number): void {
    const end = this.#regexpEnd(start);
    if (typeof end === "string") {
      this.#fail(start, this.#index, `a regular expression in it ${end}`);
      return;
    }
    const value = StringSlice(this.#input, start, end);
    ArrayPush(this.tokens, { type: "regexp", index: this.#index, value });
    this.#index = end + 1;
  }

  /** Where the closing parenthesis is, or what is wrong. */
  #regexpEnd(start: number): number | string {
    const input = this.#input;
    const { length } = input;
    let depth = 1;
    for (let at = start; at < length; at++) {
      const code = StringCharCodeAt(input, at);
      if (code > 127) return "is not ASCII";
      if (at === start && code === 63) return 'begins with "?"';
      if (code === 92) {
        at++;
        if (at >= length) return "ends with a backslash";
        if (StringCharCodeAt(input, at) > 127) return "is not ASCII";
      } else if (code === 41) {
        depth--;
        if (depth === 0) return at > start ? at : "is empty";
      } else if (code === 40) {
        depth++;
        // A group that captures would shift the numbers of the pattern's own.
        if (StringCharCodeAt(input, at + 1) !== 63) return "has a capturing group";
      }
    }
    return "is not closed";
  }

  #add(type: TokenType, next: number, value: number): void {
    ArrayPush(this.tokens, { type, index: this.#index, value: StringSlice(this.#input, value, next) });
    this.#index = next;
  }

  #fail(next: number, value: number, reason: string): void {
    if (this.#strict) throw new TypeError(`cannot parse pattern ${quote(this.#input)}: ${reason}`);
    this.#add("invalid-char", next, value);
  }
}
