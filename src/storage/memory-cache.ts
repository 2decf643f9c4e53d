import type { CachedResponse, CacheStore } from "./cache-store.ts";

/** What an entry costs beside its body and texts. */
const ENTRY_BYTES = 512;

export interface MemoryCacheLimits {
  readonly bytes: number;
  readonly entries: number;
}

/** Keeps responses in the memory of this process, and lets go of those that were not asked for longest. */
export class MemoryCache implements CacheStore {
  readonly maxBody: number;
  readonly #limits: MemoryCacheLimits;
  readonly #now: () => number;
  /** In the order of their last use. */
  readonly #entries: Map<string, CachedResponse> = new Map();
  #bytes = 0;

  constructor(limits: MemoryCacheLimits, now: () => number) {
    this.#limits = limits;
    this.#now = now;
    this.maxBody = Math.floor(limits.bytes / 4);
  }

  get size(): number {
    return this.#entries.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  async match(key: string): Promise<CachedResponse | null> {
    const found = this.#entries.get(key);
    if (found === undefined) return null;
    if (found.expiresAt <= this.#now()) {
      this.#remove(key, found);
      return null;
    }
    this.#entries.delete(key);
    this.#entries.set(key, found);
    return found;
  }

  async put(key: string, response: CachedResponse): Promise<boolean> {
    const before = this.#entries.get(key);
    if (before !== undefined) this.#remove(key, before);
    const cost = costOf(key, response);
    if (response.body.length > this.maxBody || cost > this.#limits.bytes) return false;
    this.#entries.set(key, response);
    this.#bytes += cost;
    for (const [oldest, entry] of this.#entries) {
      if (this.#bytes <= this.#limits.bytes && this.#entries.size <= this.#limits.entries) break;
      this.#remove(oldest, entry);
    }
    return true;
  }

  async delete(key: string): Promise<boolean> {
    const found = this.#entries.get(key);
    if (found === undefined) return false;
    this.#remove(key, found);
    return found.expiresAt > this.#now();
  }

  #remove(key: string, entry: CachedResponse): void {
    this.#entries.delete(key);
    this.#bytes -= costOf(key, entry);
  }
}

function costOf(key: string, { body, headers, reason }: CachedResponse): number {
  return body.length + (key.length + headers.length + reason.length) * 2 + ENTRY_BYTES;
}
