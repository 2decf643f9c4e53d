import type { ProxyError } from "../../errors/proxy-error.ts";
import type { BodySink, BodySource } from "../../http/body.ts";
import type { Exchange } from "../../http/exchange.ts";
import type { HeaderBlock } from "../../http/header-block.ts";
import * as wire from "../../wire/ops.ts";
import { recode } from "./coded-body.ts";
import { contentCoding } from "./coding.ts";
import type { Session } from "./session.ts";
import { WholeBody } from "./whole-body.ts";

/**
 * How a body belongs to its owner: the guest named the exchange, or it was inferred from the entry in which the body was
 * asked for, or it is one half of a socket, whose connection has an idle time of its own.
 */
export type Tie = "named" | "inferred" | "socket";

/**
 * A body whose handle the guest holds. As long as the guest only passes the handle on, `take` gives the source to its
 * new consumer and no byte enters the isolate; else the bytes cross as the guest asks for them.
 */
export class HeldBody implements BodySink {
  readonly id: number;
  /** The exchange it belongs to, or 0. */
  readonly owner: number;
  readonly tie: Tie;
  readonly length: number;
  /** The sweep after which it was last touched; see `HeldBodies`. */
  touchedAt = 0;
  /** Of the response it belongs to: it is decoded from what they name when the guest reads it. */
  headers: HeaderBlock | null = null;
  /** Hears that the guest has it no more. */
  onGone: (() => void) | null = null;
  readonly #session: Session;
  #source: BodySource | null;
  /** The body stays with its exchange until somebody wants it, so that an unread one can still go elsewhere. */
  #exchange: Exchange | null;
  #reading = false;
  /** A pull or a read waits for an answer. */
  waiting = false;
  #all = false;
  #whole: WholeBody | null = null;
  #queue: Uint8Array[] = [];
  #ended = false;
  #failure: ProxyError | null = null;

  constructor(session: Session, id: number, owner: number, tie: Tie, from: BodySource | Exchange) {
    this.#session = session;
    this.id = id;
    this.owner = owner;
    this.tie = tie;
    if ("takeBody" in from) {
      this.length = from.bodyLength;
      this.#exchange = from;
      this.#source = null;
    } else {
      this.length = from.length;
      this.#exchange = null;
      this.#source = from;
    }
  }

  /** The guest has begun to read. */
  get isBegun(): boolean {
    return this.#reading;
  }

  /** The codings that the source is in; see `contentCoding`. */
  get coding(): string {
    return this.headers === null ? "" : contentCoding(this.headers.text);
  }

  /** The source, if the guest has not begun to read; the handle is then used up. */
  take(): BodySource | null {
    if (this.#reading) return null;
    const source = this.#exchange === null ? this.#source : this.#exchange.takeBody();
    this.#exchange = null;
    this.#source = null;
    return source;
  }

  pull(): void {
    if (this.waiting) return;
    this.#session.bodies.touched(this);
    this.waiting = true;
    if (!this.#reading) {
      this.#begin();
      return;
    }
    if (!this.#deliver()) this.#source?.resume();
  }

  readBytes(): void {
    this.#all = true;
    this.waiting = true;
    if (!this.#reading) {
      this.#begin();
      return;
    }
    while (this.#deliver());
    this.#source?.resume();
  }

  readText(): void {
    const source = this.#takeDecoded();
    if (source === null) {
      this.#tellMisuse("the body is being read already");
      return;
    }
    this.#reading = true;
    this.waiting = true;
    this.#source = source;
    this.#whole = new WholeBody(source, this.#session.buffer, (error, bytes) => {
      if (!this.waiting) return;
      this.waiting = false;
      if (error !== null) {
        this.#tellFailure(error);
        return;
      }
      this.#session.countIn(bytes.length);
      const { inbox } = this.#session;
      const text = decodeUtf8(bytes);
      const at = inbox.begin(wire.IN_TEXT, 2, this.owner);
      inbox.ints[at] = this.id;
      inbox.ints[at + 1] = inbox.text(text);
      this.#session.finished(this);
    });
  }

  cancel(error: ProxyError): void {
    const source = this.#source;
    this.#source = null;
    this.#whole?.drop();
    this.waiting = false;
    this.#queue = [];
    this.#ended = true;
    // What still lies with the exchange is the exchange's to discard.
    this.#exchange = null;
    source?.cancel(error);
  }

  write(chunk: Uint8Array): boolean {
    for (let from = 0; from < chunk.length; from += wire.WINDOW) {
      this.#queue.push(chunk.subarray(from, Math.min(chunk.length, from + wire.WINDOW)));
    }
    if (this.#all) {
      while (this.#deliver());
      return true;
    }
    if (this.waiting) this.#deliver();
    return this.waiting;
  }

  end(): void {
    this.#ended = true;
    this.#source = null;
    if (this.waiting) this.#deliver();
  }

  fail(error: ProxyError): void {
    this.#ended = true;
    this.#source = null;
    this.#failure = error;
    if (this.waiting) this.#deliver();
  }

  #takeDecoded(): BodySource | null {
    const source = this.take();
    return source === null ? null : recode(source, this.coding, "");
  }

  #begin(): void {
    const source = this.#takeDecoded();
    this.#reading = true;
    if (source === null) {
      this.#tellMisuse("the body was used already");
      return;
    }
    this.#source = source;
    source.pipe(this);
  }

  /** Sends the next piece, or the end, if there is any. */
  #deliver(): boolean {
    const { inbox } = this.#session;
    const chunk = this.#queue.shift();
    if (chunk !== undefined) {
      if (!this.#all) this.waiting = false;
      this.#session.bodies.touched(this);
      this.#session.countIn(chunk.length);
      inbox.chunk(wire.IN_CHUNK, this.id, chunk, this.owner);
      this.#session.touch();
      return true;
    }
    if (!this.#ended) return false;
    this.waiting = false;
    if (this.#failure !== null) this.#tellFailure(this.#failure);
    else {
      const at = inbox.begin(wire.IN_END, 1, this.owner);
      inbox.ints[at] = this.id;
      this.#session.finished(this);
    }
    return false;
  }

  /** The Worker learns the code of an error on the host, no addresses and no causes. */
  #tellFailure(error: ProxyError): void {
    this.#session.incoming.get(this.owner)?.noteFailure(error);
    this.#tell(error.code, `cannot read the body: ${error.code}`);
  }

  #tellMisuse(reason: string): void {
    this.#tell("", `cannot read the body: ${reason}`);
  }

  #tell(code: string, message: string): void {
    this.waiting = false;
    this.#session.bodyFailed(this.id, this.owner, code, message);
    this.#session.finished(this);
  }
}

/** UTF-8 without the BOM, as text() and json() decode (Encoding §6.1 "UTF-8 decode"). */
function decodeUtf8(bytes: Buffer): string {
  const hasBom = bytes.length >= 3 && bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
  return bytes.toString("utf8", hasBom ? 3 : 0);
}
