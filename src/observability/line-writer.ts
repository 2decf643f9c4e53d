import { fstatSync, write, writeSync } from "node:fs";

/** Bytes held while the reader of the log is slow; lines beyond it are dropped and counted. */
const maxHeld = 4 * 1024 * 1024;

/** A write of at most so many bytes to a pipe is never mixed with another process's (POSIX PIPE_BUF on Linux). */
const atomic = 4096;

/**
 * Writes lines to a descriptor that several processes share. What one turn of the event loop produces goes out in one
 * write, in a thread of libuv's pool, so that a terminal or a pipe that nobody reads stalls no exchange: lines then
 * wait in memory up to a bound, and past it they are dropped and their number is told.
 */
export class LineWriter {
  readonly #fd: number;
  /** Pipes and sockets take small writes whole; files and terminals keep order by themselves. */
  readonly #chunk: number;
  #lines = "";
  #inFlight: Buffer = empty;
  /** How many bytes of `#inFlight` the thread pool is writing. */
  #writing = 0;
  #scheduled = false;
  #dropped = 0;

  constructor(fd: number) {
    this.#fd = fd;
    this.#chunk = sharedStream(fd) ? atomic : Number.POSITIVE_INFINITY;
  }

  /** @param line without its line end. */
  write(line: string): void {
    if (this.#lines.length > maxHeld) {
      this.#dropped++;
      return;
    }
    this.#lines += `${line}\n`;
    if (!this.#scheduled) {
      this.#scheduled = true;
      setImmediate(this.#flush);
    }
  }

  /**
   * Writes all that is held before it returns, for the last words of a process. A reader that takes nothing loses
   * them: the descriptor may be non-blocking, and exiting matters more.
   */
  flushSync(): void {
    // What the thread pool is writing right now gets out by itself; only the bytes after it are left.
    const waiting = this.#inFlight.subarray(this.#writing);
    this.#inFlight = this.#inFlight.subarray(0, this.#writing);
    let rest: Buffer = Buffer.concat([waiting, this.#take()]);
    for (let tries = 0; rest.length > 0 && tries < 100; tries++) {
      try {
        rest = rest.subarray(writeSync(this.#fd, rest));
      } catch (error) {
        if (!isBusy(error)) return;
        Atomics.wait(napping, 0, 0, 1);
      }
    }
  }

  #flush = (): void => {
    if (this.#inFlight.length === 0) this.#inFlight = this.#take();
    if (this.#inFlight.length === 0) {
      this.#scheduled = false;
      return;
    }
    this.#writing = this.#nextLength();
    write(this.#fd, this.#inFlight, 0, this.#writing, null, this.#written);
  };

  #written = (error: NodeJS.ErrnoException | null, count: number): void => {
    this.#writing = 0;
    if (error !== null) {
      if (isBusy(error)) {
        setTimeout(this.#flush, 10);
        return;
      }
      // The reader is gone (EPIPE) or the disk is full: the log has no other place to say so.
      this.#inFlight = empty;
      this.#lines = "";
    } else {
      this.#inFlight = this.#inFlight.subarray(count);
    }
    this.#flush();
  };

  #take(): Buffer {
    let text = this.#lines;
    this.#lines = "";
    if (this.#dropped > 0) {
      text += `sluice: ${this.#dropped} log lines were dropped: the reader of the log is too slow\n`;
      this.#dropped = 0;
    }
    return text.length === 0 ? empty : Buffer.from(text);
  }

  /** As many whole lines as fit an atomic write; a longer line goes out alone. */
  #nextLength(): number {
    const bytes = this.#inFlight;
    if (bytes.length <= this.#chunk) return bytes.length;
    const end = bytes.lastIndexOf(10, this.#chunk - 1);
    return end >= 0 ? end + 1 : bytes.indexOf(10) + 1 || bytes.length;
  }
}

const empty: Buffer = Buffer.alloc(0);
const napping = new Int32Array(new SharedArrayBuffer(4));

function isBusy(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "EAGAIN" || error.code === "EINTR");
}

function sharedStream(fd: number): boolean {
  try {
    const stat = fstatSync(fd);
    return stat.isFIFO() || stat.isSocket();
  } catch {
    return false;
  }
}
