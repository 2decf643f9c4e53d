import type { WorkerLimits } from "../../config/schema/worker.ts";

export type LimitValues = WorkerLimits;

/** Records that may ever go into one batch. */
const MAX_RECORDS = 256;
/** However many records there are, an entry may not take more than so many times the limit of one. */
const MAX_SHARE = 2;
/** An entry is cut off after so many times its limit of wall time: on a busy machine a thread has to wait for its core. */
const WALL_FACTOR = 3;
/** The first entries of an isolate, which compile what they run, are cut off no earlier than after so many milliseconds. */
const COLD_ENTRIES = 8;
const COLD_MS = 300;
/** A reading of the CPU clock may be so many milliseconds old; by as much a limit may come early. */
const CPU_READING_MS = 5;
/** An entry begins no more records of its batch after so many milliseconds: sockets and other Workers have their turn. */
const MAX_SLICE = 8;
/** Milliseconds between two looks at the heap; a look costs 2.4 µs. */
const HEAP_INTERVAL = 20;
/** Milliseconds between two collections of garbage for the sake of the limit. */
const MIN_COLLECTION_PAUSE = 100;

/** Milliseconds from which on an entry is long. */
const LONG = 5;

/** Takes durations, in seconds. */
export interface Durations {
  record(seconds: number): void;
}

/** The heap of an isolate. */
export interface Heap {
  /** Bytes in use, garbage that is not collected yet included. */
  readonly heapBytes: number;
  collect(): void;
}

/** The clocks that limits go by, in milliseconds. */
export interface LimitClocks {
  now(): number;
  /** CPU time that the thread has used. */
  cpu(): number;
}

/**
 * Keeps a Worker's limits. An entry's CPU limit is one for the whole batch, so the batch is kept so small that what its
 * records usually cost stays well below it: a Worker that is slow for each request gets small batches, and its own slow
 * request does not take the others down; and when its requests turn out to cost more than they did, the guest takes
 * fewer of them than it was given. V8 can only be stopped after a span of wall time, so that span is longer, and
 * an entry that took longer than its limit is judged by the CPU time that it used.
 */
export class Limits {
  readonly #values: LimitValues;
  readonly #clocks: LimitClocks;
  #startedAt = 0;
  #cpuReading = 0;
  #cpuReadAt = Number.NEGATIVE_INFINITY;
  /** Milliseconds of CPU that the entry may use. */
  #budget = 0;
  /** Milliseconds that one record costs, smoothed. */
  #cost = 0;
  #maxRecords = 1;
  #lastLook = 0;
  #entries = 0;
  #hostUntil = 0;
  #hostCpu = -1;
  #nextCollection = Number.NEGATIVE_INFINITY;
  #overspent = false;
  /** Milliseconds that the last entry took. */
  #elapsed = 0;
  readonly #durations: Durations;

  /** @param durations takes the time of each entry */
  constructor(values: LimitValues, clocks: LimitClocks, durations: Durations) {
    this.#values = values;
    this.#clocks = clocks;
    this.#durations = durations;
  }

  /** Milliseconds after which the guest leaves the rest of a batch to the next entry. */
  get slice(): number {
    return Math.max(1, Math.min(MAX_SLICE, Math.floor(this.#values.cpuMs / 4)));
  }

  /** What an entry asked for is carried out from here on. */
  beginHostWork(): void {
    this.#hostUntil = this.#clocks.now() + this.#values.cpuMs * WALL_FACTOR;
    this.#hostCpu = -1;
  }

  /** True when carrying it out takes more CPU time than it may. The CPU clock is asked only when it takes long. */
  get hostWorkExceeded(): boolean {
    const now = this.#clocks.now();
    if (now <= this.#hostUntil) return false;
    const cpu = this.#clocks.cpu();
    if (this.#hostCpu < 0) this.#hostCpu = cpu;
    this.#hostUntil = now + this.#values.cpuMs;
    return cpu - this.#hostCpu > this.#values.cpuMs;
  }

  /** @returns the milliseconds of wall time after which the entry is cut off. */
  begin(records: number): number {
    const now = this.#clocks.now();
    this.#startedAt = now;
    this.#budget = this.#values.cpuMs * Math.min(Math.max(records, 1), MAX_SHARE);
    if (now - this.#cpuReadAt > CPU_READING_MS) {
      this.#cpuReadAt = now;
      this.#cpuReading = this.#clocks.cpu();
    }
    this.#entries++;
    const wall = this.#budget * WALL_FACTOR;
    return this.#entries > COLD_ENTRIES ? wall : Math.max(wall, COLD_MS);
  }

  /**
   * @param excused milliseconds that were not the Worker's.
   * @returns how many records the next batches may have.
   */
  end(records: number, excused = 0): number {
    const elapsed = this.#clocks.now() - this.#startedAt;
    const budget = this.#budget + excused;
    this.#overspent = elapsed > budget && this.#clocks.cpu() - this.#cpuReading > budget + CPU_READING_MS;
    this.#elapsed = elapsed;
    this.#durations.record(elapsed / 1000);
    const cost = (elapsed - excused) / Math.max(records, 1);
    this.#cost = this.#cost === 0 ? cost : this.#cost * 0.75 + cost * 0.25;
    const fitting = Math.floor(this.#values.cpuMs / 4 / Math.max(this.#cost, 0.001));
    this.#maxRecords = Math.max(4, Math.min(fitting, this.#maxRecords * 2, MAX_RECORDS));
    return this.#maxRecords;
  }

  /** The entry that just ended took so long that it can have taken much memory. */
  get wasLong(): boolean {
    return this.#elapsed >= LONG;
  }

  /** Milliseconds of wall time that the entry that just ended took. */
  get elapsed(): number {
    return this.#elapsed;
  }

  /** When the last entry began, by the clock; 0 before the first. */
  get enteredAt(): number {
    return this.#startedAt;
  }

  /** True when the entry that just ended used more CPU time than it may. */
  get cpuExceeded(): boolean {
    return this.#overspent;
  }

  /**
   * True when the heap is over the limit and still is after its garbage was collected: V8 lets garbage lie while there
   * is room, strings that came from the host above all. Collecting is done so seldom that it takes a twentieth of the
   * time at most; in between, the heap may be up to twice as large.
   */
  memoryExceeded(heap: Heap): boolean {
    const now = this.#clocks.now();
    if (now - this.#lastLook < HEAP_INTERVAL && now - this.#startedAt < LONG) return false;
    this.#lastLook = now;
    const limit = this.#values.memoryMb * 1024 * 1024;
    const bytes = heap.heapBytes;
    if (bytes <= limit || (bytes <= limit * 2 && now < this.#nextCollection)) return false;
    heap.collect();
    const after = this.#clocks.now();
    this.#nextCollection = after + Math.max(MIN_COLLECTION_PAUSE, (after - now) * 20);
    return heap.heapBytes > limit;
  }
}

/** Milliseconds of CPU that this thread has used. */
export function threadCpu(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}
