import { CALL_DIGEST } from "../../wire/ops.ts";
import { part } from "../part.ts";
import { DOMException } from "./dom-exception.ts";
import { viewBytes } from "./encoding.ts";
import { type HostCallHandler, host } from "./host.ts";
import {
  ArrayBufferIsView,
  Deferred,
  NumberToString,
  promiseReject,
  TypedArrayLength,
  TypedArraySet,
  TypedArrayTag,
  Uint8ArrayNative,
  viewBuffer,
  viewLength,
  viewOffset,
} from "./primordials.ts";
import { defineInterface, illegalConstructor, internal, requireArguments } from "./webidl.ts";

/** Web Cryptography §10.1.1. */
const quota = 65_536;

const hex: string[] = [];
for (let i = 0; i < 256; i++) hex[i] = NumberToString(i + 256, 16).slice(1);

const digests = {
  __proto__: null,
  "SHA-1": true,
  "SHA-256": true,
  "SHA-384": true,
  "SHA-512": true,
  MD5: true,
} as unknown as Readonly<Record<string, boolean>>;

class DigestHandler implements HostCallHandler {
  readonly #deferred: Deferred<ArrayBuffer>;

  constructor(deferred: Deferred<ArrayBuffer>) {
    this.#deferred = deferred;
  }

  done(_text: string, bytes: Uint8Array<ArrayBuffer>): void {
    this.#deferred.resolve(viewBuffer(bytes));
  }

  failed(error: Error): void {
    this.#deferred.reject(error);
  }
}

type CryptoPart = typeof import("../parts/crypto.ts");

/** Web Cryptography §14. Digests of the usual kinds are made without the part that does all the rest. */
export class SubtleCrypto {
  readonly #brand = true;

  constructor(token?: unknown) {
    if (token !== internal) throw illegalConstructor();
  }

  digest(algorithm: string | { name: string }, data: ArrayBuffer | ArrayBufferView): Promise<ArrayBuffer> {
    try {
      if (#brand in this && typeof algorithm === "string" && digests[algorithm] === true) {
        const bytes = viewBytes(data, "data");
        const deferred = new Deferred<ArrayBuffer>();
        host.call(CALL_DIGEST, algorithm, bytes, new DigestHandler(deferred));
        return deferred.promise;
      }
    } catch (error) {
      return promiseReject(error);
    }
    return SubtleCrypto.#call(this, "digest", arguments) as Promise<ArrayBuffer>;
  }

  decapsulateBits(): Promise<unknown> {
    return SubtleCrypto.#call(this, "decapsulateBits", arguments);
  }

  decapsulateKey(): Promise<unknown> {
    return SubtleCrypto.#call(this, "decapsulateKey", arguments);
  }

  decrypt(): Promise<unknown> {
    return SubtleCrypto.#call(this, "decrypt", arguments);
  }

  deriveBits(): Promise<unknown> {
    return SubtleCrypto.#call(this, "deriveBits", arguments);
  }

  deriveKey(): Promise<unknown> {
    return SubtleCrypto.#call(this, "deriveKey", arguments);
  }

  encapsulateBits(): Promise<unknown> {
    return SubtleCrypto.#call(this, "encapsulateBits", arguments);
  }

  encapsulateKey(): Promise<unknown> {
    return SubtleCrypto.#call(this, "encapsulateKey", arguments);
  }

  encrypt(): Promise<unknown> {
    return SubtleCrypto.#call(this, "encrypt", arguments);
  }

  exportKey(): Promise<unknown> {
    return SubtleCrypto.#call(this, "exportKey", arguments);
  }

  generateKey(): Promise<unknown> {
    return SubtleCrypto.#call(this, "generateKey", arguments);
  }

  getPublicKey(): Promise<unknown> {
    return SubtleCrypto.#call(this, "getPublicKey", arguments);
  }

  importKey(): Promise<unknown> {
    return SubtleCrypto.#call(this, "importKey", arguments);
  }

  sign(): Promise<unknown> {
    return SubtleCrypto.#call(this, "sign", arguments);
  }

  unwrapKey(): Promise<unknown> {
    return SubtleCrypto.#call(this, "unwrapKey", arguments);
  }

  verify(): Promise<unknown> {
    return SubtleCrypto.#call(this, "verify", arguments);
  }

  wrapKey(): Promise<unknown> {
    return SubtleCrypto.#call(this, "wrapKey", arguments);
  }

  /**
   * Compares in a time that does not depend on the bytes (Cloudflare Workers).
   * @throws TypeError when the lengths differ.
   */
  timingSafeEqual(a: ArrayBuffer | ArrayBufferView, b: ArrayBuffer | ArrayBufferView): boolean {
    requireArguments(arguments.length, 2, "timingSafeEqual");
    const one = viewBytes(a, "a");
    const other = viewBytes(b, "b");
    const length = TypedArrayLength(one);
    if (length !== TypedArrayLength(other)) throw new TypeError("cannot compare: a and b differ in length");
    let difference = 0;
    for (let i = 0; i < length; i++) difference |= (one[i] as number) ^ (other[i] as number);
    return difference === 0;
  }

  /** Whether an operation works with an algorithm (Modern Algorithms in the Web Cryptography API). */
  static supports(): boolean {
    return part<CryptoPart>("crypto").supports(arguments);
  }

  static #call(self: SubtleCrypto, method: string, args: IArguments): Promise<unknown> {
    try {
      if (!(#brand in self)) throw new TypeError(`cannot call ${method}: this is not a SubtleCrypto`);
      return part<CryptoPart>("crypto").callSubtle(method, args);
    } catch (error) {
      return promiseReject(error);
    }
  }
}

const subtle = new SubtleCrypto(internal);

/** Web Cryptography §10. */
export class Crypto {
  constructor(token?: unknown) {
    if (token !== internal) throw illegalConstructor();
  }

  get subtle(): SubtleCrypto {
    demandCrypto(this);
    return subtle;
  }

  /** A writable stream that makes a digest of what is written to it (Cloudflare Workers). */
  get DigestStream(): CryptoPart["DigestStream"] {
    demandCrypto(this);
    return part<CryptoPart>("crypto").DigestStream;
  }

  getRandomValues<T extends ArrayBufferView>(array: T): T {
    demandCrypto(this);
    requireArguments(arguments.length, 1, "getRandomValues");
    if (!ArrayBufferIsView(array)) {
      throw new TypeError("cannot get random values: array is not an array buffer view");
    }
    const tag = TypedArrayTag(array);
    if (tag === undefined || tag === "Float16Array" || tag === "Float32Array" || tag === "Float64Array") {
      throw new DOMException(
        "cannot get random values: array is not an integer typed array",
        "TypeMismatchError",
      );
    }
    const length = viewLength(array);
    if (length > quota) {
      throw new DOMException(
        `cannot get random values: ${length} bytes are more than ${quota}`,
        "QuotaExceededError",
      );
    }
    if (length > 0) {
      const bytes = new Uint8ArrayNative(host.random(length));
      TypedArraySet(new Uint8ArrayNative(viewBuffer(array), viewOffset(array), length), bytes);
    }
    return array;
  }

  /** RFC 9562 §5.4, version 4. */
  randomUUID(): string {
    demandCrypto(this);
    const bytes = new Uint8ArrayNative(host.random(16));
    bytes[6] = ((bytes[6] as number) & 0x0f) | 0x40;
    bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80;
    let text = "";
    for (let i = 0; i < 16; i++) {
      if (i === 4 || i === 6 || i === 8 || i === 10) text += "-";
      text += hex[bytes[i] as number];
    }
    return text;
  }
}

defineInterface(SubtleCrypto, "SubtleCrypto", 0, {
  decapsulateBits: 3,
  decapsulateKey: 6,
  decrypt: 3,
  deriveBits: 2,
  deriveKey: 5,
  encapsulateBits: 2,
  encapsulateKey: 5,
  encrypt: 3,
  exportKey: 2,
  generateKey: 3,
  getPublicKey: 2,
  importKey: 5,
  sign: 3,
  supports: 2,
  unwrapKey: 7,
  verify: 4,
  wrapKey: 4,
});
defineInterface(Crypto, "Crypto");

export const crypto = new Crypto(internal);

function demandCrypto(self: unknown): void {
  if (self !== crypto) throw new TypeError("Illegal invocation: this is not the Crypto object");
}
