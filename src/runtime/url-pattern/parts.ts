import { ArrayPush, StringCodePointAt } from "../web/primordials.ts";
import { quote } from "../web/webidl.ts";
import { type Token, type TokenType, tokenize } from "./tokens.ts";

export type PartType = "fixed-text" | "regexp" | "segment-wildcard" | "full-wildcard";
/** None, optional, zero or more, one or more, as pattern strings write them. */
export type Modifier = "" | "?" | "*" | "+";

/** A piece of a parsed pattern (URL Pattern §2.1.1). */
export interface Part {
  readonly type: PartType;
  readonly value: string;
  readonly modifier: Modifier;
  /** "" for fixed text; a number in decimal for groups without a name of their own. */
  readonly name: string;
  readonly prefix: string;
  readonly suffix: string;
}

/** URL Pattern §2.1.3. */
export interface Options {
  /** What a segment ends at; "" is none. */
  readonly delimiter: string;
  /** What goes with a group that follows it; "" is none. */
  readonly prefix: string;
  readonly ignoreCase: boolean;
}

/** Encodes a piece of fixed text as the URL parser would, or throws a TypeError. */
export type Encode = (text: string) => string;

const fullWildcard = ".*";

/** URL Pattern §2.1.4, "generate a segment wildcard regexp". */
export function segmentWildcard(options: Options): string {
  return `[^${escapeRegexp(options.delimiter)}]+?`;
}

/** URL Pattern §2.1.6. */
export function escapeRegexp(text: string): string {
  return escapeAll(text, ".+*?^{}()[]|/\\$");
}

/** URL Pattern §2.1.5. */
export function escapePattern(text: string): string {
  return escapeAll(text, "+*?:{}()\\");
}

function escapeAll(text: string, special: string): string {
  let result = "";
  for (let i = 0; i < text.length; i++) {
    const character = text[i] as string;
    for (let j = 0; j < special.length; j++) {
      if (special[j] === character) {
        result += "\\";
        break;
      }
    }
    result += character;
  }
  return result;
}

/**
 * URL Pattern §2.1.4, "parse a pattern string".
 *
 * @throws TypeError when it is malformed.
 */
export function parsePattern(input: string, options: Options, encode: Encode): Part[] {
  const parser = new Parser(input, options, encode);
  parser.run();
  return parser.parts;
}

class Parser {
  readonly parts: Part[] = [];
  readonly #input: string;
  readonly #tokens: readonly Token[];
  readonly #options: Options;
  readonly #encode: Encode;
  readonly #segment: string;
  #pending = "";
  #index = 0;
  #nextName = 0;

  constructor(input: string, options: Options, encode: Encode) {
    this.#input = input;
    this.#tokens = tokenize(input, true);
    this.#options = options;
    this.#encode = encode;
    this.#segment = segmentWildcard(options);
  }

  run(): void {
    while (this.#index < this.#tokens.length) {
      const char = this.#take("char");
      const name = this.#take("name");
      const matcher = this.#takeMatcher(name);
      if (name !== null || matcher !== null) {
        let prefix = char === null ? "" : char.value;
        if (prefix !== this.#options.prefix) {
          this.#pending += prefix;
          prefix = "";
        }
        this.#flush();
        this.#add(prefix, name, matcher, "", this.#takeModifier());
        continue;
      }
      const fixed = char ?? this.#take("escaped-char");
      if (fixed !== null) {
        this.#pending += fixed.value;
        continue;
      }
      if (this.#take("open") !== null) {
        const prefix = this.#takeText();
        const inner = this.#take("name");
        const innerMatcher = this.#takeMatcher(inner);
        const suffix = this.#takeText();
        this.#require("close");
        this.#add(prefix, inner, innerMatcher, suffix, this.#takeModifier());
        continue;
      }
      this.#flush();
      this.#require("end");
    }
  }

  #take(type: TokenType): Token | null {
    const token = this.#tokens[this.#index];
    if (token === undefined || token.type !== type) return null;
    this.#index++;
    return token;
  }

  #takeMatcher(name: Token | null): Token | null {
    return this.#take("regexp") ?? (name === null ? this.#take("asterisk") : null);
  }

  #takeModifier(): Modifier {
    const token = this.#take("other-modifier") ?? this.#take("asterisk");
    return token === null ? "" : (token.value as Modifier);
  }

  #takeText(): string {
    let text = "";
    for (;;) {
      const token = this.#take("char") ?? this.#take("escaped-char");
      if (token === null) return text;
      text += token.value;
    }
  }

  #require(type: TokenType): void {
    if (this.#take(type) !== null) return;
    const token = this.#tokens[this.#index];
    throw this.#error(
      token === undefined || token.type === "end"
        ? "a brace is not closed"
        : `${quote(token.value)} is not expected at ${token.index}`,
    );
  }

  #flush(): void {
    if (this.#pending === "") return;
    const value = this.#encode(this.#pending);
    this.#pending = "";
    ArrayPush(this.parts, { type: "fixed-text", value, modifier: "", name: "", prefix: "", suffix: "" });
  }

  #add(prefix: string, name: Token | null, matcher: Token | null, suffix: string, modifier: Modifier): void {
    const isGroup = name !== null || matcher !== null;
    if (!isGroup && modifier === "") {
      this.#pending += prefix;
      return;
    }
    this.#flush();
    if (!isGroup) {
      if (prefix === "") return;
      const value = this.#encode(prefix);
      ArrayPush(this.parts, { type: "fixed-text", value, modifier, name: "", prefix: "", suffix: "" });
      return;
    }
    let value = this.#segment;
    if (matcher !== null) value = matcher.type === "asterisk" ? fullWildcard : matcher.value;
    let type: PartType = "regexp";
    if (value === this.#segment) type = "segment-wildcard";
    else if (value === fullWildcard) type = "full-wildcard";
    const key = name === null ? `${this.#nextName++}` : name.value;
    for (let i = 0; i < this.parts.length; i++) {
      if ((this.parts[i] as Part).name === key) throw this.#error(`the name ${quote(key)} is there twice`);
    }
    ArrayPush(this.parts, {
      type,
      value: type === "regexp" ? value : "",
      modifier,
      name: key,
      prefix: this.#encode(prefix),
      suffix: this.#encode(suffix),
    });
  }

  #error(reason: string): TypeError {
    return new TypeError(`cannot parse pattern ${quote(this.#input)}: ${reason}`);
  }
}

/** The first code point, for texts that are not empty. */
export function firstPoint(text: string): number {
  return StringCodePointAt(text, 0);
}
