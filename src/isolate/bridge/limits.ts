import type { WorkerLimits } from "../../config/schema/worker.ts";

export type LimitValues = WorkerLimits;

/** Records that may ever go into one batch. */
const MAX_RECORDS = 256;
/** However many records there are, an entry may not take more than so many times the limit of one. */
const MAX_SHARE = 4;
/** Milliseconds between two looks at the heap; a look costs 2.4 µs. */
const HEAP_INTERVAL = 20;

/**
 * Keeps a Worker's limits. An entry's time limit is one for the whole batch, so the batch is kept so small that what its
 * records usually cost stays well below it: a Worker that is slow for each request gets small batches, and its own slow
 * request does not take the others down.
 */
export class Limits {
  readonly #values: LimitValues;
  readonly #clock: { now(): number };
  #startedAt = 0;
  /** Milliseconds that one record costs, smoothed. */
  #cost = 0;
  #maxRecords = 1;
  #lastLook = 0;
  #wasOver = false;
  timeout: number;

  constructor(values: LimitValues, clock: { now(): number }) {
    this.#values = values;
    this.#clock = clock;
    this.timeout = values.cpuMs;
  }

  begin(records: number): void {
    this.timeout = this.#values.cpuMs * Math.min(Math.max(records, 1), MAX_SHARE);
    this.#startedAt = this.#clock.now();
  }

  /** @returns how many records the next batches may have. */
  end(records: number): number {
    const cost = (this.#clock.now() - this.#startedAt) / Math.max(records, 1);
    this.#cost = this.#cost === 0 ? cost : this.#cost * 0.75 + cost * 0.25;
    const fitting = Math.floor(this.#values.cpuMs / 4 / Math.max(this.#cost, 0.001));
    this.#maxRecords = Math.max(4, Math.min(fitting, this.#maxRecords * 2, MAX_RECORDS));
    return this.#maxRecords;
  }

  /**
   * True when the heap is over the limit at two looks in a row, or far over it at once: some of what a first look sees
   * may be garbage that V8 has not collected yet.
   */
  memoryExceeded(heapBytes: () => number): boolean {
    const now = this.#clock.now();
    if (now - this.#lastLook < HEAP_INTERVAL && now - this.#startedAt < 5) return false;
    this.#lastLook = now;
    const limit = this.#values.memoryMb * 1024 * 1024;
    const heap = heapBytes();
    const over = heap > limit;
    const exceeded = (over && this.#wasOver) || heap > limit * 2;
    this.#wasOver = over;
    return exceeded;
  }
}
