interface GlobalTimers {
  setTimeout(run: () => void, ms: number): unknown;
  clearTimeout(timer: unknown): void;
}

/** The timers that the global object has at the time: a Worker may have put others there, as tests with a clock do. */
export function globalTimers(): GlobalTimers {
  return globalThis as unknown as GlobalTimers;
}
