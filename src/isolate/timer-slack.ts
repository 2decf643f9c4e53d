import { writeFileSync } from "node:fs";

/** Nanoseconds; Linux has 50,000 by default. */
const SLACK = 1_000_000;

/**
 * Lets the timers of this thread, and of threads that it starts from now on, fire up to a millisecond late, so that the
 * kernel wakes them together. isolated-vm's timer thread wakes at what would have been the end of each entry's time limit,
 * even when the entry has ended long before: with 50 µs of slack that is a switch of threads on the shard's own core for
 * nearly every entry, 10 % of the CPU time with 64 connections and 17 % with one. I/O wakes the event loop as before.
 */
export function coarsenTimers(): void {
  try {
    writeFileSync("/proc/self/timerslack_ns", String(SLACK));
  } catch {
    // Another system, or a kernel that does not let itself be told: the timers are as fine as they were.
  }
}
