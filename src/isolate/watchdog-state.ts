/** Cells of the Int32Array that a shard and its watchdog thread share. */
export const cell = {
  /** Odd while an entry runs; goes up by one at its start and at its end. */
  sequence: 0,
  /** Index of the Worker, or -1. */
  worker: 1,
  /** Milliseconds after which the entry should have ended. */
  budget: 2,
} as const;

export const cells = 3;

/** What the thread is started with. */
export interface WatchdogSettings {
  readonly shared: Int32Array;
  readonly reportFd: number;
  readonly pollMs: number;
  readonly graceMs: number;
  /** 0 is none. */
  readonly maxRssBytes: number;
}

/** The one line, as JSON, that a shard leaves behind before its watchdog kills it. */
export type WatchdogReport =
  | { readonly event: "stuck"; readonly worker: number; readonly ms: number }
  | { readonly event: "memory"; readonly worker: number; readonly bytes: number };
