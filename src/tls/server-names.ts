/**
 * Values by the names of certificates: an exact name is found before a wildcard, which stands for one label
 * (RFC 6125 §6.4.3).
 */
export class ServerNames<T> {
  readonly #exact: Map<string, T> = new Map();
  /** By what follows `*.`. */
  readonly #wildcards: Map<string, T> = new Map();

  /** The first value of a name stays. */
  add(name: string, value: T): void {
    const lower = name.toLowerCase();
    const isWildcard = lower.startsWith("*.");
    const table = isWildcard ? this.#wildcards : this.#exact;
    const key = isWildcard ? lower.slice(2) : lower;
    if (!table.has(key)) table.set(key, value);
  }

  /** @param name as the client sent it (SNI, RFC 6066 §3) */
  find(name: string): T | undefined {
    const lower = name.toLowerCase();
    const exact = this.#exact.get(lower);
    if (exact !== undefined) return exact;
    const dot = lower.indexOf(".");
    return dot <= 0 ? undefined : this.#wildcards.get(lower.slice(dot + 1));
  }
}
