import { types } from "./util-types.ts";

type Mode = "strict" | "loose" | "partial";
type Keyed = Record<PropertyKey, unknown>;

/** Pairs that are being compared, for structures that lead back to themselves. */
type Pairs = Map<unknown, unknown>;

function same(one: unknown, other: unknown, mode: Mode): boolean {
  if (mode !== "loose") return Object.is(one, other);
  // biome-ignore lint/suspicious/noDoubleEquals: that is what loose equality is.
  return one == other || (Number.isNaN(one) && Number.isNaN(other));
}

function isObject(value: unknown): value is Keyed {
  return typeof value === "object" && value !== null;
}

/** Own enumerable keys; symbols count when the comparison is not loose. */
function keysOf(value: object, mode: Mode): PropertyKey[] {
  const keys: PropertyKey[] = Object.keys(value);
  if (mode === "loose") return keys;
  for (const symbol of Object.getOwnPropertySymbols(value)) {
    if (Object.prototype.propertyIsEnumerable.call(value, symbol)) keys.push(symbol);
  }
  return keys;
}

const boxes = [
  types.isNumberObject,
  types.isStringObject,
  types.isBooleanObject,
  types.isBigIntObject,
  types.isSymbolObject,
] as const;

/** What the values hold apart from their properties; null when that is for the properties alone to say. */
function insides(one: Keyed, other: Keyed, mode: Mode, pairs: Pairs): boolean | null {
  if (Array.isArray(one)) {
    return Array.isArray(other) &&
      (mode === "partial" ? one.length >= other.length : one.length === other.length)
      ? null
      : false;
  }
  if (Array.isArray(other)) return false;
  const tag = Object.prototype.toString.call(one);
  if (tag !== Object.prototype.toString.call(other)) return false;
  if (types.isDate(one)) {
    return types.isDate(other) &&
      Object.is(Number(Date.prototype.getTime.call(one)), Date.prototype.getTime.call(other))
      ? null
      : false;
  }
  if (types.isRegExp(one)) {
    if (!types.isRegExp(other)) return false;
    const [a, b] = [one as unknown as RegExp, other as unknown as RegExp];
    return a.source === b.source && a.flags === b.flags && a.lastIndex === b.lastIndex ? null : false;
  }
  if (types.isNativeError(one)) {
    const [a, b] = [one as unknown as Keyed, other as Keyed];
    if (!types.isNativeError(other) || a["message"] !== b["message"] || a["name"] !== b["name"]) return false;
    for (const key of ["cause", "errors"]) {
      if (Object.hasOwn(a, key) !== Object.hasOwn(b, key)) return false;
      if (Object.hasOwn(a, key) && !equal(a[key], b[key], mode, pairs)) return false;
    }
    return null;
  }
  if (ArrayBuffer.isView(one)) {
    if (!ArrayBuffer.isView(other) || one.byteLength !== other.byteLength) return false;
    if (mode === "loose" && (types.isFloat32Array(one) || types.isFloat64Array(one))) {
      const [a, b] = [one as unknown as Float64Array, other as unknown as Float64Array];
      return a.every((value, index) => value === b[index]);
    }
    return bytesEqual(one, other) ? null : false;
  }
  if (types.isArrayBuffer(one)) {
    if (!types.isArrayBuffer(other)) return false;
    return bytesEqual(
      new Uint8Array(one as unknown as ArrayBuffer),
      new Uint8Array(other as unknown as ArrayBuffer),
    )
      ? null
      : false;
  }
  if (types.isSet(one))
    return types.isSet(other) && setsEqual(one as never, other as never, mode, pairs) ? null : false;
  if (types.isMap(one))
    return types.isMap(other) && mapsEqual(one as never, other as never, mode, pairs) ? null : false;
  for (const isBox of boxes) {
    if (isBox(one) !== isBox(other)) return false;
    if (isBox(one)) return Object.is((one as object).valueOf(), (other as object).valueOf()) ? null : false;
  }
  if (types.isPromise(one) || types.isWeakMap(one) || types.isWeakSet(one) || one instanceof WeakRef)
    return false;
  return null;
}

function bytesEqual(one: ArrayBufferView, other: ArrayBufferView): boolean {
  const a = new Uint8Array(one.buffer, one.byteOffset, one.byteLength);
  const b = new Uint8Array(other.buffer, other.byteOffset, other.byteLength);
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

function setsEqual(one: Set<unknown>, other: Set<unknown>, mode: Mode, pairs: Pairs): boolean {
  if (mode === "partial" ? one.size < other.size : one.size !== other.size) return false;
  const left: unknown[] = [];
  const wanted = [...other].filter(
    (value) => !one.has(value) || (mode === "loose" && typeof value !== "object"),
  );
  for (const value of one) if (!other.has(value)) left.push(value);
  const missing = mode === "loose" ? wanted.filter((value) => !one.has(value)) : wanted;
  return missing.every((value) => {
    if (mode !== "loose" && !isObject(value)) return false;
    const at = left.findIndex((candidate) => equal(candidate, value, mode, pairs));
    if (at < 0) return false;
    left.splice(at, 1);
    return true;
  });
}

function mapsEqual(
  one: Map<unknown, unknown>,
  other: Map<unknown, unknown>,
  mode: Mode,
  pairs: Pairs,
): boolean {
  if (mode === "partial" ? one.size < other.size : one.size !== other.size) return false;
  const left = [...one].filter(([key]) => !other.has(key) || isObject(key));
  for (const [key, value] of other) {
    if (one.has(key) && equal(one.get(key), value, mode, pairs)) {
      const at = left.findIndex(([candidate]) => candidate === key);
      if (at >= 0) left.splice(at, 1);
      continue;
    }
    if (mode !== "loose" && !isObject(key)) return false;
    const at = left.findIndex(
      ([candidate, held]) => equal(candidate, key, mode, pairs) && equal(held, value, mode, pairs),
    );
    if (at < 0) return false;
    left.splice(at, 1);
  }
  return true;
}

function equal(one: unknown, other: unknown, mode: Mode, pairs: Pairs): boolean {
  if (one === other) return one !== 0 || mode === "loose" || Object.is(one, other);
  if (!isObject(one) || !isObject(other)) {
    if (mode === "loose" && (isObject(one) || isObject(other))) return false;
    return same(one, other, mode);
  }
  if (mode !== "loose" && Object.getPrototypeOf(one) !== Object.getPrototypeOf(other)) {
    if (mode === "strict") return false;
    if (Object.getPrototypeOf(one) !== Object.getPrototypeOf(other)) return false;
  }
  if (pairs.get(one) === other) return true;
  const before = pairs.get(one);
  pairs.set(one, other);
  try {
    const inside = insides(one, other, mode, pairs);
    if (inside !== null) return inside;
    return propertiesEqual(one, other, mode, pairs);
  } finally {
    if (before === undefined) pairs.delete(one);
    else pairs.set(one, before);
  }
}

function propertiesEqual(one: Keyed, other: Keyed, mode: Mode, pairs: Pairs): boolean {
  const indexed = ArrayBuffer.isView(one);
  const plain = (keys: PropertyKey[]): PropertyKey[] =>
    indexed ? keys.filter((key) => typeof key !== "string" || !/^\d+$/.test(key)) : keys;
  const keys = plain(keysOf(other, mode));
  if (mode !== "partial" && plain(keysOf(one, mode)).length !== keys.length) return false;
  if (mode === "partial" && Array.isArray(one) && Array.isArray(other))
    return partialArray(one, other, pairs);
  for (const key of keys) {
    if (!Object.prototype.propertyIsEnumerable.call(one, key)) return false;
    if (!equal(one[key], other[key], mode, pairs)) return false;
  }
  return true;
}

/** Each item of `other` in its order among those of `one`. */
function partialArray(one: readonly unknown[], other: readonly unknown[], pairs: Pairs): boolean {
  let at = 0;
  return other.every((value) => {
    while (at < one.length) if (equal(one[at++], value, "partial", pairs)) return true;
    return false;
  });
}

/** @param mode `partial` demands of `one` only what `other` has. */
export function isDeepEqual(one: unknown, other: unknown, mode: Mode): boolean {
  return equal(one, other, mode, new Map());
}
