import type { Logger } from "../../observability/log.ts";

/** Milliseconds of an entry from which on it is worth a line of the debug log. */
const NOTABLE = 10;
/** Milliseconds from which on other Workers and connections feel it, so that it is a warning. */
const HARMFUL = 50;
/** Milliseconds between two lines of the same level about the same Worker. */
const PAUSE = 10_000;

/** Logs entries that held up the shard for long, with the Worker's name, and seldom enough to do no harm itself. */
export class LongEntries {
  readonly #worker: string;
  readonly #log: Logger;
  readonly #now: () => number;
  #quietUntil = { debug: Number.NEGATIVE_INFINITY, warn: Number.NEGATIVE_INFINITY };
  #unsaid = { debug: 0, warn: 0 };

  constructor(worker: string, log: Logger, now: () => number) {
    this.#worker = worker;
    this.#log = log;
    this.#now = now;
  }

  /** @param ms of wall time @param records how much was done in it */
  note(ms: number, records: number): void {
    if (ms < NOTABLE) return;
    const level = ms < HARMFUL ? "debug" : "warn";
    const now = this.#now();
    if (now < this.#quietUntil[level]) {
      this.#unsaid[level]++;
      return;
    }
    this.#quietUntil[level] = now + PAUSE;
    const unsaid = this.#unsaid[level];
    this.#unsaid[level] = 0;
    const text = `Worker "${this.#worker}" held its shard up for ${Math.round(ms)} ms`;
    this.#log.log(level, "worker.long", text, {
      worker: this.#worker,
      ms: Math.round(ms),
      records,
      ...(unsaid > 0 ? { unsaid } : {}),
    });
  }
}
