/**
 * After an order that failed: authorities count failed validations (Let's Encrypt allows five an hour for a name), so few
 * tries come soon and the others rarely.
 */
const orderMs = { first: 15_000, factor: 4, longest: 6 * 3_600_000 };
/** After an authority that could not be reached, which counts nothing. */
const unreachableMs = { first: 2_000, factor: 2, longest: 600_000 };
/** An authority that asks for more patience than this is asked again all the same: it may have meant another unit. */
const longestRetryAfterMs = 24 * 3_600_000;

/** How long to wait after failures, twice or four times as long after each. */
export class OrderBackoff {
  #failures = 0;
  readonly #random: () => number;

  constructor(random: () => number) {
    this.#random = random;
  }

  /** Failures since the last success. */
  get failures(): number {
    return this.#failures;
  }

  /**
   * An attempt failed.
   *
   * @param reached the authority answered
   * @param retryAfterMs what it asked for; 0 is nothing
   * @returns milliseconds to wait, of which a tenth is left to chance
   */
  next(reached: boolean, retryAfterMs: number): number {
    const { first, factor, longest } = reached ? orderMs : unreachableMs;
    const own = Math.min(first * factor ** this.#failures, longest);
    this.#failures++;
    return Math.max(own * (0.95 + this.#random() / 10), Math.min(retryAfterMs, longestRetryAfterMs));
  }

  succeeded(): void {
    this.#failures = 0;
  }
}
