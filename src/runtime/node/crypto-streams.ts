import { nativeText } from "../bridge/natives.ts";
import { Buffer } from "../parts/node-buffer.ts";
import { bytesOf, callNative, joined, secretBytes } from "./crypto-keys.ts";
import { nodeError, validateString } from "./errors.ts";
import { Transform } from "./stream-classes.ts";

export type Done = (error: Error | null, value?: unknown) => void;

/** Bytes as a Buffer, or as text when an encoding is named. */
export function given(bytes: Uint8Array, encoding?: unknown): unknown {
  const buffer = Buffer(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return encoding === undefined || encoding === null || encoding === "buffer"
    ? buffer
    : buffer.toString(`${encoding as string}`);
}

/** Collects what `update` is given: natives keep nothing between calls, so the whole is worked on at the end. */
export class Pieces {
  list: Uint8Array[] = [];

  add(data: unknown, encoding: unknown): void {
    const bytes = bytesOf(data, "data", encoding);
    // Whoever gave them may write to them later.
    this.list.push(typeof data === "string" ? bytes : bytes.slice());
  }

  get whole(): Uint8Array {
    if (this.list.length !== 1) this.list = [joined(...this.list).bytes];
    return this.list[0] as Uint8Array;
  }
}

function digestUsed(): Error {
  return nodeError(Error, "ERR_CRYPTO_HASH_FINALIZED", "Digest already called");
}

/** What Hash and Hmac have in common. */
abstract class Digester extends Transform {
  protected pieces = new Pieces();
  #isOver = false;

  protected abstract finish(data: Uint8Array): Uint8Array;

  update(data: unknown, encoding?: unknown): this {
    if (this.#isOver) throw digestUsed();
    this.pieces.add(data, encoding);
    return this;
  }

  digest(encoding?: unknown): unknown {
    if (this.#isOver) throw digestUsed();
    this.#isOver = true;
    const result = this.finish(this.pieces.whole);
    this.pieces = new Pieces();
    return given(result, encoding);
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  _transform(chunk: unknown, encoding: unknown, done: Done): void {
    this.update(chunk, encoding);
    done(null);
  }

  _flush(done: Done): void {
    this.push(this.digest());
    done(null);
  }
}

const hashNames: { all: Set<string> | null } = { all: null };

export function demandHash(algorithm: unknown): asserts algorithm is string {
  validateString(algorithm, "algorithm");
  hashNames.all ??= new Set(
    (JSON.parse(nativeText("crypto.names", "hashes")) as string[]).map((name) => name.toLowerCase()),
  );
  if (!hashNames.all.has(algorithm.toLowerCase()))
    throw nodeError(Error, "ERR_OSSL_EVP_UNSUPPORTED", "Digest method not supported");
}

export interface HashOptions {
  outputLength?: number;
}

export class Hash extends Digester {
  readonly #algorithm: string;
  readonly #outputLength: number | undefined;

  constructor(algorithm: unknown, options?: HashOptions) {
    super(options);
    demandHash(algorithm);
    this.#algorithm = algorithm;
    this.#outputLength = options?.outputLength;
  }

  protected finish(data: Uint8Array): Uint8Array {
    return callNative(
      "crypto.hash",
      { algorithm: this.#algorithm, outputLength: this.#outputLength },
      data,
    ) as Uint8Array;
  }

  copy(options?: HashOptions): Hash {
    if (this.isOver) throw digestUsed();
    const copy = new Hash(this.#algorithm, {
      ...(this.#outputLength === undefined ? {} : { outputLength: this.#outputLength }),
      ...options,
    });
    copy.pieces.list = [...this.pieces.list];
    return copy;
  }
}

export class Hmac extends Digester {
  readonly #algorithm: string;
  readonly #key: Uint8Array;

  constructor(algorithm: unknown, key: unknown, options?: object) {
    super(options);
    validateString(algorithm, "hmac");
    demandHash(algorithm);
    this.#algorithm = algorithm;
    this.#key = secretBytes(key);
  }

  protected finish(data: Uint8Array): Uint8Array {
    return callNative("crypto.hmac", { algorithm: this.#algorithm }, this.#key, data) as Uint8Array;
  }
}

export const none: Uint8Array = new Uint8Array(0);
const withTag = /gcm|ccm|ocb|poly1305/i;

/** A cipher whose output all comes from `final`; `update` gives nothing yet. */
export class Cipher extends Transform {
  readonly #algorithm: string;
  readonly #decrypts: boolean;
  readonly #key: Uint8Array;
  readonly #iv: Uint8Array | null;
  readonly #tagLength: number;
  readonly #pieces = new Pieces();
  #aad: Uint8Array = none;
  #tag: Uint8Array = none;
  #padding = true;
  #isOver = false;

  constructor(
    decrypts: boolean,
    algorithm: unknown,
    key: unknown,
    iv: unknown,
    options?: { authTagLength?: number },
  ) {
    super(options);
    validateString(algorithm, "cipher");
    this.#algorithm = algorithm;
    this.#decrypts = decrypts;
    this.#key = secretBytes(key);
    this.#iv = iv === null ? null : bytesOf(iv, "iv");
    this.#tagLength = options?.authTagLength ?? 16;
    const info = getCipherInfo(algorithm);
    if (info === undefined) throw nodeError(Error, "ERR_CRYPTO_UNKNOWN_CIPHER", "Unknown cipher");
    if (info.keyLength !== this.#key.length)
      throw nodeError(RangeError, "ERR_CRYPTO_INVALID_KEYLEN", "Invalid key length");
    const ivLength = info.ivLength ?? 0;
    const wrongIv =
      ivLength > 0 &&
      (this.#iv === null ||
        (!withTag.test(algorithm) && this.#iv.length !== ivLength) ||
        this.#iv.length === 0);
    if (wrongIv) throw nodeError(TypeError, "ERR_CRYPTO_INVALID_IV", "Invalid initialization vector");
  }

  update(data: unknown, inputEncoding?: unknown, outputEncoding?: unknown): unknown {
    if (this.#isOver)
      throw nodeError(Error, "ERR_CRYPTO_INVALID_STATE", "Invalid state for operation update");
    this.#pieces.add(data, inputEncoding);
    return given(new Uint8Array(0), outputEncoding);
  }

  final(outputEncoding?: unknown): unknown {
    if (this.#isOver) throw nodeError(Error, "ERR_CRYPTO_INVALID_STATE", "Invalid state for operation final");
    this.#isOver = true;
    const members = {
      algorithm: this.#algorithm,
      decrypt: this.#decrypts,
      iv: this.#iv !== null,
      padding: this.#padding,
      tagLength: this.#tagLength,
    };
    const out = callNative(
      "crypto.cipher",
      members,
      this.#key,
      this.#iv ?? none,
      this.#aad,
      this.#tag,
      this.#pieces.whole,
    ) as Uint8Array;
    if (this.#decrypts || !withTag.test(this.#algorithm)) return given(out, outputEncoding);
    this.#tag = out.slice(out.length - this.#tagLength);
    return given(out.subarray(0, out.length - this.#tagLength), outputEncoding);
  }

  setAutoPadding(padding = true): this {
    this.#padding = padding;
    return this;
  }

  setAAD(data: unknown, options?: { encoding?: unknown }): this {
    this.#aad = bytesOf(data, "buffer", options?.encoding).slice();
    return this;
  }

  getAuthTag(): unknown {
    if (this.#decrypts || !this.#isOver)
      throw nodeError(Error, "ERR_CRYPTO_INVALID_STATE", "Invalid state for operation getAuthTag");
    return given(this.#tag);
  }

  setAuthTag(tag: unknown, encoding?: unknown): this {
    this.#tag = bytesOf(tag, "buffer", encoding).slice();
    return this;
  }

  _transform(chunk: unknown, encoding: unknown, done: Done): void {
    this.update(chunk, encoding);
    done(null);
  }

  _flush(done: Done): void {
    let out: unknown;
    try {
      out = this.final();
    } catch (error) {
      done(error as Error);
      return;
    }
    this.push(out);
    done(null);
  }
}

export interface CipherInfo {
  readonly name: string;
  readonly keyLength: number;
  readonly ivLength?: number;
  readonly mode: string;
}

export function getCipherInfo(
  cipher: unknown,
  options?: { keyLength?: number; ivLength?: number },
): CipherInfo | undefined {
  validateString(cipher, "nameOrNid");
  const text = nativeText("crypto.cipherInfo", JSON.stringify({ cipher, ...options }));
  return (JSON.parse(text) as CipherInfo | null) ?? undefined;
}
