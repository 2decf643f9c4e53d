import type { Http2Stream } from "node:http2";
import type { BodySource } from "../body.ts";
import type { HeaderBlock } from "../header-block.ts";
import { type OutgoingFields, trailerFields } from "./fields.ts";

/** Hears whether the peer takes what is written. */
export interface StreamWriterOwner {
  onWriterBlocked(): void;
  onWriterFree(): void;
}

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
  /** All that was announced is with the stream. */
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
    if (this.written === this.#length && !this.#sendsTrailers && chunk.length > 0) {
      // END_STREAM goes with the last bytes.
      this.#ended = true;
      this.#stream.end(chunk);
      return true;
    }
    if (chunk.length === 0 || this.#stream.write(chunk)) return !this.blocked;
    if (!this.blocked) {
      this.blocked = true;
      this.#owner.onWriterBlocked();
    }
    if (!this.#listening) {
      this.#listening = true;
      (this.#stream as Carrier).sluiceWriter = this;
      this.#stream.on("drain", onDrain);
    }
    return false;
  }

  end(trailers: HeaderBlock | null): void {
    if (this.#sendsTrailers) this.#trailers = trailerFields(trailers);
    if (!this.#ended) this.#stream.end();
  }

  cancel(error: Parameters<BodySource["cancel"]>[0]): void {
    this.#source.cancel(error);
  }

  onDrain(): void {
    if (!this.blocked) return;
    this.blocked = false;
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
}

// One function for all streams, as in StreamBody.
function onDrain(this: Http2Stream): void {
  (this as Carrier).sluiceWriter?.onDrain();
}

function onWantTrailers(this: Http2Stream): void {
  (this as Carrier).sluiceWriter?.onWantTrailers();
}
