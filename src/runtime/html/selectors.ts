import {
  ArrayPush,
  RegExpExec,
  StringIndexOf,
  StringSlice,
  StringStartsWith,
  StringToLowerCase,
} from "../web/primordials.ts";
import { quote } from "../web/webidl.ts";
import type { Attribute } from "./tokenizer.ts";

/** What selectors look at. */
export interface Selectable {
  readonly name: string;
  readonly attributes: readonly Attribute[];
  readonly parent: Selectable | null;
  /** Which child of its parent it is, from 1. */
  readonly index: number;
  /** Which of those with its name. */
  readonly typeIndex: number;
}

type Test =
  | { readonly kind: "tag"; readonly name: string }
  | {
      readonly kind: "attribute";
      readonly name: string;
      readonly how: string;
      readonly value: string;
      readonly fold: boolean;
    }
  | { readonly kind: "nth"; readonly step: number; readonly offset: number; readonly ofType: boolean }
  | { readonly kind: "not"; readonly tests: readonly Test[] };

interface Compound {
  readonly tests: readonly Test[];
  /** How it hangs on the compound before: " ", ">", or "" for the first. */
  readonly combinator: string;
}

/** A list of selectors as HTMLRewriter has them: of Selectors Level 3, those that need no look ahead. */
export class Selector {
  readonly #alternatives: readonly (readonly Compound[])[];

  /** @throws TypeError when `text` is not a selector, or one that cannot be matched in a stream. */
  constructor(text: string) {
    this.#alternatives = new Parser(text).list();
  }

  matches(element: Selectable): boolean {
    for (let i = 0; i < this.#alternatives.length; i++) {
      const compounds = this.#alternatives[i] as readonly Compound[];
      if (matchFrom(compounds, compounds.length - 1, element)) return true;
    }
    return false;
  }
}

function matchFrom(compounds: readonly Compound[], at: number, element: Selectable): boolean {
  const { tests, combinator } = compounds[at] as Compound;
  if (!matchAll(tests, element)) return false;
  if (combinator === "") return true;
  for (let above = element.parent; above !== null; above = above.parent) {
    if (matchFrom(compounds, at - 1, above)) return true;
    if (combinator === ">") return false;
  }
  return false;
}

function matchAll(tests: readonly Test[], element: Selectable): boolean {
  for (let i = 0; i < tests.length; i++) if (!match(tests[i] as Test, element)) return false;
  return true;
}

function match(test: Test, element: Selectable): boolean {
  switch (test.kind) {
    case "tag":
      return test.name === element.name;
    case "nth": {
      const away = (test.ofType ? element.typeIndex : element.index) - test.offset;
      return test.step === 0 ? away === 0 : away % test.step === 0 && away / test.step >= 0;
    }
    case "not":
      return !matchAll(test.tests, element);
    case "attribute": {
      const { attributes } = element;
      for (let i = 0; i < attributes.length; i++) {
        const attribute = attributes[i] as Attribute;
        if (attribute.name === test.name) return matchValue(attribute.value, test.how, test.value, test.fold);
      }
      return false;
    }
  }
}

function matchValue(actual: string, how: string, expected: string, fold: boolean): boolean {
  const value = fold ? StringToLowerCase(actual) : actual;
  switch (how) {
    case "=":
      return value === expected;
    case "~=":
      return expected !== "" && hasWord(value, expected);
    case "^=":
      return expected !== "" && StringStartsWith(value, expected);
    case "$=":
      return (
        expected !== "" &&
        value.length >= expected.length &&
        StringSlice(value, value.length - expected.length) === expected
      );
    case "*=":
      return expected !== "" && StringIndexOf(value, expected) >= 0;
    case "|=":
      return value === expected || StringStartsWith(value, `${expected}-`);
    default:
      return true;
  }
}

function hasWord(text: string, word: string): boolean {
  for (let from = 0; ; from++) {
    from = StringIndexOf(text, word, from);
    if (from < 0) return false;
    const after = text[from + word.length];
    if ((from === 0 || isSpace(text[from - 1])) && (after === undefined || isSpace(after))) return true;
  }
}

function isSpace(character: string | undefined): boolean {
  return (
    character === " " || character === "\t" || character === "\n" || character === "\f" || character === "\r"
  );
}

const namePattern = /^-?(?:[_a-zA-Z]|[^\0-\x7f]|\\.)(?:[-\w]|[^\0-\x7f]|\\.)*/su;
const nthPattern = /^\s*(?:(odd|even)|([+-]?\d*)n\s*(?:([+-])\s*(\d+))?|([+-]?\d+))\s*\)/i;
const operatorPattern = /^\s*([~^$*|]?=)\s*/;
const flagPattern = /^\s*([isIS])?\s*\]/;

class Parser {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  list(): Compound[][] {
    const alternatives: Compound[][] = [];
    do ArrayPush(alternatives, this.#complex());
    while (this.#skip(","));
    if (this.#at < this.#text.length) throw this.#error();
    return alternatives;
  }

  #complex(): Compound[] {
    const compounds: Compound[] = [];
    this.#space();
    let combinator = "";
    for (;;) {
      ArrayPush(compounds, { tests: this.#compound(), combinator });
      const spaced = this.#space();
      if (this.#skip(">")) {
        combinator = ">";
        this.#space();
      } else if (spaced && this.#at < this.#text.length && this.#peek() !== ",") {
        combinator = " ";
      } else {
        return compounds;
      }
    }
  }

  #compound(): Test[] {
    const tests: Test[] = [];
    // In any namespace, which is what selectors that name none are.
    if (StringSlice(this.#text, this.#at, this.#at + 2) === "*|") this.#at += 2;
    const from = this.#at;
    if (!this.#skip("*")) {
      const tag = this.#match(namePattern);
      if (tag !== null) ArrayPush(tests, { kind: "tag", name: StringToLowerCase(withoutEscapes(tag[0])) });
    }
    for (;;) {
      if (this.#skip("#")) ArrayPush(tests, attribute("id", "=", this.#name(), false));
      else if (this.#skip(".")) ArrayPush(tests, attribute("class", "~=", this.#name(), false));
      else if (this.#skip("[")) ArrayPush(tests, this.#attribute());
      else if (this.#skip(":")) ArrayPush(tests, this.#pseudo());
      else break;
    }
    if (this.#at === from) throw this.#error();
    return tests;
  }

  #attribute(): Test {
    this.#space();
    const name = StringToLowerCase(this.#name());
    const operator = this.#match(operatorPattern);
    let value = "";
    if (operator !== null) {
      const mark = this.#peek();
      if (mark === '"' || mark === "'") {
        const close = StringIndexOf(this.#text, mark, this.#at + 1);
        if (close < 0) throw this.#error();
        value = withoutEscapes(StringSlice(this.#text, this.#at + 1, close));
        this.#at = close + 1;
      } else {
        value = this.#name();
      }
    }
    const flag = this.#match(flagPattern);
    if (flag === null) throw this.#error();
    const fold = flag[1] === "i" || flag[1] === "I";
    return attribute(name, operator === null ? "" : (operator[1] as string), value, fold);
  }

  #pseudo(): Test {
    const name = StringToLowerCase(this.#name());
    if (name === "first-child" || name === "first-of-type") {
      return { kind: "nth", step: 0, offset: 1, ofType: name === "first-of-type" };
    }
    if (!this.#skip("(")) throw this.#error();
    if (name === "not") {
      this.#space();
      const tests = this.#compound();
      this.#space();
      if (!this.#skip(")")) throw this.#error();
      return { kind: "not", tests };
    }
    const nth = name === "nth-child" || name === "nth-of-type" ? this.#match(nthPattern) : null;
    if (nth === null) throw this.#error();
    const ofType = name === "nth-of-type";
    if (nth[1] !== undefined) {
      return { kind: "nth", step: 2, offset: StringToLowerCase(nth[1]) === "odd" ? 1 : 0, ofType };
    }
    if (nth[5] !== undefined) return { kind: "nth", step: 0, offset: +nth[5], ofType };
    const step = nth[2] as string;
    const count = step === "" || step === "+" ? 1 : step === "-" ? -1 : +step;
    const offset = nth[4] === undefined ? 0 : +`${nth[3]}${nth[4]}`;
    return { kind: "nth", step: count, offset, ofType };
  }

  #name(): string {
    const name = this.#match(namePattern);
    if (name === null) throw this.#error();
    return withoutEscapes(name[0]);
  }

  #match(pattern: RegExp): RegExpExecArray | null {
    const found = RegExpExec(pattern, StringSlice(this.#text, this.#at));
    if (found !== null) this.#at += found[0].length;
    return found;
  }

  #peek(): string | undefined {
    return this.#text[this.#at];
  }

  #skip(character: string): boolean {
    if (this.#peek() !== character) return false;
    this.#at++;
    return true;
  }

  #space(): boolean {
    const from = this.#at;
    while (isSpace(this.#peek())) this.#at++;
    return this.#at > from;
  }

  #error(): TypeError {
    return new TypeError(`cannot use selector ${quote(this.#text)}: it is not understood at ${this.#at}`);
  }
}

function attribute(name: string, how: string, value: string, fold: boolean): Test {
  return { kind: "attribute", name, how, value: fold ? StringToLowerCase(value) : value, fold };
}

function withoutEscapes(text: string): string {
  let result = "";
  for (let i = 0; i < text.length; i++) {
    if (text[i] === "\\" && i + 1 < text.length) i++;
    result += text[i];
  }
  return result;
}
