import { hkdf, hkdfSync, pbkdf2, pbkdf2Sync, scrypt, scryptSync } from "node:crypto";
import { promisify } from "node:util";
import { GuestFailure } from "../guest-failure.ts";
import { checkSalt, checkScryptEnds, checkSecret, iterationsOf } from "./crypto-costs.ts";
import type { Native } from "./native.ts";
import { Parameters } from "./parameters.ts";

/** Bytes that are derived at once. */
const MAX_LENGTH = 1024 * 1024;
/** Iterations of PBKDF2 for all blocks of output: half a second for each million of SHA-512's. */
const MAX_THREAD_ITERATIONS = 4_000_000;
const MAX_SYNC_ITERATIONS = 220_000;
/** Bytes of output of those digests that have many; of the others, at least 16. */
const digestBytes: ReadonlyMap<string, number> = new Map([
  ["sha1", 20],
  ["sha256", 32],
  ["sha384", 48],
  ["sha512", 64],
]);
/** Memory of scrypt in bytes, and that times its parallelism: 2 ms for each megabyte. */
const MAX_SCRYPT_MEMORY = 64 * 1024 * 1024;
const MAX_SCRYPT_WORK = 256 * 1024 * 1024;
const MAX_SYNC_SCRYPT_WORK = 32 * 1024 * 1024;

interface Pbkdf2 {
  readonly password: Buffer;
  readonly salt: Buffer;
  readonly iterations: number;
  readonly length: number;
  readonly digest: string;
}

/** `{ digest, iterations, length, sizes: [password] }`, the password and the salt. */
function pbkdf2Of(text: string, bytes: Buffer, most: number): Pbkdf2 {
  const parameters = new Parameters(text, bytes);
  const iterations = parameters.integer("iterations", 0x7fffffff);
  const length = parameters.integer("length", MAX_LENGTH);
  const digest = parameters.text("digest");
  const block = digestBytes.get(digest.toLowerCase().replace("-", "")) ?? 16;
  const password = parameters.piece();
  const salt = parameters.piece();
  checkSecret(password.length);
  checkSalt(salt.length);
  if (iterationsOf(iterations, salt.length) * Math.max(1, Math.ceil(length / block)) > most) {
    throw new GuestFailure(
      "RangeError",
      `cannot derive: more than ${most} iterations for all blocks of output`,
    );
  }
  return { password, salt, iterations, length, digest };
}

interface Scrypt {
  readonly password: Buffer;
  readonly salt: Buffer;
  readonly length: number;
  readonly options: { readonly N: number; readonly r: number; readonly p: number; readonly maxmem: number };
}

/** `{ N, r, p, length, sizes: [password] }`, the password and the salt. */
function scryptOf(text: string, bytes: Buffer, most: number): Scrypt {
  const parameters = new Parameters(text, bytes);
  const N = parameters.integer("N", 1 << 24);
  const r = parameters.integer("r", 1 << 16);
  const p = parameters.integer("p", 1 << 16);
  const memory = 128 * N * r;
  if (memory > MAX_SCRYPT_MEMORY || memory * p > most) {
    throw new GuestFailure("RangeError", "cannot derive: N, r and p take too much memory or time");
  }
  const length = parameters.integer("length", MAX_LENGTH);
  const options = { N, r, p, maxmem: MAX_SCRYPT_MEMORY * 2 };
  const password = parameters.piece();
  const salt = parameters.piece();
  checkScryptEnds(128 * r * p, salt.length, length);
  checkSecret(password.length);
  checkSalt(salt.length);
  return { password, salt, length, options };
}

interface Hkdf {
  readonly digest: string;
  readonly key: Buffer;
  readonly salt: Buffer;
  readonly info: Buffer;
  readonly length: number;
}

/** `{ digest, length, sizes: [key, salt] }`, the key, the salt and the info. */
function hkdfOf(text: string, bytes: Buffer): Hkdf {
  const parameters = new Parameters(text, bytes);
  const length = parameters.integer("length", MAX_LENGTH);
  const digest = parameters.text("digest");
  const key = parameters.piece();
  const salt = parameters.piece();
  const info = parameters.piece();
  checkSecret(key.length);
  checkSalt(salt.length + info.length);
  return { digest, key, salt, info, length };
}

function failed(): never {
  throw new GuestFailure("Error", "cannot derive: the digest is not known or a parameter is not valid");
}

const derivePbkdf2: Native = (text, bytes) => {
  const { password, salt, iterations, length, digest } = pbkdf2Of(text, bytes, MAX_SYNC_ITERATIONS);
  try {
    return pbkdf2Sync(password, salt, iterations, length, digest);
  } catch {
    return failed();
  }
};

const deriveScrypt: Native = (text, bytes) => {
  const { password, salt, length, options } = scryptOf(text, bytes, MAX_SYNC_SCRYPT_WORK);
  try {
    return scryptSync(password, salt, length, options);
  } catch {
    return failed();
  }
};

const deriveHkdf: Native = (text, bytes) => {
  const { digest, key, salt, info, length } = hkdfOf(text, bytes);
  try {
    return new Uint8Array(hkdfSync(digest, key, salt, info, length));
  } catch {
    return failed();
  }
};

/** Keys from passwords and secrets, for node:crypto's synchronous functions. */
export const deriveNatives: ReadonlyMap<string, Native> = new Map<string, Native>([
  ["crypto.pbkdf2", derivePbkdf2],
  ["crypto.scrypt", deriveScrypt],
  ["crypto.hkdf", deriveHkdf],
]);

const pbkdf2Async = promisify(pbkdf2);
const hkdfAsync = promisify(hkdf);

function scryptAsync({ password, salt, length, options }: Scrypt): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    scrypt(password, salt, length, options, (error, key) => (error === null ? resolve(key) : reject(error)));
  });
}

/** The same on a thread, by the same names; what is wrong with the parameters is thrown at once. */
export const deriveOnThread: ReadonlyMap<string, (text: string, bytes: Buffer) => () => Promise<Uint8Array>> =
  new Map<string, (text: string, bytes: Buffer) => () => Promise<Uint8Array>>([
    [
      "crypto.pbkdf2",
      (text, bytes) => {
        const { password, salt, iterations, length, digest } = pbkdf2Of(text, bytes, MAX_THREAD_ITERATIONS);
        return () => pbkdf2Async(password, salt, iterations, length, digest);
      },
    ],
    [
      "crypto.scrypt",
      (text, bytes) => {
        const parameters = scryptOf(text, bytes, MAX_SCRYPT_WORK);
        return () => scryptAsync(parameters);
      },
    ],
    [
      "crypto.hkdf",
      (text, bytes) => {
        const { digest, key, salt, info, length } = hkdfOf(text, bytes);
        return async () => new Uint8Array(await hkdfAsync(digest, key, salt, info, length));
      },
    ],
  ]);
