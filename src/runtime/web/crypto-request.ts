import { CALL_CRYPTO } from "../../wire/ops.ts";
import { type CryptoKey, handleOf, unused } from "./crypto-key.ts";
import { copyBytes, type Normalized } from "./crypto-normalize.ts";
import { type HostCallHandler, host } from "./host.ts";
import { joinPieces } from "./pieces.ts";
import {
  Deferred,
  JSONStringify,
  ObjectCreate,
  ReflectOwnKeys,
  TypedArrayLength,
  TypedArrayTag,
} from "./primordials.ts";
import { isObject } from "./webidl.ts";

/** Makes what the Worker gets of what the host gives back. */
type Convert<T> = (text: string, bytes: Uint8Array<ArrayBuffer>) => T;

class Pending<T> implements HostCallHandler {
  readonly deferred: Deferred<T> = new Deferred();
  readonly #convert: Convert<T>;

  constructor(convert: Convert<T>) {
    this.#convert = convert;
  }

  done(text: string, bytes: Uint8Array<ArrayBuffer>): void {
    this.deferred.resolve(this.#convert(text, bytes));
  }

  failed(error: Error): void {
    this.deferred.reject(error);
  }
}

/**
 * A request to the host: JSON of members that the runtime itself made, none of which has a prototype, and the bytes that
 * they name by their place. Nothing of the Worker's objects is looked at any more once it is written.
 */
export class CryptoRequest {
  readonly #members: Record<string, unknown> = ObjectCreate(null) as Record<string, unknown>;
  readonly #pieces: Record<number, Uint8Array> = ObjectCreate(null) as Record<number, Uint8Array>;
  #count = 0;
  #size = 0;

  /** @param operation see src/isolate/calls/crypto.ts. */
  constructor(operation: string) {
    this.#members["op"] = operation;
    const free = unused();
    if (free !== null) this.#members["free"] = free;
  }

  /** @param value a primitive, or something without a prototype. */
  set(name: string, value: unknown): this {
    this.#members[name] = value;
    return this;
  }

  /** A buffer source of the Worker's, which is copied now. @throws TypeError when it is none. */
  bytes(name: string, source: unknown): this {
    this.#members[name] = this.#place(copyBytes(source, name));
    return this;
  }

  key(name: string, key: CryptoKey): this {
    this.#members[name] = handleOf(key).id;
    return this;
  }

  algorithm(name: string, algorithm: Normalized): this {
    this.#members[name] = this.#encode(algorithm);
    return this;
  }

  send<T>(convert: Convert<T>): Promise<T> {
    const whole = joinPieces(this.#pieces, this.#count, this.#size);
    const pending = new Pending(convert);
    host.call(CALL_CRYPTO, JSONStringify(this.#members), whole, pending);
    return pending.deferred.promise;
  }

  #place(bytes: Uint8Array): object {
    const size = TypedArrayLength(bytes);
    const place = ObjectCreate(null) as { at: number; size: number };
    place.at = this.#size;
    place.size = size;
    this.#pieces[this.#count++] = bytes;
    this.#size += size;
    return place;
  }

  #encode(algorithm: Normalized): object {
    const encoded = ObjectCreate(null) as Record<string, unknown>;
    const names = ReflectOwnKeys(algorithm) as string[];
    for (let i = 0; i < names.length; i++) {
      const name = names[i] as string;
      const value = algorithm[name];
      if (name === "public") encoded[name] = handleOf(value as CryptoKey).id;
      else if (!isObject(value)) encoded[name] = value;
      else if (TypedArrayTag(value) !== undefined) encoded[name] = this.#place(value as Uint8Array);
      else encoded[name] = this.#encode(value as Normalized);
    }
    return encoded;
  }
}
