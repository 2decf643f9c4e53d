import { webcrypto } from "node:crypto";
import type { Native } from "./native.ts";

/** What every supported version of Node.js has, and MD5, which Workers have digests of. */
const always = [
  ["AES-CBC", "AES-CTR", "AES-GCM", "AES-KW", "HMAC", "RSASSA-PKCS1-v1_5", "RSA-PSS", "RSA-OAEP", "ECDSA"],
  ["ECDH", "Ed25519", "Ed448", "X25519", "X448", "HKDF", "PBKDF2"],
  ["SHA-1", "SHA-256", "SHA-384", "SHA-512", "MD5"],
].flat();

/** What some have, by an operation that tells. */
const probes: Readonly<Record<string, readonly string[]>> = {
  exportKey: [
    ["AES-OCB", "ChaCha20-Poly1305", "KMAC128", "KMAC256", "ML-DSA-44", "ML-DSA-65", "ML-DSA-87"],
    ["ML-KEM-512", "ML-KEM-768", "ML-KEM-1024", "MLKEM768-P256", "MLKEM768-X25519", "MLKEM1024-P384"],
  ].flat(),
  importKey: ["Argon2d", "Argon2i", "Argon2id"],
  digest: [
    ["SHA3-256", "SHA3-384", "SHA3-512", "cSHAKE128", "cSHAKE256"],
    ["TurboSHAKE128", "TurboSHAKE256", "KT128", "KT256"],
  ].flat(),
};

interface Supports {
  supports?(operation: string, algorithm: object): boolean;
}

/** Asked of Node once; it lists nothing. */
function detect(): string[] {
  const SubtleCrypto = webcrypto.subtle.constructor as Supports;
  const found = [...always];
  if (typeof SubtleCrypto.supports !== "function") return found;
  for (const [operation, names] of Object.entries(probes)) {
    for (const name of names) {
      // Digests without parameters ignore the length.
      if (SubtleCrypto.supports(operation, { name, outputLength: 256 })) found.push(name);
    }
  }
  return found;
}

let algorithms = "";

/** The names of Web Cryptography's algorithms that this Node.js has, as a JSON array. */
export const webAlgorithms: Native = () => {
  if (algorithms === "") algorithms = JSON.stringify(detect());
  return algorithms;
};
