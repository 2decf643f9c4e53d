import {
  createHash,
  createHmac,
  createSecretKey,
  type KeyObject,
  timingSafeEqual,
  type webcrypto as types,
  webcrypto,
} from "node:crypto";
import { GuestFailure } from "../guest-failure.ts";
import { type CallOperation, CallResult, ThreadJob } from "./call.ts";
import { type Algorithm, checkCost, checkImported, checkJsonWebKey, checkKeyData } from "./crypto-bounds.ts";
import { CryptoKeys, type KeyAlgorithm } from "./crypto-keys.ts";
import { CryptoRequest } from "./crypto-request.ts";
import type { CallScope } from "./operations.ts";

type Outcome = CallResult | ThreadJob | Promise<CallResult>;
type Pair = { readonly publicKey: types.CryptoKey; readonly privateKey: types.CryptoKey };
type Encapsulated = { readonly sharedKey: ArrayBuffer | types.CryptoKey; readonly ciphertext: ArrayBuffer };

/** Node's methods, some of which the types of an older version lack. */
const subtle = webcrypto.subtle as unknown as Readonly<
  Record<string, ((...parameters: unknown[]) => Promise<unknown>) | undefined>
>;

/** What each operation is called in messages. */
const labels: Readonly<Record<string, string>> = {
  decapsulateBits: "decapsulate",
  decapsulateKey: "decapsulate a key",
  decrypt: "decrypt",
  deriveBits: "derive bits",
  deriveKey: "derive a key",
  digest: "digest",
  encapsulateBits: "encapsulate",
  encapsulateKey: "encapsulate a key",
  encrypt: "encrypt",
  exportKey: "export the key",
  generateKey: "generate a key",
  getPublicKey: "get the public key",
  importKey: "import the key",
  sign: "sign",
  unwrapKey: "unwrap the key",
  verify: "verify",
  wrapKey: "wrap the key",
};

/** What the errors of the standard mean; Node's own texts may tell of the host. */
const reasons: Readonly<Record<string, string>> = {
  DataError: "the key data is not valid for this format and algorithm",
  InvalidAccessError: "the key is not made for this",
  NotSupportedError: "this is not supported for the algorithm",
  OperationError: "the operation failed",
  QuotaExceededError: "it is too long",
  SyntaxError: "the usages do not fit the algorithm and key",
  TypeError: "a parameter is not valid",
};

/** Digests that createHash knows and that may come in pieces, by Web Cryptography's name. */
const streamed: Readonly<Record<string, string>> = {
  MD5: "md5",
  "SHA-1": "sha1",
  "SHA-256": "sha256",
  "SHA-384": "sha384",
  "SHA-512": "sha512",
  "SHA3-256": "sha3-256",
  "SHA3-384": "sha3-384",
  "SHA3-512": "sha3-512",
};

/** Bytes of data that are hashed or authenticated at once. */
const MAX_SHORT = 16_384;

/** Web Cryptography for one guest: Node's own does the work with keys that stay here. */
export class CryptoCalls {
  readonly #keys: CryptoKeys;

  constructor(scope: CallScope) {
    this.#keys = new CryptoKeys(scope);
  }

  readonly call: CallOperation = (text, bytes) => {
    const request = new CryptoRequest(text, bytes, this.#keys);
    // Those that the guest has found unused since; it goes on to use only others.
    for (const id of request.list("free")) this.#keys.drop(id);
    return this.#run(request);
  };

  #run(request: CryptoRequest): Outcome {
    const { operation } = request;
    switch (operation) {
      case "digest": {
        const algorithm = this.#bounded(request, "algorithm", 0);
        const data = request.bytes("data");
        const hash = Object.hasOwn(streamed, algorithm.name) ? streamed[algorithm.name] : undefined;
        // Node's Web Cryptography has no MD5; and a thread would cost more than short data.
        if (hash !== undefined && (data.length <= MAX_SHORT || hash === "md5")) {
          return new CallResult("", createHash(hash).update(data).digest());
        }
        return this.#threaded(request, [algorithm, data], bytesOf);
      }
      case "encrypt":
      case "decrypt":
      case "sign": {
        const code = operation === "sign" ? shortCode(request) : null;
        if (code !== null) return new CallResult("", code);
        const algorithm = this.#bounded(request, "algorithm", 0);
        return this.#threaded(request, [algorithm, request.key("key"), request.bytes("data")], bytesOf);
      }
      case "verify": {
        const code = shortCode(request);
        if (code !== null) return new CallResult(String(isSame(code, request.bytes("signature"))));
        const algorithm = this.#bounded(request, "algorithm", 0);
        const parameters = [algorithm, request.key("key"), request.bytes("signature"), request.bytes("data")];
        return this.#threaded(request, parameters, (valid) => new CallResult(String(valid === true)));
      }
      case "generateKey": {
        const algorithm = this.#bounded(request, "algorithm", 0);
        const parameters = [algorithm, request.flag("extractable"), request.list("usages")];
        return this.#threaded(request, parameters, (made) => this.#keysOf(made as types.CryptoKey | Pair));
      }
      case "importKey":
        return this.#import(request);
      case "exportKey": {
        const format = request.text("format");
        return this.#node(operation, [format, request.key("key")], (data) =>
          format === "jwk" ? new CallResult(JSON.stringify(data)) : bytesOf(data),
        );
      }
      case "getPublicKey":
        return this.#node(operation, [request.key("key"), request.list("usages")], (key) =>
          this.#keysOf(key as types.CryptoKey),
        );
      case "deriveBits": {
        const length = request.integer("length");
        const algorithm = this.#bounded(request, "algorithm", length ?? 0);
        return this.#threaded(request, [algorithm, request.key("key"), length], bytesOf);
      }
      case "deriveKey": {
        const derived = request.algorithm("derived");
        const length = typeof derived.length === "number" ? derived.length : 1024;
        const algorithm = this.#bounded(request, "algorithm", length);
        const parameters = [algorithm, request.key("key"), derived, ...this.#wished(request)];
        return this.#threaded(request, parameters, (key) => this.#keysOf(key as types.CryptoKey));
      }
      case "wrapKey": {
        const parameters = [request.text("format"), request.key("key"), request.key("wrappingKey")];
        return this.#threaded(request, [...parameters, request.algorithm("algorithm")], bytesOf);
      }
      case "unwrapKey": {
        const data = request.bytes("data");
        checkKeyData(request.text("format"), data.length);
        const algorithms = [request.algorithm("algorithm"), request.algorithm("unwrapped")];
        const parameters = [request.text("format"), data, request.key("key"), ...algorithms];
        return this.#threaded(request, [...parameters, ...this.#wished(request)], (key) =>
          this.#imported(key as types.CryptoKey),
        );
      }
      case "encapsulateBits":
        return this.#threaded(request, [request.algorithm("algorithm"), request.key("key")], (made) => {
          const { sharedKey, ciphertext } = made as Encapsulated;
          const secret = Buffer.from(sharedKey as ArrayBuffer);
          return new CallResult(String(secret.length), Buffer.concat([secret, Buffer.from(ciphertext)]));
        });
      case "encapsulateKey": {
        const parameters = [request.algorithm("algorithm"), request.key("key"), request.algorithm("shared")];
        return this.#threaded(request, [...parameters, ...this.#wished(request)], (made) => {
          const { sharedKey, ciphertext } = made as Encapsulated;
          const { text } = this.#keysOf(sharedKey as types.CryptoKey);
          return new CallResult(text, new Uint8Array(ciphertext));
        });
      }
      case "decapsulateBits":
        return this.#threaded(
          request,
          [request.algorithm("algorithm"), request.key("key"), request.bytes("data")],
          bytesOf,
        );
      case "decapsulateKey": {
        const parameters = [request.algorithm("algorithm"), request.key("key"), request.bytes("data")];
        return this.#threaded(
          request,
          [...parameters, request.algorithm("shared"), ...this.#wished(request)],
          (key) => this.#keysOf(key as types.CryptoKey),
        );
      }
      case "hash":
        return this.#hash(request);
      default:
        throw new GuestFailure("NotSupportedError", "cannot call the host: it has no such operation");
    }
  }

  /** One piece of a digest whose data comes in pieces; the last gives the digest. */
  #hash(request: CryptoRequest): CallResult {
    const id = request.integer("hash") ?? 0;
    if (id >= 0) throw new GuestFailure("OperationError", "cannot digest: the stream has no number");
    let hash = this.#keys.hash(id);
    let sweep = false;
    if (hash === undefined) {
      const name = request.text("name");
      const algorithm = Object.hasOwn(streamed, name) ? streamed[name] : undefined;
      if (algorithm === undefined) {
        throw new GuestFailure("NotSupportedError", "cannot digest: not as a stream with this algorithm");
      }
      hash = createHash(algorithm);
      sweep = this.#keys.addHash(id, hash);
    }
    hash.update(request.bytes("data"));
    if (!request.flag("last")) return new CallResult(sweep ? "sweep" : "");
    this.#keys.drop(id);
    return new CallResult("", hash.digest());
  }

  async #import(request: CryptoRequest): Promise<CallResult> {
    const format = request.text("format");
    const data = format === "jwk" ? request.jwk("jwk") : request.bytes("data");
    if (data instanceof Uint8Array) checkKeyData(format, data.length);
    else checkJsonWebKey(data as Readonly<Record<string, unknown>>);
    const parameters = [format, data, request.algorithm("algorithm"), ...this.#wished(request)];
    return this.#node("importKey", parameters, (made) => {
      const key = made as types.CryptoKey;
      checkImported(key.algorithm as KeyAlgorithm);
      return new CallResult(JSON.stringify(this.#keys.add(key, secretOf(key, data))));
    });
  }

  /** Whether the key that comes out is extractable, and its usages. */
  #wished(request: CryptoRequest): unknown[] {
    return [request.flag("extractable"), request.list("usages")];
  }

  #bounded(request: CryptoRequest, member: string, bits: number): Algorithm {
    const algorithm = request.algorithm(member);
    checkCost(request.operation, algorithm, bits);
    return algorithm;
  }

  #imported(key: types.CryptoKey): CallResult {
    checkImported(key.algorithm as KeyAlgorithm);
    return this.#keysOf(key);
  }

  #keysOf(made: types.CryptoKey | Pair): CallResult {
    if (!("privateKey" in made)) return new CallResult(JSON.stringify(this.#keys.add(made)));
    const publicKey = this.#keys.add(made.publicKey);
    try {
      return new CallResult(JSON.stringify({ publicKey, privateKey: this.#keys.add(made.privateKey) }));
    } catch (error) {
      this.#keys.drop(publicKey.id);
      throw error;
    }
  }

  #threaded(
    request: CryptoRequest,
    parameters: readonly unknown[],
    convert: (outcome: unknown) => CallResult,
  ): ThreadJob {
    const { operation } = request;
    return new ThreadJob(() => this.#node(operation, parameters, convert));
  }

  async #node(
    operation: string,
    parameters: readonly unknown[],
    convert: (outcome: unknown) => CallResult,
  ): Promise<CallResult> {
    const label = labels[operation] as string;
    const method = subtle[operation];
    if (method === undefined) {
      throw new GuestFailure("NotSupportedError", `cannot ${label}: this version of Node.js does not do it`);
    }
    let outcome: unknown;
    try {
      outcome = await Reflect.apply(method, subtle, parameters);
    } catch (error) {
      throw failure(label, error);
    }
    return convert(outcome);
  }
}

/** What createHmac() takes for an imported HMAC key; null for all others. */
function secretOf(key: types.CryptoKey, data: object): KeyObject | null {
  const { name, length } = key.algorithm as KeyAlgorithm;
  if (name !== "HMAC") return null;
  const bytes =
    data instanceof Uint8Array ? data : Buffer.from(String((data as { k?: unknown }).k), "base64url");
  // A key may be cut to a length in bits.
  return bytes.length * 8 === length ? createSecretKey(bytes) : null;
}

/** The HMAC of data that is so short that a thread would cost ten times as much; null when Node is to do it. */
function shortCode(request: CryptoRequest): Buffer | null {
  const { key, secret } = request.kept("key");
  const data = request.bytes("data");
  if (secret === null || data.length > MAX_SHORT || request.algorithm("algorithm").name !== "HMAC")
    return null;
  if (!key.usages.includes(request.operation as "sign" | "verify")) return null;
  const hash = streamed[(key.algorithm as types.HmacKeyAlgorithm).hash.name];
  return hash === undefined ? null : createHmac(hash, secret).update(data).digest();
}

function isSame(code: Buffer, signature: Uint8Array): boolean {
  return code.length === signature.length && timingSafeEqual(code, signature);
}

function bytesOf(outcome: unknown): CallResult {
  return new CallResult("", new Uint8Array(outcome as ArrayBuffer));
}

/** What the guest learns of an error of Node's: its name, if it is one of the standard's. */
function failure(label: string, error: unknown): GuestFailure {
  const given = error instanceof Error ? error.name : "";
  const name = Object.hasOwn(reasons, given) ? given : "OperationError";
  return new GuestFailure(name, `cannot ${label}: ${reasons[name]}`);
}
