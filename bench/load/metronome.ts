import { workerData } from "node:worker_threads";

/**
 * Beats more often than the event loop's timers can, which are rounded to a millisecond: each beat wakes the main
 * thread, which waits for the cell to change.
 */
const { cell, ms } = workerData as { cell: Int32Array; ms: number };
const never = new Int32Array(new SharedArrayBuffer(4));
for (;;) {
  Atomics.wait(never, 0, 0, ms);
  Atomics.add(cell, 0, 1);
  Atomics.notify(cell, 0);
}
