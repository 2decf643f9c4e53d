import type { Lender } from "../http/body.ts";

const size = 131_072;

/** Buffers that wait to be used again; more than these are left to the garbage collector. */
const spareCount = 32;
const spares: ReadBuffer[] = [];

/**
 * A buffer that one transport reads a large body into. Its bytes are lent to sinks; when all are given back, it is read
 * into again, so that a body of any length passes through few buffers. Left to the garbage collector, they would pile up
 * to some 40 MB between two collections.
 */
export class ReadBuffer implements Lender {
  readonly bytes: Buffer = Buffer.allocUnsafeSlow(size);
  #lent = 0;
  #released = false;

  /**
   * A buffer that begins with a copy of these bytes, one read at most, and is lent once. It is used again when it is given
   * back: a new one for each copy would bring about a full collection every 64 MB.
   */
  static copyOf(bytes: Uint8Array): ReadBuffer {
    const buffer = ReadBuffer.take();
    buffer.bytes.set(bytes);
    buffer.lend();
    buffer.release();
    return buffer;
  }

  static take(): ReadBuffer {
    const buffer = spares.pop() ?? new ReadBuffer();
    buffer.#released = false;
    return buffer;
  }

  /** All that was lent is back. */
  get whole(): boolean {
    return this.#lent === 0;
  }

  lend(): void {
    this.#lent++;
  }

  giveBack(): void {
    this.#lent--;
    if (this.#lent === 0 && this.#released) this.#spare();
  }

  /** Its transport reads into it no more. */
  release(): void {
    this.#released = true;
    if (this.#lent === 0) this.#spare();
  }

  #spare(): void {
    if (spares.length < spareCount) spares.push(this);
  }
}

/** For input that is copied in any case. */
export const noLender: Lender = { giveBack() {} };
