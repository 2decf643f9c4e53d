import * as fs from "node:fs";
import { ProxyError } from "../../errors/proxy-error.ts";
import type { BodySink, BodySource } from "../../http/body.ts";
import type { ByteRange } from "./ranges.ts";

/** Large enough that a read costs little beside its bytes, small enough that many slow clients fit into memory. */
const chunkBytes = 131_072;

/**
 * Ranges of an open file, with texts between them, as a body. It owns the descriptor, and closes it at the end, on
 * failure or when it is cancelled; never while a read is under way, since the number could then be another file's.
 *
 * A file that is shorter than it was breaks the body off: its length was announced.
 */
export class FileBody implements BodySource {
  readonly length: number;
  readonly #fd: number;
  readonly #parts: ReadonlyArray<ByteRange | Uint8Array>;
  /** Called once, when the descriptor is given back. */
  readonly #closed: (error: ProxyError | null) => void;
  #part = 0;
  #position = 0;
  #sink: BodySink | null = null;
  #held = false;
  #busy = false;
  #writing = false;
  #done = false;

  constructor(
    fd: number,
    parts: ReadonlyArray<ByteRange | Uint8Array>,
    closed: (error: ProxyError | null) => void,
  ) {
    this.#fd = fd;
    this.#parts = parts;
    this.#closed = closed;
    let length = 0;
    for (const part of parts) length += part instanceof Uint8Array ? part.length : part.end - part.start;
    this.length = length;
    this.#enter();
  }

  pipe(sink: BodySink): void {
    this.#sink = sink;
    queueMicrotask(() => this.#pump());
  }

  resume(): void {
    if (!this.#held) return;
    this.#held = false;
    if (!this.#writing) this.#pump();
  }

  cancel(error: ProxyError): void {
    this.#finish(error);
  }

  /** Goes on until a read is under way, the sink holds, or all is sent. */
  #pump(): void {
    while (!this.#busy && !this.#held && !this.#done && this.#sink !== null) {
      const part = this.#parts[this.#part];
      if (part === undefined) {
        const sink = this.#sink;
        this.#finish(null);
        sink.end(null);
      } else if (part instanceof Uint8Array) {
        this.#next();
        this.#write(part);
      } else if (this.#position === part.end) {
        this.#next();
      } else {
        this.#read(Math.min(chunkBytes, part.end - this.#position));
      }
    }
  }

  #read(length: number): void {
    this.#busy = true;
    fs.read(this.#fd, Buffer.allocUnsafeSlow(length), 0, length, this.#position, (error, count, buffer) => {
      this.#busy = false;
      if (this.#done) {
        this.#close();
        return;
      }
      if (error !== null || count === 0) {
        const reason = error?.message ?? "it is shorter than it was";
        const broken = new ProxyError("disk_failed", `cannot send a file: ${reason}`, { cause: error });
        const sink = this.#sink;
        this.#finish(broken);
        sink?.fail(broken);
        return;
      }
      this.#position += count;
      this.#write(count === length ? buffer : buffer.subarray(0, count));
      this.#pump();
    });
  }

  #write(chunk: Uint8Array): void {
    this.#writing = true;
    // Raised before, so that a sink that resumes from within `write` lowers it.
    this.#held = true;
    if (this.#sink?.write(chunk) === true) this.#held = false;
    this.#writing = false;
  }

  #next(): void {
    this.#part++;
    this.#enter();
  }

  #enter(): void {
    const part = this.#parts[this.#part];
    this.#position = part === undefined || part instanceof Uint8Array ? 0 : part.start;
  }

  #finish(error: ProxyError | null): void {
    if (this.#done) return;
    this.#done = true;
    this.#sink = null;
    this.#closed(error);
    if (!this.#busy) this.#close();
  }

  #close(): void {
    fs.close(this.#fd, ignore);
  }
}

function ignore(): void {}
