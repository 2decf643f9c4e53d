import type { Http2Stream } from "node:http2";
import type { ProxyError } from "../../errors/proxy-error.ts";
import type { BodySink, BodySource } from "../body.ts";
import type { HeaderBlock } from "../header-block.ts";

/** Hears how the reading of a body goes. */
export interface StreamBodyOwner {
  /** Somebody takes the body, for the first time or after a pause: bytes are expected. */
  onBodyWanted(): void;
  /** Some bytes have come, of which `received` counts all. @returns false to throw them away */
  onBodyBytes(received: number, more: boolean): boolean;
  /** All bytes have come. @returns why it is no whole body all the same, or null */
  onBodyEnd(): ProxyError | null;
  /** Nobody wants the rest. */
  onBodyCancelled(error: ProxyError): void;
}

interface Carrier {
  sluiceBody?: StreamBody;
}

/**
 * The body that comes on a stream. Bytes are read as fast as the sink takes them; what it does not take stays in the
 * stream's window, so the peer holds still (RFC 9113 §5.2).
 */
export class StreamBody implements BodySource {
  length: number;
  received = 0;
  /** The stream was closed before its END_STREAM: what has come is not all. */
  isCut = false;
  /** Of the message, when they have come. */
  trailers: HeaderBlock | null = null;
  /** All of it has come, and was handed on. */
  ended = false;
  /** Set by whoever makes the body, before it is handed on. */
  owner: StreamBodyOwner | null = null;
  readonly #stream: Http2Stream;
  #sink: BodySink | null = null;
  #listening = false;
  #holding = false;
  #over = false;
  #isLast = false;
  #failed: ProxyError | null = null;

  constructor(stream: Http2Stream, length: number) {
    this.#stream = stream;
    this.length = length;
    (stream as Carrier).sluiceBody = this;
    stream.push = pushWatched;
  }

  /** Somebody takes it, and waits for more. */
  get flowing(): boolean {
    return this.#sink !== null && !this.#holding;
  }

  pipe(sink: BodySink): void {
    const failed = this.#failed;
    if (failed !== null) {
      queueMicrotask(() => sink.fail(failed));
      return;
    }
    if (this.#over) return;
    this.#sink = sink;
    this.owner?.onBodyWanted();
    this.#listen();
  }

  resume(): void {
    if (!this.#holding || this.#over) return;
    this.#holding = false;
    this.owner?.onBodyWanted();
    this.#stream.resume();
  }

  cancel(error: ProxyError): void {
    if (this.#over) return;
    this.#over = true;
    this.#sink = null;
    if (this.#listening) this.#stream.pause();
    this.owner?.onBodyCancelled(error);
  }

  /** The body broke off, or must not be read on. */
  fail(error: ProxyError): void {
    if (this.#over) return;
    this.#over = true;
    const sink = this.#sink;
    this.#sink = null;
    this.#failed = error;
    if (this.#listening) this.#stream.pause();
    sink?.fail(error);
  }

  /** Reads what comes and throws it away, so that the stream can come to its end. */
  discard(): void {
    this.#over = true;
    this.#sink = null;
    this.#holding = false;
    this.#listen();
    this.#stream.resume();
  }

  #listen(): void {
    if (this.#listening) return;
    this.#listening = true;
    this.#stream.on("end", onEnd);
    this.#stream.on("data", onData);
  }

  onData(chunk: Buffer): void {
    this.received += chunk.length;
    const sink = this.#sink;
    if (sink === null) return;
    if (this.owner?.onBodyBytes(this.received, true) !== true) return;
    // Set beforehand, so that a sink which resumes from within `write` is heard.
    this.#holding = true;
    if (sink.write(chunk)) this.#holding = false;
    if (!this.#holding || this.#over) return;
    this.#stream.pause();
    this.owner?.onBodyBytes(this.received, false);
  }

  /** The last byte is read, or none follows. */
  onLast(isClosed: boolean): void {
    if (this.#isLast) return;
    this.#isLast = true;
    this.isCut = isClosed;
  }

  onEnd(): void {
    if (this.#over) {
      this.ended = true;
      return;
    }
    const broken = this.owner?.onBodyEnd() ?? null;
    if (broken !== null) {
      this.fail(broken);
      return;
    }
    this.ended = true;
    this.#over = true;
    const sink = this.#sink;
    this.#sink = null;
    sink?.end(this.trailers);
  }
}

/**
 * node:http2 ends the reading side of a stream in the same way for END_STREAM and for a reset without an error. Only at the
 * moment of the end can the two be told apart: a stream that is reset is closed by then.
 */
function pushWatched(this: Http2Stream, chunk: unknown, encoding?: BufferEncoding): boolean {
  const body = (this as Carrier).sluiceBody;
  if (chunk === null && body !== undefined) body.onLast(this.closed);
  return (Object.getPrototypeOf(this) as Http2Stream).push.call(this, chunk, encoding);
}

// One function for all streams: a closure for each would be made for every request.
function onData(this: Http2Stream, chunk: Buffer): void {
  (this as Carrier).sluiceBody?.onData(chunk);
}

function onEnd(this: Http2Stream): void {
  (this as Carrier).sluiceBody?.onEnd();
}
