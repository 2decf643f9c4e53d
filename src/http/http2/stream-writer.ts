import type { Http2Stream } from "node:http2";
import type { BodySource } from "../body.ts";
import type { HeaderBlock } from "../header-block.ts";
import { type OutgoingFields, trailerFields } from "./fields.ts";

/** Hears whether the peer takes what is written. */
export interface StreamWriterOwner {
  onWriterBlocked(): void;
  onWriterFree(): void;
}

/** What is written at one time of a larger chunk. */
const pieceBytes = 65_536;

interface Carrier {
  sluiceWriter?: StreamWriter;
}

/**
 * Writes a body to a stream, counts it against the length that was announced, and sends the trailers. It holds no more
 * than what one write brought beyond the stream's own buffer; the peer's window decides when that leaves.
 */
export class StreamWriter {
  /** Bytes written, before framing. */
  written = 0;
  /** The peer takes no more for now. */
  blocked = false;
  readonly #stream: Http2Stream;
  readonly #owner: StreamWriterOwner;
  /** In bytes; -1 when it is not known. */
  readonly #length: number;
  readonly #sendsTrailers: boolean;
  readonly #source: BodySource;
  #trailers: OutgoingFields | null = null;
  #listening = false;
  /** Chunks that wait; null when none does. */
  #rest: Uint8Array[] | null = null;
  /** The body has ended, and something of it waits. */
  #isEnding = false;
  /** All of it is with the stream. */
  #ended = false;

  /** @param sendsTrailers the stream was opened with `waitForTrailers` */
  constructor(
    stream: Http2Stream,
    owner: StreamWriterOwner,
    source: BodySource,
    length: number,
    sendsTrailers: boolean,
  ) {
    this.#stream = stream;
    this.#owner = owner;
    this.#source = source;
    this.#length = length;
    this.#sendsTrailers = sendsTrailers;
    if (!sendsTrailers) return;
    (stream as Carrier).sluiceWriter = this;
    stream.on("wantTrailers", onWantTrailers);
  }

  /** The body is longer than was announced. */
  get isOver(): boolean {
    return this.#length >= 0 && this.written > this.#length;
  }

  /** The body has ended and is shorter than was announced. */
  get isShort(): boolean {
    return this.#length >= 0 && this.written < this.#length;
  }

  /** @returns as `BodySink.write`. Not to be called once `isOver`. */
  write(chunk: Uint8Array): boolean {
    this.written += chunk.length;
    if (this.isOver || this.#stream.destroyed) return false;
    if (this.#rest !== null || chunk.length > pieceBytes) {
      this.#rest ??= [];
      this.#rest.push(chunk);
      if (!this.blocked) this.#writeRest();
      return !this.blocked;
    }
    if (chunk.length === 0) return !this.blocked;
    const more = this.#push(chunk, this.written === this.#length);
    if (!more) this.#block();
    return more;
  }

  end(trailers: HeaderBlock | null): void {
    if (this.#sendsTrailers) this.#trailers = trailerFields(trailers);
    if (this.#rest === null) this.#finish();
    else this.#isEnding = true;
  }

  cancel(error: Parameters<BodySource["cancel"]>[0]): void {
    this.#source.cancel(error);
  }

  onDrain(): void {
    if (!this.blocked) return;
    this.blocked = false;
    this.#writeRest();
    if (this.blocked || this.#ended) return;
    this.#owner.onWriterFree();
    this.#source.resume();
  }

  onWantTrailers(): void {
    try {
      this.#stream.sendTrailers(this.#trailers ?? {});
    } catch {
      // The stream was reset in the meantime; its close says so.
    }
  }

  /** Writes what waits, a piece at a time: each that the peer takes is told, where one great write would look like a stall. */
  #writeRest(): void {
    const rest = this.#rest;
    if (rest === null) return;
    while (!this.blocked && rest.length > 0) {
      const first = rest[0] as Uint8Array;
      const piece = first.length > pieceBytes ? first.subarray(0, pieceBytes) : first;
      if (piece === first) rest.shift();
      else rest[0] = first.subarray(pieceBytes);
      const isLast = rest.length === 0 && this.written === this.#length;
      if (!this.#push(piece, isLast)) this.#block();
    }
    if (rest.length > 0) return;
    this.#rest = null;
    if (this.#isEnding) this.#finish();
  }

  /** @param isLast END_STREAM may go with it. @returns false when the peer has enough for now */
  #push(piece: Uint8Array, isLast: boolean): boolean {
    if (!isLast || this.#sendsTrailers) return this.#stream.write(piece);
    this.#ended = true;
    this.#stream.end(piece);
    return true;
  }

  #finish(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#stream.end();
  }

  #block(): void {
    this.blocked = true;
    this.#owner.onWriterBlocked();
    if (this.#listening) return;
    this.#listening = true;
    (this.#stream as Carrier).sluiceWriter = this;
    this.#stream.on("drain", onDrain);
  }
}

// One function for all streams, as in StreamBody.
function onDrain(this: Http2Stream): void {
  (this as Carrier).sluiceWriter?.onDrain();
}

function onWantTrailers(this: Http2Stream): void {
  (this as Carrier).sluiceWriter?.onWantTrailers();
}
