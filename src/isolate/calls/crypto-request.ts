import type { webcrypto } from "node:crypto";
import { GuestFailure } from "../guest-failure.ts";
import type { Algorithm } from "./crypto-bounds.ts";
import type { CryptoKeys } from "./crypto-keys.ts";

const texts = new Set(["name", "namedCurve"]);
const numbers = new Set([
  "domainSeparation",
  "iterations",
  "length",
  "memory",
  "modulusLength",
  "outputLength",
  "parallelism",
  "passes",
  "saltLength",
  "tagLength",
  "version",
]);
const pieces = new Set([
  "additionalData",
  "associatedData",
  "context",
  "counter",
  "customization",
  "functionName",
  "info",
  "iv",
  "label",
  "nonce",
  "publicExponent",
  "salt",
  "secretValue",
]);

/** Characters of a request: the longest JSON Web Key that is imported, and what else there is. */
const MAX_TEXT = 2 * 1024 * 1024;

type Members = Readonly<Record<string, unknown>>;

/**
 * What the guest asks of Web Cryptography: JSON that its runtime wrote, whose byte sequences are places `{ at, size }` in
 * the bytes that come with it, and whose keys are numbers. Everything is checked: a guest may have written it itself.
 */
export class CryptoRequest {
  readonly operation: string;
  readonly #members: Members;
  readonly #bytes: Uint8Array;
  readonly #keys: CryptoKeys;

  /** @throws Error when it is not well formed. */
  constructor(text: string, bytes: Uint8Array, keys: CryptoKeys) {
    // Parsing takes the host's time: brackets alone some 60 ns each.
    if (text.length > MAX_TEXT) throw new GuestFailure("DataError", "the parameters are too long");
    this.#members = membersOf(JSON.parse(text));
    this.#bytes = bytes;
    this.#keys = keys;
    this.operation = this.text("op");
  }

  text(name: string): string {
    const value = this.#own(this.#members, name);
    if (typeof value !== "string") throw malformed(name);
    return value;
  }

  flag(name: string): boolean {
    return this.#own(this.#members, name) === true;
  }

  /** An integer, or null when there is none. */
  integer(name: string): number | null {
    const value = this.#own(this.#members, name) ?? null;
    if (value !== null && !Number.isInteger(value)) throw malformed(name);
    return value as number | null;
  }

  list(name: string): readonly unknown[] {
    const value = this.#own(this.#members, name) ?? [];
    if (!Array.isArray(value)) throw malformed(name);
    return value;
  }

  /** A JSON Web Key, of which Web IDL's conversion on the host takes the members that it knows. */
  jwk(name: string): object {
    return membersOf(this.#own(this.#members, name));
  }

  bytes(name: string): Uint8Array<ArrayBuffer> {
    return this.#piece(this.#own(this.#members, name), name);
  }

  key(name: string): webcrypto.CryptoKey {
    return this.#keys.get(this.#own(this.#members, name));
  }

  /** The key with what is kept beside it. */
  kept(name: string): ReturnType<CryptoKeys["kept"]> {
    return this.#keys.kept(this.#own(this.#members, name));
  }

  algorithm(name: string): Algorithm {
    return this.#algorithm(membersOf(this.#own(this.#members, name)), 0);
  }

  #algorithm(given: Members, depth: number): Algorithm {
    const algorithm: Record<string, unknown> = {};
    for (const name of Object.keys(given)) {
      const value = given[name];
      if (texts.has(name) ? typeof value === "string" : numbers.has(name) && Number.isInteger(value)) {
        algorithm[name] = value;
      } else if (pieces.has(name)) {
        algorithm[name] = this.#piece(value, name);
      } else if (name === "hash" && depth === 0) {
        algorithm[name] = this.#algorithm(membersOf(value), 1);
      } else if (name === "public" && depth === 0) {
        algorithm[name] = this.#keys.get(value);
      } else throw malformed(name);
    }
    if (algorithm.name === undefined) throw malformed("name");
    return algorithm as Algorithm;
  }

  #piece(place: unknown, name: string): Uint8Array<ArrayBuffer> {
    const members = membersOf(place);
    const at = this.#own(members, "at");
    const size = this.#own(members, "size");
    if (!Number.isInteger(at) || !Number.isInteger(size)) throw malformed(name);
    const from = at as number;
    const to = from + (size as number);
    if (from < 0 || to < from || to > this.#bytes.length) throw malformed(name);
    return this.#bytes.subarray(from, to) as Uint8Array<ArrayBuffer>;
  }

  #own(members: Members, name: string): unknown {
    return Object.hasOwn(members, name) ? members[name] : undefined;
  }
}

function membersOf(value: unknown): Members {
  if (typeof value !== "object" || value === null) throw malformed("a member");
  return value as Members;
}

function malformed(name: string): Error {
  return new Error(`cannot read the request: ${name} is not well formed`);
}
