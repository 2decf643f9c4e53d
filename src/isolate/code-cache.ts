import { createHash } from "node:crypto";
import { cachedDataVersionTag } from "node:v8";
import type { CodeCache } from "./environment.ts";
import type { TrustedStore } from "./trusted-store.ts";

/**
 * V8's code cache. V8 accepts cached data of another script that has the same length, and runs it; entries are therefore
 * found by the SHA-256 of the whole source, together with everything that the data depends on: V8's version, its flags
 * and the processor (all in V8's own version tag) and the architecture. On disk they are authenticated.
 *
 * What is in use stays in memory, found by the source text itself, so that making one more isolate hashes nothing.
 */
export class DiskCodeCache implements CodeCache {
  readonly #store: TrustedStore | null;
  readonly #maxBytes: number;
  readonly #memory = new Map<string, Uint8Array>();
  #bytes = 0;

  /**
   * @param store null keeps everything in memory only.
   * @param maxMemoryBytes for cached data and its source together.
   */
  constructor(store: TrustedStore | null, maxMemoryBytes = 64 * 1024 * 1024) {
    this.#store = store;
    this.#maxBytes = maxMemoryBytes;
  }

  get(source: string): Uint8Array | null {
    const known = this.#memory.get(source);
    if (known !== undefined) return known;
    const data = this.#store?.get(keyOf(source)) ?? null;
    if (data !== null) this.#remember(source, data);
    return data;
  }

  put(source: string, data: Uint8Array): void {
    this.#remember(source, data);
    this.#store?.put(keyOf(source), data);
  }

  #remember(source: string, data: Uint8Array): void {
    const before = this.#memory.get(source);
    if (before !== undefined) {
      this.#memory.delete(source);
      this.#bytes -= sizeOf(source, before);
    }
    const size = sizeOf(source, data);
    if (size > this.#maxBytes) return;
    this.#memory.set(source, data);
    this.#bytes += size;
    for (const [oldest, oldData] of this.#memory) {
      if (this.#bytes <= this.#maxBytes) return;
      this.#memory.delete(oldest);
      this.#bytes -= sizeOf(oldest, oldData);
    }
  }
}

function sizeOf(source: string, data: Uint8Array): number {
  return source.length + data.byteLength;
}

function keyOf(source: string): string {
  const hash = createHash("sha256").update(source).digest("hex");
  return `code ${process.versions.v8} ${cachedDataVersionTag()} ${process.arch} ${hash}`;
}
