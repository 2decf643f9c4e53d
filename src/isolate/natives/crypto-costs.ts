import { GuestFailure } from "../guest-failure.ts";

/** Bytes that the usual digests take in some 20 ms, and those that take in as long what they are slow with. */
const MAX_HASHED = 16 * 1024 * 1024;
const MAX_HASHED_SLOWLY = 4 * 1024 * 1024;
const fastHash = /^(?:RSA-)?(?:MD5|SHA-?(?:1|2?-?(?:224|256|384|512)(?:[-/](?:224|256))?)|blake2[bs]\d+)$/i;

/** The same of ciphers: those that processors have instructions for, most others, and some by the bit or in six rounds. */
const MAX_CIPHERED = 16 * 1024 * 1024;
const MAX_CIPHERED_SLOWLY = 1024 * 1024;
const fastCipher = /^(?:(?:id-)?aes-?(?:128|192|256)-(?:cbc|ccm|cfb|ctr|ecb|gcm|ocb|ofb|xts)|chacha20.*)$/i;
const slowestCiphers = [
  [/cfb1$/i, 8192],
  [/cfb8$|wrap|des/i, 131_072],
] as const;

/** Bytes of a salt, and of whatever else goes into the hash of each block. */
const MAX_SALT = 65_536;
/** Bytes of a password or of a key that another is derived from. */
const MAX_SECRET = 1024 * 1024;
/** Bytes of salt that take as long as an iteration of PBKDF2. */
const SALT_OF_ITERATION = 64;
/** Iterations that fill scrypt's blocks, and bytes that its last step hashes: all blocks for each 32 bytes of output. */
const MAX_SCRYPT_FIRST = 100_000;
const MAX_SCRYPT_LAST = 32 * 1024 * 1024;
/** Bytes of a key in any form: RSA's with 16,384 bits take 14 KB in PEM. */
const MAX_KEY = 65_536;

function refuse(action: string, most: number, what: string): never {
  throw new GuestFailure("RangeError", `cannot ${action}: ${what} more than ${most} bytes`);
}

/** @throws GuestFailure when hashing so many bytes takes too long. @param algorithm null for a key's own digest. */
export function checkHashed(algorithm: string | null, size: number): void {
  const most = algorithm === null || fastHash.test(algorithm) ? MAX_HASHED : MAX_HASHED_SLOWLY;
  if (size > most) refuse("hash at once", most, "the data is");
}

/** @throws GuestFailure when so many bytes take the cipher too long. */
export function checkCiphered(name: string, size: number): void {
  let most = fastCipher.test(name) ? MAX_CIPHERED : MAX_CIPHERED_SLOWLY;
  for (const [pattern, few] of slowestCiphers) if (pattern.test(name)) most = Math.min(most, few);
  if (size > most) refuse("use the cipher at once", most, "the data is");
}

/** What a derivation hashes for each block of its output. @throws GuestFailure */
export function checkSalt(size: number): void {
  if (size > MAX_SALT) refuse("derive", MAX_SALT, "salt and info are");
}

/** @throws GuestFailure */
export function checkSecret(size: number): void {
  if (size > MAX_SECRET) refuse("derive", MAX_SECRET, "the secret is");
}

/** What PBKDF2 takes for each block of output, in iterations: each begins with the whole salt. */
export function iterationsOf(iterations: number, saltSize: number): number {
  return iterations + Math.ceil(saltSize / SALT_OF_ITERATION);
}

/** @param blocks bytes of scrypt's blocks. @param length of its output. @throws GuestFailure */
export function checkScryptEnds(blocks: number, saltSize: number, length: number): void {
  const first = (blocks / 32) * iterationsOf(1, saltSize);
  if (first > MAX_SCRYPT_FIRST || blocks * Math.ceil(length / 32) > MAX_SCRYPT_LAST) {
    throw new GuestFailure("RangeError", "cannot derive: r, p and the length take too much time");
  }
}

/** Before anything reads a key: reading takes the host's time. @throws GuestFailure */
export function checkKeySize(size: number): void {
  if (size > MAX_KEY) refuse("read the key", MAX_KEY, "it is");
}
