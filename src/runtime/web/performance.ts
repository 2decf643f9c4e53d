import { clockNow } from "./clock.ts";
import { defineInterface, illegalConstructor, internal } from "./webidl.ts";

let origin = clockNow();

/** The Worker starts now: an isolate may have been made long before it got its Worker. */
export function startPerformance(): void {
  origin = clockNow();
}

/** Milliseconds since the Worker's start, by the Worker's clock and no finer than it. */
export function now(): number {
  return clockNow() - origin;
}

/** High Resolution Time §7, at the resolution of Date.now. */
export class Performance {
  constructor(token?: unknown) {
    if (token !== internal) throw illegalConstructor();
  }

  get timeOrigin(): number {
    return origin;
  }

  now(): number {
    return now();
  }

  toJSON(): { timeOrigin: number } {
    return { timeOrigin: origin };
  }
}

defineInterface(Performance, "Performance");

export const performance = new Performance(internal);
