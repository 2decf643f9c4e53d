import { RpcPromise, RpcProperty, RpcStub } from "../bridge/entrypoint.ts";
import {
  ArrayPush,
  ArraySlice,
  ObjectCreate,
  ObjectDefineProperty,
  ObjectPrototype,
  ObjectSetPrototypeOf,
  PromiseThen,
  ProxyNative,
  promiseResolve,
  ReflectDeleteProperty,
  ReflectGet,
  ReflectHas,
  SymbolDispose,
  SymbolToStringTag,
} from "../web/primordials.ts";
import { isObject } from "../web/webidl.ts";
import { type Answer, invokeStub } from "./answer.ts";
import { type Callee, disposeStub, type RemoteObject, type StubData, stubData } from "./targets.ts";

type Fulfilled = ((value: unknown) => unknown) | undefined;
type Rejected = ((reason: unknown) => unknown) | undefined;

/** A function that stands for something elsewhere: it can be called, and its members are others of its kind. */
function callable(prototype: object, data: StubData): object {
  const stub = (...args: unknown[]): object => makePromise(invokeStub(data, none, args));
  ReflectDeleteProperty(stub, "length");
  ReflectDeleteProperty(stub, "name");
  ObjectSetPrototypeOf(stub, prototype);
  stubData.set(stub, data);
  return stub;
}

const none: readonly string[] = [];

export function makeStub(object: RemoteObject): { stub: object; data: StubData } {
  const data: StubData = { kind: "stub", callee: object.hold(), path: none, disposed: false };
  return { stub: callable(RpcStub.prototype, data), data };
}

function makePromise(answer: Answer): object {
  return callable(RpcPromise.prototype, { kind: "promise", callee: answer, path: none });
}

/** @param path below the callee. */
export function makeProperty(callee: Callee, path: readonly string[]): object {
  return callable(RpcProperty.prototype, { kind: "property", callee, path });
}

function dataOf(value: unknown, what: string): StubData {
  const data = isObject(value) ? stubData.get(value) : undefined;
  if (data === undefined) throw new TypeError(`cannot call ${what}: the receiver is not of RPC`);
  return data;
}

/** The value of a promise or property; asked for when it is not there. */
function resultOf(value: unknown, what: string): Promise<unknown> {
  const data = dataOf(value, what);
  if (data.kind === "promise") return data.callee.take();
  return invokeStub(data, none, null).take();
}

const promiseMethods = {
  // biome-ignore lint/suspicious/noThenProperty: it is what makes a promise of RPC one that can be awaited
  then(fulfilled: Fulfilled, rejected: Rejected): Promise<unknown> {
    return PromiseThen(resultOf(this, "then"), fulfilled, rejected as never);
  },
  catch(rejected: Rejected): Promise<unknown> {
    return PromiseThen(resultOf(this, "catch"), undefined, rejected as never);
  },
  finally(done: (() => unknown) | undefined): Promise<unknown> {
    const value = resultOf(this, "finally");
    if (typeof done !== "function") return PromiseThen(value, undefined, undefined);
    return PromiseThen(
      value,
      (result) => PromiseThen(promiseResolve(done()), () => result),
      (reason) =>
        PromiseThen(promiseResolve(done()), () => {
          throw reason;
        }),
    );
  },
};

const stubMethods = {
  /** Another stub for the same, which is disposed of by itself. */
  dup(): object {
    const data = dataOf(this, "dup");
    if (data.kind !== "stub" || data.disposed) {
      throw new Error("cannot duplicate the RPC stub: it was disposed of");
    }
    return makeStub(data.callee).stub;
  },
};

function disposeThis(this: unknown): void {
  const data = dataOf(this, "Symbol.dispose");
  if (data.kind === "promise") data.callee.dispose();
  else disposeStub(data);
}

function define(holder: object, key: PropertyKey, value: unknown): void {
  const descriptor = { __proto__: null, value, writable: true, configurable: true };
  ObjectDefineProperty(holder, key, descriptor as PropertyDescriptor);
}

/**
 * The members of whatever stands at the other end, behind the methods of the class: `then` is none of a stub, or each
 * stub that an async function returns would be asked for it.
 */
const members = new ProxyNative(
  ObjectCreate(null) as object,
  {
    __proto__: null,
    get(_target: object, key: PropertyKey, receiver: unknown): unknown {
      if (typeof key !== "string" || key === "then") return undefined;
      if (ReflectHas(ObjectPrototype, key)) return ReflectGet(ObjectPrototype, key, receiver);
      const data = isObject(receiver) ? stubData.get(receiver) : undefined;
      if (data === undefined) return undefined;
      return makeMember(data, key);
    },
  } as ProxyHandler<object>,
);

function makeMember(data: StubData, name: string): object {
  if (data.kind === "stub") {
    // A member of a stub that is disposed of is of no use either.
    const callee: Callee = {
      owner: data.callee.owner,
      invoke: (names, args) => invokeStub(data, names, args),
    };
    return makeProperty(callee, [name]);
  }
  const path = ArraySlice(data.path);
  ArrayPush(path, name);
  return makeProperty(data.callee, path);
}

// No loop over arrays: the Worker's code came before this, and may have changed how arrays are iterated.
function name(Class: { readonly prototype: object }, tag: string): void {
  define(Class.prototype, SymbolToStringTag, tag);
  ObjectSetPrototypeOf(Class.prototype, members);
}

function makeThenable(prototype: object): void {
  define(prototype, "then", promiseMethods.then);
  define(prototype, "catch", promiseMethods.catch);
  define(prototype, "finally", promiseMethods.finally);
}

name(RpcStub, "RpcStub");
name(RpcPromise, "RpcPromise");
name(RpcProperty, "RpcProperty");
define(RpcStub.prototype, "dup", stubMethods.dup);
define(RpcStub.prototype, SymbolDispose, disposeThis);
define(RpcPromise.prototype, SymbolDispose, disposeThis);
makeThenable(RpcPromise.prototype);
makeThenable(RpcProperty.prototype);

/** A result can be disposed of as a whole, whatever it holds. */
export function addDisposer(value: unknown, dispose: () => void): void {
  if (typeof value === "object" && value !== null) define(value, SymbolDispose, dispose);
}
