import type { ProxyError } from "../../errors/proxy-error.ts";
import { HeaderBlock } from "../header-block.ts";
import { ChunkSize } from "./chunk-size.ts";
import {
  DATA,
  END,
  ERROR,
  type Event,
  type Framing,
  HEAD,
  NEED_INPUT,
  PAUSED,
  type ParserLimits,
} from "./events.ts";
import { badText, FieldScanner } from "./field-scanner.ts";
import { HeadFields } from "./head-fields.ts";
import { Input } from "./input.ts";
import { CR, LF, textTable } from "./octets.ts";
import { type BodyKind, type State, transitions } from "./states.ts";
import { allowedTrailers } from "./trailer-fields.ts";
import { malformed, Violation } from "./violation.ts";

const nothing: Uint8Array = Buffer.alloc(0);

/** What requests and responses have in common: the header section, the body, and the order in which they come. */
export abstract class MessageParser {
  chunk: Uint8Array = nothing;
  trailers: HeaderBlock | null = null;
  error: ProxyError | null = null;
  framing: Framing = { length: 0, keepAlive: false };
  /** The input is no HTTP/1.1 but begins with the preface of HTTP/2, and is kept (RFC 9113 §3.4). */
  preface = false;

  protected readonly limits: ParserLimits;
  protected readonly fields = new HeadFields();

  readonly #input = new Input();
  readonly #scanner: FieldScanner;
  readonly #chunkSize = new ChunkSize();
  #state: State = "idle";
  #finished = false;
  /** How far the start line has been read, and where it ends, from the start of the head. */
  #scanned = 0;
  /** An empty line has been skipped before this message. */
  #skippedLine = false;
  /** Octets of the body, or of the chunk, that are still to come. */
  #remaining = 0;

  constructor(limits: ParserLimits) {
    this.limits = limits;
    this.#scanner = new FieldScanner(limits);
  }

  /** Octets of a start line at most, line end included. */
  protected abstract readonly startLineBytes: number;
  /** Empty lines to skip before a message: 1 for a server (RFC 9112 §2.2), else 0. */
  protected abstract readonly skipsEmptyLine: boolean;
  /** Checks and remembers the start line that stands in `bytes` between `from` and `to`, without its CRLF. */
  protected abstract readStartLine(bytes: Uint8Array, from: number, to: number): void;
  /** Makes the head out of its text and `fields`, sets `framing`, and says how the body is delimited. */
  protected abstract readHead(head: string): BodyKind;
  protected abstract report(violation: Violation): ProxyError;

  /**
   * Adds input, which must not change until it has been read: DATA chunks are views of it. Once `next` has returned
   * NEED_INPUT, nothing of it is held any more.
   */
  push(bytes: Uint8Array): void {
    if (this.#state !== "failed") this.#input.push(bytes);
  }

  finish(): void {
    this.#finished = true;
  }

  resume(): void {
    if (this.#state !== "paused") return;
    this.#state = transitions.paused.resume;
    this.#skippedLine = false;
    this.chunk = nothing;
    this.trailers = null;
  }

  takeRest(): Uint8Array {
    return this.#input.takeAll();
  }

  get idle(): boolean {
    return this.#state === "idle" && this.#input.empty;
  }

  get empty(): boolean {
    return this.#input.empty;
  }

  next(): Event {
    try {
      return this.#step();
    } catch (problem) {
      if (!(problem instanceof Violation)) throw problem;
      this.error = this.report(problem);
      this.#state = "failed";
      if (!this.preface) this.#input.clear();
      return ERROR;
    }
  }

  #step(): Event {
    for (;;) {
      switch (this.#state) {
        case "idle":
          if (!this.#input.fill()) return this.#starve();
          if (this.skipsEmptyLine && this.#input.first === CR) {
            if (!this.#skipLine()) return this.#starve();
            break;
          }
          this.#scanned = 0;
          this.#state = transitions.idle.octets;
          break;
        case "startLine":
          if (!this.#scanStartLine()) return this.#starve();
          break;
        case "fields":
          if (!this.#scanFields()) return this.#starve();
          return this.#endHead();
        case "fixed":
          if (!this.#input.fill()) return this.#starve();
          this.#takeData();
          if (this.#remaining === 0) this.#state = transitions.fixed.whole;
          return DATA;
        case "untilClose":
          if (!this.#input.fill()) {
            if (!this.#finished) return NEED_INPUT;
            this.#state = transitions.untilClose.close;
            break;
          }
          this.#remaining = this.#input.size;
          this.#takeData();
          return DATA;
        case "chunkSize":
        case "chunkExtension":
          if (!this.#input.fill()) return this.#starve();
          this.#readChunkSize(this.#state);
          break;
        case "chunkSizeEnd":
          if (!this.#input.fill()) return this.#starve();
          this.#input.expect(LF, "a CR stands without LF in a chunk size line");
          this.#endChunkSize();
          break;
        case "chunkData":
          if (!this.#input.fill()) return this.#starve();
          this.#takeData();
          if (this.#remaining === 0) this.#state = transitions.chunkData.whole;
          return DATA;
        case "chunkDataCr":
          if (!this.#input.fill()) return this.#starve();
          this.#input.expect(CR, "a chunk is longer than its size");
          this.#state = transitions.chunkDataCr.cr;
          break;
        case "chunkDataLf":
          if (!this.#input.fill()) return this.#starve();
          this.#input.expect(LF, "a CR stands without LF after a chunk");
          this.#chunkSize.next();
          this.#state = transitions.chunkDataLf.lf;
          break;
        case "trailers":
          if (!this.#scanFields()) return this.#starve();
          this.#endTrailers();
          break;
        case "complete":
          this.#state = transitions.complete.told;
          return END;
        case "paused":
          return PAUSED;
        case "failed":
          return ERROR;
        default:
          return this.#state satisfies never;
      }
    }
  }

  /** There is no more input. That is an error when the peer has closed its side in the middle of a message. */
  #starve(): Event {
    const state = this.#state;
    if (!this.#finished || (transitions[state].close !== "failed" && this.#input.empty)) return NEED_INPUT;
    const inHead = state === "idle" || state === "startLine" || state === "fields";
    throw inHead
      ? new Violation("headCutOff", "the connection ended within the head")
      : new Violation("bodyCutOff", "the connection ended within the body");
  }

  /**
   * Skips an empty line before a request, which old clients send after a body. One only (RFC 9112 §2.2): a run of them
   * is no client that we should be lenient with.
   */
  #skipLine(): boolean {
    const input = this.#input;
    while (input.size < 2) if (!input.more()) return false;
    if (input.bytes[input.start + 1] !== LF) throw malformed("a CR stands without LF");
    if (this.#skippedLine) throw malformed("empty lines stand before the request line");
    this.#skippedLine = true;
    input.start += 2;
    input.settle();
    return true;
  }

  #scanStartLine(): boolean {
    const input = this.#input;
    const bound = Math.min(this.startLineBytes, this.limits.headerBytes);
    do {
      const { bytes, start, end } = input;
      const limit = start + bound;
      const stop = end < limit ? end : limit;
      let at = start + this.#scanned;
      while (at < stop && textTable[bytes[at] as number] === 1) at++;
      this.#scanned = at - start;
      if (at === limit) throw new Violation("targetTooLong", `the first line is over ${bound} bytes`);
      if (at === end) continue;
      if (bytes[at] !== CR) throw badText(bytes[at] as number);
      if (at + 2 > limit) throw new Violation("targetTooLong", `the first line is over ${bound} bytes`);
      if (at + 1 === end) continue;
      if (bytes[at + 1] !== LF) throw malformed("a CR stands without LF");
      this.readStartLine(bytes, start, at);
      this.#scanner.begin(at + 2 - start);
      this.#state = transitions.startLine.line;
      return true;
    } while (input.more());
    return false;
  }

  #scanFields(): boolean {
    const input = this.#input;
    do {
      if (this.#scanner.scan(input.bytes, input.start, input.end)) return true;
    } while (input.more());
    return false;
  }

  #endHead(): Event {
    const scanner = this.#scanner;
    const head = this.#input.takeText(scanner.end);
    this.fields.read(head, scanner.marks, scanner.marked, this.#scanned + 2, scanner.end - 2);
    const kind = this.readHead(head);
    if (kind === "fixed") this.#remaining = this.framing.length;
    else if (kind === "chunked") this.#chunkSize.begin();
    this.#skippedLine = false;
    this.#state = transitions.fields[kind];
    return HEAD;
  }

  #takeData(): void {
    const chunk = this.#input.take(this.#remaining);
    this.#remaining -= chunk.length;
    this.chunk = chunk;
  }

  #readChunkSize(state: "chunkSize" | "chunkExtension"): void {
    const size = this.#chunkSize;
    const input = this.#input;
    const { bytes, end } = input;
    let at = input.start;
    let current = state;
    while (at < end) {
      const octet = bytes[at++] as number;
      if (octet === CR) {
        size.endLine();
        this.#state = transitions[current].cr;
        input.start = at;
        return;
      }
      if (current === "chunkExtension") size.extend(octet);
      else if (!size.digit(octet)) current = transitions.chunkSize.extension;
    }
    this.#state = current;
    input.start = at;
  }

  #endChunkSize(): void {
    const { value } = this.#chunkSize;
    if (value === 0) {
      this.#scanner.begin(0);
      this.#state = transitions.chunkSizeEnd.last;
    } else {
      this.#remaining = value;
      this.#state = transitions.chunkSizeEnd.chunk;
    }
  }

  /** Trailers pass the same checks as header fields; those that must not be there are dropped (RFC 9110 §6.5.1). */
  #endTrailers(): void {
    const { end } = this.#scanner;
    const text = allowedTrailers(this.#input.takeText(end).slice(0, end - 2));
    this.trailers = text === "" ? null : new HeaderBlock(text);
    this.#state = transitions.trailers.end;
  }
}
