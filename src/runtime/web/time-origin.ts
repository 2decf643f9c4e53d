import { clockNow } from "./clock.ts";

/** Milliseconds since 1970 at which the Worker started (High Resolution Time §5). */
export let timeOrigin: number = clockNow();

/** Counts from now on. */
export function restart(): void {
  timeOrigin = clockNow();
}

/** Milliseconds since the Worker's start, by the Worker's clock and no finer than it. */
export function now(): number {
  return clockNow() - timeOrigin;
}
