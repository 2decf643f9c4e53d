import type { Hash, KeyObject, webcrypto } from "node:crypto";
import { GuestFailure } from "../guest-failure.ts";
import type { CallScope } from "./operations.ts";

/** Keys that one guest may keep, and hashes that it may have begun. */
const MAX_KEYS = 8192;
const MAX_HASHES = 1024;
/** Bytes of a key or hash beside its material. */
const OVERHEAD = 512;
/**
 * The guest's garbage is collected after so many new keys, or bytes of them: only then it knows which of them nobody uses
 * any more. A collection takes 2 ms for a small heap, and more than 100 for a large one.
 */
const COLLECT_AFTER = MAX_KEYS / 2;
const COLLECT_AFTER_BYTES = 4 * 1024 * 1024;

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
  #bytesSinceCollection = 0;

  constructor(scope: CallScope) {
    this.#scope = scope;
  }

  /** @throws GuestFailure when there is none: the guest's runtime does not ask for one that it gave back. */
  get(id: unknown): webcrypto.CryptoKey {
    return this.kept(id).key;
  }

  /** The same with what is kept beside the key. */
  kept(id: unknown): Kept {
    const kept = typeof id === "number" ? this.#keys.get(id) : undefined;
    if (kept === undefined) throw new GuestFailure("InvalidAccessError", "cannot use the key: it is gone");
    return kept;
  }

  /**
   * Keeps a key.
   *
   * @returns what the guest knows of it, without its material; and whether it is time to tell which keys are unused.
   */
  add(key: webcrypto.CryptoKey, secret: KeyObject | null = null): { readonly id: number } {
    const size = sizeOf(key);
    if (this.#keys.size >= MAX_KEYS || !this.#scope.buffer.take(size)) {
      throw new GuestFailure("OperationError", `cannot keep the key: ${this.#keys.size} are kept already`);
    }
    const id = ++this.#last;
    this.#keys.set(id, { key, secret });
    const sweep = this.#collects(size);
    const { publicExponent } = key.algorithm as KeyAlgorithm;
    const algorithm =
      publicExponent === undefined
        ? key.algorithm
        : { ...key.algorithm, publicExponent: Array.from(publicExponent) };
    const { type, extractable, usages } = key;
    const { name } = key.algorithm;
    const described = { id, type, extractable, name, algorithm: JSON.stringify(algorithm), usages, sweep };
    return described;
  }

  /** The hash of that number, which the guest chose; undefined when it has not begun. */
  hash(id: number): Hash | undefined {
    return this.#hashes.get(id);
  }

  /** Keeps a hash that begins. @returns whether it is time for the guest to tell which ones are unused. */
  addHash(id: number, hash: Hash): boolean {
    if (this.#hashes.size >= MAX_HASHES || !this.#scope.buffer.take(OVERHEAD)) {
      throw new GuestFailure(
        "OperationError",
        `cannot digest: ${this.#hashes.size} streams are open already`,
      );
    }
    this.#hashes.set(id, hash);
    return this.#collects((COLLECT_AFTER_BYTES * 2) / MAX_HASHES);
  }

  /** Counts something new of so many bytes, and collects the guest's garbage when it is time. */
  #collects(size: number): boolean {
    this.#bytesSinceCollection += size;
    if (++this.#sinceCollection < COLLECT_AFTER && this.#bytesSinceCollection < COLLECT_AFTER_BYTES)
      return false;
    this.#sinceCollection = 0;
    this.#bytesSinceCollection = 0;
    this.#scope.collect();
    return true;
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
