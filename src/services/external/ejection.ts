import type { PassiveConfig } from "../../config/schema/health.ts";
import { type TimerOwner, type TimerWheel, WheelTimer } from "../../net/timer-wheel.ts";
import { type Failure, FailureSet } from "./failure-kind.ts";

/** Hears of ejections. */
export interface EjectionOwner {
  onEjected(ms: number, failures: number): void;
  onReturned(): void;
}

/** Passive health of one endpoint: it is left out for a while after so many failures in a row. */
export class Ejection implements TimerOwner {
  readonly on: FailureSet;
  ejected = false;
  readonly #owner: EjectionOwner;
  readonly #config: PassiveConfig;
  readonly #wheel: TimerWheel;
  readonly #timer: WheelTimer = new WheelTimer(this);
  #failures = 0;
  /** How often it was ejected without a time of good conduct between. */
  #times = 0;
  /** When its conduct is good enough that the next ejection is a first one. */
  #forgetAt = 0;
  #closed = false;

  constructor(owner: EjectionOwner, config: PassiveConfig, wheel: TimerWheel) {
    this.#owner = owner;
    this.#config = config;
    this.#wheel = wheel;
    this.on = new FailureSet(config.on);
  }

  failed(failure: Failure): void {
    if (this.on.has(failure)) this.#count();
  }

  answered(status: number): void {
    if (this.on.hasStatus(status)) this.#count();
    else this.#failures = 0;
  }

  onTimer(): void {
    this.ejected = false;
    this.#forgetAt = this.#wheel.now() + this.#duration();
    this.#owner.onReturned();
  }

  close(): void {
    this.#closed = true;
    this.#wheel.cancel(this.#timer);
  }

  #count(): void {
    this.#failures++;
    // While it is out, those that were under way, or that a panic sends, say nothing new.
    if (this.ejected || this.#closed || this.#failures < this.#config.failures) return;
    const failures = this.#failures;
    this.#failures = 0;
    const now = this.#wheel.now();
    this.#times = now >= this.#forgetAt ? 1 : this.#times + 1;
    this.ejected = true;
    const ms = this.#duration();
    this.#wheel.arm(this.#timer, now + ms);
    this.#owner.onEjected(ms, failures);
  }

  #duration(): number {
    const { ejection, maxEjection } = this.#config;
    return Math.min(ejection * 2 ** Math.min(this.#times - 1, 30), Math.max(maxEjection, ejection));
  }
}
