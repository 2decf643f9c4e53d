/** A queue whose operations take constant time, whatever a Worker does to Array.prototype. */
export class Fifo<T> {
  #items: (T | undefined)[] = [];
  #head = 0;
  #tail = 0;

  get length(): number {
    return this.#tail - this.#head;
  }

  push(item: T): void {
    this.#items[this.#tail++] = item;
  }

  /** Only called on a queue that is not empty. */
  shift(): T {
    const item = this.#items[this.#head] as T;
    this.#items[this.#head++] = undefined;
    if (this.#head === this.#tail) {
      this.#head = 0;
      this.#tail = 0;
      if (this.#items.length > 64) this.#items = [];
    } else if (this.#head > 1024 && this.#head * 2 > this.#tail) {
      this.#compact();
    }
    return item;
  }

  peek(): T {
    return this.#items[this.#head] as T;
  }

  clear(): void {
    this.#items = [];
    this.#head = 0;
    this.#tail = 0;
  }

  /** Empties the queue and hands over what was in it, in order. */
  drain(): T[] {
    this.#compact();
    const items = this.#items as T[];
    items.length = this.#tail;
    this.clear();
    return items;
  }

  #compact(): void {
    const items: (T | undefined)[] = [];
    const count = this.length;
    for (let i = 0; i < count; i++) items[i] = this.#items[this.#head + i];
    this.#items = items;
    this.#head = 0;
    this.#tail = count;
  }
}
