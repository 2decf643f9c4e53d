import {
  ArrayPush,
  StringCharCodeAt,
  StringIndexOf,
  StringSlice,
  StringToLowerCase,
} from "../web/primordials.ts";
import { isAsciiSpace } from "../web/whitespace.ts";

export interface Attribute {
  /** In lower case. */
  readonly name: string;
  /** As it is written, with character references. */
  value: string;
  /** As it is written; "" once it was set anew. */
  raw: string;
}

export type TokenKind = "text" | "start" | "end" | "comment" | "doctype" | "raw";

/** A piece of markup, as it is written: all tokens' `raw` in order are the document. */
export interface Token {
  readonly kind: TokenKind;
  readonly raw: string;
  /** A tag's name in lower case; a comment's text. */
  readonly name: string;
  readonly attributes: readonly Attribute[];
  /** The tag ends in "/>". */
  readonly selfClosing: boolean;
}

/** How text is read after a start tag (HTML §13.2.5). */
export type TextMode = "data" | "rcdata" | "rawtext" | "script" | "plaintext" | "cdata";

const none: readonly Attribute[] = [];

function isLetter(code: number): boolean {
  return (code >= 97 && code <= 122) || (code >= 65 && code <= 90);
}

/** A comment's text without the beginning of what would have ended it. */
function withoutEnd(text: string): string {
  let end = text.length;
  if (StringSlice(text, end - 3) === "--!") end -= 3;
  else if (StringSlice(text, end - 2) === "--") end -= 2;
  else if (text[end - 1] === "-") end--;
  return StringSlice(text, 0, end);
}

/**
 * The tokenizer of HTML §13.2.5 for a document that comes in pieces. It changes nothing: character references stay,
 * and what is malformed is handed on as it is.
 */
export class Tokenizer {
  #text = "";
  #at = 0;
  #ended = false;
  #mode: TextMode = "data";
  /** The name of the element that a text mode ends with. */
  #name = "";
  /** In a script: 1 after `<!--`, 2 after a `<script` in that. */
  #escaped = 0;
  /** CDATA sections are there in SVG and MathML only. */
  allowCdata = false;

  write(text: string): void {
    this.#text = StringSlice(this.#text, this.#at) + text;
    this.#at = 0;
  }

  end(): void {
    this.#ended = true;
  }

  /** How to go on after the start tag of `name`. */
  enter(mode: TextMode, name: string): void {
    this.#mode = mode;
    this.#name = name;
    this.#escaped = 0;
  }

  /** Null when more must be written first, or at the end. */
  next(): Token | null {
    if (this.#at >= this.#text.length) return null;
    switch (this.#mode) {
      case "data":
        return this.#data();
      case "plaintext":
        return this.#take("text", this.#text.length);
      case "cdata":
        return this.#cdata();
      default:
        return this.#rawText();
    }
  }

  #take(kind: TokenKind, end: number, name = "", attributes = none, selfClosing = false): Token {
    const raw = StringSlice(this.#text, this.#at, end);
    this.#at = end;
    return { kind, raw, name, attributes, selfClosing };
  }

  /** What cannot be decided yet: the rest of the document as it is when nothing follows. */
  #wait(kind: "text" | "raw" = "raw"): Token | null {
    return this.#ended ? this.#take(kind, this.#text.length) : null;
  }

  #data(): Token | null {
    const text = this.#text;
    const at = this.#at;
    const open = StringIndexOf(text, "<", at);
    if (open !== at) return this.#take("text", open < 0 ? text.length : open);
    if (at + 1 >= text.length) return this.#wait("text");
    const code = StringCharCodeAt(text, at + 1);
    if (isLetter(code)) return this.#tag("start", at + 1);
    if (code === 33) return this.#declaration();
    if (code === 63) return this.#bogus(at + 1);
    if (code === 47) {
      if (at + 2 >= text.length) return this.#wait("text");
      const after = StringCharCodeAt(text, at + 2);
      if (isLetter(after)) return this.#tag("end", at + 2);
      return after === 62 ? this.#take("raw", at + 3) : this.#bogus(at + 2);
    }
    const next = StringIndexOf(text, "<", at + 1);
    return this.#take("text", next < 0 ? text.length : next);
  }

  /** @param from where its text begins. */
  #bogus(from: number): Token | null {
    const close = StringIndexOf(this.#text, ">", from);
    if (close < 0) return this.#openComment(from);
    return this.#take("comment", close + 1, StringSlice(this.#text, from, close));
  }

  /** What begins with `<!`. */
  #declaration(): Token | null {
    const text = this.#text;
    const from = this.#at + 2;
    const head = StringToLowerCase(StringSlice(text, from, from + 7));
    if (StringSlice(head, 0, 2) === "--") return this.#comment(from + 2);
    if (head === "doctype") {
      const close = StringIndexOf(text, ">", from);
      if (close < 0 && !this.#ended) return null;
      const end = close < 0 ? text.length : close;
      return this.#take("doctype", close < 0 ? end : end + 1, StringSlice(text, from + 7, end));
    }
    if (this.allowCdata && StringSlice(text, from, from + 7) === "[CDATA[") {
      this.#mode = "cdata";
      return this.#take("raw", from + 7);
    }
    const { length } = head;
    const open =
      length < 7 &&
      (head === StringSlice("--", 0, length) ||
        head === StringSlice("doctype", 0, length) ||
        (this.allowCdata && head === StringSlice("[cdata[", 0, length)));
    return open && !this.#ended ? null : this.#bogus(from);
  }

  /** A comment that nothing ends goes to the end of the document. */
  #openComment(from: number): Token | null {
    const { length } = this.#text;
    return this.#ended ? this.#take("comment", length, StringSlice(this.#text, from, length)) : null;
  }

  /** @param from behind `<!--`. */
  #comment(from: number): Token | null {
    const text = this.#text;
    if (text[from] === ">") return this.#take("comment", from + 1);
    if (StringSlice(text, from, from + 2) === "->") return this.#take("comment", from + 2);
    const plain = StringIndexOf(text, "-->", from);
    const odd = StringIndexOf(text, "--!>", from);
    if (plain < 0 && odd < 0) {
      const token = this.#openComment(from);
      return token === null ? null : { ...token, name: withoutEnd(token.name) };
    }
    const isOdd = plain < 0 || (odd >= 0 && odd < plain);
    const close = isOdd ? odd : plain;
    return this.#take("comment", close + (isOdd ? 4 : 3), StringSlice(text, from, close));
  }

  #cdata(): Token | null {
    const text = this.#text;
    const close = StringIndexOf(text, "]]>", this.#at);
    if (close === this.#at) {
      this.#mode = "data";
      return this.#take("raw", close + 3);
    }
    if (close > 0) return this.#take("text", close);
    if (this.#ended) return this.#take("text", text.length);
    let end = text.length;
    while (end > this.#at && end > text.length - 2 && text[end - 1] === "]") end--;
    return end > this.#at ? this.#take("text", end) : null;
  }

  /** Text that only the end tag of its own element ends. */
  #rawText(): Token | null {
    const text = this.#text;
    const { length } = text;
    const ahead = this.#name.length + 3;
    let at = this.#at;
    while (at < length) {
      const code = StringCharCodeAt(text, at);
      if (code === 60) {
        if (length - at < ahead && !this.#ended) break;
        if (this.#names(at + 1, true)) {
          if (this.#escaped < 2) {
            if (at > this.#at) break;
            this.#mode = "data";
            return this.#tag("end", at + 2);
          }
          this.#escaped = 1;
        } else if (this.#mode === "script") {
          if (this.#escaped === 1 && this.#names(at + 1, false)) this.#escaped = 2;
          else if (this.#escaped === 0 && StringSlice(text, at, at + 4) === "<!--") {
            this.#escaped = 1;
            // The dashes may be those of the end as well.
            at++;
          }
        }
      } else if (code === 45 && this.#escaped > 0) {
        if (length - at < 3 && !this.#ended) break;
        if (StringSlice(text, at, at + 3) === "-->") this.#escaped = 0;
      }
      at++;
    }
    return at > this.#at ? this.#take("text", at) : null;
  }

  /** The element's name is at `at`, behind a slash if `end`. */
  #names(at: number, end: boolean): boolean {
    const text = this.#text;
    if (end && text[at] !== "/") return false;
    const from = end ? at + 1 : at;
    const to = from + this.#name.length;
    if (StringToLowerCase(StringSlice(text, from, to)) !== this.#name) return false;
    const code = StringCharCodeAt(text, to);
    return isAsciiSpace(code) || code === 47 || code === 62;
  }

  /** @param from where the name begins. */
  #tag(kind: "start" | "end", from: number): Token | null {
    const text = this.#text;
    const { length } = text;
    let at = this.#nameEnd(from, false);
    const name = StringToLowerCase(StringSlice(text, from, at));
    const attributes: Attribute[] = [];
    while (at < length) {
      const code = StringCharCodeAt(text, at);
      if (code === 62) {
        const selfClosing = StringCharCodeAt(text, at - 1) === 47 && !this.#isValue(attributes, at);
        return this.#take(kind, at + 1, name, attributes, selfClosing);
      }
      if (isAsciiSpace(code) || code === 47) {
        at++;
        continue;
      }
      const start = at;
      at = this.#nameEnd(at + 1, true);
      const key = StringToLowerCase(StringSlice(text, start, at));
      let look = at;
      while (look < length && isAsciiSpace(StringCharCodeAt(text, look))) look++;
      let value = "";
      if (text[look] === "=") {
        look++;
        while (look < length && isAsciiSpace(StringCharCodeAt(text, look))) look++;
        const quote = text[look];
        if (quote === '"' || quote === "'") {
          const close = StringIndexOf(text, quote, look + 1);
          if (close < 0) return this.#wait();
          value = StringSlice(text, look + 1, close);
          at = close + 1;
        } else {
          at = look;
          while (at < length && !isAsciiSpace(StringCharCodeAt(text, at)) && text[at] !== ">") at++;
          value = StringSlice(text, look, at);
        }
      }
      ArrayPush(attributes, { name: key, value, raw: StringSlice(text, start, at) });
    }
    return this.#wait();
  }

  #nameEnd(from: number, isAttribute: boolean): number {
    const text = this.#text;
    let at = from;
    for (; at < text.length; at++) {
      const code = StringCharCodeAt(text, at);
      if (isAsciiSpace(code) || code === 47 || code === 62 || (isAttribute && code === 61)) break;
    }
    return at;
  }

  /** The slash before `at` belongs to a value without quotes. */
  #isValue(attributes: readonly Attribute[], at: number): boolean {
    const last = attributes[attributes.length - 1];
    if (last === undefined || last.raw[last.raw.length - 1] !== "/") return false;
    return StringSlice(this.#text, at - last.raw.length, at) === last.raw;
  }
}
