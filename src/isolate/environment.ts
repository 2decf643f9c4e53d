/** Which of Node's modules a Worker may import: none, `node:async_hooks` alone, or all. */
export type NodeAccess = "none" | "als" | "compat";

/** A Worker after bundling: plain data that the supervisor makes once and sends to every shard. */
export interface CompiledWorker {
  readonly name: string;
  /** `module` is an ES module with exports; `script` is service-worker syntax, addEventListener("fetch"). */
  readonly syntax: "module" | "script";
  /** One self-contained ES module, or one script. Its only imports are `cloudflare:*` and `sluice:*`, which isolates provide. */
  readonly code: string;
  /** Source map (JSON text) from `code` to the user's files, or empty. */
  readonly sourceMap: string;
  /** Binary imports, by index: `import x from "sluice:asset/0"` yields an ArrayBuffer or a WebAssembly.Module. */
  readonly assets: ReadonlyArray<{ readonly kind: "data" | "wasm"; readonly bytes: Uint8Array }>;
  /** SHA-256 of everything above, in hex. */
  readonly hash: string;
  /** Absolute paths of all files that went in, for `--watch`. */
  readonly inputs: readonly string[];
  /** What its flags say of Node's modules and globals; absent is none. */
  readonly node?: NodeAccess;
  /** Its code keeps the asynchronous context (see loader/async-context.ts). */
  readonly asyncContext?: boolean;
}

/** The guest runtime after bundling. */
export interface RuntimeScript {
  /** A script whose completion value is the function `boot`, exported by src/runtime/main.ts. */
  readonly code: string;
  /** Scripts that are run in an isolate when it first asks for them, by name; see src/runtime/part.ts. */
  readonly parts: Readonly<Record<string, string>>;
}

/** V8's code cache on disk. Cached data is trusted by V8, so entries are authenticated before they are handed out. */
export interface CodeCache {
  get(source: string): Uint8Array | null;
  put(source: string, data: Uint8Array): void;
}

/** Tells the watchdog thread, and a crash report, which Worker the shard is running right now. */
export interface Watchdog {
  /** @param worker index of the Worker in the revision. @param budgetMs after which the entry should have ended. */
  enter(worker: number, budgetMs: number): void;
  leave(): void;
}

/** What isolates need of the shard that they live in. */
export interface IsolateEnvironment {
  readonly runtime: RuntimeScript;
  readonly codeCache: CodeCache;
  readonly watchdog: Watchdog;
  compiled(worker: string): CompiledWorker;
  /** Position of the Worker in the revision, for the watchdog. */
  indexOf(worker: string): number;
  /** Resident memory of the process, in bytes, at which isolates are ended to save the rest; absent or 0 is none. */
  readonly softRssBytes?: number;
  /** Isolates that may be there at once before idle ones are ended; absent or 0 is no limit. */
  readonly maxIsolates?: number;
  /** Milliseconds after which an idle isolate is ended; absent or 0 is never. */
  readonly idleTimeout?: number;
  /** Workers that endangered a shard before and are not to be run again for now. */
  readonly quarantined: ReadonlySet<string>;
}
