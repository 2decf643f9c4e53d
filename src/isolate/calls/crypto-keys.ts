import type { Hash, KeyObject, webcrypto } from "node:crypto";
import { CallFailure } from "./call.ts";
import type { CallScope } from "./operations.ts";

/** Keys that one guest may keep, and hashes that it may have begun. */
const MAX_KEYS = 8192;
const MAX_HASHES = 1024;
/** Bytes of a key or hash beside its material. */
const OVERHEAD = 512;
/** The guest's garbage is collected after so many new keys: only then it knows which of them nobody uses any more. */
const COLLECT_AFTER = 1024;

/** The members that all algorithms of keys have, and those of some. */
export interface KeyAlgorithm {
  readonly name: string;
  readonly length?: number;
  readonly modulusLength?: number;
  readonly publicExponent?: Uint8Array;
}

/** A key of a guest, and for HMAC its secret once more: with it Node makes short codes at once, not on a thread. */
interface Kept {
  readonly key: webcrypto.CryptoKey;
  readonly secret: KeyObject | null;
}

/**
 * What one guest keeps on the host under numbers: its keys, which do not leave the host unless they are extractable, and
 * hashes whose data comes in pieces. The memory of both counts as the guest's.
 */
export class CryptoKeys {
  readonly #scope: CallScope;
  readonly #keys: Map<number, Kept> = new Map();
  readonly #hashes: Map<number, Hash> = new Map();
  #last = 0;
  #sinceCollection = 0;

  constructor(scope: CallScope) {
    this.#scope = scope;
  }

  get size(): number {
    return this.#keys.size + this.#hashes.size;
  }

  /** @throws CallFailure when there is none: the guest's runtime does not ask for one that it gave back. */
  get(id: unknown): webcrypto.CryptoKey {
    return this.kept(id).key;
  }

  /** The same with what is kept beside the key. */
  kept(id: unknown): Kept {
    const kept = typeof id === "number" ? this.#keys.get(id) : undefined;
    if (kept === undefined) throw new CallFailure("InvalidAccessError", "cannot use the key: it is gone");
    return kept;
  }

  /** Keeps a key. @returns what the guest knows of it, without its material. */
  add(key: webcrypto.CryptoKey, secret: KeyObject | null = null): object {
    if (this.#keys.size >= MAX_KEYS || !this.#scope.buffer.take(sizeOf(key))) {
      throw new CallFailure("OperationError", `cannot keep the key: ${this.#keys.size} are kept already`);
    }
    const id = ++this.#last;
    this.#keys.set(id, { key, secret });
    if (++this.#sinceCollection >= COLLECT_AFTER) {
      this.#sinceCollection = 0;
      this.#scope.collect();
    }
    const { publicExponent } = key.algorithm as KeyAlgorithm;
    const algorithm =
      publicExponent === undefined
        ? key.algorithm
        : { ...key.algorithm, publicExponent: Array.from(publicExponent) };
    const { type, extractable, usages } = key;
    const { name } = key.algorithm;
    return { id, type, extractable, name, algorithm: JSON.stringify(algorithm), usages };
  }

  /** The hash of that number, which the guest chose; begun when there is none. */
  hash(id: number, begin: () => Hash): Hash {
    const known = this.#hashes.get(id);
    if (known !== undefined) return known;
    if (this.#hashes.size >= MAX_HASHES || !this.#scope.buffer.take(OVERHEAD)) {
      throw new CallFailure("OperationError", `cannot digest: ${this.#hashes.size} streams are open already`);
    }
    const hash = begin();
    this.#hashes.set(id, hash);
    return hash;
  }

  /** @param id of a key; negative of a hash. */
  drop(id: unknown): void {
    if (typeof id !== "number") return;
    const kept = this.#keys.get(id);
    if (kept !== undefined) {
      this.#keys.delete(id);
      this.#scope.buffer.give(sizeOf(kept.key));
    } else if (this.#hashes.delete(id)) this.#scope.buffer.give(OVERHEAD);
  }
}

/** Bytes that a key takes, about: private RSA keys hold their number some ten times over. */
function sizeOf(key: webcrypto.CryptoKey): number {
  const { length, modulusLength, name } = key.algorithm as KeyAlgorithm;
  if (modulusLength !== undefined) return OVERHEAD + modulusLength;
  if (name.startsWith("ML")) return OVERHEAD + 8192;
  return OVERHEAD + (length ?? 2048) / 4;
}
