export interface Rate {
  readonly requests: number;
  /** Milliseconds. */
  readonly per: number;
  /** Requests at once that a token bucket allows after a pause. */
  readonly burst: number;
  readonly algorithm: "tokenBucket" | "slidingWindow";
}

export interface Verdict {
  readonly allowed: boolean;
  /** Requests that are left right now. */
  readonly remaining: number;
  /** Milliseconds until one more request would be allowed; 0 when it is. */
  readonly retryMs: number;
  /** Milliseconds until nothing is counted any more. */
  readonly resetMs: number;
}

/** What is counted for one key. Its two numbers are the tokens and their time, or the counts of two windows. */
class Count {
  first = 0;
  second = 0;
  /** When the numbers held, or when the window of `first` began. */
  at: number;

  constructor(at: number) {
    this.at = at;
  }
}

/**
 * Counts of so many keys at most. Keys live in two generations: one that is not met for a whole period, after which its
 * count would be as new, is dropped with its generation, so nothing is swept. Keys above the bound share one count:
 * whoever makes up keys cannot push others out, and cannot get more than one share by it.
 */
export class RateTable {
  readonly #rate: Rate;
  readonly #maxKeys: number;
  readonly #period: number;
  #young: Map<string, Count> = new Map();
  #old: Map<string, Count> = new Map();
  #turnAt = 0;
  #rest: Count | null = null;

  constructor(rate: Rate, maxKeys: number) {
    this.#rate = rate;
    this.#maxKeys = maxKeys;
    const refill = (rate.burst * rate.per) / rate.requests;
    this.#period = rate.algorithm === "tokenBucket" ? refill : 2 * rate.per;
  }

  /** Keys that are counted apart. */
  get size(): number {
    return this.#young.size + this.#old.size;
  }

  /** Takes one request for a key, if it has one left. @param now milliseconds of a clock that only goes forward */
  take(key: string, now: number): Verdict {
    const count = this.#find(key, now);
    return this.#rate.algorithm === "tokenBucket" ? this.#takeToken(count, now) : this.#takePlace(count, now);
  }

  #find(key: string, now: number): Count {
    if (now >= this.#turnAt) {
      // After two periods without a request the young are as old as the old.
      this.#old = now >= this.#turnAt + this.#period ? new Map() : this.#young;
      this.#young = new Map();
      this.#turnAt = now + this.#period;
    }
    let count = this.#young.get(key);
    if (count !== undefined) return count;
    count = this.#old.get(key);
    if (count !== undefined) this.#old.delete(key);
    else if (this.size >= this.#maxKeys) {
      this.#rest ??= this.#fresh(now);
      return this.#rest;
    } else count = this.#fresh(now);
    this.#young.set(key, count);
    return count;
  }

  #fresh(now: number): Count {
    const count = new Count(now);
    if (this.#rate.algorithm === "tokenBucket") count.first = this.#rate.burst;
    return count;
  }

  #takeToken(count: Count, now: number): Verdict {
    const { requests, per, burst } = this.#rate;
    const msPerToken = per / requests;
    count.first = Math.min(burst, count.first + (now - count.at) / msPerToken);
    count.at = now;
    const allowed = count.first >= 1;
    if (allowed) count.first--;
    const tokens = count.first;
    return {
      allowed,
      remaining: Math.floor(tokens),
      retryMs: allowed ? 0 : (1 - tokens) * msPerToken,
      resetMs: (burst - tokens) * msPerToken,
    };
  }

  /** `first` counts the window that runs, `second` the one before, of which the part that is still in reach counts. */
  #takePlace(count: Count, now: number): Verdict {
    const { requests, per } = this.#rate;
    const passed = Math.floor((now - count.at) / per);
    if (passed > 0) {
      count.second = passed === 1 ? count.first : 0;
      count.first = 0;
      count.at += passed * per;
    }
    const elapsed = now - count.at;
    const used = count.first + count.second * (1 - elapsed / per);
    const allowed = used + 1 <= requests;
    if (allowed) count.first++;
    return {
      allowed,
      remaining: Math.max(0, Math.floor(requests - used) - (allowed ? 1 : 0)),
      retryMs: allowed ? 0 : this.#untilPlace(count, elapsed),
      resetMs: 2 * per - elapsed,
    };
  }

  #untilPlace({ first, second }: Count, elapsed: number): number {
    const { requests, per } = this.#rate;
    // Within this window, as the one before goes out of reach; else in the next, as this one does.
    if (first + 1 <= requests && second > 0) {
      return Math.max(1, per * (1 - (requests - 1 - first) / second) - elapsed);
    }
    return Math.max(1, per - elapsed + per * Math.max(0, 1 - (requests - 1) / first));
  }
}
