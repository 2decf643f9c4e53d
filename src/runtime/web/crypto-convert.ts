import { ArrayPush, ObjectCreate, ObjectSetPrototypeOf, SymbolIterator } from "./primordials.ts";
import { isObject, quote } from "./webidl.ts";

const formats = {
  __proto__: null,
  jwk: true,
  pkcs8: true,
  raw: true,
  "raw-private": true,
  "raw-public": true,
  "raw-secret": true,
  "raw-seed": true,
  spki: true,
} as unknown as Readonly<Record<string, boolean>>;

const usages = {
  __proto__: null,
  decapsulateBits: true,
  decapsulateKey: true,
  decrypt: true,
  deriveBits: true,
  deriveKey: true,
  encapsulateBits: true,
  encapsulateKey: true,
  encrypt: true,
  sign: true,
  unwrapKey: true,
  verify: true,
  wrapKey: true,
} as unknown as Readonly<Record<string, boolean>>;

/** `KeyFormat`. @throws TypeError when it is none. */
export function toFormat(value: unknown): string {
  const format = `${value as string}`;
  if (formats[format] !== true) throw new TypeError(`format ${quote(format)} is not a key format`);
  return format;
}

/** A Web IDL sequence of what `convert` makes of each item (§3.2.21). @throws TypeError when it is not iterable. */
function toSequence<T>(value: unknown, what: string, convert: (item: unknown) => T): T[] {
  const method = isObject(value) ? (value as Partial<Iterable<unknown>>)[SymbolIterator] : undefined;
  if (typeof method !== "function") throw new TypeError(`${what} is not a sequence`);
  const items: T[] = [];
  // Neither JSON.stringify nor a write looks into Array.prototype then, whatever a Worker has put there.
  ObjectSetPrototypeOf(items, null);
  for (const item of value as Iterable<unknown>) {
    if (items.length >= MAX_ITEMS) throw new TypeError(`${what} is too long`);
    ArrayPush(items, convert(item));
  }
  return items;
}

const MAX_ITEMS = 1000;

/** `sequence<KeyUsage>`. @throws TypeError when one is none. */
export function toUsages(value: unknown): readonly string[] {
  return toSequence(value, "keyUsages", (item) => {
    const usage = `${item as string}`;
    if (usages[usage] !== true) throw new TypeError(`keyUsages has ${quote(usage)}, which is no key usage`);
    return usage;
  });
}

/** Members of JsonWebKey (§15) in the order in which Web IDL reads them. */
const jwkMembers = [
  ...[
    "alg",
    "crv",
    "d",
    "dp",
    "dq",
    "e",
    "ext",
    "k",
    "key_ops",
    "kty",
    "n",
    "oth",
    "p",
    "priv",
    "pub",
    "q",
    "qi",
  ],
  ...["use", "x", "y"],
] as const;
const otherPrimeMembers = ["d", "r", "t"] as const;

/** `JsonWebKey`, converted; has no prototype. @throws TypeError when it is not an object. */
export function toJsonWebKey(value: unknown): object {
  if (!isObject(value)) throw new TypeError("keyData is not a JsonWebKey");
  const given = value as Readonly<Record<string, unknown>>;
  const key = ObjectCreate(null) as Record<string, unknown>;
  for (let i = 0; i < jwkMembers.length; i++) {
    const name = jwkMembers[i] as string;
    const member = given[name];
    if (member === undefined) continue;
    if (name === "ext") key[name] = !!member;
    else if (name === "key_ops") key[name] = toSequence(member, "keyData.key_ops", toText);
    else if (name === "oth") key[name] = toSequence(member, "keyData.oth", toOtherPrime);
    else key[name] = `${member as string}`;
  }
  return key;
}

function toText(value: unknown): string {
  return `${value as string}`;
}

function toOtherPrime(value: unknown): object {
  const prime = ObjectCreate(null) as Record<string, unknown>;
  if (value === undefined || value === null) return prime;
  if (!isObject(value)) throw new TypeError("keyData.oth has an item that is not an object");
  for (let i = 0; i < otherPrimeMembers.length; i++) {
    const name = otherPrimeMembers[i] as string;
    const member = (value as Readonly<Record<string, unknown>>)[name];
    if (member !== undefined) prime[name] = `${member as string}`;
  }
  return prime;
}
