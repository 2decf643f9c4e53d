import { tokenTable } from "../header-block.ts";
import type { ParserLimits } from "./events.ts";
import { kindOfOctets, ORDINARY } from "./field-kind.ts";
import { COLON, CR, LF, SPACE, TAB, textTable } from "./octets.ts";
import { malformed, Violation } from "./violation.ts";

/**
 * Finds the end of a header or trailer section, checks each octet of it, and marks the lines that are more than
 * end-to-end text. It can stop at any octet and go on from there when more input has come, so that a section that
 * trickles in is not read twice.
 *
 * All offsets count from the start of the section's message head (or trailer), wherever that stands in the input.
 */
export class FieldScanner {
  /**
   * Four numbers a marked line: field kind, start of the line, start and end of its value. Used again for each section,
   * by `marked`, since emptying an array by its length is a call into V8's runtime.
   */
  readonly marks: number[] = [];
  /** How many of the numbers count. */
  marked = 0;
  /** Past the empty line that ends the section, once `scan` has returned true. */
  end = 0;
  readonly #limits: ParserLimits;
  #at = 0;
  #line = 0;
  /** Of the line being read; -1 while its name is being read. */
  #colon = -1;
  #fields = 0;

  constructor(limits: ParserLimits) {
    this.#limits = limits;
  }

  /** Gets ready for a section whose first line begins at `at`. */
  begin(at: number): void {
    this.marked = 0;
    this.#at = at;
    this.#line = at;
    this.#colon = -1;
    this.#fields = 0;
  }

  /**
   * Reads on in `bytes`, where the head begins at `base` and the input ends at `end`. False when it needs more input.
   *
   * Field syntax is RFC 9112 §5. White space before the colon and line folding fail as octets that no name may have
   * (§5.1, §5.2); a bare CR and a bare LF fail wherever they stand (§2.2), because another parser may take them for the
   * end of a line and see another message than this one does.
   */
  scan(bytes: Uint8Array, base: number, end: number): boolean {
    const limit = base + this.#limits.headerBytes;
    const stop = end < limit ? end : limit;
    let at = base + this.#at;
    let line = base + this.#line;
    let colon = this.#colon < 0 ? -1 : base + this.#colon;
    for (;;) {
      if (colon < 0) {
        while (at < stop && tokenTable[bytes[at] as number] === 1) at++;
        if (at === stop) break;
        if (bytes[at] !== COLON) {
          if (bytes[at] !== CR || at !== line) throw badName(bytes[at] as number, at === line);
          if (at + 2 > limit) throw tooLarge(this.#limits);
          if (at + 1 === end) break;
          if (bytes[at + 1] !== LF) throw malformed("a CR stands without LF");
          this.end = at + 2 - base;
          return true;
        }
        if (at === line) throw malformed("a field has no name");
        colon = at++;
      }
      while (at < stop && textTable[bytes[at] as number] === 1) at++;
      if (at === stop) break;
      if (bytes[at] !== CR) throw badText(bytes[at] as number);
      if (at + 2 > limit) throw tooLarge(this.#limits);
      if (at + 1 === end) break;
      if (bytes[at + 1] !== LF) throw malformed("a CR stands without LF");
      if (++this.#fields > this.#limits.headerFields) {
        throw new Violation("headTooLarge", `more than ${this.#limits.headerFields} fields`);
      }
      const kind = kindOfOctets(bytes, line, colon - line);
      if (kind !== ORDINARY) this.#mark(kind, line - base, colon + 1 - base, at - base);
      at += 2;
      line = at;
      colon = -1;
    }
    if (at === limit) throw tooLarge(this.#limits);
    this.#at = at - base;
    this.#line = line - base;
    this.#colon = colon < 0 ? -1 : colon - base;
    return false;
  }

  #mark(kind: number, line: number, start: number, end: number): void {
    const { marks, marked } = this;
    marks[marked] = kind;
    marks[marked + 1] = line;
    marks[marked + 2] = start;
    marks[marked + 3] = end;
    this.marked = marked + 4;
  }
}

/** Why an octet cannot stand in a start line or a field value. */
export function badText(octet: number): Violation {
  if (octet === LF) return malformed("a line ends in LF without CR");
  return malformed(`a line holds the control character ${octet}`);
}

function badName(octet: number, first: boolean): Violation {
  if (octet === SPACE || octet === TAB) {
    return malformed(first ? "a field line is folded" : "white space stands in or after a field name");
  }
  if (octet === LF) return badText(octet);
  return malformed(`a field name holds the octet ${octet}`);
}

function tooLarge(limits: ParserLimits): Violation {
  return new Violation("headTooLarge", `more than ${limits.headerBytes} bytes`);
}
