/** A shard that lived so long died of something new, and is replaced at once. */
const steadyMs = 60_000;
const firstDelayMs = 100;
const longestDelayMs = 10_000;

/**
 * How long to wait before a shard is started again: not at all for the first death, then twice as long each time, so
 * that a shard which cannot live does not keep a core busy with dying.
 */
export class Backoff {
  #deaths = 0;

  /** A shard ended. @param livedMs how long it had run. @returns milliseconds to wait */
  next(livedMs: number): number {
    if (livedMs >= steadyMs) this.#deaths = 0;
    const delay = this.#deaths === 0 ? 0 : Math.min(firstDelayMs * 2 ** (this.#deaths - 1), longestDelayMs);
    this.#deaths++;
    return delay;
  }
}
