import { CALL_DIGEST } from "../../wire/ops.ts";
import { DOMException } from "./dom-exception.ts";
import { viewBytes } from "./encoding.ts";
import { type HostCallHandler, host } from "./host.ts";
import {
  Deferred,
  NumberToString,
  promiseReject,
  StringToUpperCase,
  TypedArraySet,
  TypedArrayTag,
  Uint8ArrayNative,
  viewBuffer,
  viewLength,
  viewOffset,
} from "./primordials.ts";
import {
  defineInterface,
  illegalConstructor,
  internal,
  isObject,
  quote,
  requireArguments,
} from "./webidl.ts";

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

function notSupported(what: string): Promise<never> {
  return promiseReject(new DOMException(`cannot ${what}: not supported`, "NotSupportedError"));
}

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

/** Web Cryptography §14. Of the algorithms, the digests. */
export class SubtleCrypto {
  constructor(token?: unknown) {
    if (token !== internal) throw illegalConstructor();
  }

  digest(algorithm: string | { name: string }, data: ArrayBuffer | ArrayBufferView): Promise<ArrayBuffer> {
    try {
      requireArguments(arguments.length, 2, "digest");
      const name = StringToUpperCase(`${isObject(algorithm) ? algorithm.name : algorithm}`);
      if (digests[name] !== true) {
        throw new DOMException(`cannot digest: ${quote(name)} is not a known algorithm`, "NotSupportedError");
      }
      const deferred = new Deferred<ArrayBuffer>();
      host.call(CALL_DIGEST, name, viewBytes(data, "data"), new DigestHandler(deferred));
      return deferred.promise;
    } catch (error) {
      return promiseReject(error);
    }
  }

  encrypt(): Promise<never> {
    return notSupported("encrypt");
  }

  decrypt(): Promise<never> {
    return notSupported("decrypt");
  }

  sign(): Promise<never> {
    return notSupported("sign");
  }

  verify(): Promise<never> {
    return notSupported("verify");
  }

  generateKey(): Promise<never> {
    return notSupported("generate a key");
  }

  deriveKey(): Promise<never> {
    return notSupported("derive a key");
  }

  deriveBits(): Promise<never> {
    return notSupported("derive bits");
  }

  importKey(): Promise<never> {
    return notSupported("import a key");
  }

  exportKey(): Promise<never> {
    return notSupported("export a key");
  }

  wrapKey(): Promise<never> {
    return notSupported("wrap a key");
  }

  unwrapKey(): Promise<never> {
    return notSupported("unwrap a key");
  }
}

const subtle = new SubtleCrypto(internal);

/** Web Cryptography §10. */
export class Crypto {
  constructor(token?: unknown) {
    if (token !== internal) throw illegalConstructor();
  }

  get subtle(): SubtleCrypto {
    return subtle;
  }

  getRandomValues<T extends ArrayBufferView>(array: T): T {
    requireArguments(arguments.length, 1, "getRandomValues");
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

defineInterface(SubtleCrypto, "SubtleCrypto");
defineInterface(Crypto, "Crypto");

export const crypto = new Crypto(internal);
