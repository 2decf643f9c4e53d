/** Seconds whose allowance may be used up at once. */
const burstSeconds = 10;

/**
 * Counts something that costs the peer less than us, and tells when there is too much of it: a bucket that holds ten
 * seconds' allowance and fills again at the allowed rate.
 */
export class FloodGuard {
  readonly #perSecond: number;
  #left: number;
  #filledAt: number;

  /** @param perSecond allowed on average; 0 is no limit. @param now in milliseconds */
  constructor(perSecond: number, now: number) {
    this.#perSecond = perSecond;
    this.#left = perSecond * burstSeconds;
    this.#filledAt = now;
  }

  /** Counts one. @returns false when it is one too many */
  count(now: number): boolean {
    if (this.#perSecond === 0) return true;
    const filled = this.#left + ((now - this.#filledAt) / 1000) * this.#perSecond;
    this.#left = Math.min(filled, this.#perSecond * burstSeconds) - 1;
    this.#filledAt = now;
    return this.#left >= 0;
  }
}
