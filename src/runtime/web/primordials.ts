/**
 * The language's own functions, captured before any Worker code runs. Runtime code calls these instead of methods, so
 * that a Worker that patches a prototype changes what its own code sees and nothing else.
 */

// `uncurry(f)(self, ...rest)` is `f.call(self, ...rest)`; V8 inlines the bound `call`, so it costs no more than a method.
const uncurryAny = Function.prototype.bind.bind(Function.prototype.call) as (
  method: unknown,
) => (self: unknown, ...rest: unknown[]) => unknown;

function uncurry<F>(method: unknown): F {
  return uncurryAny(method) as F;
}

export const ReflectApply = Reflect.apply;
export const ReflectConstruct = Reflect.construct;
export const ReflectOwnKeys = Reflect.ownKeys;
export const ReflectGetOwnPropertyDescriptor = Reflect.getOwnPropertyDescriptor;
export const ReflectGetPrototypeOf = Reflect.getPrototypeOf;

export const ObjectCreate = Object.create;
export const ObjectDefineProperty = Object.defineProperty;
export const ObjectGetPrototypeOf = Object.getPrototypeOf;
export const ObjectSetPrototypeOf = Object.setPrototypeOf;
export const ObjectIsEnumerable = uncurry<(self: object, key: PropertyKey) => boolean>(
  Object.prototype.propertyIsEnumerable,
);
export const ObjectHasOwn = Object.hasOwn;
export const ObjectFreeze = Object.freeze;

export const FunctionPrototype = Function.prototype;

export const StringFromCharCode = String.fromCharCode;
export const StringFromCodePoint = String.fromCodePoint;
export const StringCharCodeAt = uncurry<(self: string, index: number) => number>(String.prototype.charCodeAt);
export const StringCodePointAt = uncurry<(self: string, index: number) => number>(
  String.prototype.codePointAt,
);
export const StringIndexOf = uncurry<(self: string, search: string, from?: number) => number>(
  String.prototype.indexOf,
);
export const StringSlice = uncurry<(self: string, start: number, end?: number) => string>(
  String.prototype.slice,
);
export const StringStartsWith = uncurry<(self: string, search: string, from?: number) => boolean>(
  String.prototype.startsWith,
);
export const StringToLowerCase = uncurry<(self: string) => string>(String.prototype.toLowerCase);
export const StringToUpperCase = uncurry<(self: string) => string>(String.prototype.toUpperCase);
export const StringToWellFormed = uncurry<(self: string) => string>(String.prototype.toWellFormed);
export const StringIsWellFormed = uncurry<(self: string) => boolean>(String.prototype.isWellFormed);
export const StringRepeat = uncurry<(self: string, count: number) => string>(String.prototype.repeat);
export const StringPadEnd = uncurry<(self: string, length: number) => string>(String.prototype.padEnd);

export const ArrayIsArray = Array.isArray;
export const ArrayPush = uncurry<<T>(self: T[], item: T) => number>(Array.prototype.push);
export const ArraySplice = uncurry<<T>(self: T[], start: number, count: number) => T[]>(
  Array.prototype.splice,
);
export const ArraySlice = uncurry<<T>(self: readonly T[], start?: number, end?: number) => T[]>(
  Array.prototype.slice,
);
export const ArraySort = uncurry<<T>(self: T[], order?: (a: T, b: T) => number) => T[]>(Array.prototype.sort);
export const ArrayJoin = uncurry<(self: readonly unknown[], separator: string) => string>(
  Array.prototype.join,
);

export const NumberToString = uncurry<(self: number, radix?: number) => string>(Number.prototype.toString);
export const NumberIsNaN = Number.isNaN;
export const MathFloor = Math.floor;
export const MathMin = Math.min;
export const MathMax = Math.max;
export const MathTrunc = Math.trunc;
export const MathRandom = Math.random;

export const SymbolIterator: typeof Symbol.iterator = Symbol.iterator;
export const SymbolAsyncIterator: typeof Symbol.asyncIterator = Symbol.asyncIterator;
export const SymbolToStringTag: typeof Symbol.toStringTag = Symbol.toStringTag;
export const SymbolToString = uncurry<(self: symbol) => string>(Symbol.prototype.toString);

const PromiseNative = Promise;
const resolveNative = Promise.resolve;
const rejectNative = Promise.reject;
export const PromiseThen = uncurry<
  <T, R1, R2>(
    self: Promise<T>,
    fulfilled: ((value: T) => R1) | undefined,
    rejected?: (reason: unknown) => R2,
  ) => Promise<R1 | R2>
>(Promise.prototype.then);

/** A promise for `value`, which may itself be a promise. */
export function promiseResolve<T>(value: T): Promise<Awaited<T>> {
  return ReflectApply(resolveNative, PromiseNative, [value]) as Promise<Awaited<T>>;
}

export function promiseReject(reason: unknown): Promise<never> {
  return ReflectApply(rejectNative, PromiseNative, [reason]) as Promise<never>;
}

function ignore(): void {}

/** Keeps a rejection that has another way to its reader from being reported as unhandled. */
export function markHandled(promise: Promise<unknown>): void {
  PromiseThen(promise, undefined, ignore);
}

/** A promise with its two ends, settled at most once. */
export class Deferred<T> {
  promise: Promise<T>;
  settled = false;
  #resolve!: (value: T) => void;
  #reject!: (reason: unknown) => void;

  constructor() {
    this.promise = new PromiseNative<T>((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  resolve(value: T): void {
    this.settled = true;
    this.#resolve(value);
  }

  reject(reason: unknown): void {
    this.settled = true;
    this.#reject(reason);
  }
}

export const ArrayBufferNative = ArrayBuffer;
export const Uint8ArrayNative = Uint8Array;
export const Uint32ArrayNative = Uint32Array;
export const DataViewNative = DataView;
export const ArrayBufferIsView = ArrayBuffer.isView;
export const ArrayBufferSlice = uncurry<(self: ArrayBuffer, start: number, end?: number) => ArrayBuffer>(
  ArrayBuffer.prototype.slice,
);
export const ArrayBufferByteLength = uncurry<(self: unknown) => number>(
  getter(ArrayBuffer.prototype, "byteLength"),
);
export const ArrayBufferDetached = uncurry<(self: ArrayBuffer) => boolean>(
  getter(ArrayBuffer.prototype, "detached"),
);
export const ArrayBufferTransfer = uncurry<(self: ArrayBuffer) => ArrayBuffer>(
  ArrayBuffer.prototype.transfer,
);

const TypedArrayPrototype = Object.getPrototypeOf(Uint8Array.prototype) as object;
export const TypedArraySet = uncurry<(self: Uint8Array, source: Uint8Array, offset?: number) => void>(
  Uint8Array.prototype.set,
);
export const TypedArraySubarray = uncurry<(self: Uint8Array, start: number, end?: number) => Uint8Array>(
  Uint8Array.prototype.subarray,
);
export const TypedArraySlice = uncurry<(self: Uint8Array, start: number, end?: number) => Uint8Array>(
  Uint8Array.prototype.slice,
);
/** The class name of a typed array (`Uint8Array`…), undefined for everything else, a DataView included. */
export const TypedArrayTag = uncurry<(self: unknown) => string | undefined>(
  getter(TypedArrayPrototype, Symbol.toStringTag),
);
const typedBuffer = uncurry<(self: unknown) => ArrayBuffer>(getter(TypedArrayPrototype, "buffer"));
const typedOffset = uncurry<(self: unknown) => number>(getter(TypedArrayPrototype, "byteOffset"));
const typedLength = uncurry<(self: unknown) => number>(getter(TypedArrayPrototype, "byteLength"));
/** Number of elements of a typed array. */
export const TypedArrayLength = uncurry<(self: unknown) => number>(getter(TypedArrayPrototype, "length"));
const dataBuffer = uncurry<(self: unknown) => ArrayBuffer>(getter(DataView.prototype, "buffer"));
const dataOffset = uncurry<(self: unknown) => number>(getter(DataView.prototype, "byteOffset"));
const dataLength = uncurry<(self: unknown) => number>(getter(DataView.prototype, "byteLength"));

export function viewBuffer(view: ArrayBufferView): ArrayBuffer {
  return TypedArrayTag(view) === undefined ? dataBuffer(view) : typedBuffer(view);
}

export function viewOffset(view: ArrayBufferView): number {
  return TypedArrayTag(view) === undefined ? dataOffset(view) : typedOffset(view);
}

export function viewLength(view: ArrayBufferView): number {
  return TypedArrayTag(view) === undefined ? dataLength(view) : typedLength(view);
}

/** True for a real ArrayBuffer, of whatever prototype. */
export function isArrayBuffer(value: unknown): value is ArrayBuffer {
  if (typeof value !== "object" || value === null || ArrayBufferIsView(value)) return false;
  try {
    ArrayBufferByteLength(value);
    return true;
  } catch {
    return false;
  }
}

export const MapNative = Map;
export const SetNative = Set;
export const MapGet = uncurry<<K, V>(self: Map<K, V>, key: K) => V | undefined>(Map.prototype.get);
export const MapSet = uncurry<<K, V>(self: Map<K, V>, key: K, value: V) => void>(Map.prototype.set);
export const MapHas = uncurry<<K>(self: Map<K, unknown>, key: K) => boolean>(Map.prototype.has);
export const MapDelete = uncurry<<K>(self: Map<K, unknown>, key: K) => boolean>(Map.prototype.delete);
export const MapSize = uncurry<(self: unknown) => number>(getter(Map.prototype, "size"));
export const MapForEach = uncurry<<K, V>(self: ReadonlyMap<K, V>, visit: (value: V, key: K) => void) => void>(
  Map.prototype.forEach,
);
export const SetAdd = uncurry<<T>(self: Set<T>, value: T) => void>(Set.prototype.add);
export const SetDelete = uncurry<<T>(self: Set<T>, value: T) => boolean>(Set.prototype.delete);
export const SetSize = uncurry<(self: unknown) => number>(getter(Set.prototype, "size"));
export const SetForEach = uncurry<<T>(self: ReadonlySet<T>, visit: (value: T) => void) => void>(
  Set.prototype.forEach,
);

export const DateNative = Date;
export const DateNow = Date.now;
export const DateGetTime = uncurry<(self: unknown) => number>(Date.prototype.getTime);
export const DateToISOString = uncurry<(self: unknown) => string>(Date.prototype.toISOString);
export const RegExpNative = RegExp;
export const RegExpSource = uncurry<(self: unknown) => string>(getter(RegExp.prototype, "source"));
export const RegExpFlags = uncurry<(self: unknown) => string>(getter(RegExp.prototype, "flags"));
export const RegExpPrototype = RegExp.prototype;
/** The pattern's own match: `test` and the string methods call whatever `exec` a script has put there. */
export const RegExpExec = uncurry<(self: RegExp, text: string) => RegExpExecArray | null>(
  RegExp.prototype.exec,
);
const WeakMapNative = WeakMap;
const weakMapGet = uncurry<(self: WeakMap<object, unknown>, key: object) => unknown>(WeakMap.prototype.get);
const weakMapSet = uncurry<(self: WeakMap<object, unknown>, key: object, value: unknown) => void>(
  WeakMap.prototype.set,
);

/** What the runtime keeps about objects of others, for as long as they live. */
export class PrivateMap<T> {
  readonly #map = new WeakMapNative<object, unknown>();

  get(key: object): T | undefined {
    return weakMapGet(this.#map, key) as T | undefined;
  }

  set(key: object, value: T): void {
    weakMapSet(this.#map, key, value);
  }
}

export const WeakRefNative = WeakRef;
export const WeakRefDeref = uncurry<<T extends object>(self: WeakRef<T>) => T | undefined>(
  WeakRef.prototype.deref,
);
export const ProxyNative = Proxy;
export const BigIntNative = BigInt;
export const BigIntToString = uncurry<(self: bigint, radix?: number) => string>(BigInt.prototype.toString);
export const ObjectPrototype = Object.prototype;
export const ReflectGet = Reflect.get;
export const ReflectHas = Reflect.has;
export const ReflectDeleteProperty = Reflect.deleteProperty;
export const SymbolDispose: typeof Symbol.dispose = Symbol.dispose;
export const JSONParse = JSON.parse;
export const JSONStringify = JSON.stringify;

function getter(holder: object, key: PropertyKey): unknown {
  return Reflect.getOwnPropertyDescriptor(holder, key)?.get;
}
