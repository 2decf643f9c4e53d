import { type Member, type Registered, type RegisteredOperation, registered } from "./crypto-algorithms.ts";
import { type CryptoKey, handleOf, isCryptoKey } from "./crypto-key.ts";
import { DOMException } from "./dom-exception.ts";
import { viewBytes } from "./encoding.ts";
import {
  ObjectCreate,
  StringStartsWith,
  TypedArrayLength,
  TypedArraySet,
  TypedArrayTag,
  Uint8ArrayNative,
} from "./primordials.ts";
import { enforceRange, isObject, quote } from "./webidl.ts";

/** An algorithm after §18.4.4, of which nothing is the Worker's any more. Has no prototype. */
export interface Normalized {
  readonly name: string;
  readonly [member: string]: unknown;
}

/** A copy: what the Worker does to its bytes meanwhile must not change the outcome. */
export function copyBytes(value: unknown, what: string): Uint8Array<ArrayBuffer> {
  const bytes = viewBytes(value, what);
  const copy = new Uint8ArrayNative(TypedArrayLength(bytes));
  TypedArraySet(copy, bytes);
  return copy;
}

/** `AlgorithmIdentifier`: an object as it is, anything else as a string. */
export function toIdentifier(value: unknown): object | string {
  return isObject(value) ? value : `${value as string}`;
}

/**
 * Normalises an algorithm for an operation (Web Cryptography §18.4.4): each getter of the Worker's object is called
 * once, in the order of Web IDL.
 *
 * @throws TypeError when a member is missing or of a wrong type, DOMException `NotSupportedError` when the algorithm is
 * not registered, or `OperationError` and others for values that no key makes valid.
 */
export function normalize(identifier: object | string, operation: RegisteredOperation): Normalized {
  const name = typeof identifier === "string" ? identifier : nameOf(identifier as { name?: unknown });
  const found = registered(name, operation);
  if (found === null) {
    throw new DOMException(
      `cannot use algorithm ${quote(name)}: it is not known for this operation`,
      "NotSupportedError",
    );
  }
  // A bare name has no members: what Object.prototype holds is none of them.
  return convert(typeof identifier === "string" ? (ObjectCreate(null) as object) : identifier, found);
}

function nameOf(identifier: { name?: unknown }): string {
  const { name } = identifier;
  if (name === undefined) throw new TypeError("algorithm.name is missing");
  return `${name as string}`;
}

function convert(identifier: object, { name, dictionary }: Registered): Normalized {
  const result = ObjectCreate(null) as Record<string, unknown> & { name: string };
  result.name = name;
  const given = identifier as Record<string, unknown>;
  for (let i = 0; i < dictionary.length; i++) {
    const member = dictionary[i] as Member;
    const value = given[member.name];
    if (value === undefined) {
      if (member.required) throw new TypeError(`algorithm.${member.name} is missing`);
      continue;
    }
    result[member.name] = convertMember(member, value);
    validate(name, member, result[member.name]);
  }
  // Only when all are converted are bytes copied and hashes normalised (steps 8 to 10).
  for (let i = 0; i < dictionary.length; i++) {
    const { name: key, kind } = dictionary[i] as Member;
    const value = result[key];
    if (value === undefined) continue;
    if (kind === "bytes") result[key] = copyBytes(value, `algorithm.${key}`);
    if (kind === "hash") result[key] = normalizeHash(value as object | string);
  }
  return result;
}

function convertMember(member: Member, value: unknown): unknown {
  const what = `algorithm.${member.name}`;
  switch (member.kind) {
    case "bytes":
      if (member.name === "publicExponent" && TypedArrayTag(value) !== "Uint8Array") {
        throw new TypeError(`${what} is not a Uint8Array`);
      }
      return viewBytes(value, what);
    case "octet":
      return enforceRange(value, 0xff, what);
    case "short":
      return enforceRange(value, 0xffff, what);
    case "long":
      return enforceRange(value, 0xffffffff, what);
    case "text":
      return `${value as string}`;
    case "hash":
      return toIdentifier(value);
    case "key":
      if (!isCryptoKey(value)) throw new TypeError(`${what} is not a CryptoKey`);
      return value;
  }
}

/** Of the digests, those of the SHA family are hashes of other algorithms. */
function normalizeHash(value: object | string): Normalized {
  const hash = normalize(value, "digest");
  if (!StringStartsWith(hash.name, "SHA")) {
    throw new DOMException(`algorithm.hash ${quote(hash.name)} is not supported here`, "NotSupportedError");
  }
  return hash;
}

function invalid(reason: string, name = "OperationError"): never {
  throw new DOMException(reason, name);
}

function byteLength(value: unknown): number {
  return TypedArrayLength(value);
}

/** What can be said of a value without a key, so that the message names it; the host checks everything again. */
function validate(algorithm: string, member: Member, value: unknown): void {
  switch (member.name) {
    case "iv":
      if (algorithm === "AES-CBC" && byteLength(value) !== 16) invalid("algorithm.iv is not of 16 bytes");
      if (algorithm === "ChaCha20-Poly1305" && byteLength(value) !== 12) {
        invalid("algorithm.iv is not of 12 bytes");
      }
      if (algorithm === "AES-OCB" && byteLength(value) > 15) invalid("algorithm.iv is longer than 15 bytes");
      return;
    case "counter":
      if (byteLength(value) !== 16) invalid("algorithm.counter is not of 16 bytes");
      return;
    case "length":
      validateLength(algorithm, member, value as number);
      return;
    case "tagLength":
      if (!isTagLength(algorithm, value as number)) {
        invalid(`algorithm.tagLength ${value as number} is not one of ${algorithm}`);
      }
      return;
    case "namedCurve":
      if (value !== "P-256" && value !== "P-384" && value !== "P-521") {
        invalid(`algorithm.namedCurve ${quote(value as string)} is not known`, "NotSupportedError");
      }
      return;
    case "iterations":
      if (value === 0) invalid("algorithm.iterations is 0");
      return;
    case "public":
      validatePeer(algorithm, value as CryptoKey);
      return;
    case "parallelism":
    case "passes":
      if (value === 0) invalid(`algorithm.${member.name} is 0`);
      return;
    case "nonce":
      if (byteLength(value) < 8) invalid("algorithm.nonce is shorter than 8 bytes");
      return;
    case "version":
      if (value !== 0x13) invalid("algorithm.version is not 19");
      return;
    case "modulusLength":
      if ((value as number) < 512) invalid("algorithm.modulusLength is less than 512");
      return;
  }
}

function validateLength(algorithm: string, member: Member, length: number): void {
  if (!StringStartsWith(algorithm, "AES-")) return;
  if (member.kind === "octet") {
    if (length === 0 || length > 128) invalid(`algorithm.length ${length} is outside 1 to 128`);
  } else if (length !== 128 && length !== 192 && length !== 256) {
    invalid(`algorithm.length ${length} is not 128, 192 or 256`);
  }
}

function isTagLength(algorithm: string, bits: number): boolean {
  if (algorithm === "ChaCha20-Poly1305") return bits === 128;
  if (algorithm === "AES-OCB") return bits === 64 || bits === 96 || bits === 128;
  return bits === 32 || bits === 64 || (bits >= 96 && bits <= 128 && bits % 8 === 0);
}

function validatePeer(algorithm: string, key: CryptoKey): void {
  const handle = handleOf(key);
  if (handle.type !== "public") invalid("algorithm.public is not a public key", "InvalidAccessError");
  if (handle.name !== algorithm)
    invalid(`algorithm.public is not a key of ${algorithm}`, "InvalidAccessError");
}
