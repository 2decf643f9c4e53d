import type { Transform } from "node:stream";
import * as zlib from "node:zlib";
import { GuestFailure } from "../guest-failure.ts";
import { type CallOperation, CallResult, ThreadJob } from "./call.ts";
import type { CallScope } from "./operations.ts";

/** What a coder's window and tables take, roughly, whatever its kind. */
const STATE = 320_000;
/** Coders that one guest may have open. */
const MAX_OPEN = 1000;
/** The guest's garbage is collected when so many are open, so that it finds those that it has dropped unfinished. */
const COLLECT_AT = 128;
/** Bytes of one answer, roughly: what is left is asked for again. */
const MAX_ANSWER = 131_072;

/** A coder by the name of the standard's format; `-` decodes, `+` encodes. */
function makeCoder(kind: string): Transform | null {
  const strict = { rejectGarbageAfterEnd: true };
  const { constants } = zlib;
  switch (kind) {
    case "+gzip":
      return zlib.createGzip();
    case "+deflate":
      return zlib.createDeflate();
    case "+deflate-raw":
      return zlib.createDeflateRaw();
    case "+brotli":
      return zlib.createBrotliCompress({ params: { [constants.BROTLI_PARAM_QUALITY]: 5 } });
    case "+zstd":
      return zlib.createZstdCompress();
    case "-gzip":
      return zlib.createGunzip(strict);
    case "-deflate":
      return zlib.createInflate(strict);
    case "-deflate-raw":
      return zlib.createInflateRaw(strict);
    case "-brotli":
      return zlib.createBrotliDecompress();
    case "-zstd":
      return zlib.createZstdDecompress({ params: { [constants.ZSTD_d_windowLogMax]: 23 } });
    default:
      return null;
  }
}

/**
 * Compression in pieces, for CompressionStream and DecompressionStream. A guest numbers its coders and says what is to
 * be done: `<number> <kind> <verb>`, with the verbs `write` (the bytes), `more` (what the last verb has left), `end` and
 * `close`. Answered with bytes, and with the text `more` when there are more to come.
 */
export function zlibOperation(scope: CallScope): CallOperation {
  const open = new Map<number, Coder>();
  let collectAt = COLLECT_AT;
  const drop = (id: number): void => {
    const coder = open.get(id);
    if (coder === undefined) return;
    open.delete(id);
    coder.close();
    scope.buffer.give(STATE);
  };
  return (text, bytes) => {
    const [number = "", kind = "", verb = ""] = text.split(" ", 3);
    const id = Number(number);
    if (verb === "close") {
      drop(id);
      return new CallResult("");
    }
    const coder = open.get(id) ?? begin(open, id, kind, scope);
    if (open.size >= collectAt) {
      collectAt = open.size * 2;
      scope.collect();
    } else if (open.size * 4 < collectAt) collectAt = Math.max(COLLECT_AT, open.size * 2);
    return new ThreadJob(async () => {
      try {
        const answer = await coder.step(verb === "write" ? bytes : null, verb === "end");
        if (coder.isOver) drop(id);
        return answer;
      } catch (error) {
        drop(id);
        throw error;
      }
    });
  };
}

function begin(open: Map<number, Coder>, id: number, kind: string, scope: CallScope): Coder {
  const room = open.size < MAX_OPEN && scope.buffer.take(STATE);
  if (!room)
    throw new GuestFailure("QuotaExceededError", "cannot code the stream: too many are open at a time");
  const stream = makeCoder(kind);
  if (stream === null || !Number.isSafeInteger(id)) {
    scope.buffer.give(STATE);
    throw new GuestFailure("TypeError", "cannot code the stream: the format is not known");
  }
  const coder = new Coder(stream, kind[0] === "+" ? "compress" : "decompress");
  open.set(id, coder);
  return coder;
}

/** One stream of zlib, worked in steps: its output is taken as it is asked for, so a bomb yields no more than that. */
class Coder {
  /** All output has been taken. */
  isOver = false;
  readonly #stream: Transform & { readonly bytesWritten?: number };
  readonly #action: string;
  #failure: Error | null = null;
  #fed = 0;
  #written = true;
  #ending = false;
  #busy = false;
  #wake: () => void = nothing;

  constructor(stream: Transform, action: string) {
    this.#stream = stream;
    this.#action = action;
    stream.on("readable", () => this.#wake());
    stream.on("end", () => {
      this.isOver = true;
      this.#wake();
    });
    stream.on("error", (error) => {
      this.#failure = error;
      this.#wake();
    });
    stream.on("close", () => this.#wake());
  }

  /** @param input null for none. @throws GuestFailure when the input is not what it should be. */
  async step(input: Uint8Array | null, end: boolean): Promise<CallResult> {
    // One at a time is what our runtime asks for; another order would be a guest's that broke it.
    if (this.#busy || (this.#ending && input !== null)) throw this.#broken("it is out of order");
    this.#busy = true;
    if (input !== null && input.length > 0) {
      if (this.isOver) throw this.#broken("there are bytes after its end");
      this.#fed += input.length;
      this.#written = false;
      this.#stream.write(input, () => {
        this.#written = true;
        this.#wake();
      });
    }
    if (end && !this.#ending) {
      this.#ending = true;
      this.#stream.end();
    }
    const pieces: Uint8Array[] = [];
    let size = 0;
    for (;;) {
      const piece = this.#stream.read() as Uint8Array | null;
      if (this.#failure !== null) throw this.#broken(this.#failure.message);
      if (piece !== null) {
        pieces.push(piece);
        size += piece.length;
        if (size >= MAX_ANSWER) break;
      } else if (this.isOver || this.#stream.destroyed || (this.#written && !this.#ending)) break;
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        this.#wake = nothing;
      }
    }
    this.#busy = false;
    const rest = this.#stream.bytesWritten;
    if (this.isOver && rest !== undefined && rest < this.#fed)
      throw this.#broken("there are bytes after its end");
    return new CallResult(size >= MAX_ANSWER ? "more" : "", Buffer.concat(pieces));
  }

  close(): void {
    this.#stream.destroy();
  }

  #broken(reason: string): GuestFailure {
    return new GuestFailure("TypeError", `cannot ${this.#action} the stream: ${reason}`);
  }
}

function nothing(): void {}
