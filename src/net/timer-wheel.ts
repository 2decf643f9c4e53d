import { currentTurn } from "./turn.ts";

/** Hears that its timer has run out. */
export interface TimerOwner {
  /** @param now milliseconds of the wheel's clock. */
  onTimer(now: number): void;
}

/** One timer of one owner, made once and armed again and again. */
export class WheelTimer {
  readonly owner: TimerOwner;
  /** When it fires, in milliseconds of the wheel's clock; Infinity when it is not armed. */
  deadline = Number.POSITIVE_INFINITY;
  /** The tick in whose slot the timer stands; -1 when it stands in none. */
  tick = -1;
  next: WheelTimer | null = null;
  previous: WheelTimer | null = null;

  constructor(owner: TimerOwner) {
    this.owner = owner;
  }
}

/** Calls `tick` every `ms` milliseconds without keeping the process alive, until the returned function is called. */
export type Ticker = (tick: () => void, ms: number) => () => void;

const interval: Ticker = (tick, ms) => {
  const handle = setInterval(tick, ms);
  handle.unref();
  return () => clearInterval(handle);
};

const slotCount = 1024;
const tickMs = 50;

const wheels: WeakMap<object, TimerWheel> = new WeakMap();

/**
 * All timeouts of a shard's connections on one system timer. A timer fires in the first tick at or after its deadline:
 * never early, late by 50 ms at most while the event loop is free. Arming, moving and cancelling cost O(1); moving a
 * deadline further away, which every request does, stores one number. The system timer runs only while a timer stands
 * in the wheel.
 */
export class TimerWheel {
  readonly #now: () => number;
  readonly #ticker: Ticker;
  readonly #slots: Array<WheelTimer | null> = new Array<WheelTimer | null>(slotCount).fill(null);
  #size = 0;
  #lastTick = 0;
  /** The clock as it was read in this turn. */
  #time = 0;
  #turn = 0;
  #stop: (() => void) | null = null;

  constructor(now: () => number, ticker: Ticker = interval) {
    this.#now = now;
    this.#ticker = ticker;
  }

  /** The one wheel of a shard, which everything that was made with the same context shares. */
  static of(context: { now(): number }): TimerWheel {
    let wheel = wheels.get(context);
    if (wheel === undefined) {
      wheel = new TimerWheel(() => context.now());
      wheels.set(context, wheel);
    }
    return wheel;
  }

  /** Timers that stand in the wheel; zero means that nothing is held and no system timer runs. */
  get size(): number {
    return this.#size;
  }

  /**
   * Milliseconds of the clock that deadlines are given in. All that happens in one turn happens at the same time: an
   * exchange asks some ten times, and an answer takes some 50 ns.
   */
  now(): number {
    const turn = currentTurn();
    if (turn !== 0 && turn === this.#turn) return this.#time;
    this.#turn = turn;
    this.#time = this.#now();
    return this.#time;
  }

  /** @param deadline milliseconds of the wheel's clock; Infinity disarms. */
  arm(timer: WheelTimer, deadline: number): void {
    timer.deadline = deadline;
    // A deadline that moves away leaves the timer where it is; its slot finds out and moves it on.
    if (deadline === Number.POSITIVE_INFINITY) return;
    if (timer.tick !== -1) {
      if (Math.ceil(deadline / tickMs) >= timer.tick) return;
      this.#unlink(timer);
    }
    this.#link(timer, this.#now());
  }

  /** The timer leaves the wheel, which then holds no reference to its owner. */
  cancel(timer: WheelTimer): void {
    timer.deadline = Number.POSITIVE_INFINITY;
    if (timer.tick !== -1) this.#unlink(timer);
    if (this.#size === 0) this.#rest();
  }

  /** Fires what is due. The ticker calls it; so does a test that moves its own clock. */
  advance(): void {
    const now = this.#now();
    const current = Math.floor(now / tickMs);
    // After a long standstill one round over all slots meets every timer.
    let tick = Math.max(this.#lastTick + 1, current - slotCount + 1);
    this.#lastTick = Math.max(this.#lastTick, current);
    for (; tick <= current; tick++) this.#fire(tick % slotCount, now);
    if (this.#size === 0) this.#rest();
  }

  #fire(slot: number, now: number): void {
    // The slot is read before anyone is called: an owner may cancel another timer of it, or arm one for a later round.
    let timer = this.#slots[slot] ?? null;
    const due: WheelTimer[] = [];
    while (timer !== null) {
      due.push(timer);
      timer = timer.next;
    }
    for (const each of due) {
      if (each.tick === -1 || each.tick % slotCount !== slot) continue;
      if (each.deadline > now && each.tick * tickMs > now) continue;
      const { deadline } = each;
      this.#unlink(each);
      if (deadline <= now) {
        each.deadline = Number.POSITIVE_INFINITY;
        each.owner.onTimer(now);
      } else if (deadline !== Number.POSITIVE_INFINITY) {
        this.#link(each, now);
      }
    }
  }

  #link(timer: WheelTimer, now: number): void {
    const current = Math.floor(now / tickMs);
    if (this.#stop === null) {
      this.#lastTick = current;
      this.#stop = this.#ticker(() => this.advance(), tickMs);
    }
    const earliest = Math.max(current, this.#lastTick) + 1;
    const latest = current + slotCount - 1;
    timer.tick = Math.min(Math.max(Math.ceil(timer.deadline / tickMs), earliest), Math.max(latest, earliest));
    const slot = timer.tick % slotCount;
    const first = this.#slots[slot] ?? null;
    timer.previous = null;
    timer.next = first;
    if (first !== null) first.previous = timer;
    this.#slots[slot] = timer;
    this.#size++;
  }

  #unlink(timer: WheelTimer): void {
    const { next, previous } = timer;
    if (next !== null) next.previous = previous;
    if (previous !== null) previous.next = next;
    else this.#slots[timer.tick % slotCount] = next;
    timer.next = null;
    timer.previous = null;
    timer.tick = -1;
    this.#size--;
  }

  #rest(): void {
    this.#stop?.();
    this.#stop = null;
  }
}
