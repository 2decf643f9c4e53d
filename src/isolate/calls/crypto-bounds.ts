import { GuestFailure } from "../guest-failure.ts";
import { iterationsOf } from "../natives/crypto-costs.ts";

/** An algorithm with its members, as normalised by the guest. */
export type Algorithm = Readonly<Record<string, unknown>> & { readonly name: string };

/** Bits of an RSA modulus: making a longer one takes many seconds of a thread that nothing can stop. */
const MAX_GENERATED_RSA = 4096;
const MAX_IMPORTED_RSA = 8192;
/** Iterations of PBKDF2 times blocks of output: some two seconds. */
const MAX_PBKDF2 = 2_000_000;
/** Bytes of a salt and the like, which go into the hash of each block of output. */
const MAX_SALT = 65_536;
/** KiB of memory of Argon2, and that times passes: about as long. */
const MAX_ARGON2_MEMORY = 65_536;
const MAX_ARGON2_WORK = MAX_ARGON2_MEMORY * 16;
const MAX_ARGON2_LANES = 16;
/** Bits of output that is made of less input. */
const MAX_OUTPUT = 8 * 1024 * 1024;
/** Bytes of a key that is imported. */
const MAX_KEY_DATA = 1024 * 1024;
/** The same for keys of pairs, of which the longest, RSA with 8192 bits, takes less than 5 KB. */
const MAX_STRUCTURE = 16_384;

const hashBits: Readonly<Record<string, number>> = { "SHA-1": 160, "SHA-384": 384, "SHA-512": 512 };

function refuse(name: string, reason: string): never {
  throw new GuestFailure(name, `cannot do so much work: ${reason}`);
}

function numberOf(value: unknown): number {
  return typeof value === "number" ? value : 0;
}

/**
 * Bounds what one operation may cost, as time on a thread is not charged to the guest and cannot be cut short.
 *
 * @param bits of output, 0 when the algorithm itself says it or they are as many as the input's.
 * @throws GuestFailure when it is too much.
 */
export function checkCost(operation: string, algorithm: Algorithm, bits: number): void {
  if (bits > MAX_OUTPUT || numberOf(algorithm.outputLength) > MAX_OUTPUT) {
    refuse("OperationError", `more than ${MAX_OUTPUT} bits of output`);
  }
  if (operation === "generateKey") checkGeneration(algorithm);
  if (operation !== "deriveBits" && operation !== "deriveKey") return;
  for (const name of ["salt", "info"]) {
    const value = algorithm[name];
    if (value instanceof Uint8Array && value.length > MAX_SALT) {
      refuse("OperationError", `${name} is more than ${MAX_SALT} bytes`);
    }
  }
  if (algorithm.name === "PBKDF2") {
    const hash = (algorithm.hash as Algorithm | undefined)?.name ?? "";
    const blocks = Math.max(1, Math.ceil(bits / (hashBits[hash] ?? 256)));
    const salt = algorithm.salt instanceof Uint8Array ? algorithm.salt.length : 0;
    if (iterationsOf(numberOf(algorithm.iterations), salt) * blocks > MAX_PBKDF2) {
      refuse("NotSupportedError", `more than ${MAX_PBKDF2} iterations, counted for each block of output`);
    }
  }
  if (algorithm.name.startsWith("Argon2")) {
    const memory = numberOf(algorithm.memory);
    if (memory > MAX_ARGON2_MEMORY)
      refuse("NotSupportedError", `memory is more than ${MAX_ARGON2_MEMORY} KiB`);
    if (memory * numberOf(algorithm.passes) > MAX_ARGON2_WORK) {
      refuse("NotSupportedError", `memory times passes is more than ${MAX_ARGON2_WORK} KiB`);
    }
    if (numberOf(algorithm.parallelism) > MAX_ARGON2_LANES) {
      refuse("NotSupportedError", `parallelism is more than ${MAX_ARGON2_LANES}`);
    }
  }
}

function checkGeneration(algorithm: Algorithm): void {
  if (numberOf(algorithm.length) > MAX_OUTPUT) refuse("OperationError", "the key is too long");
  const { modulusLength, publicExponent } = algorithm as Readonly<Record<string, unknown>>;
  if (modulusLength === undefined) return;
  if (numberOf(modulusLength) > MAX_GENERATED_RSA) {
    refuse("NotSupportedError", `modulusLength is more than ${MAX_GENERATED_RSA}`);
  }
  // The search for primes that fit another exponent may take as long as its owner likes.
  if (!(publicExponent instanceof Uint8Array) || !isUsualExponent(publicExponent)) {
    throw new GuestFailure("OperationError", "cannot generate a key: publicExponent is neither 3 nor 65537");
  }
}

function isUsualExponent(bytes: Uint8Array): boolean {
  const digits = Buffer.from(bytes).toString("hex").replace(/^0+/, "");
  return digits === "3" || digits === "10001";
}

/**
 * @param format in which the key comes; those of asymmetric keys are read in the shard's own thread.
 * @throws GuestFailure when a key of so many bytes is not to be imported.
 */
export function checkKeyData(format: string, size: number): void {
  const most = format === "pkcs8" || format === "spki" ? MAX_STRUCTURE : MAX_KEY_DATA;
  if (size > most) throw new GuestFailure("DataError", `cannot import a key: more than ${most} bytes`);
}

/** @throws GuestFailure when a JSON Web Key of a pair is longer than any that is used. */
export function checkJsonWebKey(key: Readonly<Record<string, unknown>>): void {
  if (key.kty === "oct") return;
  let size = 0;
  for (const value of Object.values(key)) size += typeof value === "string" ? value.length : 0;
  checkKeyData("pkcs8", size);
}

/** @throws GuestFailure when work with this key takes too long. */
export function checkImported(algorithm: { readonly modulusLength?: number }): void {
  if ((algorithm.modulusLength ?? 0) > MAX_IMPORTED_RSA) {
    throw new GuestFailure(
      "DataError",
      `cannot import a key: its modulus has more than ${MAX_IMPORTED_RSA} bits`,
    );
  }
}
