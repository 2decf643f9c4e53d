import { type TimerOwner, type TimerWheel, WheelTimer } from "../../net/timer-wheel.ts";

/** Hears that a time is over. */
export interface ClockOwner {
  onTotal(): void;
  onTry(): void;
  onWake(): void;
}

/** The times of one exchange that no attempt knows of. It is made when one of them is wanted. */
export class ExchangeClock implements TimerOwner {
  readonly #owner: ClockOwner;
  readonly #wheel: TimerWheel;
  readonly #timer: WheelTimer = new WheelTimer(this);
  #total = Number.POSITIVE_INFINITY;
  #try = Number.POSITIVE_INFINITY;
  #wake = Number.POSITIVE_INFINITY;

  constructor(owner: ClockOwner, wheel: TimerWheel) {
    this.#owner = owner;
    this.#wheel = wheel;
  }

  /** When the whole exchange is to be over, in milliseconds of the wheel's clock. */
  set total(deadline: number) {
    this.#total = deadline;
    this.#arm();
  }

  /** When the attempt is to have brought a head; Infinity is no such time. */
  set try(deadline: number) {
    this.#try = deadline;
    this.#arm();
  }

  /** When a wait between attempts, or before the first, is over; Infinity while there is none. */
  set wake(deadline: number) {
    this.#wake = deadline;
    this.#arm();
  }

  stop(): void {
    this.#wheel.cancel(this.#timer);
  }

  onTimer(now: number): void {
    if (now >= this.#total) {
      this.#owner.onTotal();
      return;
    }
    const isTry = now >= this.#try;
    const isWake = now >= this.#wake;
    if (isTry) this.#try = Number.POSITIVE_INFINITY;
    if (isWake) this.#wake = Number.POSITIVE_INFINITY;
    this.#arm();
    if (isTry) this.#owner.onTry();
    else if (isWake) this.#owner.onWake();
  }

  #arm(): void {
    this.#wheel.arm(this.#timer, Math.min(this.#total, this.#try, this.#wake));
  }
}
