import { StringSlice } from "../web/primordials.ts";
import { encodeProtocol } from "./canonical.ts";
import { Component } from "./component.ts";
import { type ComponentName, emptyInit, type Init } from "./init.ts";
import type { Options } from "./parts.ts";
import { type Token, tokenize } from "./tokens.ts";

/** Where the parser is; by these numbers the components follow each other in a URL. */
const init = 0;
const protocol = 1;
const authority = 2;
const username = 3;
const password = 4;
const hostname = 5;
const port = 6;
const pathname = 7;
const search = 8;
const hash = 9;
const done = 10;

const names: readonly (ComponentName | null)[] = [
  null,
  "protocol",
  null,
  "username",
  "password",
  "hostname",
  "port",
  "pathname",
  "search",
  "hash",
  null,
];

export const plainOptions: Options = { delimiter: "", prefix: "", ignoreCase: false };

const specialSchemes: readonly string[] = ["http", "https", "ws", "wss", "ftp", "file"];

/** URL Pattern §3.1, "protocol component matches a special scheme". */
export function matchesSpecialScheme(component: Component): boolean {
  for (let i = 0; i < specialSchemes.length; i++) {
    if (component.matches(specialSchemes[i] as string)) return true;
  }
  return false;
}

/**
 * Splits a pattern for a whole URL into patterns for its components (URL Pattern §2.2).
 *
 * @throws TypeError when the protocol's is malformed; the others are looked at later.
 */
export function parseConstructorString(input: string): Init {
  const parser = new ConstructorStringParser(input);
  parser.run();
  return parser.result;
}

class ConstructorStringParser {
  readonly result = emptyInit();
  readonly #input: string;
  readonly #tokens: readonly Token[];
  #state = init;
  #start = 0;
  #index = 0;
  #increment = 1;
  #groups = 0;
  #brackets = 0;
  #special = false;

  constructor(input: string) {
    this.#input = input;
    this.#tokens = tokenize(input, false);
  }

  run(): void {
    const tokens = this.#tokens;
    for (; this.#index < tokens.length; this.#index += this.#increment) {
      this.#increment = 1;
      const { type } = tokens[this.#index] as Token;
      if (type === "end") {
        if (this.#end()) break;
      } else if (type === "open") {
        this.#groups++;
      } else if (this.#groups > 0) {
        // Inside braces nothing separates components.
        if (type === "close") this.#groups--;
      } else {
        this.#step();
      }
    }
    if (this.result.hostname !== undefined && this.result.port === undefined) this.result.port = "";
  }

  /** True when there is nothing more to do. */
  #end(): boolean {
    if (this.#state === init) {
      // No protocol was found, so the input is relative.
      this.#rewind();
      if (this.#isHashPrefix()) this.#change(hash, 1);
      else if (this.#isSearchPrefix()) this.#change(search, 1);
      else this.#change(pathname, 0);
      return false;
    }
    if (this.#state === authority) {
      this.#rewind();
      this.#state = hostname;
      return false;
    }
    this.#change(done, 0);
    return true;
  }

  #step(): void {
    switch (this.#state) {
      case init:
        if (this.#is(0, ":")) {
          this.#rewind();
          this.#state = protocol;
        }
        break;
      case protocol:
        if (this.#is(0, ":")) this.#endProtocol();
        break;
      case authority:
        if (this.#is(0, "@")) {
          this.#rewind();
          this.#state = username;
        } else if (this.#is(0, "/") || this.#isSearchPrefix() || this.#isHashPrefix()) {
          this.#rewind();
          this.#state = hostname;
        }
        break;
      case username:
        if (this.#is(0, ":")) this.#change(password, 1);
        else if (this.#is(0, "@")) this.#change(hostname, 1);
        break;
      case password:
        if (this.#is(0, "@")) this.#change(hostname, 1);
        break;
      case hostname:
        if (this.#is(0, "[")) this.#brackets++;
        else if (this.#is(0, "]")) this.#brackets--;
        else if (this.#is(0, ":") && this.#brackets === 0) this.#change(port, 1);
        else this.#endBefore(pathname);
        break;
      case port:
        this.#endBefore(pathname);
        break;
      case pathname:
        this.#endBefore(search);
        break;
      case search:
        this.#endBefore(hash);
        break;
    }
  }

  /** Goes on to the component whose prefix is here, if it is `first` or a later one. */
  #endBefore(first: number): void {
    if (first <= pathname && this.#is(0, "/")) this.#change(pathname, 0);
    else if (first <= search && this.#isSearchPrefix()) this.#change(search, 1);
    else if (this.#isHashPrefix()) this.#change(hash, 1);
  }

  #endProtocol(): void {
    const component = new Component(this.#text(), encodeProtocol, plainOptions);
    this.#special = matchesSpecialScheme(component);
    if (this.#is(1, "/") && this.#is(2, "/")) this.#change(authority, 3);
    else this.#change(this.#special ? authority : pathname, 1);
  }

  #change(state: number, skip: number): void {
    const { result } = this;
    const from = this.#state;
    const name = names[from];
    if (name) result[name] = this.#text();
    if (from !== init && state !== done) {
      // What is left out between two components is empty, and not a wildcard.
      if (from <= password && state >= port) result.hostname ??= "";
      if (from <= port && state >= search) result.pathname ??= this.#special ? "/" : "";
      if (from <= pathname && state === hash) result.search ??= "";
    }
    this.#state = state;
    this.#index += skip;
    this.#start = this.#index;
    this.#increment = 0;
  }

  #rewind(): void {
    this.#index = this.#start;
    this.#increment = 0;
  }

  #token(index: number): Token {
    return (this.#tokens[index] ?? this.#tokens[this.#tokens.length - 1]) as Token;
  }

  /** A character that means itself, so many tokens ahead. */
  #is(ahead: number, value: string): boolean {
    const token = this.#token(this.#index + ahead);
    if (token.value !== value) return false;
    return token.type === "char" || token.type === "escaped-char" || token.type === "invalid-char";
  }

  #isHashPrefix(): boolean {
    return this.#is(0, "#");
  }

  /** A question mark after a group is a modifier. */
  #isSearchPrefix(): boolean {
    if (this.#is(0, "?")) return true;
    if (this.#token(this.#index).value !== "?") return false;
    if (this.#index === 0) return true;
    const { type } = this.#token(this.#index - 1);
    return type !== "name" && type !== "regexp" && type !== "close" && type !== "asterisk";
  }

  #text(): string {
    return StringSlice(this.#input, this.#token(this.#start).index, this.#token(this.#index).index);
  }
}
