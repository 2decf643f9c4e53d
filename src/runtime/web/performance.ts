import { DateNow } from "./primordials.ts";
import { defineInterface, illegalConstructor, internal } from "./webidl.ts";

const origin = DateNow();

/** Milliseconds since the isolate's start; no finer than Date.now, so that it serves no timing attack. */
export function now(): number {
  return DateNow() - origin;
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
