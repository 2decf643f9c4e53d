import type { Pressure } from "../../isolate/bridge/pressure.ts";
import type { ServiceContext } from "../context.ts";
import { turnOf } from "./turns.ts";

/** Why an idle isolate was ended. */
export type EvictionReason = "idle" | "max" | "memory";

/** A Worker whose isolate is there. */
export interface LiveWorker {
  /** Nothing of it is under way: no exchange, timer, socket, tunnel, and nothing given to waitUntil. */
  readonly isIdle: boolean;
  /** When the isolate was made or entered last, by the shard's clock. */
  readonly usedAt: number;
  /** Milliseconds after which it is ended when idle; 0 is never. */
  readonly idleTimeout: number;
  evict(reason: EvictionReason): void;
}

/** Memory comes back to the system only after a while: milliseconds between two rounds that end isolates for it. */
const RELIEF_PAUSE = 250;
/** Isolates that one round ends at most: each takes some 0.2 ms. */
const RELIEF_ROUND = 16;
/** Whoever was used this many milliseconds ago is in use, even if it is idle between two requests. */
const RECENT = 1000;
/** Milliseconds between two looks when there are too many isolates and all were busy. */
const CROWDED_INTERVAL = 1000;
/** Milliseconds between two looks at the least. */
const MIN_INTERVAL = 10;

/**
 * The isolates of one shard that are there, and which of them are ended when they are idle: those that nobody used for
 * long, and the least recently used when there are too many or memory runs short. One with work in flight is never ended.
 */
export class LiveIsolates {
  readonly #max: number;
  readonly #now: () => number;
  readonly #pressure: Pressure;
  readonly #workers: Set<LiveWorker> = new Set();
  /** When each was found busy last: what streams through the host enters no isolate, so `usedAt` may be long ago. */
  readonly #seenBusy: WeakMap<LiveWorker, number> = new WeakMap();
  #timer: NodeJS.Timeout | null = null;
  #dueAt = 0;
  #relievedAt = Number.NEGATIVE_INFINITY;

  /** @param max 0 is no limit */
  constructor(max: number, now: () => number, pressure: Pressure) {
    this.#max = max;
    this.#now = now;
    this.#pressure = pressure;
    pressure.onNear(() => this.#relieve());
  }

  get size(): number {
    return this.#workers.size;
  }

  /** How many are idle; looks at each. */
  get idle(): number {
    let count = 0;
    for (const worker of this.#workers) if (worker.isIdle) count++;
    return count;
  }

  /** Before one more is made: ends idle ones, so that there will not be more than the limit, if that many are idle. */
  makeRoom(): void {
    if (this.#pressure.isNear) this.#relieve();
    if (this.#max > 0 && this.#workers.size >= this.#max) {
      this.#evictOldest(this.#workers.size - this.#max + 1, "max", 0);
    }
  }

  add(worker: LiveWorker): void {
    this.#workers.add(worker);
    if (worker.idleTimeout > 0) this.#lookWithin(worker.idleTimeout / 4);
    if (this.#isCrowded) this.#lookWithin(CROWDED_INTERVAL);
  }

  delete(worker: LiveWorker): void {
    this.#workers.delete(worker);
    if (this.#workers.size > 0 || this.#timer === null) return;
    clearTimeout(this.#timer);
    this.#timer = null;
  }

  get #isCrowded(): boolean {
    return this.#max > 0 && this.#workers.size > this.#max;
  }

  #lookWithin(interval: number): void {
    const ms = Math.max(MIN_INTERVAL, interval);
    const dueAt = this.#now() + ms;
    if (this.#timer !== null) {
      if (this.#dueAt <= dueAt) return;
      clearTimeout(this.#timer);
    }
    this.#dueAt = dueAt;
    this.#timer = setTimeout(this.#look, ms);
    this.#timer.unref();
  }

  readonly #look = (): void => {
    this.#timer = null;
    const now = this.#now();
    let interval = Number.POSITIVE_INFINITY;
    for (const worker of [...this.#workers]) {
      const { idleTimeout } = worker;
      if (!worker.isIdle) this.#seenBusy.set(worker, now);
      else if (idleTimeout > 0 && now - this.#usedAt(worker) >= idleTimeout) {
        worker.evict("idle");
        continue;
      }
      if (idleTimeout > 0) interval = Math.min(interval, idleTimeout / 4);
    }
    if (this.#isCrowded) this.#evictOldest(this.#workers.size - this.#max, "max", 0);
    if (this.#isCrowded) interval = Math.min(interval, CROWDED_INTERVAL);
    if (interval < Number.POSITIVE_INFINITY) this.#lookWithin(interval);
  };

  /** Never the one that is being used: ending it would only make it start again. */
  #relieve(): void {
    const now = this.#now();
    if (now - this.#relievedAt < RELIEF_PAUSE) return;
    this.#relievedAt = now;
    this.#evictOldest(RELIEF_ROUND, "memory", RECENT);
  }

  #evictOldest(count: number, reason: EvictionReason, minIdle: number): void {
    const now = this.#now();
    const idle: Array<readonly [usedAt: number, worker: LiveWorker]> = [];
    for (const worker of this.#workers) {
      if (worker.isIdle && now - worker.usedAt >= minIdle) idle.push([this.#usedAt(worker), worker]);
    }
    idle.sort((a, b) => a[0] - b[0]);
    for (const [, worker] of idle.slice(0, count)) worker.evict(reason);
  }

  #usedAt(worker: LiveWorker): number {
    return Math.max(worker.usedAt, this.#seenBusy.get(worker) ?? 0);
  }
}

const shards: WeakMap<ServiceContext, LiveIsolates> = new WeakMap();

/** The one that all Workers of a shard share. */
export function liveIsolatesOf(context: ServiceContext): LiveIsolates {
  const known = shards.get(context);
  if (known !== undefined) return known;
  const live = new LiveIsolates(context.isolates.maxIsolates ?? 0, context.now, turnOf(context).pressure);
  shards.set(context, live);
  const { gauges } = context.metrics;
  gauges.gauge('sluice_isolates{state="busy"}', () => live.size - live.idle);
  gauges.gauge('sluice_isolates{state="idle"}', () => live.idle);
  return live;
}
