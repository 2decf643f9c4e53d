import { beginTurn, endTurn } from "../../net/turn.ts";
import { Pressure } from "./pressure.ts";

/** Something that has work for its isolate. */
export interface Enterable {
  /** Runs one entry. */
  run(): void;
}

/** After so many milliseconds of entries the event loop gets its turn, so that sockets are never starved. */
const SLICE_MS = 8;

/**
 * Gathers what arrives for all isolates during one turn of the event loop, and enters each of them once at its end.
 * Entries that cause work for another isolate (a Worker that calls a Worker) have it done in the same turn.
 */
export class Turn {
  readonly pressure: Pressure;
  readonly #now: () => number;
  #waiting: Enterable[] = [];
  #scheduled = false;
  /** When isolates were entered last, by the shard's clock. */
  ranAt = 0;
  readonly #flush = (): void => this.#run();

  /** @param softBytes of the process, above which the isolate that made it grow most is ended; 0 is never */
  constructor(now: () => number, softBytes = 0) {
    this.#now = now;
    this.pressure = new Pressure(softBytes, now);
  }

  /** Each enterable adds itself at most once until its `run` is called. */
  add(enterable: Enterable): void {
    this.#waiting.push(enterable);
    if (!this.#scheduled) {
      this.#scheduled = true;
      setImmediate(this.#flush);
    }
  }

  #run(): void {
    this.ranAt = this.#now();
    const end = this.ranAt + SLICE_MS;
    let at = 0;
    for (; at < this.#waiting.length; at++) {
      // A turn for each, since an entry takes time.
      beginTurn();
      this.#waiting[at]?.run();
      if (this.#now() >= end) {
        at++;
        break;
      }
    }
    this.#waiting = at === this.#waiting.length ? [] : this.#waiting.slice(at);
    this.#scheduled = this.#waiting.length > 0;
    if (this.#scheduled) setImmediate(this.#flush);
    // A body that is at hand is piped in a microtask: after those, head and body of a response leave in one write.
    queueMicrotask(endTurn);
  }
}
