import {
  MathTrunc,
  NumberIsNaN,
  ObjectDefineProperty,
  ReflectGetOwnPropertyDescriptor,
  ReflectOwnKeys,
  StringCharCodeAt,
  StringIsWellFormed,
  StringSlice,
  StringToWellFormed,
  SymbolToStringTag,
} from "./primordials.ts";

/** Any constructor; only its prototype and statics are looked at. */
// biome-ignore lint/complexity/noBannedTypes: a class with whatever constructor, and its prototype
export type AnyClass = Function & { prototype: object };

/**
 * Gives a class the shape of an interface (Web IDL §3.7): its methods, accessors and statics are enumerable, and its
 * prototype carries the name.
 * @param length of the constructor: optional arguments do not count, though the language counts them.
 * @param lengths of methods and statics, where the language counts otherwise.
 */
export function defineInterface(
  target: AnyClass,
  name: string,
  length = 0,
  lengths: Readonly<Record<string, number>> | null = null,
): void {
  const { prototype } = target;
  if (target.length !== length) setLength(target, length);
  if (lengths !== null) {
    const names = ReflectOwnKeys(lengths) as string[];
    for (let i = 0; i < names.length; i++) {
      const key = names[i] as string;
      const descriptor =
        ReflectGetOwnPropertyDescriptor(prototype, key) ?? ReflectGetOwnPropertyDescriptor(target, key);
      setLength(descriptor?.value as object, lengths[key] as number);
    }
  }
  makeEnumerable(prototype, "constructor");
  makeEnumerable(target, "prototype");
  // Not left to the bundler, which renames a class that refers to itself.
  if (target.name !== name) {
    ObjectDefineProperty(target, "name", { __proto__: null, value: name } as PropertyDescriptor);
  }
  ObjectDefineProperty(prototype, SymbolToStringTag, {
    __proto__: null,
    value: name,
    configurable: true,
  } as PropertyDescriptor);
}

function setLength(target: object, length: number): void {
  ObjectDefineProperty(target, "length", { __proto__: null, value: length } as PropertyDescriptor);
}

/** What a descriptor leaves out stays as it is. */
const enumerable = { __proto__: null, enumerable: true } as PropertyDescriptor;

function makeEnumerable(holder: object, except: string): void {
  const keys = ReflectOwnKeys(holder);
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i] as PropertyKey;
    if (typeof key !== "string" || key === except) continue;
    if (typeof holder === "function" && (key === "length" || key === "name")) continue;
    ObjectDefineProperty(holder, key, enumerable);
  }
}

/** Defines constants on an interface and on its prototype (Web IDL §3.7.5). */
export function defineConstants(target: AnyClass, constants: Readonly<Record<string, number>>): void {
  const keys = ReflectOwnKeys(constants) as string[];
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i] as string;
    const descriptor = { __proto__: null, value: constants[key], enumerable: true } as PropertyDescriptor;
    ObjectDefineProperty(target, key, descriptor);
    ObjectDefineProperty(target.prototype, key, descriptor);
  }
}

/** What internal code passes to a class that users may not construct. */
export const internal: unique symbol = Symbol("internal");

export function illegalConstructor(): TypeError {
  return new TypeError("Illegal constructor");
}

export function requireArguments(given: number, needed: number, what: string): void {
  if (given < needed) {
    throw new TypeError(
      `cannot call ${what}: ${needed} argument${needed === 1 ? "" : "s"} required, ${given} given`,
    );
  }
}

export function isObject(value: unknown): value is object {
  return (typeof value === "object" && value !== null) || typeof value === "function";
}

/** True when a native getter or method, which checks its receiver itself, accepts `value`. */
export function accepts(test: (value: unknown) => unknown, value: unknown): boolean {
  try {
    test(value);
    return true;
  } catch {
    return false;
  }
}

/** A dictionary argument: undefined and null mean an empty one (Web IDL §3.2.17). */
export function toDictionary(value: unknown, what: string): Record<string, unknown> | null {
  if (value === undefined || value === null) return null;
  if (!isObject(value)) throw new TypeError(`${what} is not an object`);
  return value as Record<string, unknown>;
}

/** Web IDL §3.2.10. */
export function toUSVString(value: unknown): string {
  const text = typeof value === "string" ? value : `${value as string}`;
  return StringIsWellFormed(text) ? text : StringToWellFormed(text);
}

/** Web IDL §3.2.9: every code unit is a byte. */
export function toByteString(value: unknown, what: string): string {
  const text = typeof value === "string" ? value : `${value as string}`;
  for (let i = 0; i < text.length; i++) {
    if (StringCharCodeAt(text, i) > 255) {
      throw new TypeError(`${what} has a character above U+00FF at index ${i}`);
    }
  }
  return text;
}

/** Web IDL §3.2.4.9 with [EnforceRange]: an integer of 0 to `max`. */
export function enforceRange(value: unknown, max: number, what: string): number {
  const number = +(value as number);
  if (NumberIsNaN(number) || number === Infinity || number === -Infinity) {
    throw new TypeError(`${what} is not a finite number`);
  }
  const integer = MathTrunc(number) + 0;
  if (integer < 0 || integer > max) throw new TypeError(`${what} is outside 0 to ${max}`);
  return integer;
}

/** User text in a message: quoted and bounded. */
export function quote(text: string): string {
  return `"${text.length > 100 ? `${StringSlice(text, 0, 100)}…` : text}"`;
}
