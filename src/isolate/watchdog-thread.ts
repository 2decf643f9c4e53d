import { writeSync } from "node:fs";
import { workerData } from "node:worker_threads";
import { cell, type WatchdogReport, type WatchdogSettings } from "./watchdog-state.ts";

const { shared, reportFd, pollMs, graceMs, maxRssBytes } = workerData as WatchdogSettings;

let sequence = -1;
let elapsed = 0;
let polledAt = performance.now();

setInterval(poll, pollMs);

function poll(): void {
  const now = performance.now();
  // A process that was stopped or a machine that slept lets no time pass for the entry either.
  const passed = Math.min(now - polledAt, 2 * pollMs);
  polledAt = now;
  const current = Atomics.load(shared, cell.sequence);
  if (maxRssBytes > 0) {
    const bytes = process.memoryUsage.rss();
    if (bytes > maxRssBytes) end({ event: "memory", worker: suspect(current), bytes });
  }
  if (current !== sequence) {
    sequence = current;
    elapsed = 0;
    return;
  }
  if ((current & 1) === 0) return;
  elapsed += passed;
  if (elapsed <= Atomics.load(shared, cell.budget) + graceMs) return;
  // The entry may have ended between the loads, and with it the claim that it is stuck.
  if (Atomics.load(shared, cell.sequence) === current) {
    end({ event: "stuck", worker: suspect(current), ms: Math.round(elapsed) });
  }
}

/** The Worker that runs, or -1 when none does. */
function suspect(current: number): number {
  return (current & 1) === 1 ? Atomics.load(shared, cell.worker) : -1;
}

function end(report: WatchdogReport): void {
  try {
    if (reportFd >= 0) writeSync(reportFd, `${JSON.stringify(report)}\n`);
  } catch {
    // Nobody reads any more; the process ends all the same.
  }
  process.kill(process.pid, "SIGKILL");
}
