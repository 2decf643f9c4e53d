/**
 * What a session keeps by number. A `Map` would do, but for one thing: as things come and go it moves to a new table
 * every so often, and V8 links each old table to the next. Once one of them is in the old generation, the whole chain
 * stays alive until the next full collection, with every exchange that stood in it: a fifth of all that is allocated.
 * Here slots are used again in place. Numbers are any 32-bit integers; a guest chooses some of them, so they are scattered
 * in a way that differs from process to process.
 */
export class IdTable<T> {
  #ids: Int32Array = new Int32Array(16);
  #values: Array<T | undefined> = new Array<T | undefined>(16).fill(undefined);
  #size = 0;
  /** 32 less the bits of a slot's number. */
  #shift = 28;

  get size(): number {
    return this.#size;
  }

  get(id: number): T | undefined {
    return this.#values[this.#find(id)];
  }

  has(id: number): boolean {
    return this.#values[this.#find(id)] !== undefined;
  }

  set(id: number, value: T): void {
    let at = this.#find(id);
    if (this.#values[at] === undefined) {
      if ((this.#size + 1) * 2 > this.#ids.length) {
        this.#grow();
        at = this.#find(id);
      }
      this.#size++;
      this.#ids[at] = id;
    }
    this.#values[at] = value;
  }

  /** @returns whether it was there. */
  delete(id: number): boolean {
    let hole = this.#find(id);
    const values = this.#values;
    if (values[hole] === undefined) return false;
    this.#size--;
    // What a search would no longer find beyond the hole moves into it, so that no marks of deleted entries pile up.
    const ids = this.#ids;
    const mask = ids.length - 1;
    for (let at = (hole + 1) & mask; values[at] !== undefined; at = (at + 1) & mask) {
      const home = this.#home(ids[at] as number);
      if (((at - home) & mask) < ((at - hole) & mask)) continue;
      ids[hole] = ids[at] as number;
      values[hole] = values[at];
      hole = at;
    }
    values[hole] = undefined;
    return true;
  }

  clear(): void {
    this.#values.fill(undefined);
    this.#size = 0;
  }

  /** All that is there now, by rising number; what changes meanwhile does not show. */
  values(): T[] {
    if (this.#size === 0) return [];
    return this.entries().map(([, value]) => value);
  }

  entries(): Array<[id: number, value: T]> {
    const found: Array<[number, T]> = [];
    for (let at = 0; at < this.#ids.length && found.length < this.#size; at++) {
      const value = this.#values[at];
      if (value !== undefined) found.push([this.#ids[at] as number, value]);
    }
    return found.sort(([a], [b]) => a - b);
  }

  /** The slot of that number, or the free one where it belongs. */
  #find(id: number): number {
    const ids = this.#ids;
    const values = this.#values;
    const mask = ids.length - 1;
    let at = this.#home(id);
    while (values[at] !== undefined && ids[at] !== id) at = (at + 1) & mask;
    return at;
  }

  #home(id: number): number {
    return Math.imul(id, factor) >>> this.#shift;
  }

  #grow(): void {
    const ids = this.#ids;
    const values = this.#values;
    this.#shift--;
    this.#ids = new Int32Array(ids.length * 2);
    this.#values = new Array<T | undefined>(ids.length * 2).fill(undefined);
    for (let at = 0; at < ids.length; at++) {
      const value = values[at];
      if (value === undefined) continue;
      const slot = this.#find(ids[at] as number);
      this.#ids[slot] = ids[at] as number;
      this.#values[slot] = value;
    }
  }
}

/** Near 2³² divided by the golden ratio, which spreads numbers that follow one another as evenly as can be. */
const factor = (0x9e3779b1 + 2 * Math.floor(Math.random() * 0x100000)) | 0;
