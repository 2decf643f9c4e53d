/** What holds memory that it can be made to give up. */
export interface Holder {
  readonly isOver: boolean;
  /** Bytes by which the process grew while it ran. */
  grown: number;
  /** The process is too large, and this is to be ended for it. */
  tooLarge(residentBytes: number): void;
}

/** Milliseconds between two looks after entries that were short; a look costs some 20 µs. */
const INTERVAL_MS = 50;
/** Memory comes back to the system only after a while: for so long the next is ended only if the process still grows. */
const PAUSE_MS = 1000;
/** Of the limit: from here on isolates that nobody uses are given up. */
const NEAR = 0.85;
/** Whoever grew by less than this is not the one. */
const LEAST = 192 * 1024 * 1024;

/**
 * Watches the resident memory of the whole process. V8 does not count all that a guest can take (WebAssembly memories,
 * Intl objects), so growth is noted for the isolate that ran when it was seen; and before the process is so large that
 * its watchdog ends it with all its Workers, the isolate that made it grow most is ended.
 */
export class Pressure {
  readonly #limit: number;
  readonly #now: () => number;
  readonly #resident: () => number;
  readonly #holders: Set<Holder> = new Set();
  #last = 0;
  #lookedAt = 0;
  #pausedUntil = 0;
  /** How large the process was when one was ended last. */
  #highest = 0;
  readonly #relievers: Array<() => void> = [];

  /** @param limit in bytes; 0 is none. @param resident bytes of this process */
  constructor(limit: number, now: () => number, resident: () => number = process.memoryUsage.rss) {
    this.#limit = limit;
    this.#now = now;
    this.#resident = resident;
  }

  /** After an entry. @param wasLong it took milliseconds, so that it can have taken much memory */
  look(holder: Holder, wasLong: boolean): void {
    if (this.#limit === 0) return;
    const now = this.#now();
    if (!wasLong && now - this.#lookedAt < INTERVAL_MS) return;
    this.#lookedAt = now;
    const resident = this.#resident();
    const growth = this.#last === 0 ? 0 : resident - this.#last;
    this.#last = resident;
    holder.grown = Math.max(0, holder.grown + growth);
    this.#holders.add(holder);
    if (resident >= this.#limit * NEAR) for (const relieve of this.#relievers) relieve();
    if (resident < this.#limit || (now < this.#pausedUntil && resident <= this.#highest)) return;
    let largest = holder;
    for (const each of this.#holders) {
      if (each.isOver) this.#holders.delete(each);
      else if (each.grown > largest.grown) largest = each;
    }
    if (largest.grown < LEAST || largest.isOver) return;
    this.#pausedUntil = now + PAUSE_MS;
    this.#highest = resident;
    this.#holders.delete(largest);
    largest.tooLarge(resident);
  }

  /** @param relieve gives up what can be spared; called as long as the process is near its limit, every `INTERVAL_MS` at most */
  onNear(relieve: () => void): void {
    this.#relievers.push(relieve);
  }

  /** The process was near its limit when it was looked at last. */
  get isNear(): boolean {
    return this.#limit > 0 && this.#last >= this.#limit * NEAR;
  }

  /** It is over, and has given back what it held. */
  forget(holder: Holder): void {
    this.#holders.delete(holder);
  }
}
