import {
  DATA,
  END,
  ERROR,
  HEAD,
  NEED_INPUT,
  PAUSED,
  type ParserLimits,
} from "../../src/http/http1/events.ts";
import { RequestParser } from "../../src/http/http1/request-parser.ts";
import { ResponseParser } from "../../src/http/http1/response-parser.ts";
import { escaped } from "./escape.ts";

export const defaultLimits: ParserLimits = { headerBytes: 16_384, headerFields: 100, targetBytes: 8_000 };

/** Drives a parser to the end of its input, and writes down what it finds, one line an event; DATA is joined. */
export class Recorder {
  readonly lines: string[] = [];
  readonly parser: RequestParser | ResponseParser;
  /** Leaves the parser paused after a message, as the driver of a tunnel does. */
  readonly #hold: boolean;
  readonly #methods: string[];
  #data = "";

  constructor(parser: RequestParser | ResponseParser, hold: boolean, methods: string[] = []) {
    this.parser = parser;
    this.#hold = hold;
    this.#methods = methods;
    this.#expectNext();
  }

  feed(bytes: Uint8Array): void {
    this.parser.push(bytes);
    this.drain();
  }

  close(): void {
    this.parser.finish();
    this.drain();
  }

  drain(): void {
    const { parser } = this;
    for (;;) {
      const event = parser.next();
      if (event === DATA) {
        this.#data += Buffer.from(parser.chunk).toString("latin1");
        continue;
      }
      if (event === NEED_INPUT) return;
      this.#flush();
      if (event === HEAD) {
        this.#head();
      } else if (event === END) {
        this.lines.push("end");
        this.#block(parser.trailers?.text ?? "");
      } else if (event === PAUSED) {
        if (this.#hold) return;
        this.#expectNext();
        parser.resume();
      } else if (event === ERROR) {
        const line = `error ${parser.error?.code}`;
        if (this.lines.at(-1) !== line) this.lines.push(line);
        return;
      }
    }
  }

  /** The lines, when no more input comes. */
  finish(): string[] {
    this.#flush();
    if (this.#hold)
      this.lines.push(`rest "${escaped(Buffer.from(this.parser.takeRest()).toString("latin1"))}"`);
    return this.lines;
  }

  #expectNext(): void {
    const method = this.#methods.shift();
    if (this.parser instanceof ResponseParser && method !== undefined) this.parser.expect(method);
  }

  #flush(): void {
    if (this.#data === "") return;
    this.lines.push(`data "${escaped(this.#data)}"`);
    this.#data = "";
  }

  #head(): void {
    const { parser } = this;
    const words = ["head"];
    if (parser instanceof RequestParser) {
      const { head } = parser;
      words.push(head.method, head.scheme, head.authority === "" ? "-" : head.authority);
      if (head.target !== "") words.push(head.target);
      if (parser.form !== "origin") words.push(parser.form);
    } else {
      words.push(String(parser.head.status), `"${escaped(parser.head.reason)}"`);
    }
    if (parser.minor === 0) words.push("1.0");
    words.push(`length=${parser.framing.length}`, parser.framing.keepAlive ? "keep-alive" : "close");
    if (parser instanceof RequestParser) {
      const { head } = parser;
      if (head.upgrade !== "") words.push(`upgrade=${head.upgrade}`);
      if (head.expectContinue) words.push("expect-continue");
      if (head.acceptsTrailers) words.push("accepts-trailers");
    } else {
      if (parser.head.announcedLength >= 0) words.push(`announced=${parser.head.announcedLength}`);
      if (parser.upgrade !== "") words.push(`upgrade=${parser.upgrade}`);
    }
    this.lines.push(words.join(" "));
    this.#block(parser.head.headers.text);
  }

  #block(text: string): void {
    for (const line of text.split("\r\n").slice(0, -1)) this.lines.push(`  ${escaped(line)}`);
  }
}
