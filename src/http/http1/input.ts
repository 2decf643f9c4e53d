import { malformed } from "./violation.ts";

const nothing: Buffer = Buffer.alloc(0);

/**
 * The unread input of a parser. What cannot be read yet, because the rest of it has not come, is copied into a buffer of
 * its own that grows, so that a reader may use one buffer for all its reads, and no large read is held for a few octets.
 */
export class Input {
  bytes: Buffer = nothing;
  /** The next octet to be read, and the end of what is there. */
  start = 0;
  end = 0;
  /** `bytes` is our own copy, and input may be appended to it in place; the queue is then empty outside of `more`. */
  #own = false;
  #queue: Buffer[] = [];

  get size(): number {
    return this.end - this.start;
  }

  get empty(): boolean {
    return this.start === this.end && this.#queue.length === 0;
  }

  get first(): number {
    return this.bytes[this.start] as number;
  }

  push(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    const buffer = Buffer.isBuffer(bytes)
      ? bytes
      : Buffer.from(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength);
    if (this.start === this.end && this.#queue.length === 0) this.#use(buffer);
    else if (this.#own) this.#append(buffer);
    else this.#queue.push(buffer);
  }

  /** Sees to it that there is an octet to read; false when there is no more input. */
  fill(): boolean {
    if (this.start < this.end) return true;
    const next = this.#queue.shift();
    if (next === undefined) {
      this.settle();
      return false;
    }
    this.#use(next);
    return true;
  }

  /** Adds input to what is there but incomplete. False when there is none; then the incomplete part is kept as a copy. */
  more(): boolean {
    if (this.start === this.end) return this.fill();
    const next = this.#queue.shift();
    if (!this.#own) this.#copy(next === undefined ? 0 : next.length);
    if (next === undefined) return false;
    this.#append(next);
    return true;
  }

  /** The next `count` octets at most, as a view. There must be at least one octet. */
  take(count: number): Uint8Array {
    const { bytes, start, end } = this;
    const stop = end - start > count ? start + count : end;
    this.start = stop;
    const whole = start === 0 && stop === bytes.length;
    const view = whole ? bytes : bytes.subarray(start, stop);
    this.settle();
    return view;
  }

  /** The next `count` octets as Latin-1 text. Later input is not appended to the buffer, since views of it may be out. */
  takeText(count: number): string {
    const text = this.bytes.toString("latin1", this.start, this.start + count);
    this.start += count;
    this.#own = false;
    this.settle();
    return text;
  }

  /** Reads one octet, which must be `octet`. */
  expect(octet: number, reason: string): void {
    if (this.bytes[this.start] !== octet) throw malformed(reason);
    this.start++;
  }

  /** Everything unread, which is then read. */
  takeAll(): Uint8Array {
    if (this.size === 0 && this.#queue.length === 0) {
      this.clear();
      return nothing;
    }
    const rest = this.size === 0 ? [] : [this.bytes.subarray(this.start, this.end)];
    rest.push(...this.#queue);
    this.clear();
    return rest.length === 1 ? (rest[0] as Buffer) : Buffer.concat(rest);
  }

  clear(): void {
    this.#queue = [];
    this.start = this.end;
    this.settle();
  }

  /** Lets go of a buffer that has been read, so that an idle connection holds none. */
  settle(): void {
    if (this.start !== this.end) return;
    this.bytes = nothing;
    this.start = 0;
    this.end = 0;
    this.#own = false;
  }

  #use(buffer: Buffer): void {
    this.bytes = buffer;
    this.start = 0;
    this.end = buffer.length;
    this.#own = false;
  }

  #append(added: Buffer): void {
    if (this.bytes.length - this.end < added.length) this.#copy(added.length);
    added.copy(this.bytes, this.end);
    this.end += added.length;
  }

  /** Moves the unread part to a buffer of our own, with room for `added` octets and for as much again. */
  #copy(added: number): void {
    const { bytes, start, end } = this;
    const size = end - start;
    const own = Buffer.allocUnsafeSlow(Math.max(256, 2 * (size + added)));
    bytes.copy(own, 0, start, end);
    this.bytes = own;
    this.start = 0;
    this.end = size;
    this.#own = true;
  }
}
