import { onThread } from "./crypto-answers.ts";
import { bytesOf, callNative, joined, secretBytes } from "./crypto-keys.ts";
import { type Done, demandHash } from "./crypto-streams.ts";
import { validateInteger, validateString } from "./errors.ts";

/** A native that derives bytes, with what it is to be given. */
interface Derivation {
  readonly name: string;
  readonly members: object;
  readonly pieces: readonly Uint8Array[];
}

export function deriveNow({ name, members, pieces }: Derivation): Uint8Array {
  return callNative(name, members, ...pieces) as Uint8Array;
}

export function deriveLater(
  { name, members, pieces }: Derivation,
  done: Done,
  make: (bytes: Uint8Array) => unknown,
): void {
  const { sizes, bytes } = joined(...pieces);
  onThread(name, JSON.stringify({ ...members, sizes }), bytes, done, (_text, out) => make(out));
}

export function pbkdf2Of(
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

export interface ScryptOptions {
  N?: number;
  cost?: number;
  r?: number;
  blockSize?: number;
  p?: number;
  parallelization?: number;
}

export function scryptOf(
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

export function hkdfOf(
  digest: unknown,
  key: unknown,
  salt: unknown,
  info: unknown,
  length: unknown,
): Derivation {
  validateString(digest, "digest");
  validateInteger(length, "length", 0, 0x7fffffff);
  demandHash(digest);
  const pieces = [secretBytes(key), bytesOf(salt, "salt"), bytesOf(info, "info")];
  return { name: "crypto.hkdf", members: { digest, length }, pieces };
}
