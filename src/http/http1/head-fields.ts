import { trimmed } from "../header-block.ts";
import {
  CONNECTION,
  CONTENT_LENGTH,
  EXPECT,
  type FieldKind,
  HOST,
  kindOfText,
  ORDINARY,
  TE,
  TRANSFER_ENCODING,
  UPGRADE,
} from "./field-kind.ts";
import { listOf, parseContentLength, withoutNames } from "./field-values.ts";
import { malformed, Violation } from "./violation.ts";

/** Members of all lists in a head that are read as such; thousands of them would cost more than the rest of the head. */
const MAX_MEMBERS = 128;

/** What the marked fields of one head say. One object a parser, filled anew for each head. */
export class HeadFields {
  /** The end-to-end field lines. */
  text = "";
  hosts = 0;
  host = "";
  /** -1 without Content-Length. */
  contentLength = -1;
  transferEncoding: string | null = null;
  /** The options of Connection that matter here. */
  close = false;
  keepAlive = false;
  upgrades = false;
  /** The protocols that Upgrade lists, lower case. */
  protocols: string[] | null = null;
  expect: string | null = null;
  acceptsTrailers = false;
  /** Names that Connection lists and that are not dropped anyway. */
  #named: Set<string> | null = null;
  #members = 0;

  /**
   * Takes the marked lines out of `head`, and reads them. The first `marked` of `marks` are a FieldScanner's; the field
   * lines begin at `from` and the empty line after them at `to`. What Connection names goes last, so that it cannot hide
   * a field that decides about framing (RFC 9110 §7.6.1).
   */
  read(head: string, marks: readonly number[], marked: number, from: number, to: number): void {
    this.#clear();
    let text = "";
    let run = from;
    for (let i = 0; i < marked; i += 4) {
      const line = marks[i + 1] as number;
      const end = marks[i + 3] as number;
      if (line > run) text += head.slice(run, line);
      run = end + 2;
      const kind = marks[i] as FieldKind;
      // A tab after the coding is white space to us and part of the coding to llhttp and others, which then see another
      // framing than we do. Nobody sends one in good faith.
      if (kind === TRANSFER_ENCODING && head.slice(marks[i + 2], end).includes("\t")) {
        throw malformed("a tab stands in Transfer-Encoding");
      }
      this.#take(kind, trimmed(head, marks[i + 2] as number, end));
    }
    if (run < to) text += head.slice(run, to);
    this.text = this.#named === null ? text : withoutNames(text, this.#named);
  }

  #clear(): void {
    this.#members = 0;
    this.hosts = 0;
    this.host = "";
    this.contentLength = -1;
    this.transferEncoding = null;
    this.close = false;
    this.keepAlive = false;
    this.upgrades = false;
    this.protocols = null;
    this.expect = null;
    this.acceptsTrailers = false;
    this.#named = null;
  }

  #take(kind: FieldKind, value: string): void {
    switch (kind) {
      case HOST:
        this.hosts++;
        this.host = value;
        break;
      case CONTENT_LENGTH:
        if (this.contentLength >= 0) throw malformed("Content-Length is repeated");
        this.contentLength = parseContentLength(value);
        break;
      case TRANSFER_ENCODING:
        this.transferEncoding = this.transferEncoding === null ? value : `${this.transferEncoding},${value}`;
        break;
      case CONNECTION:
        this.#takeConnection(value);
        break;
      case UPGRADE:
        this.protocols ??= [];
        this.protocols.push(...this.#listOf(value));
        break;
      case EXPECT:
        this.expect = this.expect === null ? value : `${this.expect},${value}`;
        break;
      case TE:
        if (this.#listOf(value).includes("trailers")) this.acceptsTrailers = true;
        break;
      default:
    }
  }

  #listOf(value: string): string[] {
    const members = listOf(value);
    this.#members += members.length;
    if (this.#members > MAX_MEMBERS)
      throw new Violation("headTooLarge", `more than ${MAX_MEMBERS} list members`);
    return members;
  }

  #takeConnection(value: string): void {
    if (value === "keep-alive") {
      this.keepAlive = true;
      return;
    }
    for (const option of this.#listOf(value)) {
      if (option === "close") this.close = true;
      else if (option === "keep-alive") this.keepAlive = true;
      else if (option === "upgrade") this.upgrades = true;
      else if (kindOfText(option, 0, option.length) === ORDINARY) {
        this.#named ??= new Set();
        this.#named.add(option);
      }
    }
  }
}
