import { CALL_NATIVE } from "../../wire/ops.ts";
import { nativeBytes, nativeText } from "../bridge/natives.ts";
import { Buffer } from "../parts/node-buffer.ts";
import { process } from "../parts/node-process.ts";
import { stream } from "../parts/node-stream.ts";
import { bindFrame } from "../web/async-context.ts";
import { host } from "../web/host.ts";
import {
  bytesOf,
  callNative,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  generateKeyPairSync,
  generateKeySync,
  joined,
  KeyObject,
  makePair,
  pairParameters,
  secretBytes,
} from "./crypto-keys.ts";
import {
  Cipher,
  type Done,
  demandHash,
  getCipherInfo,
  given,
  Hash,
  type HashOptions,
  Hmac,
  none,
  Pieces,
} from "./crypto-streams.ts";
import {
  invalidType,
  nodeError,
  outOfRange,
  validateFunction,
  validateInteger,
  validateNumber,
  validateString,
} from "./errors.ts";

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

function sign(digest: unknown, data: unknown, key: unknown, done?: Done): unknown {
  if (done !== undefined) return answer(done, () => sign(digest, data, key));
  const der = KeyObject.bytes(createPrivateKey(key));
  const members = { digest: digestName(digest), ...signOptions(key) };
  return given(callNative("crypto.sign", members, der, bytesOf(data, "data")) as Uint8Array);
}

function verify(digest: unknown, data: unknown, key: unknown, signature: unknown, done?: Done): unknown {
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

const Writable = stream["Writable"] as unknown as new (options?: object) => object;

class Signer extends Writable {
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

function rsa(operation: string): (key: unknown, data: unknown) => unknown {
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
class ECDH {
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

/** Calls back with what `work` gives, later, as Node does. */
function answer(done: Done, work: () => unknown): void {
  validateFunction(done, "callback");
  let value: unknown;
  try {
    value = work();
  } catch (error) {
    process.nextTick(done as never, error);
    return;
  }
  process.nextTick(done as never, null, value);
}

/** A native on a thread of the host. @param make what the result is to be. */
function onThread(
  name: string,
  text: string,
  bytes: Uint8Array,
  done: Done,
  make: (text: string, bytes: Uint8Array) => unknown,
): void {
  validateFunction(done, "callback");
  const tell = bindFrame(done);
  host.call(CALL_NATIVE, `${name}\n${text}`, bytes, {
    done: (result, out) => tell(null, make(result, out)),
    failed: (error) => tell(error),
  });
}

interface Derivation {
  readonly name: string;
  readonly members: object;
  readonly pieces: readonly Uint8Array[];
}

function deriveNow({ name, members, pieces }: Derivation): Uint8Array {
  return callNative(name, members, ...pieces) as Uint8Array;
}

function deriveLater(
  { name, members, pieces }: Derivation,
  done: Done,
  make: (bytes: Uint8Array) => unknown,
): void {
  const { sizes, bytes } = joined(...pieces);
  onThread(name, JSON.stringify({ ...members, sizes }), bytes, done, (_text, out) => make(out));
}

function pbkdf2Of(
  password: unknown,
  salt: unknown,
  iterations: unknown,
  length: unknown,
  digest: unknown,
): Derivation {
  validateString(digest, "digest");
  const pieces = [bytesOf(password, "password"), bytesOf(salt, "salt")];
  validateInteger(iterations, "iterations", 1, 0x7fffffff);
  validateInteger(length, "keylen", 0, 0x7fffffff);
  demandHash(digest);
  return { name: "crypto.pbkdf2", members: { iterations, length, digest }, pieces };
}

interface ScryptOptions {
  N?: number;
  cost?: number;
  r?: number;
  blockSize?: number;
  p?: number;
  parallelization?: number;
}

function scryptOf(
  password: unknown,
  salt: unknown,
  length: unknown,
  options: ScryptOptions = {},
): Derivation {
  const pieces = [bytesOf(password, "password"), bytesOf(salt, "salt")];
  validateInteger(length, "keylen", 0, 0x7fffffff);
  const members = {
    length,
    N: options.N ?? options.cost ?? 16384,
    r: options.r ?? options.blockSize ?? 8,
    p: options.p ?? options.parallelization ?? 1,
  };
  return { name: "crypto.scrypt", members, pieces };
}

function hkdfOf(digest: unknown, key: unknown, salt: unknown, info: unknown, length: unknown): Derivation {
  validateString(digest, "digest");
  validateInteger(length, "length", 0, 0x7fffffff);
  demandHash(digest);
  const pieces = [secretBytes(key), bytesOf(salt, "salt"), bytesOf(info, "info")];
  return { name: "crypto.hkdf", members: { digest, length }, pieces };
}

function exactly(bytes: Uint8Array): ArrayBuffer {
  return bytes.slice().buffer as ArrayBuffer;
}

const randomPiece = 1 << 20;

function randomBytes(size: unknown, done?: Done): unknown {
  validateNumber(size, "size", 0, 0x7fffffff);
  if (done !== undefined) return answer(done, () => randomBytes(size));
  if (size <= randomPiece) return given(nativeBytes("crypto.random", String(Math.trunc(size))));
  return randomFillSync(Buffer(new Uint8Array(size)));
}

function randomFillSync<T extends ArrayBufferView | ArrayBuffer>(target: T, offset = 0, size?: number): T {
  const bytes = bytesOf(target, "buf");
  validateNumber(offset, "offset", 0, bytes.length);
  const count = size ?? bytes.length - offset;
  validateNumber(count, "size", 0, bytes.length - offset);
  for (let from = 0; from < count; from += randomPiece) {
    const length = Math.min(randomPiece, count - from);
    bytes.set(nativeBytes("crypto.random", String(length)), offset + from);
  }
  return target;
}

function randomFill(target: ArrayBufferView, ...rest: unknown[]): void {
  const done = rest.pop() as Done;
  answer(done, () => randomFillSync(target, rest[0] as number | undefined, rest[1] as number | undefined));
}

/** Whole numbers from `min` up to, but without, `max`; all equally likely. */
function randomInt(first: unknown, second?: unknown, third?: unknown): unknown {
  const [min, max, done] = typeof second === "number" ? [first, second, third] : [0, first, second];
  if (!Number.isSafeInteger(min)) throw invalidType("min", "a safe integer", min);
  if (!Number.isSafeInteger(max)) throw invalidType("max", "a safe integer", max);
  const [low, high] = [min as number, max as number];
  if (high <= low) throw outOfRange("max", `greater than the value of "min" (${low})`, high);
  const range = high - low;
  if (range > 2 ** 48 - 1) throw outOfRange("max - min", "<= 281474976710655", range);
  if (done !== undefined) return answer(done as Done, () => randomInt(low, high));
  const limit = 2 ** 48 - (2 ** 48 % range);
  for (;;) {
    const value = Buffer(nativeBytes("crypto.random", "6")) as unknown as {
      readUIntBE(at: number, size: number): number;
    };
    const drawn = value.readUIntBE(0, 6);
    if (drawn < limit) return low + (drawn % range);
  }
}

function timingSafeEqual(one: unknown, other: unknown): boolean {
  const [a, b] = [bytesOf(demandBytes(one, "buf1"), "buf1"), bytesOf(demandBytes(other, "buf2"), "buf2")];
  if (a.length !== b.length)
    throw nodeError(
      RangeError,
      "ERR_CRYPTO_TIMING_SAFE_EQUAL_LENGTH",
      "Input buffers must have the same byte length",
    );
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= (a[i] as number) ^ (b[i] as number);
  return difference === 0;
}

function demandBytes(value: unknown, name: string): unknown {
  if (typeof value === "string")
    throw invalidType(name, "an instance of ArrayBuffer, Buffer, TypedArray, or DataView", value);
  return value;
}

const namesOf = (kind: string) => (): string[] => JSON.parse(nativeText("crypto.names", kind)) as string[];

interface WebCrypto {
  randomUUID(): string;
  getRandomValues(view: unknown): unknown;
  readonly subtle: object;
}

function webcrypto(): WebCrypto {
  return (globalThis as unknown as { crypto: WebCrypto }).crypto;
}

/** node:crypto. What computes runs on the host; each call is bounded in size and time. */
export const crypto = {
  Hash: classFunction(Hash),
  Hmac: classFunction(Hmac),
  KeyObject,
  ECDH,
  Sign: Signer,
  Verify: Signer,
  constants: {
    RSA_PKCS1_PADDING: 1,
    RSA_NO_PADDING: 3,
    RSA_PKCS1_OAEP_PADDING: 4,
    RSA_PKCS1_PSS_PADDING: 6,
    RSA_PSS_SALTLEN_DIGEST: -1,
    RSA_PSS_SALTLEN_MAX_SIGN: -2,
    RSA_PSS_SALTLEN_AUTO: -2,
    POINT_CONVERSION_COMPRESSED: 2,
    POINT_CONVERSION_UNCOMPRESSED: 4,
    POINT_CONVERSION_HYBRID: 6,
  },
  createCipheriv: (cipher: unknown, key: unknown, iv: unknown, options?: object): Cipher =>
    new Cipher(false, cipher, key, iv, options),
  createDecipheriv: (cipher: unknown, key: unknown, iv: unknown, options?: object): Cipher =>
    new Cipher(true, cipher, key, iv, options),
  createECDH: (curve: unknown): ECDH => new ECDH(curve),
  createHash: (algorithm: unknown, options?: HashOptions): Hash => new Hash(algorithm, options),
  createHmac: (algorithm: unknown, key: unknown, options?: object): Hmac => new Hmac(algorithm, key, options),
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  createSign: (algorithm: unknown, options?: object): Signer => new Signer(algorithm, options),
  createVerify: (algorithm: unknown, options?: object): Signer => new Signer(algorithm, options),
  diffieHellman(options: { privateKey: unknown; publicKey: unknown }): unknown {
    const own = KeyObject.bytes(createPrivateKey(options.privateKey));
    return given(
      callNative("crypto.agree", {}, own, KeyObject.bytes(createPublicKey(options.publicKey))) as Uint8Array,
    );
  },
  generateKey: (type: unknown, options: { length: number }, done: Done): void =>
    answer(done, () => generateKeySync(type, options)),
  generateKeyPair(type: unknown, options: object | Done, callback?: Done): void {
    const done = (typeof options === "function" ? options : callback) as Done;
    const wanted = typeof options === "function" ? {} : options;
    validateFunction(done, "callback");
    const tell = bindFrame(done) as (error: Error | null, publicKey?: unknown, privateKey?: unknown) => void;
    onThread(
      "crypto.generateKeyPair",
      pairParameters(type, wanted),
      none,
      ((error: Error | null, pair: { publicKey: unknown; privateKey: unknown }) => {
        if (error !== null) tell(error);
        else tell(null, pair.publicKey, pair.privateKey);
      }) as Done,
      (text) => makePair(text, wanted),
    );
  },
  generateKeyPairSync,
  generateKeySync,
  getCipherInfo,
  getCiphers: namesOf("ciphers"),
  getCurves: namesOf("curves"),
  getFips: (): number => 0,
  getHashes: namesOf("hashes"),
  getRandomValues: (view: unknown): unknown => webcrypto().getRandomValues(view),
  hash(algorithm: unknown, data: unknown, encoding: unknown = "hex"): unknown {
    return new Hash(algorithm).update(data).digest(encoding);
  },
  hkdf(digest: unknown, key: unknown, salt: unknown, info: unknown, length: unknown, done: Done): void {
    deriveLater(hkdfOf(digest, key, salt, info, length), done, exactly);
  },
  hkdfSync: (digest: unknown, key: unknown, salt: unknown, info: unknown, length: unknown): ArrayBuffer =>
    exactly(deriveNow(hkdfOf(digest, key, salt, info, length))),
  pbkdf2(
    password: unknown,
    salt: unknown,
    iterations: unknown,
    length: unknown,
    digest: unknown,
    done: Done,
  ): void {
    deriveLater(pbkdf2Of(password, salt, iterations, length, digest), done, given);
  },
  pbkdf2Sync: (
    password: unknown,
    salt: unknown,
    iterations: unknown,
    length: unknown,
    digest: unknown,
  ): unknown => given(deriveNow(pbkdf2Of(password, salt, iterations, length, digest))),
  privateDecrypt: rsa("privateDecrypt"),
  privateEncrypt: rsa("privateEncrypt"),
  publicDecrypt: rsa("publicDecrypt"),
  publicEncrypt: rsa("publicEncrypt"),
  pseudoRandomBytes: randomBytes,
  randomBytes,
  randomFill,
  randomFillSync,
  randomInt,
  randomUUID: (): string => webcrypto().randomUUID(),
  rng: randomBytes,
  scrypt(
    password: unknown,
    salt: unknown,
    length: unknown,
    options: ScryptOptions | Done,
    callback?: Done,
  ): void {
    const done = (typeof options === "function" ? options : callback) as Done;
    deriveLater(scryptOf(password, salt, length, typeof options === "function" ? {} : options), done, given);
  },
  scryptSync: (password: unknown, salt: unknown, length: unknown, options?: ScryptOptions): unknown =>
    given(deriveNow(scryptOf(password, salt, length, options))),
  sign,
  get subtle(): object {
    return webcrypto().subtle;
  },
  timingSafeEqual,
  verify,
  get webcrypto(): WebCrypto {
    return webcrypto();
  },
};

Object.defineProperty(crypto.generateKeyPair, Symbol.for("nodejs.util.promisify.custom"), {
  value: (type: unknown, options: object): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const done = (error: Error | null, publicKey?: unknown, privateKey?: unknown): void => {
        if (error === null) resolve({ publicKey, privateKey });
        else reject(error);
      };
      crypto.generateKeyPair(type, options, done as Done);
    }),
});

/** Node's classes of hashes are called without `new` by older packages. */
function classFunction(Class: new (...parameters: never[]) => object): unknown {
  return new Proxy(Class, {
    apply: (target, _self, parameters) => Reflect.construct(target, parameters) as object,
  });
}
