import { outSizes } from "../../wire/ops.ts";

/** What one drain brought: copies, since the guest goes on using the shared memory. */
export class Drained {
  readonly ints: Int32Array;
  readonly text: string;
  readonly bytes: Uint8Array;

  constructor(ints: Int32Array, text: string, bytes: Uint8Array) {
    this.ints = ints;
    this.text = text;
    this.bytes = bytes;
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
    const { ints } = this.#drained;
    if (this.#next >= ints.length) return 0;
    const op = ints[this.#next] as number;
    const size = outSizes[op];
    if (op <= 0 || size === undefined || this.#next + size >= ints.length) {
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
