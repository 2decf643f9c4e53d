import { Buffer } from "../parts/node-buffer.ts";
import { answer } from "./crypto-answers.ts";
import { bytesOf, callNative, createPrivateKey, createPublicKey, KeyObject } from "./crypto-keys.ts";
import { type Done, given, none, Pieces } from "./crypto-streams.ts";
import { validateString } from "./errors.ts";
import { Writable } from "./stream-classes.ts";

interface SignInput {
  key?: unknown;
  padding?: number;
  saltLength?: number;
  dsaEncoding?: string;
}

function signOptions(key: unknown): SignInput {
  const { padding, saltLength, dsaEncoding } = (
    typeof key === "object" && key !== null ? key : {}
  ) as SignInput;
  return { padding, saltLength, dsaEncoding } as SignInput;
}

export function sign(digest: unknown, data: unknown, key: unknown, done?: Done): unknown {
  if (done !== undefined) return answer(done, () => sign(digest, data, key));
  const der = KeyObject.bytes(createPrivateKey(key));
  const members = { digest: digestName(digest), ...signOptions(key) };
  return given(callNative("crypto.sign", members, der, bytesOf(data, "data")) as Uint8Array);
}

export function verify(
  digest: unknown,
  data: unknown,
  key: unknown,
  signature: unknown,
  done?: Done,
): unknown {
  if (done !== undefined) return answer(done, () => verify(digest, data, key, signature));
  const der = KeyObject.bytes(createPublicKey(key));
  const members = { digest: digestName(digest), ...signOptions(key) };
  return (
    callNative("crypto.verify", members, der, bytesOf(signature, "signature"), bytesOf(data, "data")) ===
    "true"
  );
}

/** `RSA-SHA256` is SHA-256. */
function digestName(digest: unknown): string | undefined {
  if (digest === null || digest === undefined) return undefined;
  validateString(digest, "algorithm");
  return digest.replace(/^rsa-/i, "");
}

/** A stream whose content is signed, or verified, at its end. */
export class Signer extends Writable {
  readonly #digest: string;
  readonly #pieces = new Pieces();

  constructor(digest: unknown, options?: object) {
    super(options);
    validateString(digest, "algorithm");
    this.#digest = digest;
  }

  update(data: unknown, encoding?: unknown): this {
    this.#pieces.add(data, encoding);
    return this;
  }

  _write(chunk: unknown, encoding: unknown, done: Done): void {
    this.update(chunk, encoding);
    done(null);
  }

  sign(key: unknown, encoding?: unknown): unknown {
    return given(sign(this.#digest, this.#pieces.whole, key) as Uint8Array, encoding);
  }

  verify(key: unknown, signature: unknown, encoding?: unknown): boolean {
    return verify(
      this.#digest,
      this.#pieces.whole,
      key,
      bytesOf(signature, "signature", encoding),
    ) as boolean;
  }
}

/** @param operation of Node's `publicEncrypt` and its like. */
export function rsa(operation: string): (key: unknown, data: unknown) => unknown {
  return (key, data) => {
    const isPrivate = operation.startsWith("private");
    const read = isPrivate ? createPrivateKey(key) : createPublicKey(key);
    const options = (typeof key === "object" && key !== null ? key : {}) as {
      padding?: number;
      oaepHash?: string;
      oaepLabel?: unknown;
    };
    const label = options.oaepLabel === undefined ? none : bytesOf(options.oaepLabel, "key.oaepLabel");
    const members = { operation, padding: options.padding, oaepHash: options.oaepHash };
    return given(
      callNative("crypto.rsa", members, KeyObject.bytes(read), label, bytesOf(data, "buffer")) as Uint8Array,
    );
  };
}

/** Elliptic-curve Diffie-Hellman with raw keys. */
export class ECDH {
  readonly #curve: string;
  #private: Uint8Array = none;

  constructor(curve: unknown) {
    validateString(curve, "curve");
    this.#curve = curve;
  }

  generateKeys(encoding?: unknown, format?: string): unknown {
    const made = callNative(
      "crypto.ecdh",
      { curve: this.#curve, operation: "generate" },
      none,
      none,
    ) as string;
    this.#private = Buffer((JSON.parse(made) as { privateKey: string }).privateKey, "base64");
    return this.getPublicKey(encoding, format);
  }

  getPrivateKey(encoding?: unknown): unknown {
    return given(this.#private, encoding);
  }

  getPublicKey(encoding?: unknown, format?: string): unknown {
    const members = { curve: this.#curve, operation: "public", compressed: format === "compressed" };
    return given(callNative("crypto.ecdh", members, this.#private, none) as Uint8Array, encoding);
  }

  setPrivateKey(key: unknown, encoding?: unknown): this {
    this.#private = bytesOf(key, "key", encoding).slice();
    return this;
  }

  computeSecret(other: unknown, inputEncoding?: unknown, outputEncoding?: unknown): unknown {
    const members = { curve: this.#curve, operation: "compute" };
    const secret = callNative("crypto.ecdh", members, this.#private, bytesOf(other, "key", inputEncoding));
    return given(secret as Uint8Array, outputEncoding);
  }
}
