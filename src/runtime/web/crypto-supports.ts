import type { RegisteredOperation } from "./crypto-algorithms.ts";
import { type CryptoKey, handleOf } from "./crypto-key.ts";
import { type Normalized, normalize, toIdentifier } from "./crypto-normalize.ts";
import type { Arguments } from "./crypto-subtle.ts";
import { StringIndexOf, StringStartsWith } from "./primordials.ts";
import { enforceRange, requireArguments } from "./webidl.ts";

/** The operations of SubtleCrypto, and those that an algorithm must be registered for. */
const operations = {
  __proto__: null,
  decapsulateBits: "decapsulate",
  decapsulateKey: "decapsulate",
  decrypt: "decrypt",
  deriveBits: "deriveBits",
  deriveKey: "deriveBits",
  digest: "digest",
  encapsulateBits: "encapsulate",
  encapsulateKey: "encapsulate",
  encrypt: "encrypt",
  exportKey: "exportKey",
  generateKey: "generateKey",
  getPublicKey: "exportKey",
  importKey: "importKey",
  sign: "sign",
  unwrapKey: "unwrapKey",
  verify: "verify",
  wrapKey: "wrapKey",
} as unknown as Readonly<Record<string, RegisteredOperation>>;

/** Bits of the hashes that HKDF may be used with: it gives 255 times as many at most. */
const hashBits = { __proto__: null, "SHA-1": 160, "SHA-256": 256, "SHA-384": 384 } as unknown as Readonly<
  Record<string, number>
>;

/** `SubtleCrypto.supports(operation, algorithm, lengthOrAdditionalAlgorithm)` (Modern Algorithms). */
export function supports(args: Arguments): boolean {
  requireArguments(args.length, 2, "supports");
  const operation = `${args[0] as string}`;
  const identifier = toIdentifier(args[1]);
  const additional = args[2] ?? null;
  if (operations[operation] === undefined) return false;
  switch (operation) {
    case "deriveKey": {
      const derived = toIdentifier(additional);
      if (tryNormalize(derived, "importKey") === null) return false;
      const sized = tryNormalize(derived, "get key length");
      return sized !== null && derives(identifier, keyLength(sized));
    }
    case "deriveBits":
      return derives(identifier, additional === null ? null : enforceRange(additional, 0xffffffff, "length"));
    case "wrapKey":
      if (tryNormalize(toIdentifier(additional), "exportKey") === null) return false;
      return either(identifier, "wrapKey", "encrypt");
    case "unwrapKey":
      if (tryNormalize(toIdentifier(additional), "importKey") === null) return false;
      return either(identifier, "unwrapKey", "decrypt");
    case "encapsulateKey":
    case "decapsulateKey": {
      const shared = tryNormalize(toIdentifier(additional), "importKey");
      if (shared === null || !takesSharedSecret(shared)) return false;
      break;
    }
    case "getPublicKey": {
      const algorithm = tryNormalize(identifier, "exportKey");
      return algorithm !== null && isAsymmetric(algorithm.name);
    }
  }
  const algorithm = tryNormalize(identifier, operations[operation] as RegisteredOperation);
  if (algorithm === null) return false;
  // No block size is defined for the key that would be as long as that.
  const { hash } = algorithm as { hash?: Normalized };
  return !(
    operation === "generateKey" &&
    algorithm.name === "HMAC" &&
    algorithm["length"] === undefined &&
    hash !== undefined &&
    StringStartsWith(hash.name, "SHA3-")
  );
}

function tryNormalize(identifier: object | string, operation: RegisteredOperation): Normalized | null {
  try {
    return normalize(identifier, operation);
  } catch {
    return null;
  }
}

function either(identifier: object | string, one: RegisteredOperation, other: RegisteredOperation): boolean {
  return tryNormalize(identifier, one) !== null || tryNormalize(identifier, other) !== null;
}

function isAsymmetric(name: string): boolean {
  const prefixes = ["ML", "RSA", "EC", "Ed", "X2", "X4"];
  for (let i = 0; i < prefixes.length; i++) if (StringStartsWith(name, prefixes[i] as string)) return true;
  return false;
}

/** Bits of a derived key; null when it may have any number. */
function keyLength(algorithm: Normalized): number | null {
  const length = algorithm["length"];
  if (typeof length === "number") return length;
  switch (algorithm.name) {
    case "HMAC": {
      const { name } = algorithm["hash"] as Normalized;
      return name === "SHA-384" || name === "SHA-512" ? 1024 : 512;
    }
    case "KMAC128":
      return 128;
    case "KMAC256":
    case "ChaCha20-Poly1305":
      return 256;
    default:
      return null;
  }
}

/** A shared secret has 256 bits. */
function takesSharedSecret(algorithm: Normalized): boolean {
  const { name } = algorithm;
  if (name === "HMAC" || StringStartsWith(name, "KMAC")) {
    const length = algorithm["length"] as number | undefined;
    return length === undefined || (length > 248 && length <= 256);
  }
  const names =
    " AES-CBC AES-CTR AES-GCM AES-KW AES-OCB ChaCha20-Poly1305 HKDF PBKDF2 Argon2d Argon2i Argon2id ";
  return StringIndexOf(names, ` ${name} `) >= 0;
}

function derives(identifier: object | string, length: number | null): boolean {
  const algorithm = tryNormalize(identifier, "deriveBits");
  if (algorithm === null) return false;
  const { name } = algorithm;
  switch (name) {
    case "HKDF":
      if (length === null || length % 8 !== 0) return false;
      return length <= 255 * (hashBits[(algorithm["hash"] as Normalized).name] ?? 512);
    case "PBKDF2":
      return length !== null && length % 8 === 0;
    case "X25519":
      return (length ?? 0) <= 256;
    case "X448":
      return (length ?? 0) <= 448;
    case "ECDH": {
      const { algorithm: text } = handleOf(algorithm["public"] as CryptoKey);
      if (StringIndexOf(text, "P-256") >= 0) return (length ?? 0) <= 256;
      return (length ?? 0) <= (StringIndexOf(text, "P-384") >= 0 ? 384 : 528);
    }
    default:
      return length !== null && length >= 32 && length % 8 === 0;
  }
}
