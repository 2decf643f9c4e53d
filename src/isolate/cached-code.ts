import ivm from "isolated-vm";
import type { CodeCache, CompiledWorker } from "./environment.ts";

/** Code whose cache was filled when only its global scope had run. */
interface Warming {
  readonly worker: CompiledWorker;
  readonly codes: Array<readonly [filename: string, code: string]>;
  /** Left until it is filled again. */
  entries: number;
}

/** Entries after which an isolate has compiled what most requests need. */
const WARM_ENTRIES = 4;

/** Compiles what one isolate runs with V8's code cache, and puts into the cache what was not there. */
export class CachedCode {
  readonly #isolate: ivm.Isolate;
  readonly #cache: CodeCache;
  /** Code that the cache did not have: file name and text. */
  #uncached: Array<readonly [filename: string, code: string]> = [];
  /** Code whose cache is to be filled again once a few entries have run; null in nearly all isolates. */
  #warming: Warming | null = null;

  constructor(isolate: ivm.Isolate, cache: CodeCache) {
    this.#isolate = isolate;
    this.#cache = cache;
  }

  /** The Worker's global scope has run. */
  started(worker: CompiledWorker): void {
    if (this.#uncached.length > 0) this.#warming = { worker, codes: this.#uncached, entries: WARM_ENTRIES };
    this.#fillCache(worker);
  }

  /** Puts into the cache what the last entry had to compile. */
  tidy(): void {
    if (this.#uncached.length > 0) this.#fillCache(null);
    if (this.#warming !== null && --this.#warming.entries === 0) this.#warm(this.#warming);
  }

  /** Compiles with the code cache, runs, and gives a reference to the completion value. */
  script(code: string, filename: string, context: ivm.Context, timeout: number): ivm.Reference<unknown> {
    const script = this.#isolate.compileScriptSync(code, { filename, ...this.#cached(code, filename) });
    this.#noteRejected(script, code, filename);
    const value = script.runSync(context, { timeout, reference: true }) as ivm.Reference<unknown>;
    script.release();
    return value;
  }

  module(code: string, filename: string): ivm.Module {
    const module = this.#isolate.compileModuleSync(code, { filename, ...this.#cached(code, filename) });
    this.#noteRejected(module, code, filename);
    return module;
  }

  #cached(code: string, filename: string): { cachedData?: ivm.ExternalCopy<ArrayBuffer> } {
    const cached = this.#cache.get(code);
    if (cached !== null) return { cachedData: new ivm.ExternalCopy(exactBuffer(cached)) };
    this.#uncached.push([filename, code]);
    return {};
  }

  #noteRejected(compiled: unknown, code: string, filename: string): void {
    if ((compiled as { cachedDataRejected?: boolean }).cachedDataRejected === true) {
      this.#uncached.push([filename, code]);
    }
  }

  /**
   * Fills the code cache after the code has run: V8's own cache then gives back the script with all the functions that
   * were compiled lazily, ten times as much as right after compiling.
   */
  #fillCache(worker: CompiledWorker | null, codes = this.#uncached): void {
    if (this.#isolate.isDisposed) return;
    for (const [filename, code] of codes) {
      const isModule = worker?.syntax === "module" && filename === worker.name;
      const options = { filename, produceCachedData: true };
      const compiled = isModule
        ? this.#isolate.compileModuleSync(code, options)
        : this.#isolate.compileScriptSync(code, options);
      const produced = (compiled as { cachedData?: ivm.ExternalCopy<ArrayBuffer> }).cachedData;
      if (produced !== undefined) this.#cache.put(code, new Uint8Array(produced.copy()));
      compiled.release();
    }
    this.#uncached = [];
  }

  /** Fills the cache again with the functions that a request needs, so that no other isolate has to compile them. */
  #warm({ worker, codes }: Warming): void {
    this.#warming = null;
    this.#fillCache(worker, codes);
  }
}

/** The bytes in a buffer of their own, as isolated-vm copies buffers whole. */
export function exactBuffer(bytes: Uint8Array): ArrayBuffer {
  return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
}
