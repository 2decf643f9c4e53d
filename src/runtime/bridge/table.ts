import { ObjectCreate, ReflectOwnKeys } from "../web/primordials.ts";

/**
 * Things by their number. An object without a prototype and not a Map, so that a Worker that patches Map.prototype or
 * Object.prototype neither breaks nor sees what the runtime keeps.
 */
export class Table<T> {
  readonly #slots: Record<number, T | undefined> = ObjectCreate(null) as Record<number, T | undefined>;

  get(id: number): T | undefined {
    return this.#slots[id];
  }

  set(id: number, value: T): void {
    this.#slots[id] = value;
  }

  /** Removes and gives what stood there. */
  take(id: number): T | undefined {
    const value = this.#slots[id];
    if (value !== undefined) delete this.#slots[id];
    return value;
  }

  /** All numbers, in a list of the caller's own. */
  ids(): number[] {
    const ids = ReflectOwnKeys(this.#slots) as unknown[];
    for (let i = 0; i < ids.length; i++) ids[i] = +(ids[i] as string);
    return ids as number[];
  }
}
