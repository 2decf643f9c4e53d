import { GuestFailure } from "../guest-failure.ts";

/** What a native is given: members of a JSON object, and pieces that lie one behind the other in its bytes. */
export class Parameters {
  readonly #members: Record<string, unknown>;
  readonly #bytes: Buffer;
  readonly #sizes: readonly unknown[];
  #piece = 0;
  #at = 0;

  /** @param text a JSON object; its member `sizes` lists the sizes of all pieces but the last. */
  constructor(text: string, bytes: Buffer) {
    if (text.length > MAX_TEXT) throw new GuestFailure("RangeError", "a parameter is too long");
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed !== "object" || parsed === null) throw new Error("no object");
    this.#members = parsed as Record<string, unknown>;
    this.#bytes = bytes;
    const sizes = this.#own("sizes");
    this.#sizes = Array.isArray(sizes) ? sizes : [];
  }

  /** The next piece of the bytes; behind the last size, what is left of them. */
  piece(): Buffer {
    const size = this.#piece < this.#sizes.length ? this.#sizes[this.#piece++] : undefined;
    const from = this.#at;
    const to = size === undefined ? this.#bytes.length : from + (Number.isInteger(size) ? Number(size) : -1);
    if (to < from || to > this.#bytes.length) throw new Error("a piece has a wrong size");
    this.#at = to;
    return this.#bytes.subarray(from, to);
  }

  /** A member that is a text; undefined when it is not there. */
  optionalText(name: string): string | undefined {
    const value = this.#own(name);
    if (value === undefined || value === null) return undefined;
    if (typeof value !== "string" || value.length > MAX_TEXT) throw new Error(`${name} is not a text`);
    return value;
  }

  text(name: string): string {
    return this.optionalText(name) ?? "";
  }

  flag(name: string): boolean {
    return this.#own(name) === true;
  }

  /** An integer member of `min` to `max`; undefined when it is not there. */
  optionalInteger(name: string, max: number, min = 0): number | undefined {
    const value = this.#own(name);
    if (value === undefined || value === null) return undefined;
    if (typeof value !== "number" || !Number.isInteger(value) || value < min || value > max) {
      throw new GuestFailure("RangeError", `${name} is not an integer of ${min} to ${max}`);
    }
    return value;
  }

  integer(name: string, max: number): number {
    const value = this.optionalInteger(name, max);
    if (value === undefined) throw new GuestFailure("TypeError", `${name} is missing`);
    return value;
  }

  #own(name: string): unknown {
    return Object.hasOwn(this.#members, name) ? this.#members[name] : undefined;
  }
}

/** Characters of a name, or of a key in PEM. */
const MAX_TEXT = 1 << 17;
