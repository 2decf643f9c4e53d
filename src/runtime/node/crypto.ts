import { nativeText } from "../bridge/natives.ts";
import { bindFrame } from "../web/async-context.ts";
import { callable } from "./callable.ts";
import { answer, onThread } from "./crypto-answers.ts";
import { ECDH, rsa, Signer, sign, verify } from "./crypto-asymmetric.ts";
import { deriveLater, deriveNow, hkdfOf, pbkdf2Of, type ScryptOptions, scryptOf } from "./crypto-derive.ts";
import {
  bytesOf,
  callNative,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  generateKeyPairSync,
  generateKeySync,
  KeyObject,
  makePair,
  pairParameters,
} from "./crypto-keys.ts";
import { randomBytes, randomFill, randomFillSync, randomInt } from "./crypto-random.ts";
import {
  Cipher,
  type Done,
  getCipherInfo,
  given,
  Hash,
  type HashOptions,
  Hmac,
  none,
} from "./crypto-streams.ts";
import { invalidType, nodeError, validateFunction } from "./errors.ts";

function exactly(bytes: Uint8Array): ArrayBuffer {
  return bytes.slice().buffer as ArrayBuffer;
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
  Hash: callable(Hash),
  Hmac: callable(Hmac),
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
