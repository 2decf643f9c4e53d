/** Media types as config lists them: whole, `text/*`, or with a suffix, `application/*+json`. */
export class MediaTypes {
  readonly #whole: Set<string> = new Set();
  readonly #patterns: Array<{ readonly start: string; readonly end: string }> = [];

  constructor(types: readonly string[]) {
    for (const type of types) {
      const [start = "", end] = type.toLowerCase().split("*");
      if (end === undefined) this.#whole.add(start);
      else this.#patterns.push({ start, end });
    }
  }

  /** @param type without parameters, in lower case */
  has(type: string): boolean {
    if (this.#whole.has(type)) return true;
    return this.#patterns.some(
      ({ start, end }) =>
        type.length > start.length + end.length && type.startsWith(start) && type.endsWith(end),
    );
  }
}

/** The type and subtype of a Content-Type field, in lower case; empty without one. */
export function mediaType(field: string | null): string {
  return ((field ?? "").split(";", 1)[0] ?? "").trim().toLowerCase();
}
