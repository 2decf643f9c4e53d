import { type Blob, blobBytes, type File, isBlob, isFile, makeBlob, makeFile } from "./blob.ts";
import { DOMException, isDOMException } from "./dom-exception.ts";
import {
  ArrayBufferDetached,
  ArrayBufferSlice,
  ArrayIsArray,
  ArrayPush,
  DataViewNative,
  DateGetTime,
  DateNative,
  isArrayBuffer,
  MapForEach,
  MapGet,
  MapHas,
  MapNative,
  MapSet,
  MapSize,
  ObjectDefineProperty,
  ObjectGetPrototypeOf,
  ObjectHasOwn,
  ObjectIsEnumerable,
  ObjectSetPrototypeOf,
  ReflectApply,
  ReflectGetOwnPropertyDescriptor,
  ReflectOwnKeys,
  RegExpFlags,
  RegExpNative,
  RegExpPrototype,
  RegExpSource,
  SetAdd,
  SetForEach,
  SetNative,
  SetSize,
  SymbolToStringTag,
  TypedArrayLength,
  TypedArrayTag,
  viewBuffer,
  viewLength,
  viewOffset,
} from "./primordials.ts";
import { Transfer } from "./transfer.ts";
import { makerOf } from "./view-classes.ts";
import { accepts, isObject, requireArguments, toDictionary } from "./webidl.ts";

function unwrapper(prototype: object): (value: unknown) => unknown {
  const unwrap = prototype.valueOf;
  return (value) => ReflectApply(unwrap, value, []);
}

const unwrapBoolean = unwrapper(Boolean.prototype);
const unwrapNumber = unwrapper(Number.prototype);
const unwrapString = unwrapper(String.prototype);
const unwrapBigInt = unwrapper(BigInt.prototype);
const unwrapSymbol = unwrapper(Symbol.prototype);
const ObjectNative = Object;
const plainPrototype = Object.prototype;

const weakMapHas = WeakMap.prototype.has;
const weakSetHas = WeakSet.prototype.has;
const weakRefDeref = WeakRef.prototype.deref;
const PromiseNative = Promise;

const isErrorNative = (Error as unknown as { isError?: (value: unknown) => boolean }).isError;
const objectToString = Object.prototype.toString;

/** True for objects with [[ErrorData]]. */
export function isError(value: object): boolean {
  if (isErrorNative !== undefined) return isErrorNative(value);
  // Before Error.isError: the built-in tag, which an own Symbol.toStringTag alone can hide.
  return ReflectApply(objectToString, value, []) === "[object Error]" && !(SymbolToStringTag in value);
}

type ErrorClass = new (message?: string) => Error;

/** The language's classes of errors by name. */
export const errorClasses = { __proto__: null } as unknown as Record<string, ErrorClass>;
for (const one of [Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError]) {
  errorClasses[one.name] = one as unknown as ErrorClass;
}

function cannotClone(what: string): DOMException {
  return new DOMException(`cannot clone ${what}`, "DataCloneError");
}

/** A value whose members are still to be copied. */
interface Task {
  readonly from: object;
  readonly to: object;
  readonly kind: "object" | "map" | "set";
}

/** One run of StructuredSerialize and StructuredDeserialize (HTML §2.7.3, §2.7.6) in one go. */
class Cloner {
  readonly #seen: Map<object, unknown>;
  // A list of tasks, not recursion: depth must not be bound by the stack.
  readonly #tasks: Task[] = [];

  /** @param seen what stands for objects that are not to be cloned. */
  constructor(seen: Map<object, unknown>) {
    this.#seen = seen;
  }

  run(value: unknown): unknown {
    const result = this.#clone(value);
    for (let i = 0; i < this.#tasks.length; i++) this.#copyMembers(this.#tasks[i] as Task);
    return result;
  }

  #clone(value: unknown): unknown {
    if (typeof value === "symbol") throw cannotClone("a symbol");
    if (typeof value === "function") throw cannotClone(`function ${value.name}`);
    if (!isObject(value)) return value;
    if (MapHas(this.#seen, value)) return MapGet(this.#seen, value);
    const copy = this.#make(value);
    MapSet(this.#seen, value, copy);
    return copy;
  }

  #make(value: object): object {
    // Most objects are plain; asking natives whose receiver they take costs some 30 µs, since each answers by throwing.
    // An object with internal slots is taken for a plain one only if its prototype was replaced by Object.prototype.
    if (ObjectGetPrototypeOf(value) === plainPrototype && !isError(value)) {
      const copy = {};
      ArrayPush(this.#tasks, { from: value, to: copy, kind: "object" });
      return copy;
    }
    if (ArrayIsArray(value)) {
      const copy: unknown[] = [];
      copy.length = value.length;
      ArrayPush(this.#tasks, { from: value, to: copy, kind: "object" });
      return copy;
    }
    if (isArrayBuffer(value)) return cloneBuffer(value);
    const tag = TypedArrayTag(value);
    if (tag !== undefined) return this.#cloneView(value as ArrayBufferView);
    if (accepts(viewOffset as (view: unknown) => unknown, value)) {
      const view = value as DataView;
      const buffer = this.#clone(viewBuffer(view)) as ArrayBuffer;
      return new DataViewNative(buffer, viewOffset(view), viewLength(view));
    }
    if (accepts(MapSize, value)) {
      const copy = new MapNative();
      ArrayPush(this.#tasks, { from: value, to: copy, kind: "map" });
      return copy;
    }
    if (accepts(SetSize, value)) {
      const copy = new SetNative();
      ArrayPush(this.#tasks, { from: value, to: copy, kind: "set" });
      return copy;
    }
    if (accepts(DateGetTime, value)) return new DateNative(DateGetTime(value));
    const wrapped = cloneWrapper(value);
    if (wrapped !== null) return wrapped;
    if (isFile(value)) return cloneFile(value);
    if (isBlob(value)) return makeBlob(blobBytes(value as Blob), (value as Blob).type);
    if (isDOMException(value)) return new DOMException(value.message, value.name);
    if (isError(value)) return this.#cloneError(value);
    if (isRegExp(value)) return new RegExpNative(RegExpSource(value), RegExpFlags(value));
    for (let i = 0; i < cloners.length; i++) {
      const made = (cloners[i] as PlatformCloner)(value);
      if (made !== null) return made;
    }
    refusePlatformObject(value);
    const copy = {};
    ArrayPush(this.#tasks, { from: value, to: copy, kind: "object" });
    return copy;
  }

  #cloneView(view: ArrayBufferView): object {
    const from = viewBuffer(view);
    if (isDetached(from)) throw cannotClone("a view of a detached ArrayBuffer");
    const length = TypedArrayLength(view);
    const offset = viewOffset(view);
    return makerOf(view)(this.#clone(from) as ArrayBuffer, offset, length);
  }

  #cloneError(error: object): Error {
    const { name, stack, cause } = error as { name?: unknown; stack?: unknown; cause?: unknown };
    const Class = errorClasses[`${name as string}`] ?? Error;
    const message = ReflectGetOwnPropertyDescriptor(error, "message");
    const copy = new Class();
    if (message !== undefined && "value" in message) hide(copy, "message", `${message.value as string}`);
    hide(copy, "stack", typeof stack === "string" ? stack : "");
    if (ObjectHasOwn(error, "cause")) {
      MapSet(this.#seen, error, copy);
      hide(copy, "cause", this.#clone(cause));
    }
    return copy;
  }

  #copyMembers(task: Task): void {
    if (task.kind === "map") {
      const { to } = task as { to: Map<unknown, unknown> } & Task;
      MapForEach(task.from as Map<unknown, unknown>, (value, key) => {
        MapSet(to, this.#clone(key), this.#clone(value));
      });
      return;
    }
    if (task.kind === "set") {
      const { to } = task as { to: Set<unknown> } & Task;
      SetForEach(task.from as Set<unknown>, (value) => SetAdd(to, this.#clone(value)));
      return;
    }
    const keys = ReflectOwnKeys(task.from);
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i] as string;
      if (typeof key !== "string" || !ObjectIsEnumerable(task.from, key)) continue;
      const value = this.#clone((task.from as Record<string, unknown>)[key]);
      ObjectDefineProperty(task.to, key, {
        __proto__: null,
        value,
        writable: true,
        enumerable: true,
        configurable: true,
      } as PropertyDescriptor);
    }
  }
}

function hide(target: object, key: string, value: unknown): void {
  ObjectDefineProperty(target, key, {
    __proto__: null,
    value,
    writable: true,
    configurable: true,
  } as PropertyDescriptor);
}

function isDetached(buffer: ArrayBuffer): boolean {
  return isArrayBuffer(buffer) && ArrayBufferDetached(buffer);
}

function cloneBuffer(buffer: ArrayBuffer): ArrayBuffer {
  if (ArrayBufferDetached(buffer)) throw cannotClone("a detached ArrayBuffer");
  return ArrayBufferSlice(buffer, 0);
}

function cloneFile(file: File): File {
  return makeFile(blobBytes(file), file.name, file.type, file.lastModified);
}

function cloneWrapper(value: object): object | null {
  if (accepts(unwrapBoolean, value)) return ObjectNative(unwrapBoolean(value));
  if (accepts(unwrapNumber, value)) return ObjectNative(unwrapNumber(value));
  if (accepts(unwrapString, value)) return ObjectNative(unwrapString(value));
  if (accepts(unwrapBigInt, value)) return ObjectNative(unwrapBigInt(value));
  if (accepts(unwrapSymbol, value)) throw cannotClone("a symbol");
  return null;
}

/** The primitive in a wrapper object; undefined for all else, a symbol included. */
export function unwrapPrimitive(value: object): unknown {
  if (accepts(unwrapBoolean, value)) return unwrapBoolean(value);
  if (accepts(unwrapNumber, value)) return unwrapNumber(value);
  if (accepts(unwrapString, value)) return unwrapString(value);
  return accepts(unwrapBigInt, value) ? unwrapBigInt(value) : undefined;
}

export function wrapPrimitive(value: unknown): object {
  return ObjectNative(value);
}

function isRegExp(value: object): boolean {
  // The prototype itself answers too, though it is no regular expression.
  return value !== RegExpPrototype && accepts(RegExpSource, value);
}

/** Objects with internal slots that have no serialisation (HTML §2.7.3, steps 21 to 24). */
function refusePlatformObject(value: object): void {
  if (value instanceof PromiseNative) throw cannotClone("a Promise");
  if (accepts((other) => ReflectApply(weakMapHas, other, [value]), value)) throw cannotClone("a WeakMap");
  if (accepts((other) => ReflectApply(weakSetHas, other, [value]), value)) throw cannotClone("a WeakSet");
  if (accepts((other) => ReflectApply(weakRefDeref, other, []), value)) throw cannotClone("a WeakRef");
  for (let i = 0; i < platform.length; i++) {
    if ((platform[i] as PlatformClass).is(value))
      throw cannotClone(`a ${(platform[i] as PlatformClass).name}`);
  }
}

interface PlatformClass {
  readonly name: string;
  is(value: object): boolean;
}

const platform: PlatformClass[] = [];

/** Gives a copy of an object of its own kind, null for all others. */
type PlatformCloner = (value: object) => object | null;

const cloners: PlatformCloner[] = [];
// Written when a part is loaded, which may be after a Worker has put setters into Array.prototype.
ObjectSetPrototypeOf(cloners, null);

/** Objects of a part that are serializable (HTML §2.7.1). */
export function cloneAs(clone: PlatformCloner): void {
  ArrayPush(cloners, clone);
}

/** Says which of the runtime's own objects cannot be cloned. */
export function refuseToClone(name: string, is: (value: unknown) => boolean): void {
  ArrayPush(platform, { name, is });
}

/** HTML §2.7.10. */
export function structuredClone(value: unknown, options?: { transfer?: Iterable<object> }): unknown {
  requireArguments(arguments.length, 1, "structuredClone");
  const dictionary = toDictionary(options, "options");
  return cloneWith(value, new Transfer(dictionary === null ? undefined : dictionary.transfer));
}

/** A clone of `value` that takes over what is transferred; when it fails, nothing was. */
export function cloneWith(value: unknown, transfer: Transfer): unknown {
  if (transfer.isEmpty) return new Cloner(new MapNative()).run(value);
  const copy = new Cloner(transfer.stands()).run(value);
  transfer.move();
  return copy;
}
