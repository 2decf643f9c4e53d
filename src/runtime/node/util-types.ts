/** node:util/types. What a value is by its internal slots, whatever its prototype says. */

type Check = (value: unknown) => boolean;

/** True for values that a method of a class, which looks for the slot, does not refuse. */
function branded(holder: object, key: PropertyKey, ...parameters: unknown[]): Check {
  const descriptor = Object.getOwnPropertyDescriptor(holder, key);
  const method = (descriptor?.get ?? descriptor?.value) as (this: unknown, ...rest: unknown[]) => unknown;
  return (value) => {
    if (typeof value !== "object" || value === null) return false;
    try {
      Reflect.apply(method, value, parameters);
      return true;
    } catch {
      return false;
    }
  };
}

const tagOf = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), Symbol.toStringTag)
  ?.get as (this: unknown) => string | undefined;

function typed(name: string): Check {
  return (value) => ArrayBuffer.isView(value) && Reflect.apply(tagOf, value, []) === name;
}

function tagged(...tags: string[]): Check {
  return (value) =>
    typeof value === "object" &&
    value !== null &&
    !(Symbol.toStringTag in value && Object.hasOwn(value, Symbol.toStringTag)) &&
    tags.includes(Object.prototype.toString.call(value).slice(8, -1));
}

const isArrayBuffer = branded(ArrayBuffer.prototype, "byteLength");
const isNumberObject = branded(Number.prototype, "valueOf");
const isStringObject = branded(String.prototype, "valueOf");
const isBooleanObject = branded(Boolean.prototype, "valueOf");
const isBigIntObject = branded(BigInt.prototype, "valueOf");
const isSymbolObject = branded(Symbol.prototype, "valueOf");
const asyncFunction = Object.getPrototypeOf(async () => {}) as object;
const asyncGenerator = Object.getPrototypeOf(async function* () {}) as object;
const generator = Object.getPrototypeOf(function* () {}) as object;
const inherits = (value: unknown, ...prototypes: object[]): boolean =>
  typeof value === "function" && prototypes.includes(Object.getPrototypeOf(value) as object);

export const types = {
  isAnyArrayBuffer: isArrayBuffer,
  isArgumentsObject: tagged("Arguments"),
  isArrayBuffer,
  isArrayBufferView: (value: unknown): value is ArrayBufferView => ArrayBuffer.isView(value),
  isAsyncFunction: (value: unknown): boolean => inherits(value, asyncFunction, asyncGenerator),
  isBigInt64Array: typed("BigInt64Array"),
  isBigIntObject,
  isBigUint64Array: typed("BigUint64Array"),
  isBooleanObject,
  isBoxedPrimitive: (value: unknown): boolean =>
    isNumberObject(value) ||
    isStringObject(value) ||
    isBooleanObject(value) ||
    isBigIntObject(value) ||
    isSymbolObject(value),
  isCryptoKey: (value: unknown): boolean => Object.prototype.toString.call(value) === "[object CryptoKey]",
  isDataView: branded(DataView.prototype, "byteLength"),
  isDate: branded(Date.prototype, "getTime"),
  isExternal: (): boolean => false,
  isFloat16Array: typed("Float16Array"),
  isFloat32Array: typed("Float32Array"),
  isFloat64Array: typed("Float64Array"),
  isGeneratorFunction: (value: unknown): boolean => inherits(value, generator, asyncGenerator),
  isGeneratorObject: tagged("Generator", "AsyncGenerator"),
  isInt16Array: typed("Int16Array"),
  isInt32Array: typed("Int32Array"),
  isInt8Array: typed("Int8Array"),
  isKeyObject: (value: unknown): boolean => Object.prototype.toString.call(value) === "[object KeyObject]",
  isMap: branded(Map.prototype, "size"),
  isMapIterator: tagged("Map Iterator"),
  isModuleNamespaceObject: (value: unknown): boolean =>
    Object.prototype.toString.call(value) === "[object Module]",
  isNativeError: (value: unknown): value is Error =>
    value instanceof Error ||
    (typeof value === "object" && Object.prototype.toString.call(value) === "[object Error]"),
  isNumberObject,
  isPromise: (value: unknown): boolean => value instanceof Promise,
  isProxy: (): boolean => false,
  isRegExp: branded(RegExp.prototype, "source"),
  isSet: branded(Set.prototype, "size"),
  isSetIterator: tagged("Set Iterator"),
  isSharedArrayBuffer: (): boolean => false,
  isStringObject,
  isSymbolObject,
  isTypedArray: (value: unknown): boolean =>
    ArrayBuffer.isView(value) && Reflect.apply(tagOf, value, []) !== undefined,
  isUint16Array: typed("Uint16Array"),
  isUint32Array: typed("Uint32Array"),
  isUint8Array: typed("Uint8Array"),
  isUint8ClampedArray: typed("Uint8ClampedArray"),
  isWeakMap: branded(WeakMap.prototype, "has", {}),
  isWeakSet: branded(WeakSet.prototype, "has", {}),
};
