import { DiskCodeCache } from "../isolate/code-cache.ts";
import type {
  CodeCache,
  CompiledWorker,
  IsolateEnvironment,
  RuntimeScript,
  Watchdog,
} from "../isolate/environment.ts";
import { coarsenTimers } from "../isolate/timer-slack.ts";
import { TrustedStore } from "../isolate/trusted-store.ts";
import { ThreadWatchdog } from "../isolate/watchdog.ts";
import type { Logger } from "../observability/log.ts";
import { shardMemoryLimit } from "./memory-limit.ts";
import type { ShardInit } from "./protocol.ts";

/** Of the memory at which the shard is killed: from here on single isolates are ended. */
const softShare = 0.6;

/** What the isolates of one shard share: the runtime, the compiled Workers, the code cache and the watchdog. */
export class ShardIsolates implements IsolateEnvironment {
  readonly runtime: RuntimeScript;
  readonly codeCache: CodeCache;
  readonly watchdog: Watchdog;
  readonly softRssBytes: number;
  readonly maxIsolates: number;
  readonly idleTimeout: number;
  readonly quarantined: Set<string>;
  readonly #thread: ThreadWatchdog;
  readonly #workers: Map<string, CompiledWorker> = new Map();
  readonly #indexes: Map<string, number> = new Map();

  constructor(init: ShardInit, log: Logger) {
    this.runtime = init.runtime;
    this.codeCache = new DiskCodeCache(
      TrustedStore.open({}, (text) => log.log("debug", "cache.unavailable", text)),
    );
    this.quarantined = new Set(init.quarantined);
    const maxRssBytes = shardMemoryLimit(init.config);
    this.maxIsolates = init.config.isolates.max;
    this.idleTimeout = init.config.isolates.idleTimeout;
    this.softRssBytes = maxRssBytes * softShare;
    for (const [index, worker] of init.workers.entries()) {
      this.#workers.set(worker.name, worker);
      this.#indexes.set(worker.name, index);
    }
    if (init.workers.length > 0) coarsenTimers();
    this.#thread = new ThreadWatchdog({
      reportFd: init.reportFd,
      blackBoxFd: init.blackBoxFd,
      maxRssBytes,
      onFailure: (error) =>
        log.log("error", "watchdog.failed", `cannot watch the shard from inside: ${error.message}`),
    });
    this.watchdog = this.#thread;
  }

  compiled(worker: string): CompiledWorker {
    const found = this.#workers.get(worker);
    if (found === undefined)
      throw new Error(`cannot find Worker "${worker}": it is not part of the revision`);
    return found;
  }

  indexOf(worker: string): number {
    return this.#indexes.get(worker) ?? -1;
  }

  /** These and no others are quarantined from now on. */
  setQuarantined(workers: readonly string[]): void {
    this.quarantined.clear();
    for (const worker of workers) this.quarantined.add(worker);
  }

  /** Ends the watchdog thread; no isolate is entered afterwards. */
  close(): Promise<void> {
    return this.#thread.close();
  }
}
