import { toFormat, toJsonWebKey, toUsages } from "./crypto-convert.ts";
import { type CryptoKey, handleOf, isCryptoKey, keyFrom } from "./crypto-key.ts";
import { type Normalized, normalize, toIdentifier } from "./crypto-normalize.ts";
import { CryptoRequest } from "./crypto-request.ts";
import { DOMException } from "./dom-exception.ts";
import { viewBytes } from "./encoding.ts";
import {
  ArrayBufferSlice,
  JSONParse,
  ObjectCreate,
  promiseReject,
  ReflectOwnKeys,
  viewBuffer,
} from "./primordials.ts";
import { enforceRange, requireArguments } from "./webidl.ts";

/** The arguments of a call, of which only own properties are read. */
export type Arguments = ArrayLike<unknown>;

function refuse(reason: string, name = "InvalidAccessError"): never {
  throw new DOMException(reason, name);
}

function toKey(value: unknown, what: string): CryptoKey {
  if (!isCryptoKey(value)) throw new TypeError(`${what} is not a CryptoKey`);
  return value;
}

/** @throws DOMException InvalidAccessError when the key is of another algorithm or may not be used so. */
function demand(action: string, key: CryptoKey, algorithm: Normalized, usage: string): void {
  const handle = handleOf(key);
  if (handle.name !== algorithm.name) {
    refuse(`cannot ${action}: the key is one of ${handle.name}, not of ${algorithm.name}`);
  }
  if (!handle.allows(usage)) refuse(`cannot ${action}: the key has no usage "${usage}"`);
}

function demandExtractable(action: string, key: CryptoKey): void {
  if (!handleOf(key).extractable) refuse(`cannot ${action}: the key is not extractable`);
}

function toBuffer(_text: string, bytes: Uint8Array<ArrayBuffer>): ArrayBuffer {
  return viewBuffer(bytes);
}

function toJson(text: string): unknown {
  return JSONParse(text);
}

function toBoolean(text: string): boolean {
  return text === "true";
}

function toCryptoKey(text: string): CryptoKey {
  return keyFrom(JSONParse(text) as object);
}

interface Pair {
  publicKey: CryptoKey;
  privateKey: CryptoKey;
}

function toKeyOrPair(text: string): CryptoKey | Pair {
  const made = JSONParse(text) as Record<string, unknown>;
  const keys = ReflectOwnKeys(made);
  if (keys[0] !== "publicKey") return keyFrom(made);
  return {
    publicKey: keyFrom(made["publicKey"] as object),
    privateKey: keyFrom(made["privateKey"] as object),
  };
}

/** `{ sharedKey, ciphertext }`: an object whose members nobody's setters see. */
function encapsulated(sharedKey: unknown, ciphertext: ArrayBuffer): object {
  return { sharedKey, ciphertext };
}

/** Normalises for the one operation or, where that is not registered, for the other (§14.3.11, §14.3.12). */
function normalizeEither(
  identifier: object | string,
  operation: "wrapKey" | "unwrapKey",
  other: "encrypt" | "decrypt",
): Normalized {
  try {
    return normalize(identifier, operation);
  } catch {
    return normalize(identifier, other);
  }
}

function cipher(operation: "encrypt" | "decrypt", args: Arguments): Promise<unknown> {
  requireArguments(args.length, 3, operation);
  const identifier = toIdentifier(args[0]);
  const key = toKey(args[1], "key");
  const data = viewBytes(args[2], "data");
  const algorithm = normalize(identifier, operation);
  demand(operation, key, algorithm, operation);
  const request = new CryptoRequest(operation).algorithm("algorithm", algorithm).key("key", key);
  return request.bytes("data", data).send(toBuffer);
}

function sign(args: Arguments): Promise<unknown> {
  requireArguments(args.length, 3, "sign");
  const identifier = toIdentifier(args[0]);
  const key = toKey(args[1], "key");
  const data = viewBytes(args[2], "data");
  const algorithm = normalize(identifier, "sign");
  demand("sign", key, algorithm, "sign");
  const request = new CryptoRequest("sign").algorithm("algorithm", algorithm).key("key", key);
  return request.bytes("data", data).send(toBuffer);
}

function verify(args: Arguments): Promise<unknown> {
  requireArguments(args.length, 4, "verify");
  const identifier = toIdentifier(args[0]);
  const key = toKey(args[1], "key");
  const signature = viewBytes(args[2], "signature");
  const data = viewBytes(args[3], "data");
  const algorithm = normalize(identifier, "verify");
  demand("verify", key, algorithm, "verify");
  const request = new CryptoRequest("verify").algorithm("algorithm", algorithm).key("key", key);
  return request.bytes("signature", signature).bytes("data", data).send(toBoolean);
}

function digest(args: Arguments): Promise<unknown> {
  requireArguments(args.length, 2, "digest");
  const identifier = toIdentifier(args[0]);
  const data = viewBytes(args[1], "data");
  const algorithm = normalize(identifier, "digest");
  return new CryptoRequest("digest").algorithm("algorithm", algorithm).bytes("data", data).send(toBuffer);
}

function generateKey(args: Arguments): Promise<unknown> {
  requireArguments(args.length, 3, "generateKey");
  const identifier = toIdentifier(args[0]);
  const extractable = !!args[1];
  const usages = toUsages(args[2]);
  const algorithm = normalize(identifier, "generateKey");
  const request = new CryptoRequest("generateKey").algorithm("algorithm", algorithm);
  return request.set("extractable", extractable).set("usages", usages).send(toKeyOrPair);
}

function importKey(args: Arguments): Promise<unknown> {
  requireArguments(args.length, 5, "importKey");
  const format = toFormat(args[0]);
  const request = new CryptoRequest("importKey").set("format", format);
  if (format === "jwk") request.set("jwk", toJsonWebKey(args[1]));
  else request.bytes("data", args[1]);
  const identifier = toIdentifier(args[2]);
  request.set("extractable", !!args[3]).set("usages", toUsages(args[4]));
  return request.algorithm("algorithm", normalize(identifier, "importKey")).send(toCryptoKey);
}

function exportKey(args: Arguments): Promise<unknown> {
  requireArguments(args.length, 2, "exportKey");
  const format = toFormat(args[0]);
  const key = toKey(args[1], "key");
  const { name } = handleOf(key);
  normalize(name, "exportKey");
  demandExtractable("export the key", key);
  const request = new CryptoRequest("exportKey").set("format", format).key("key", key);
  return format === "jwk" ? request.send(toJson) : request.send(toBuffer);
}

function deriveBits(args: Arguments): Promise<unknown> {
  requireArguments(args.length, 2, "deriveBits");
  const identifier = toIdentifier(args[0]);
  const key = toKey(args[1], "baseKey");
  const given = args[2];
  const length = given === undefined || given === null ? null : enforceRange(given, 0xffffffff, "length");
  const algorithm = normalize(identifier, "deriveBits");
  demand("derive bits", key, algorithm, "deriveBits");
  const request = new CryptoRequest("deriveBits").algorithm("algorithm", algorithm).key("key", key);
  return request.set("length", length).send(toBuffer);
}

function deriveKey(args: Arguments): Promise<unknown> {
  requireArguments(args.length, 5, "deriveKey");
  const identifier = toIdentifier(args[0]);
  const key = toKey(args[1], "baseKey");
  const derivedType = toIdentifier(args[2]);
  const extractable = !!args[3];
  const usages = toUsages(args[4]);
  const algorithm = normalize(identifier, "deriveBits");
  const derived = ObjectCreate(null) as Record<string, unknown> & { name: string };
  merge(derived, normalize(derivedType, "importKey"));
  merge(derived, normalize(derivedType, "get key length"));
  demand("derive a key", key, algorithm, "deriveKey");
  const request = new CryptoRequest("deriveKey").algorithm("algorithm", algorithm).key("key", key);
  request.algorithm("derived", derived).set("extractable", extractable).set("usages", usages);
  return request.send(toCryptoKey);
}

function merge(into: Record<string, unknown>, from: Normalized): void {
  const names = ReflectOwnKeys(from) as string[];
  for (let i = 0; i < names.length; i++) into[names[i] as string] = from[names[i] as string];
}

function wrapKey(args: Arguments): Promise<unknown> {
  requireArguments(args.length, 4, "wrapKey");
  const format = toFormat(args[0]);
  const key = toKey(args[1], "key");
  const wrappingKey = toKey(args[2], "wrappingKey");
  const algorithm = normalizeEither(toIdentifier(args[3]), "wrapKey", "encrypt");
  demand("wrap the key", wrappingKey, algorithm, "wrapKey");
  normalize(handleOf(key).name, "exportKey");
  demandExtractable("wrap the key", key);
  const request = new CryptoRequest("wrapKey").set("format", format).algorithm("algorithm", algorithm);
  return request.key("key", key).key("wrappingKey", wrappingKey).send(toBuffer);
}

function unwrapKey(args: Arguments): Promise<unknown> {
  requireArguments(args.length, 7, "unwrapKey");
  const format = toFormat(args[0]);
  const wrapped = viewBytes(args[1], "wrappedKey");
  const key = toKey(args[2], "unwrappingKey");
  const identifier = toIdentifier(args[3]);
  const unwrapped = toIdentifier(args[4]);
  const extractable = !!args[5];
  const usages = toUsages(args[6]);
  const algorithm = normalizeEither(identifier, "unwrapKey", "decrypt");
  const keyAlgorithm = normalize(unwrapped, "importKey");
  demand("unwrap the key", key, algorithm, "unwrapKey");
  const request = new CryptoRequest("unwrapKey").set("format", format).bytes("data", wrapped);
  request.key("key", key).algorithm("algorithm", algorithm).algorithm("unwrapped", keyAlgorithm);
  return request.set("extractable", extractable).set("usages", usages).send(toCryptoKey);
}

function getPublicKey(args: Arguments): Promise<unknown> {
  requireArguments(args.length, 2, "getPublicKey");
  const key = toKey(args[0], "key");
  const usages = toUsages(args[1]);
  const { type } = handleOf(key);
  if (type !== "private") {
    refuse(
      `cannot get the public key: the key is ${type}, not private`,
      type === "secret" ? "NotSupportedError" : "InvalidAccessError",
    );
  }
  return new CryptoRequest("getPublicKey").key("key", key).set("usages", usages).send(toCryptoKey);
}

function encapsulateBits(args: Arguments): Promise<unknown> {
  requireArguments(args.length, 2, "encapsulateBits");
  const identifier = toIdentifier(args[0]);
  const key = toKey(args[1], "encapsulationKey");
  const algorithm = normalize(identifier, "encapsulate");
  demand("encapsulate", key, algorithm, "encapsulateBits");
  const request = new CryptoRequest("encapsulateBits").algorithm("algorithm", algorithm).key("key", key);
  return request.send((text, bytes) => {
    const whole = viewBuffer(bytes);
    return encapsulated(ArrayBufferSlice(whole, 0, +text), ArrayBufferSlice(whole, +text));
  });
}

function encapsulateKey(args: Arguments): Promise<unknown> {
  requireArguments(args.length, 5, "encapsulateKey");
  const identifier = toIdentifier(args[0]);
  const key = toKey(args[1], "encapsulationKey");
  const sharedType = toIdentifier(args[2]);
  const extractable = !!args[3];
  const usages = toUsages(args[4]);
  const algorithm = normalize(identifier, "encapsulate");
  const shared = normalize(sharedType, "importKey");
  demand("encapsulate a key", key, algorithm, "encapsulateKey");
  const request = new CryptoRequest("encapsulateKey").algorithm("algorithm", algorithm).key("key", key);
  request.algorithm("shared", shared).set("extractable", extractable).set("usages", usages);
  return request.send((text, bytes) => encapsulated(toCryptoKey(text), viewBuffer(bytes)));
}

function decapsulateBits(args: Arguments): Promise<unknown> {
  requireArguments(args.length, 3, "decapsulateBits");
  const identifier = toIdentifier(args[0]);
  const key = toKey(args[1], "decapsulationKey");
  const ciphertext = viewBytes(args[2], "ciphertext");
  const algorithm = normalize(identifier, "decapsulate");
  demand("decapsulate", key, algorithm, "decapsulateBits");
  const request = new CryptoRequest("decapsulateBits").algorithm("algorithm", algorithm).key("key", key);
  return request.bytes("data", ciphertext).send(toBuffer);
}

function decapsulateKey(args: Arguments): Promise<unknown> {
  requireArguments(args.length, 6, "decapsulateKey");
  const identifier = toIdentifier(args[0]);
  const key = toKey(args[1], "decapsulationKey");
  const ciphertext = viewBytes(args[2], "ciphertext");
  const sharedType = toIdentifier(args[3]);
  const extractable = !!args[4];
  const usages = toUsages(args[5]);
  const algorithm = normalize(identifier, "decapsulate");
  const shared = normalize(sharedType, "importKey");
  demand("decapsulate a key", key, algorithm, "decapsulateKey");
  const request = new CryptoRequest("decapsulateKey").algorithm("algorithm", algorithm).key("key", key);
  request.bytes("data", ciphertext).algorithm("shared", shared);
  return request.set("extractable", extractable).set("usages", usages).send(toCryptoKey);
}

/** The methods of SubtleCrypto, by name (Web Cryptography §14.3). */
const methods = {
  __proto__: null,
  decapsulateBits,
  decapsulateKey,
  decrypt: (args: Arguments) => cipher("decrypt", args),
  deriveBits,
  deriveKey,
  digest,
  encapsulateBits,
  encapsulateKey,
  encrypt: (args: Arguments) => cipher("encrypt", args),
  exportKey,
  generateKey,
  getPublicKey,
  importKey,
  sign,
  unwrapKey,
  verify,
  wrapKey,
} as unknown as Readonly<Record<string, (args: Arguments) => Promise<unknown>>>;

/** Calls a method; whatever is wrong with its arguments rejects the promise (Web IDL §3.7.7). */
export function callSubtle(method: string, args: Arguments): Promise<unknown> {
  try {
    return (methods[method] as (args: Arguments) => Promise<unknown>)(args);
  } catch (error) {
    return promiseReject(error);
  }
}
