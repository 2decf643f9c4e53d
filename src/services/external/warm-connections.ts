import { type TimerOwner, type TimerWheel, WheelTimer } from "../../net/timer-wheel.ts";

/** The wait before a connection is opened in place of one that is gone; doubled while none can be had. */
const firstMs = 250;
const maxMs = 30_000;

/** A connection that has stood for so long says that the server keeps them. */
const soundMs = 1_000;

/** Connections to an endpoint, in whatever protocol. */
export interface WarmPool {
  /** Those that requests can have, or could if they stood. */
  readonly usable: number;
  /** Opens a connection that no attempt waits for. */
  openAhead(): void;
}

/** Keeps so many connections of a pool open, whether requests need them or not. */
export class WarmConnections implements TimerOwner {
  readonly #pool: WarmPool;
  readonly #wheel: TimerWheel;
  readonly #count: number;
  readonly #timer: WheelTimer = new WheelTimer(this);
  #failures = 0;
  #closed = false;

  constructor(pool: WarmPool, wheel: TimerWheel, count: number) {
    this.#pool = pool;
    this.#wheel = wheel;
    this.#count = count;
  }

  fill(): void {
    for (let missing = this.#count - this.#pool.usable; missing > 0; missing--) this.#pool.openAhead();
  }

  /**
   * A connection of the pool is closed, or could not be opened.
   * @param stoodAt since when it stood, by the wheel's clock; Infinity when it never did
   */
  lost(stoodAt: number): void {
    if (this.#closed || this.#pool.usable >= this.#count) return;
    const now = this.#wheel.now();
    // One that the server closes right away is as good as none.
    this.#failures = now - stoodAt >= soundMs ? 0 : this.#failures + 1;
    if (this.#timer.tick !== -1) return;
    const ms = Math.min(firstMs * 2 ** Math.min(this.#failures, 10), maxMs);
    this.#wheel.arm(this.#timer, now + ms);
  }

  onTimer(): void {
    this.fill();
  }

  close(): void {
    this.#closed = true;
    this.#wheel.cancel(this.#timer);
  }
}
