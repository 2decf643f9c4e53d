import { randomFillSync } from "node:crypto";
import { setFlagsFromString } from "node:v8";
import ivm from "isolated-vm";
import * as wire from "../wire/ops.ts";
import { parseUrlForGuest, setUrlPartForGuest } from "../wire/url.ts";
import { CachedCode, exactBuffer } from "./cached-code.ts";
import type { CompiledWorker, IsolateEnvironment } from "./environment.ts";
import { providedSource } from "./loader/node-modules.ts";
import { Natives } from "./natives/natives.ts";
import { natives, slowNatives } from "./natives/registry.ts";

/** How an entry ended. After anything but `ok` and `exception` the isolate is of no more use. */
export type EntryResult = "ok" | "exception" | "timeout" | "memory" | "broken";

/** What the guest needs at its start beside the code: bindings, in order, contents of data bindings, and options. */
export interface GuestStart {
  readonly bindings: string;
  readonly data: readonly Uint8Array[];
  /** JSON of what the config says of the Worker's global scope: `ScopeOptions` in src/runtime/web/globals.ts. */
  readonly options: string;
}

/** A Worker did not start. `stack` is the guest's, unmapped. */
export class StartFailure extends Error {
  readonly guestStack: string;

  constructor(message: string, stack = "") {
    super(message);
    this.guestStack = stack;
  }
}

type Drain = (ints: number, text: string, bytes: number) => void;

/** Heap that aborts the process rather than the isolate begins here; the Worker's own limit is kept by its session. */
const BACKSTOP_MB = 1024;
/** Milliseconds after which the watchdog takes a collection of garbage for stuck. */
const MAX_COLLECT = 5000;
/** Milliseconds that loading the runtime may take. */
const MAX_BOOT = 5000;
/** Characters of the longest URL that is parsed: parsing takes the host's time. */
const MAX_URL = 1 << 17;
/** Milliseconds after the time limit at which a callback finds the entry still running. */
const LATE = 20;
/** Milliseconds after which the watchdog takes a native for stuck, whatever is left of the entry's time. */
const MAX_NATIVE = 3000;

/**
 * One V8 isolate with the runtime and one Worker in it. Knows how to start it, enter it and end it, and nothing of what
 * the records mean. Everything in it is entered synchronously with a time limit.
 */
export class GuestIsolate {
  readonly inbox: Int32Array;
  readonly outbox: Int32Array;
  readonly windowIn: Uint8Array;
  readonly windowOut: Uint8Array;
  readonly #control: Int32Array;
  readonly #isolate: ivm.Isolate;
  readonly #environment: IsolateEnvironment;
  readonly #code: CachedCode;
  /** Of the Worker, for the watchdog; -1 before it has one. */
  #index = -1;
  #enter: ivm.Reference<(ints: number, text: string) => void> | null = null;
  #context: ivm.Context | null = null;
  /** What the guest has for the host to call, as long as its Worker has not started. */
  #functions: ivm.Reference<Record<string, unknown>> | null = null;
  #drain: Drain = () => {};
  #definePart: ivm.Reference<(...parameters: unknown[]) => unknown> | null = null;
  readonly #arguments: [number, string] = [0, ""];
  readonly #options = { timeout: 0 };
  /** When the entry that runs should have ended, by `performance.now()`. */
  #deadline = 0;
  /** It had not, and was ended in a callback. */
  #overran = false;
  /** The handlers of each entrypoint, as the guest says. */
  entrypoints: ReadonlyMap<string, readonly string[]> = new Map();
  /** Milliseconds of the last entry that went into loading parts of the runtime. */
  loadMs = 0;
  /** What the last entry with the result `exception` said. */
  lastException = { message: "", stack: "" };

  constructor(environment: IsolateEnvironment) {
    this.#environment = environment;
    this.#isolate = new ivm.Isolate({ memoryLimit: BACKSTOP_MB });
    this.#code = new CachedCode(this.#isolate, environment.codeCache);
    this.#shared = new SharedArrayBuffer(wire.sharedBytes);
    this.inbox = new Int32Array(this.#shared, wire.inboxOffset, wire.INTS);
    this.outbox = new Int32Array(this.#shared, wire.outboxOffset, wire.INTS);
    this.windowIn = new Uint8Array(this.#shared, wire.windowInOffset, wire.WINDOW);
    this.windowOut = new Uint8Array(this.#shared, wire.windowOutOffset, wire.WINDOW);
    this.#control = new Int32Array(this.#shared, wire.controlOffset, wire.CONTROL);
  }

  readonly #shared: SharedArrayBuffer;

  /**
   * Loads the runtime, which is the greater part of a start and the same for all Workers: it may be done ahead.
   * @throws Error when the runtime does not load.
   */
  boot(): void {
    if (this.#context !== null) return;
    const { watchdog } = this.#environment;
    watchdog.enter(this.#index, MAX_BOOT);
    this.#deadline = performance.now() + MAX_BOOT;
    try {
      this.#loadRuntime(this.#isolate.createContextSync());
    } finally {
      watchdog.leave();
    }
  }

  /**
   * Loads the runtime, if that is not done yet, and the Worker, and runs the Worker's global scope.
   * @param drain takes what the guest hands over; it runs inside an entry, so it only copies.
   * @throws StartFailure when the Worker throws, has nothing to call, or takes longer than `startupMs`.
   */
  start(worker: CompiledWorker, start: GuestStart, startupMs: number, drain: Drain): void {
    const { watchdog } = this.#environment;
    this.#index = this.#environment.indexOf(worker.name);
    this.#drain = drain;
    try {
      this.boot();
      watchdog.enter(this.#index, startupMs * 2);
      this.#deadline = performance.now() + startupMs * 2;
      this.#load(worker, start, startupMs);
    } catch (error) {
      if (error instanceof StartFailure) throw error;
      const timedOut = error instanceof Error && error.message.includes("Script execution timed out");
      if (timedOut || this.#overran)
        throw new StartFailure(`its global scope ran for more than ${startupMs} ms`);
      const { message, stack } = describe(error);
      throw new StartFailure(message, stack);
    } finally {
      watchdog.leave();
    }
  }

  #loadRuntime(context: ivm.Context): void {
    const boot = this.#code.script(
      this.#environment.runtime.code,
      "sluice:runtime",
      context,
      MAX_BOOT,
    ) as ivm.Reference<(...parameters: unknown[]) => unknown>;
    const scratch = Buffer.from(this.#shared, wire.scratchOffset, wire.SCRATCH);
    const calls = new Natives(natives, scratch);
    const functions = boot.applySync(
      undefined,
      [
        new ivm.Callback(
          this.#guarded(
            (ints: number, text: string, bytes: number) => this.#drain(ints, text, bytes),
            undefined,
          ),
        ),
        new ivm.Callback(
          this.#guarded((input: string, base: string | null) => {
            // Time in a callback is not charged to the guest, so what it may cost is bounded.
            return input.length > MAX_URL || (base?.length ?? 0) > MAX_URL
              ? ""
              : parseUrlForGuest(input, base);
          }, ""),
        ),
        new ivm.Callback(
          this.#guarded((href: string, part: string, value: string) => {
            return href.length > MAX_URL || value.length > MAX_URL
              ? ""
              : setUrlPartForGuest(href, part, value);
          }, ""),
        ),
        new ivm.Callback(
          this.#guarded((size: number) => {
            if (size > 0 && size <= wire.SCRATCH) randomFillSync(scratch, 0, size);
          }, undefined),
        ),
        new ivm.Callback(
          this.#guarded((name: string, amount: number, text: string) => {
            if (!slowNatives.has(name)) return calls.call(name, amount, text);
            this.#watch(MAX_NATIVE);
            const result = calls.call(name, amount, text);
            this.#watch(Math.max(0, this.#deadline - performance.now()));
            return result;
          }, "!Error:the host has no time left"),
        ),
        new ivm.Callback(this.#guarded((name: string) => this.#loadPart(name, context), undefined)),
        new ivm.ExternalCopy(this.#shared).copyInto(),
      ],
      { timeout: MAX_BOOT, result: { reference: true } },
    ) as ivm.Reference<Record<string, unknown>>;
    boot.release();
    this.#functions = functions;
    this.#context = context;
    this.#definePart = functions.getSync("definePart", { reference: true }) as ivm.Reference<
      (...parameters: unknown[]) => unknown
    >;
  }

  #load(worker: CompiledWorker, start: GuestStart, startupMs: number): void {
    const context = this.#context as ivm.Context;
    const functions = this.#functions as ivm.Reference<Record<string, unknown>>;
    this.#functions = null;
    const get = (name: string): ivm.Reference<(...parameters: unknown[]) => unknown> =>
      functions.getSync(name, { reference: true }) as ivm.Reference<(...parameters: unknown[]) => unknown>;
    const prepare = get("prepare");
    const started = get("started");
    prepare.applySync(
      undefined,
      [
        start.options,
        start.bindings,
        worker.assets.length,
        ...worker.assets.map((asset) => new ivm.ExternalCopy(exactBuffer(asset.bytes)).copyInto()),
        ...start.data.map((bytes) => new ivm.ExternalCopy(exactBuffer(bytes)).copyInto()),
      ],
      {
        timeout: startupMs,
      },
    );
    if (worker.node === "compat")
      context.evalSync("__sluice.nodeGlobals()", { timeout: startupMs, filename: "sluice:node" });
    if (worker.syntax === "module") this.#evaluate(worker, context, startupMs);
    else {
      context.evalSync("delete globalThis.__sluice", { timeout: startupMs });
      this.#code.script(worker.code, worker.name, context, startupMs)?.release();
    }
    const report = JSON.parse(
      String(started.applySync(undefined, [worker.syntax === "module"], { timeout: startupMs })),
    ) as { problem?: string; entrypoints?: Record<string, string[]> };
    if (report.problem !== undefined) throw new StartFailure(report.problem);
    this.entrypoints = new Map(Object.entries(report.entrypoints ?? {}));
    this.#enter = get("enter") as ivm.Reference<(ints: number, text: string) => void>;
    this.#code.started(worker);
    prepare.release();
    started.release();
    functions.release();
  }

  /** Runs the script of a part of the runtime within the entry that asks for it, and hands over its completion value. */
  #loadPart(name: string, context: ivm.Context): void {
    const { parts } = this.#environment.runtime;
    const code = Object.hasOwn(parts, name) ? parts[name] : undefined;
    if (code === undefined) return;
    const since = performance.now();
    const factory = this.#code.script(code, `sluice:${name}`, context, MAX_BOOT);
    this.#definePart?.applySync(undefined, [factory.derefInto({ release: true })], { timeout: 1000 });
    this.loadMs += performance.now() - since;
  }

  /**
   * Modules run in this order: those that the runtime provides, the Worker, and a last one that hands the Worker's
   * namespace to the runtime. What they take from the global object is gone before the Worker's first statement.
   */
  #evaluate(worker: CompiledWorker, context: ivm.Context, timeout: number): void {
    const isolate = this.#isolate;
    const compile = (code: string, filename: string): ivm.Module =>
      isolate.compileModuleSync(code, { filename });
    const provided = new Map<string, ivm.Module>();
    const none = (specifier: string): never => {
      throw new StartFailure(`cannot import "${specifier}": there is no such module`);
    };
    const provide = (specifier: string, code: string): ivm.Module => {
      const module = compile(code, specifier);
      module.instantiateSync(context, none);
      module.evaluateSync({ timeout });
      provided.set(specifier, module);
      return module;
    };
    const hook = provide("sluice:hook", "export const hook = globalThis.__sluice.hook;");
    provide(
      "cloudflare:workers",
      "export const { WorkerEntrypoint, RpcTarget, RpcStub, RpcPromise, RpcProperty, DurableObject," +
        " WorkflowEntrypoint, env, waitUntil } = globalThis.__sluice.workers;",
    );
    for (let i = 0; i < worker.assets.length; i++) {
      provide(
        `sluice:asset/${i}`,
        `export default globalThis.__sluice.asset(${i}, "${worker.assets[i]?.kind}");`,
      );
    }
    const main = this.#code.module(worker.code, worker.name);
    for (const specifier of main.dependencySpecifiers) {
      const source = providedSource(specifier);
      if (source !== null) provide(specifier, source);
    }
    const entry = compile(
      'import { hook } from "sluice:hook"; import * as worker from "sluice:worker"; hook(worker);',
      "sluice:entry",
    );
    entry.instantiateSync(context, (specifier, referrer) => {
      if (referrer === entry) return specifier === "sluice:worker" ? main : hook;
      const module = specifier === "sluice:hook" ? undefined : provided.get(specifier);
      return module ?? none(specifier);
    });
    context.evalSync("delete globalThis.__sluice", { timeout });
    entry.evaluateSync({ timeout });
    for (const module of provided.values()) module.release();
    main.release();
    entry.release();
  }

  /**
   * Runs the batch that was written to the inbox, or goes on with it; the guest may leave a part for the next entry.
   * @param ints 0 goes on. @param timeout in milliseconds of wall time.
   */
  enter(ints: number, text: string, timeout: number): EntryResult {
    const { watchdog } = this.#environment;
    this.#arguments[0] = ints;
    this.#arguments[1] = text;
    this.#options.timeout = timeout;
    this.#deadline = performance.now() + timeout + LATE;
    this.loadMs = 0;
    watchdog.enter(this.#index, timeout);
    try {
      (this.#enter as ivm.Reference<(ints: number, text: string) => void>).applySync(
        undefined,
        this.#arguments,
        this.#options,
      );
      return this.#control[wire.BROKEN] === 0 ? "ok" : "broken";
    } catch (error) {
      if (this.#overran) return "timeout";
      if (this.#isolate.isDisposed) return "memory";
      // isolated-vm reports the end of the time limit, and the first rejection that nobody handled, by throwing here.
      this.lastException = describe(error);
      return this.lastException.message.includes("Script execution timed out") ? "timeout" : "exception";
    } finally {
      watchdog.leave();
      this.#arguments[1] = "";
    }
  }

  /**
   * Work of ours that the last entry left: puts into the code cache what it had to compile. Called after the entry's time
   * was taken, since it is not the Worker's.
   */
  tidy(): void {
    this.#code.tidy();
  }

  /** Records of the batch at places below this one have begun. */
  get begun(): number {
    return this.#control[wire.BEGUN] as number;
  }

  /** How many records the last entry began. */
  get records(): number {
    return this.#control[wire.RECORDS] as number;
  }

  /** @param ms after which an entry leaves the rest of its batch to the next. */
  set slice(ms: number) {
    this.#control[wire.SLICE] = ms;
  }

  /** Nanoseconds of CPU that the isolate has used. */
  get cpuTime(): number {
    return this.#isolate.isDisposed ? 0 : Number(this.#isolate.cpuTime);
  }

  /** Bytes of heap in use, with what lies outside the heap but belongs to it. Costs 2.4 µs. */
  get heapBytes(): number {
    if (this.#isolate.isDisposed) return 0;
    const heap = this.#isolate.getHeapStatisticsSync();
    return heap.used_heap_size + heap.externally_allocated_size;
  }

  /**
   * Collects all garbage: 2 ms for a small heap, some 100 ms for one of several hundred megabytes. Only a context of its
   * own has the function for it, so that it is never within a Worker's reach.
   */
  collect(): void {
    const isolate = this.#isolate;
    if (isolate.isDisposed) return;
    const { watchdog } = this.#environment;
    watchdog.enter(this.#index, MAX_COLLECT);
    try {
      setFlagsFromString("--expose-gc");
      const context = isolate.createContextSync();
      setFlagsFromString("--no-expose-gc");
      const collect = context.global.getSync("gc", { reference: true }) as ivm.Reference<() => void>;
      collect.applySync(undefined, [], { timeout: MAX_COLLECT });
      collect.release();
      context.release();
    } catch {
      // The isolate has ended; whoever asks for its heap learns so.
    } finally {
      watchdog.leave();
    }
  }

  /** Within an entry: from now on the watchdog lets it run for so many milliseconds. */
  #watch(ms: number): void {
    const { watchdog } = this.#environment;
    watchdog.leave();
    watchdog.enter(this.#index, ms);
  }

  dispose(): void {
    this.#enter = null;
    if (!this.#isolate.isDisposed) this.#isolate.dispose();
  }

  /**
   * A callback never throws into the guest: host stacks hold file paths. And it ends an isolate whose time is up: V8 looks
   * for the end of the time limit only after so many turns of a loop, which takes seconds when each turn calls native code.
   */
  #guarded<P extends unknown[], R>(callback: (...parameters: P) => R, fallback: R): (...parameters: P) => R {
    return (...parameters) => {
      if (performance.now() > this.#deadline) {
        this.#overran = true;
        this.dispose();
        return fallback;
      }
      try {
        return callback(...parameters);
      } catch {
        return fallback;
      }
    };
  }
}

/** Never throws: the texts come from a guest, and one of the greatest length overflows when it is added to. */
function describe(error: unknown): { message: string; stack: string } {
  try {
    if (!(error instanceof Error)) return { message: `thrown: ${cut(String(error))}`, stack: "" };
    const { name, message } = error;
    return { message: `${cut(name)}: ${cut(message)}`, stack: stackOf(error) };
  } catch {
    return { message: "thrown: a value that cannot be shown", stack: "" };
  }
}

function stackOf(error: Error): string {
  try {
    return cut(error.stack);
  } catch {
    return "";
  }
}

function cut(text: unknown): string {
  return typeof text === "string" ? text.slice(0, 8192) : "";
}
