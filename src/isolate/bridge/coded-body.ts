import type { Transform } from "node:stream";
import { ProxyError } from "../../errors/proxy-error.ts";
import type { BodySink, BodySource } from "../../http/body.ts";
import type { HeaderBlock } from "../../http/header-block.ts";
import { type Coding, codingsOf, makeDecoder, makeEncoder } from "./coding.ts";

/** Bytes that a coder gives at once: each piece is a trip to another thread. */
const PIECE = 65_536;
const SMALL_PIECE = 16_384;

/**
 * The same content under other codings: those of `from` are taken off, the last first, and those of `to` put on. Both
 * are as `contentCoding` gives them.
 */
export function recode(source: BodySource, from: string, to: string): BodySource {
  if (from === to) return source;
  let body = source;
  for (const coding of codingsOf(from).reverse()) {
    const plain = body instanceof CodedBody ? body.before(coding) : null;
    body = plain ?? new CodedBody(body, coding, "decode");
  }
  for (const coding of codingsOf(to)) body = new CodedBody(body, coding, "encode");
  return body;
}

/**
 * A body behind a coder. The coder works on other threads, reads no faster than its sink takes, and yields bounded
 * pieces, so that a few bytes that stand for gigabytes cost no more than what is read of them.
 */
class CodedBody implements BodySource, BodySink {
  readonly length = -1;
  readonly #source: BodySource;
  readonly #coding: Coding;
  readonly #way: "encode" | "decode";
  #coder: Transform | null = null;
  #sink: BodySink | null = null;
  #trailers: HeaderBlock | null = null;
  #isOver = false;

  constructor(source: BodySource, coding: Coding, way: "encode" | "decode") {
    this.#source = source;
    this.#coding = coding;
    this.#way = way;
  }

  /** What this body encodes, if it is that coding and nobody has begun: then nothing needs to be encoded at all. */
  before(coding: Coding): BodySource | null {
    const untouched = this.#way === "encode" && this.#coding === coding && this.#sink === null;
    if (!untouched || this.#isOver) return null;
    this.#isOver = true;
    return this.#source;
  }

  // As a source.

  pipe(sink: BodySink): void {
    this.#sink = sink;
    this.#source.pipe(this);
  }

  resume(): void {
    if (this.#coder === null) this.#source.resume();
    else this.#coder.resume();
  }

  cancel(error: ProxyError): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#sink = null;
    this.#coder?.destroy();
    this.#source.cancel(error);
  }

  // As the sink of what it codes.

  write(chunk: Uint8Array): boolean {
    if (this.#isOver) return false;
    return this.#obtain(chunk).write(chunk);
  }

  end(trailers: HeaderBlock | null): void {
    if (this.#isOver) return;
    this.#trailers = trailers;
    if (this.#coder === null && this.#way === "decode") this.#finish();
    else this.#obtain(noBytes).end();
  }

  fail(error: ProxyError): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#coder?.destroy();
    this.#sink?.fail(error);
  }

  #obtain(first: Uint8Array): Transform {
    if (this.#coder !== null) return this.#coder;
    const { length } = this.#source;
    const piece = length >= 0 && length < SMALL_PIECE ? SMALL_PIECE : PIECE;
    const coder =
      this.#way === "decode"
        ? makeDecoder(this.#coding, first, piece)
        : makeEncoder(this.#coding, length < 0);
    coder.on("data", (chunk: Uint8Array) => {
      if (this.#sink?.write(chunk) === false) coder.pause();
    });
    coder.on("drain", () => {
      if (!this.#isOver) this.#source.resume();
    });
    coder.on("end", () => this.#finish());
    coder.on("error", (cause) => this.#broken(cause));
    this.#coder = coder;
    return coder;
  }

  #finish(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#sink?.end(this.#trailers);
  }

  /** The bytes are not in the coding that their head names, or are not whole. */
  #broken(cause: Error): void {
    if (this.#isOver) return;
    const error = new ProxyError(
      "upstream_malformed",
      `cannot ${this.#way} the body as ${this.#coding}: ${cause.message}`,
      { cause },
    );
    this.fail(error);
    this.#source.cancel(error);
  }
}

const noBytes = new Uint8Array(0);
