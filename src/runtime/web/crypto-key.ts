import {
  JSONParse,
  ObjectCreate,
  ObjectDefineProperty,
  ObjectSetPrototypeOf,
  ReflectOwnKeys,
  Uint8ArrayNative,
  WeakRefDeref,
  WeakRefNative,
} from "./primordials.ts";
import { defineInterface, illegalConstructor, internal } from "./webidl.ts";

/** How the host describes a key that it keeps. */
interface Description {
  readonly id: number;
  readonly type: string;
  readonly extractable: boolean;
  readonly name: string;
  /** JSON, of which each CryptoKey gets an object of its own. */
  readonly algorithm: string;
  readonly usages: readonly string[];
  /** The garbage was just collected: it is time to look which keys are unused. */
  readonly sweep: boolean;
}

/** A key on the host. Several CryptoKeys share it when one is cloned; the host lets go of it after the last. */
export class KeyHandle {
  readonly id: number;
  readonly type: string;
  readonly extractable: boolean;
  readonly name: string;
  readonly algorithm: string;
  readonly usages: readonly string[];

  constructor(described: Description) {
    this.id = described.id;
    this.type = described.type;
    this.extractable = described.extractable;
    this.name = described.name;
    this.algorithm = described.algorithm;
    this.usages = described.usages;
    watch(this);
    if (described.sweep) sweepNext();
  }

  allows(usage: string): boolean {
    const { usages } = this;
    for (let i = 0; i < usages.length; i++) if (usages[i] === usage) return true;
    return false;
  }
}

/** What is kept on the host under a number, for as long as an object here lives. */
interface Kept {
  readonly id: number;
}

/**
 * Weak references and not a FinalizationRegistry: its callbacks are tasks of V8's platform, which do not run in an
 * isolate that is only entered synchronously.
 */
const watched: Record<number, WeakRef<Kept>> = ObjectCreate(null) as Record<number, WeakRef<Kept>>;
let sinceSweep = 0;
/** Looking at all takes as long as making a few keys. */
const SWEEP_AFTER = 1024;

/** The host is told when `kept` is no longer reachable. */
export function watch(kept: Kept): void {
  watched[kept.id] = new WeakRefNative(kept);
  sinceSweep++;
}

/** The host has just collected the garbage: the next request tells it what is unused. */
export function sweepNext(): void {
  sinceSweep = SWEEP_AFTER;
}

/** The host has let go of it already. */
export function unwatch(id: number): void {
  delete watched[id];
}

/** Numbers of things on the host that nothing here refers to any more; null when it is not time to look. */
export function unused(): readonly number[] | null {
  if (sinceSweep < SWEEP_AFTER) return null;
  sinceSweep = 0;
  const found: number[] = [];
  // Neither JSON.stringify nor a write looks into Array.prototype then.
  ObjectSetPrototypeOf(found, null);
  let count = 0;
  const keys = ReflectOwnKeys(watched) as string[];
  for (let i = 0; i < keys.length; i++) {
    const id = +(keys[i] as string);
    if (WeakRefDeref(watched[id] as WeakRef<Kept>) !== undefined) continue;
    delete watched[id];
    found[count++] = id;
  }
  return count > 0 ? found : null;
}

/** Brand check that no Worker can forge. */
export let isCryptoKey: (value: unknown) => value is CryptoKey;
/** The key on the host that a CryptoKey stands for. */
export let handleOf: (key: CryptoKey) => KeyHandle;

/** Web Cryptography §13: a handle of key material that stays on the host. */
export class CryptoKey {
  readonly #handle: KeyHandle;
  #algorithm: object | null = null;
  #usages: readonly string[] | null = null;

  constructor(token?: unknown, handle?: KeyHandle) {
    if (token !== internal || handle === undefined) throw illegalConstructor();
    this.#handle = handle;
  }

  get type(): string {
    return this.#handle.type;
  }

  get extractable(): boolean {
    return this.#handle.extractable;
  }

  /** The same object each time, and the caller's own: nothing goes by what he writes into it (§13.3). */
  get algorithm(): object {
    if (this.#algorithm === null) {
      const algorithm = JSONParse(this.#handle.algorithm) as { publicExponent?: unknown };
      const { publicExponent } = algorithm;
      if (publicExponent !== undefined) {
        const digits = publicExponent as readonly number[];
        const bytes = new Uint8ArrayNative(digits.length);
        for (let i = 0; i < digits.length; i++) bytes[i] = digits[i] as number;
        algorithm.publicExponent = bytes;
      }
      this.#algorithm = algorithm;
    }
    return this.#algorithm;
  }

  get usages(): readonly string[] {
    if (this.#usages === null) {
      const { usages } = this.#handle;
      const copy: string[] = [];
      for (let i = 0; i < usages.length; i++) {
        ObjectDefineProperty(copy, i, {
          __proto__: null,
          value: usages[i],
          enumerable: true,
          writable: true,
          configurable: true,
        } as PropertyDescriptor);
      }
      this.#usages = copy;
    }
    return this.#usages;
  }

  static {
    isCryptoKey = (value): value is CryptoKey =>
      typeof value === "object" && value !== null && #handle in value;
    handleOf = (key) => key.#handle;
  }
}

defineInterface(CryptoKey, "CryptoKey");

/** The CryptoKey of what the host describes. */
export function keyFrom(described: object): CryptoKey {
  return new CryptoKey(internal, new KeyHandle(described as Description));
}

/** A CryptoKey for the same key, as structured cloning makes it (§13.5). */
export function cloneKey(key: CryptoKey): CryptoKey {
  return new CryptoKey(internal, handleOf(key));
}
