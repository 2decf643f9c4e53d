/** A rate is judged over a span of this length, or over the idle timeout if that is shorter. */
const spanMs = 5_000;

/** Times the body that a client sends: it has to move, and to move fast enough (RFC 9112 §9.5). */
export class BodyClock {
  readonly #idleMs: number;
  readonly #minRate: number;
  readonly #spanMs: number;
  #idleDeadline = Number.POSITIVE_INFINITY;
  #spanEnd = Number.POSITIVE_INFINITY;
  #spanStart = 0;
  #spanFrom = 0;

  /**
   * @param idleMs without a byte; 0 is no limit.
   * @param minRate in bytes a second; 0 is no limit.
   */
  constructor(idleMs: number, minRate: number) {
    this.#idleMs = idleMs;
    this.#minRate = minRate;
    this.#spanMs = idleMs > 0 ? Math.min(idleMs, spanMs) : spanMs;
  }

  /** The client does not send because we do not read; that is no fault of its own. */
  stop(): void {
    this.#idleDeadline = Number.POSITIVE_INFINITY;
    this.#spanEnd = Number.POSITIVE_INFINITY;
  }

  /**
   * All that has come was read, and more is expected.
   * @param received bytes of the body so far.
   * @returns when to ask `tooSlow`; Infinity for never.
   */
  wait(now: number, received: number): number {
    if (this.#idleMs > 0) this.#idleDeadline = now + this.#idleMs;
    if (this.#minRate > 0 && this.#spanEnd === Number.POSITIVE_INFINITY) this.#beginSpan(now, received);
    return this.deadline;
  }

  get deadline(): number {
    return Math.min(this.#idleDeadline, this.#spanEnd);
  }

  tooSlow(now: number, received: number): boolean {
    if (now >= this.#idleDeadline) return true;
    if (now < this.#spanEnd) return false;
    if ((received - this.#spanFrom) * 1000 < this.#minRate * (now - this.#spanStart)) return true;
    this.#beginSpan(now, received);
    return false;
  }

  #beginSpan(now: number, received: number): void {
    this.#spanStart = now;
    this.#spanEnd = now + this.#spanMs;
    this.#spanFrom = received;
  }
}
