/** Two deaths within so many milliseconds are no accident. */
const windowMs = 60_000;
const firstTermMs = 30_000;
const longestTermMs = 600_000;

interface Record {
  /** When the Worker last killed a shard, unless it was quarantined for that. */
  lastStrike: number;
  /** Length of the last term, 0 when there was none. */
  termMs: number;
  /** When the last term ends or ended. */
  until: number;
}

/**
 * Which Workers endangered shards, and are not to be run for now. A Worker that killed a shard twice within a minute is
 * quarantined for 30 s; each further time doubles the term, up to 10 min. For 10 min after a term one death is enough.
 */
export class Quarantine {
  readonly #records: Map<string, Record> = new Map();
  readonly #now: () => number;

  /** @param now milliseconds of a clock that only goes forward */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** The Worker killed a shard. @returns the term in milliseconds if it is quarantined for that, else 0 */
  strike(worker: string): number {
    const now = this.#now();
    let record = this.#records.get(worker);
    if (record === undefined) {
      record = { lastStrike: Number.NEGATIVE_INFINITY, termMs: 0, until: Number.NEGATIVE_INFINITY };
      this.#records.set(worker, record);
    }
    // Shards that die of the same Worker at once are one event: the term that stands covers them all.
    if (now < record.until) return 0;
    const onProbation = record.termMs > 0 && now - record.until <= longestTermMs;
    if (!onProbation) {
      record.termMs = 0;
      if (now - record.lastStrike > windowMs) {
        record.lastStrike = now;
        return 0;
      }
    }
    record.lastStrike = Number.NEGATIVE_INFINITY;
    record.termMs = record.termMs === 0 ? firstTermMs : Math.min(record.termMs * 2, longestTermMs);
    record.until = now + record.termMs;
    return record.termMs;
  }

  /** The Workers that are quarantined right now. */
  current(): string[] {
    const now = this.#now();
    return [...this.#records].filter(([, record]) => now < record.until).map(([worker]) => worker);
  }

  /** The Worker has new code, or is no longer there: what the old one did is forgotten. */
  forget(worker: string): void {
    this.#records.delete(worker);
  }

  /** Milliseconds until the next term ends, or -1 when none runs. */
  nextReleaseMs(): number {
    const now = this.#now();
    let next = -1;
    for (const { until } of this.#records.values()) {
      if (until > now && (next < 0 || until - now < next)) next = until - now;
    }
    return next;
  }
}
