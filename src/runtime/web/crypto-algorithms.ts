import { nativeText } from "../bridge/natives.ts";
import { JSONParse, ReflectOwnKeys, StringToUpperCase } from "./primordials.ts";

/** What a member of an algorithm's dictionary is converted to. */
export type MemberKind = "bytes" | "octet" | "short" | "long" | "hash" | "key" | "text";

/** A member of a dictionary; both kinds of number and of text are converted as Web IDL says. */
export interface Member {
  readonly name: string;
  readonly kind: MemberKind;
  readonly required: boolean;
}

function must(name: string, kind: MemberKind): Member {
  return { name, kind, required: true };
}

function may(name: string, kind: MemberKind): Member {
  return { name, kind, required: false };
}

type Dictionary = readonly Member[];

/** Members in the order in which Web IDL reads them: those of the inherited dictionary first, each by name. */
const none: Dictionary = [];
const aesKey: Dictionary = [must("length", "short")];
const aesCbc: Dictionary = [must("iv", "bytes")];
const aesCtr: Dictionary = [must("counter", "bytes"), must("length", "octet")];
const aead: Dictionary = [may("additionalData", "bytes"), must("iv", "bytes"), may("tagLength", "octet")];
const rsaGenerate: Dictionary = [
  must("modulusLength", "long"),
  must("publicExponent", "bytes"),
  must("hash", "hash"),
];
const hashed: Dictionary = [must("hash", "hash")];
const curve: Dictionary = [must("namedCurve", "text")];
const hmac: Dictionary = [must("hash", "hash"), may("length", "long")];
const kmacKey: Dictionary = [may("length", "long")];
const kmac: Dictionary = [may("customization", "bytes"), must("outputLength", "long")];
const context: Dictionary = [may("context", "bytes")];
const agreement: Dictionary = [must("public", "key")];
const argon2: Dictionary = [
  may("associatedData", "bytes"),
  must("memory", "long"),
  must("nonce", "bytes"),
  must("parallelism", "long"),
  must("passes", "long"),
  may("secretValue", "bytes"),
  may("version", "octet"),
];
const hkdf: Dictionary = [must("hash", "hash"), must("info", "bytes"), must("salt", "bytes")];
const pbkdf2: Dictionary = [must("hash", "hash"), must("iterations", "long"), must("salt", "bytes")];
const cshake: Dictionary = [
  may("customization", "bytes"),
  may("functionName", "bytes"),
  must("outputLength", "long"),
];
const turboshake: Dictionary = [may("domainSeparation", "octet"), must("outputLength", "long")];
const kangaroo: Dictionary = [may("customization", "bytes"), must("outputLength", "long")];
const pss: Dictionary = [must("saltLength", "long")];
const oaep: Dictionary = [may("label", "bytes")];

/** The operations of §18.4.4 that an algorithm may be registered for. */
export type RegisteredOperation =
  | "encrypt"
  | "decrypt"
  | "sign"
  | "verify"
  | "digest"
  | "deriveBits"
  | "wrapKey"
  | "unwrapKey"
  | "generateKey"
  | "importKey"
  | "exportKey"
  | "get key length"
  | "encapsulate"
  | "decapsulate";

type Registration = Partial<Readonly<Record<RegisteredOperation, Dictionary>>>;

const cipher = (parameters: Dictionary): Registration => ({
  encrypt: parameters,
  decrypt: parameters,
  generateKey: aesKey,
  importKey: none,
  exportKey: none,
  "get key length": aesKey,
});
const rsaSignature = (parameters: Dictionary): Registration => ({
  sign: parameters,
  verify: parameters,
  generateKey: rsaGenerate,
  importKey: hashed,
  exportKey: none,
});
const plainKey: Registration = { generateKey: none, importKey: none, exportKey: none };
const signature = (parameters: Dictionary): Registration => ({
  ...plainKey,
  sign: parameters,
  verify: parameters,
});
const exchange: Registration = { ...plainKey, deriveBits: agreement };
const derivation = (parameters: Dictionary): Registration => ({
  deriveBits: parameters,
  importKey: none,
  "get key length": none,
});
const mac: Registration = {
  sign: kmac,
  verify: kmac,
  generateKey: kmacKey,
  importKey: kmacKey,
  exportKey: none,
  "get key length": kmacKey,
};
const encapsulation: Registration = { ...plainKey, encapsulate: none, decapsulate: none };
const digest = (parameters: Dictionary): Registration => ({ digest: parameters });

/** The registered algorithms, of which the host may have fewer (Web Cryptography §18.2, Modern Algorithms). */
const registrations: Readonly<Record<string, Registration>> = {
  "AES-CBC": cipher(aesCbc),
  "AES-CTR": cipher(aesCtr),
  "AES-GCM": cipher(aead),
  "AES-OCB": cipher(aead),
  "AES-KW": {
    wrapKey: none,
    unwrapKey: none,
    generateKey: aesKey,
    importKey: none,
    exportKey: none,
    "get key length": aesKey,
  },
  "ChaCha20-Poly1305": { ...cipher(aead), generateKey: none, "get key length": none },
  HMAC: {
    sign: none,
    verify: none,
    generateKey: hmac,
    importKey: hmac,
    exportKey: none,
    "get key length": hmac,
  },
  KMAC128: mac,
  KMAC256: mac,
  "RSASSA-PKCS1-v1_5": rsaSignature(none),
  "RSA-PSS": rsaSignature(pss),
  "RSA-OAEP": {
    encrypt: oaep,
    decrypt: oaep,
    generateKey: rsaGenerate,
    importKey: hashed,
    exportKey: none,
  },
  ECDSA: { sign: hashed, verify: hashed, generateKey: curve, importKey: curve, exportKey: none },
  ECDH: { deriveBits: agreement, generateKey: curve, importKey: curve, exportKey: none },
  Ed25519: signature(none),
  Ed448: signature(context),
  X25519: exchange,
  X448: exchange,
  HKDF: derivation(hkdf),
  PBKDF2: derivation(pbkdf2),
  Argon2d: derivation(argon2),
  Argon2i: derivation(argon2),
  Argon2id: derivation(argon2),
  "ML-DSA-44": signature(context),
  "ML-DSA-65": signature(context),
  "ML-DSA-87": signature(context),
  "ML-KEM-512": encapsulation,
  "ML-KEM-768": encapsulation,
  "ML-KEM-1024": encapsulation,
  "MLKEM768-P256": encapsulation,
  "MLKEM768-X25519": encapsulation,
  "MLKEM1024-P384": encapsulation,
  MD5: digest(none),
  "SHA-1": digest(none),
  "SHA-256": digest(none),
  "SHA-384": digest(none),
  "SHA-512": digest(none),
  "SHA3-256": digest(none),
  "SHA3-384": digest(none),
  "SHA3-512": digest(none),
  cSHAKE128: digest(cshake),
  cSHAKE256: digest(cshake),
  TurboSHAKE128: digest(turboshake),
  TurboSHAKE256: digest(turboshake),
  KT128: digest(kangaroo),
  KT256: digest(kangaroo),
};

/** An algorithm as registered for one operation. */
export interface Registered {
  /** As the standard spells it. */
  readonly name: string;
  readonly dictionary: Dictionary;
}

let byUpperCase: Readonly<Record<string, string>> | null = null;

/** Those that the host has, by their names in upper case. */
function available(): Readonly<Record<string, string>> {
  if (byUpperCase !== null) return byUpperCase;
  const names = JSONParse(nativeText("crypto.webAlgorithms", "")) as string[];
  const found = { __proto__: null } as unknown as Record<string, string>;
  for (let i = 0; i < names.length; i++) {
    const name = names[i] as string;
    found[StringToUpperCase(name)] = name;
  }
  byUpperCase = found;
  return found;
}

/** The algorithm of that name, in whatever case, if it is registered for the operation. */
export function registered(name: string, operation: RegisteredOperation): Registered | null {
  const known = available()[StringToUpperCase(name)];
  if (known === undefined) return null;
  const registration = table[known];
  const dictionary = registration?.[operation];
  return dictionary === undefined ? null : { name: known, dictionary };
}

/** Without prototypes, so that nothing is found in them that is not registered. */
const table = { __proto__: null } as unknown as Record<string, Registration>;
const names = ReflectOwnKeys(registrations) as string[];
for (let i = 0; i < names.length; i++) {
  const name = names[i] as string;
  const bare = { __proto__: null } as unknown as Record<string, Dictionary>;
  const given = registrations[name] as Record<string, Dictionary>;
  const operations = ReflectOwnKeys(given) as string[];
  for (let j = 0; j < operations.length; j++) {
    const operation = operations[j] as string;
    bare[operation] = given[operation] as Dictionary;
  }
  table[name] = bare;
}
