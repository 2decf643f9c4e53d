import { readSync, writeSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { watchdogEntry } from "../paths.ts";
import type { Watchdog } from "./environment.ts";
import { cell, cells, type WatchdogReport, type WatchdogSettings } from "./watchdog-state.ts";

export interface ThreadWatchdogOptions {
  /** An inherited pipe: takes one line, see `parseReport`, before the process dies; null reports nothing. */
  readonly reportFd: number | null;
  /** An inherited file: holds the index of the Worker that ran last, see `readBlackBox`; null keeps none. */
  readonly blackBoxFd: number | null;
  /** How long an entry may outstay its budget; isolated-vm's own timeout acts first. */
  readonly graceMs?: number;
  readonly pollMs?: number;
  /** Resident memory of the whole process above which it is killed; 0 is none. */
  readonly maxRssBytes?: number;
  /** Hears that the thread is gone, so that nothing watches the shard from inside any more. */
  readonly onFailure?: (error: Error) => void;
}

/**
 * Kills its own process when an entry into an isolate does not end. isolated-vm's timeout and dispose() do not stop all
 * code (a native loop over a huge array, a getter that loops while an exception is copied), and nothing on the main
 * thread runs meanwhile; only a second thread and SIGKILL are left. An entry costs a few stores to shared memory; the
 * thread keeps the time. Entries do not nest.
 */
export class ThreadWatchdog implements Watchdog {
  readonly #shared = new Int32Array(new SharedArrayBuffer(cells * Int32Array.BYTES_PER_ELEMENT));
  readonly #blackBox: number;
  readonly #record = Buffer.alloc(4);
  readonly #thread: Worker;
  #sequence = 0;
  #worker = -1;

  constructor(options: ThreadWatchdogOptions) {
    this.#shared[cell.worker] = -1;
    this.#blackBox = options.blackBoxFd ?? -1;
    const settings: WatchdogSettings = {
      shared: this.#shared,
      reportFd: options.reportFd ?? -1,
      pollMs: options.pollMs ?? 50,
      graceMs: options.graceMs ?? 300,
      maxRssBytes: options.maxRssBytes ?? 0,
    };
    this.#thread = new Worker(watchdogEntry, {
      workerData: settings,
      env: {},
      execArgv: [],
      stdin: false,
      resourceLimits: { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 2, stackSizeMb: 1 },
    });
    this.#thread.on("error", (error: unknown) =>
      options.onFailure?.(error instanceof Error ? error : new Error(String(error))),
    );
    this.#thread.unref();
  }

  enter(worker: number, budgetMs: number): void {
    const shared = this.#shared;
    if (worker !== this.#worker) this.#change(worker);
    shared[cell.budget] = budgetMs;
    this.#sequence = (this.#sequence + 1) | 0;
    Atomics.store(shared, cell.sequence, this.#sequence);
  }

  leave(): void {
    this.#sequence = (this.#sequence + 1) | 0;
    Atomics.store(this.#shared, cell.sequence, this.#sequence);
  }

  /** Ends the thread. Nothing may be entered afterwards. */
  async close(): Promise<void> {
    await this.#thread.terminate();
  }

  #change(worker: number): void {
    this.#worker = worker;
    this.#shared[cell.worker] = worker;
    if (this.#blackBox < 0) return;
    this.#record.writeInt32LE(worker);
    try {
      writeSync(this.#blackBox, this.#record, 0, 4, 0);
    } catch {
      // The record only helps to explain a crash.
    }
  }
}

/**
 * The index of the Worker that a shard ran last, from its black box, or -1. For a shard that died without a report, as
 * V8 ends a process that is out of memory.
 */
export function readBlackBox(fd: number): number {
  const record = Buffer.alloc(4);
  try {
    return readSync(fd, record, 0, 4, 0) === 4 ? record.readInt32LE() : -1;
  } catch {
    return -1;
  }
}

/** A line that a shard wrote before its watchdog killed it, or null. */
export function parseReport(line: string): WatchdogReport | null {
  try {
    const report = JSON.parse(line) as Partial<Record<string, unknown>> | null;
    const { event, worker, ms, bytes } = report ?? {};
    if (!Number.isInteger(worker)) return null;
    if (event === "stuck" && typeof ms === "number") return { event, worker: worker as number, ms };
    if (event === "memory" && typeof bytes === "number") return { event, worker: worker as number, bytes };
    return null;
  } catch {
    return null;
  }
}
