import { ArrayPush, ReflectApply, SetAdd, SetDelete, SetNative } from "./primordials.ts";

const WeakRefNative = WeakRef;
const derefNative = WeakRef.prototype.deref;

function deref<T extends object>(ref: WeakRef<T>): T | undefined {
  return ReflectApply(derefNative, ref, []) as T | undefined;
}

/**
 * The signals that follow another, in the order of their making. Kept weakly, since a signal that lives as long as the
 * isolate would else keep one of each request; those that somebody waits for are held (DOM §3.2.1).
 */
export class Dependents<T extends object> {
  #refs: WeakRef<T>[] = [];
  #held: Set<T> | null = null;
  /** Number of references at which those to what is gone are dropped. */
  #sweepAt = 16;

  add(item: T): void {
    if (this.#refs.length >= this.#sweepAt) this.#sweep();
    ArrayPush(this.#refs, new WeakRefNative(item));
  }

  hold(item: T): void {
    this.#held ??= new SetNative();
    SetAdd(this.#held, item);
  }

  release(item: T): void {
    if (this.#held !== null) SetDelete(this.#held, item);
  }

  /** Those that are still there. */
  live(): T[] {
    const found: T[] = [];
    for (let i = 0; i < this.#refs.length; i++) {
      const item = deref(this.#refs[i] as WeakRef<T>);
      if (item !== undefined) ArrayPush(found, item);
    }
    return found;
  }

  #sweep(): void {
    const kept: WeakRef<T>[] = [];
    for (let i = 0; i < this.#refs.length; i++) {
      const ref = this.#refs[i] as WeakRef<T>;
      if (deref(ref) !== undefined) ArrayPush(kept, ref);
    }
    this.#refs = kept;
    this.#sweepAt = kept.length * 2 > 16 ? kept.length * 2 : 16;
  }
}
