import { outSizes } from "../../wire/ops.ts";

/** What one drain brought: copies, since the guest goes on using the shared memory. Made once, and filled again and again. */
export class Drained {
  /** Larger than what is used of it: memory outside of V8's heap is dear to make anew for each entry. */
  ints: Int32Array = new Int32Array(256);
  used = 0;
  text = "";
  bytes: Uint8Array = nothing;

  /** @param used how many of `ints` count. @param bytes of the caller's, which are not copied again */
  fill(ints: Int32Array, used: number, text: string, bytes: Uint8Array): void {
    if (used > this.ints.length) this.ints = new Int32Array(Math.max(used, 2 * this.ints.length));
    const copy = this.ints;
    for (let i = 0; i < used; i++) copy[i] = ints[i] as number;
    this.used = used;
    this.text = text;
    this.bytes = bytes;
  }

  /** Holds nothing any more. */
  clear(): void {
    this.used = 0;
    this.text = "";
    this.bytes = nothing;
  }
}

const nothing = new Uint8Array(0);

/** Bytes that a guest may hand over in one entry: they lie in the host's memory, which no limit of the guest counts. */
const MAX_DRAINED = 64 * 1024 * 1024;

/** What the drains of one entry brought, in order. */
export class Outbox {
  readonly #drained: Drained[] = [];
  #count = 0;
  #size = 0;

  /** How many drains there are to carry out. */
  get count(): number {
    return this.#count;
  }

  /** The guest handed over more than fits, and some of it is lost. */
  get overflowed(): boolean {
    return this.#size > MAX_DRAINED;
  }

  /** Runs inside an entry: only copies. What does not fit the shared memory, a broken guest said. */
  take(outbox: Int32Array, window: Uint8Array, ints: number, text: string, bytes: number): void {
    const fits = ints >= 0 && ints <= outbox.length && bytes >= 0 && bytes <= window.length;
    if (!fits || typeof text !== "string") return;
    this.#size += ints * 4 + text.length * 2 + bytes;
    if (this.overflowed) return;
    const drained = this.#drained[this.#count] ?? new Drained();
    this.#drained[this.#count++] = drained;
    drained.fill(
      outbox,
      Math.trunc(ints),
      text,
      bytes > 0 ? Buffer.from(window.subarray(0, bytes)) : nothing,
    );
  }

  at(index: number): Drained {
    return this.#drained[index] as Drained;
  }

  clear(): void {
    for (let i = 0; i < this.#count; i++) this.at(i).clear();
    this.#drained.length = Math.min(this.#count, 1);
    this.#count = 0;
    this.#size = 0;
  }
}

/** Steps through the records of a drain. Everything in them comes from a guest, so each step is checked. */
export class OutboxReader {
  #drained: Drained;
  #next = 0;
  #field = 0;
  #textAt = 0;

  constructor(drained: Drained) {
    this.#drained = drained;
  }

  /** The op code of the next record, or 0 at the end. @throws Error when the records are not well formed. */
  next(): number {
    const { ints, used } = this.#drained;
    if (this.#next >= used) return 0;
    const op = ints[this.#next] as number;
    const size = outSizes[op];
    if (op <= 0 || size === undefined || this.#next + size >= used) {
      throw new Error(`cannot read a record from the guest: op ${op}`);
    }
    this.#field = this.#next + 1;
    this.#next += size + 1;
    return op;
  }

  int(): number {
    if (this.#field >= this.#next) throw new Error("cannot read a record from the guest: too few fields");
    return this.#drained.ints[this.#field++] as number;
  }

  /** A field that is the length of a piece of text, and the piece. Pieces are read in the order of their fields. */
  text(): string {
    const length = this.int();
    const end = this.#textAt + length;
    if (length < 0 || end > this.#drained.text.length) {
      throw new Error("cannot read a record from the guest: its text is short");
    }
    const piece = length === 0 ? "" : this.#drained.text.substring(this.#textAt, end);
    this.#textAt = end;
    return piece;
  }

  /** Bytes of the window. */
  bytes(offset: number, length: number): Uint8Array {
    if (offset < 0 || length < 0 || offset + length > this.#drained.bytes.length) {
      throw new Error("cannot read a record from the guest: its bytes are short");
    }
    return this.#drained.bytes.subarray(offset, offset + length);
  }
}

/** A guest that numbers two things alike has lost its senses; to go on would leak the first. */
export function demandNew(exists: boolean, what: string): void {
  if (exists) throw new Error(`the number of ${what} is used twice`);
}
