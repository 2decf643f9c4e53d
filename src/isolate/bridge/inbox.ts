import { CREDIT, INTS, WINDOW } from "../../wire/ops.ts";

/** What crosses to the guest in one entry. */
export class Batch {
  ints: Int32Array = new Int32Array(512);
  used = 0;
  text = "";
  readonly chunks: Uint8Array[] = [];
  bytes = 0;
  /** Records that make the guest run a handler or go on with one: what the time limit is reckoned by. */
  records = 0;
  /** The exchange that all records belong to; 0 when there are several, -1 when there is none yet. */
  owner = -1;
  /** Exchanges that begin with this batch, and the places of their records. */
  readonly begins: number[] = [];
  readonly beginsAt: number[] = [];

  /** Copies everything to the shared memory. */
  writeTo(inbox: Int32Array, window: Uint8Array): void {
    inbox.set(this.ints.subarray(0, this.used));
    let at = 0;
    if (this.bytes === 0) return;
    for (const chunk of this.chunks) {
      window.set(chunk, at);
      at += chunk.length;
    }
  }

  clear(): void {
    this.used = 0;
    this.text = "";
    // Emptying an array by its length is a call into V8's runtime, even where it is empty.
    if (this.chunks.length > 0) this.chunks.length = 0;
    this.bytes = 0;
    this.records = 0;
    this.owner = -1;
    if (this.begins.length === 0) return;
    this.begins.length = 0;
    this.beginsAt.length = 0;
  }
}

/** Longest text of a batch before another is begun; a single piece may be longer. */
const MAX_TEXT = CREDIT * 4;

/** Records on their way to the guest, in batches that each fit the shared memory and a bounded number of records. */
export class Inbox {
  /** Records that may go into one batch; the session adapts it to what they cost. */
  maxRecords = 1;
  #open: Batch = new Batch();
  #sealed: Batch[] = [];
  #spare: Batch | null = null;
  /** The place of the record just begun. */
  #begun = 0;

  get isEmpty(): boolean {
    return this.#open.used === 0 && this.#sealed.length === 0;
  }

  get ints(): Int32Array {
    return this.#open.ints;
  }

  /**
   * Begins a record of `size` fields and gives the place of the first; the caller fills all of them in at once.
   * @param owner the exchange it belongs to, 0 when not known, -1 when it belongs to none.
   */
  begin(op: number, size: number, owner: number): number {
    if (this.#open.records >= this.maxRecords) this.#seal();
    this.#makeRoom(size);
    const batch = this.#open;
    const at = batch.used;
    if (at + size + 1 > batch.ints.length) {
      const larger = new Int32Array(Math.min(INTS, batch.ints.length * 2));
      larger.set(batch.ints);
      batch.ints = larger;
    }
    batch.ints[at] = op;
    this.#begun = at;
    batch.used = at + size + 1;
    if (owner !== -1) {
      batch.records++;
      batch.owner = batch.owner === -1 || batch.owner === owner ? owner : 0;
    }
    return at + 1;
  }

  /** Adds a piece of text to the record just begun. */
  text(piece: string): number {
    this.#open.text += piece;
    return piece.length;
  }

  /** Begins a record whose first field is `id`, and which carries `chunk` (at most a window) as offset and length. */
  chunk(op: number, id: number, chunk: Uint8Array, owner: number): void {
    if (this.#open.bytes + chunk.length > WINDOW) this.#seal();
    const at = this.begin(op, 3, owner);
    const batch = this.#open;
    batch.ints[at] = id;
    batch.ints[at + 1] = batch.bytes;
    batch.ints[at + 2] = chunk.length;
    batch.chunks.push(chunk);
    batch.bytes += chunk.length;
  }

  /** Notes that the record just begun is the beginning of an exchange. */
  beginsExchange(id: number): void {
    this.#open.begins.push(id);
    this.#open.beginsAt.push(this.#begun);
  }

  /** The next batch to enter with, or null. Give it back with `recycle`. */
  take(): Batch | null {
    const sealed = this.#sealed.shift();
    if (sealed !== undefined) return sealed;
    if (this.#open.used === 0) return null;
    const batch = this.#open;
    this.#open = this.#spare ?? new Batch();
    this.#spare = null;
    return batch;
  }

  recycle(batch: Batch): void {
    batch.clear();
    this.#spare = batch;
  }

  #makeRoom(size: number): void {
    if (this.#open.used + size + 1 > INTS || this.#open.text.length > MAX_TEXT) this.#seal();
  }

  #seal(): void {
    if (this.#open.used === 0) return;
    this.#sealed.push(this.#open);
    this.#open = this.#spare ?? new Batch();
    this.#spare = null;
  }
}
