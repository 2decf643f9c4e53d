import { type TimerOwner, type TimerWheel, WheelTimer } from "../../net/timer-wheel.ts";

const never = Number.POSITIVE_INFINITY;

/** The deadlines of one connection on one timer: whichever comes first fires. All in milliseconds of the wheel's clock. */
export class ConnectionClock {
  /** When the exchange must be over. */
  total = never;
  /** When the client must have taken what was written. */
  blocked = never;
  /** When what the connection waits for must have come: a head, more of a body, the next request. */
  phase = never;
  readonly #wheel: TimerWheel;
  readonly #timer: WheelTimer;

  constructor(wheel: TimerWheel, owner: TimerOwner) {
    this.#wheel = wheel;
    this.#timer = new WheelTimer(owner);
  }

  now(): number {
    return this.#wheel.now();
  }

  /** Waits until `deadline` for what comes next. */
  await(deadline: number): void {
    this.phase = deadline;
    this.arm();
  }

  /** The same, as milliseconds from now; 0 is without end. */
  awaitFor(ms: number): void {
    this.await(ms > 0 ? this.#wheel.now() + ms : never);
  }

  /** @param ms from now; 0 is without end. */
  blockFor(ms: number): void {
    this.blocked = ms > 0 ? this.#wheel.now() + ms : never;
    this.arm();
  }

  arm(): void {
    this.#wheel.arm(this.#timer, Math.min(this.phase, this.blocked, this.total));
  }

  /** A new exchange begins; nothing is waited for but its own end. */
  begin(total: number): void {
    this.total = total;
    this.blocked = never;
    this.await(never);
  }

  stop(): void {
    this.#wheel.cancel(this.#timer);
  }
}
