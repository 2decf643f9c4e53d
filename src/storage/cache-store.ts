/** A response as a cache keeps it. Times are milliseconds of the store's own clock. */
export interface CachedResponse {
  readonly status: number;
  readonly reason: string;
  /** The header section: valid lines, each with its CRLF. */
  readonly headers: string;
  /** In the codings that the headers name. Never changed once it is stored. */
  readonly body: Uint8Array;
  readonly storedAt: number;
  /** From then on it is as good as not there. */
  readonly expiresAt: number;
  /** Seconds that it had been in other caches before. */
  readonly age: number;
}

/** Where the Cache API keeps responses. Whatever it holds may be gone at any time. */
export interface CacheStore {
  /** Bytes of the largest body that it takes. */
  readonly maxBody: number;
  /** What is stored there and has not expired, or null. */
  match(key: string): Promise<CachedResponse | null>;
  /** Stores in place of what was there; false when there is no room for it. */
  put(key: string, response: CachedResponse): Promise<boolean>;
  /** False when there was nothing. */
  delete(key: string): Promise<boolean>;
}
