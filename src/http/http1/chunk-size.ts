import { tokenTable } from "../header-block.ts";
import { BACKSLASH, EQUALS, hexTable, QUOTE, SEMICOLON, textTable } from "./octets.ts";
import { malformed } from "./violation.ts";

/** Digits of a chunk size at most; leading zeros count. */
const MAX_DIGITS = 16;
/** Octets of chunk extensions that one message may spend, however many chunks it has. */
const MAX_EXTENSION_BYTES = 4096;

type ExtensionPart = "name" | "value" | "token" | "quoted" | "escaped" | "afterQuoted";

/**
 * Reads chunk size lines, octet by octet (RFC 9112 §7.1). Sizes are hexadecimal digits and nothing else: a sign, `0x`,
 * or white space is what parsers disagree about. Extensions (§7.1.1) are checked, counted and dropped; without the bound
 * a client could make us read without end for one octet of body.
 */
export class ChunkSize {
  value = 0;
  #digits = 0;
  #extensionBytes = 0;
  #extended = false;
  #part: ExtensionPart = "name";
  /** The name or token being read has no octet yet. */
  #bare = true;

  /** The first chunk of a message. */
  begin(): void {
    this.#extensionBytes = 0;
    this.next();
  }

  /** One more chunk. */
  next(): void {
    this.value = 0;
    this.#digits = 0;
    this.#extended = false;
    this.#part = "name";
    this.#bare = true;
  }

  /** Takes one digit; false when an extension begins instead. */
  digit(octet: number): boolean {
    const digit = hexTable[octet] as number;
    if (digit >= 0) {
      this.value = this.value * 16 + digit;
      if (++this.#digits > MAX_DIGITS || this.value > Number.MAX_SAFE_INTEGER) {
        throw malformed("a chunk size is too great");
      }
      return true;
    }
    if (octet !== SEMICOLON || this.#digits === 0) throw malformed("a chunk size is no hexadecimal number");
    this.#extended = true;
    return false;
  }

  /** Takes one octet of the extensions, after the first semicolon. */
  extend(octet: number): void {
    if (++this.#extensionBytes > MAX_EXTENSION_BYTES) throw malformed("the chunk extensions are too long");
    switch (this.#part) {
      case "name":
        if (tokenTable[octet] === 1) this.#bare = false;
        else if (octet === EQUALS && !this.#bare) this.#to("value");
        else if (octet === SEMICOLON && !this.#bare) this.#to("name");
        else throw malformed("a chunk extension has an invalid name");
        break;
      case "value":
        if (octet === QUOTE) this.#to("quoted");
        else if (tokenTable[octet] === 1) this.#to("token");
        else throw malformed("a chunk extension has an invalid value");
        break;
      case "token":
        if (octet === SEMICOLON) this.#to("name");
        else if (tokenTable[octet] !== 1) throw malformed("a chunk extension has an invalid value");
        break;
      case "quoted":
        if (octet === QUOTE) this.#to("afterQuoted");
        else if (octet === BACKSLASH) this.#to("escaped");
        else if (textTable[octet] !== 1) throw malformed("a chunk extension has an invalid value");
        break;
      case "escaped":
        if (textTable[octet] !== 1) throw malformed("a chunk extension has an invalid value");
        this.#to("quoted");
        break;
      case "afterQuoted":
        if (octet !== SEMICOLON) throw malformed("a chunk extension has an invalid value");
        this.#to("name");
        break;
      default:
        this.#part satisfies never;
    }
  }

  /** The line's CR has come: it must not leave anything half said. */
  endLine(): void {
    if (this.#digits === 0) throw malformed("a chunk has no size");
    const part = this.#part;
    if (!this.#extended || part === "token" || part === "afterQuoted" || (part === "name" && !this.#bare))
      return;
    throw malformed("a chunk extension is cut off");
  }

  #to(part: ExtensionPart): void {
    this.#part = part;
    this.#bare = true;
  }
}
