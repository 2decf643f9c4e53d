import {
  ArrayBufferNative,
  FunctionPrototype,
  isArrayBuffer,
  ObjectDefineProperty,
  ObjectGetPrototypeOf,
  PromiseThen,
  promiseReject,
  promiseResolve,
  ReflectApply,
  ReflectConstruct,
  ReflectGetOwnPropertyDescriptor,
  ReflectOwnKeys,
} from "./primordials.ts";

type Scope = Record<string, unknown>;

function define(holder: object, key: PropertyKey, value: unknown): void {
  ObjectDefineProperty(holder, key, {
    __proto__: null,
    value,
    writable: true,
    configurable: true,
  } as PropertyDescriptor);
}

/**
 * Takes from the global scope what would let a Worker past its limits: memory that V8 does not count, and waiting that
 * blocks the shard.
 */
export function confine(scope: Scope): void {
  const shared = scope["SharedArrayBuffer"] as { readonly prototype: object } | undefined;
  if (shared !== undefined) Reflect.deleteProperty(shared.prototype, "constructor");
  Reflect.deleteProperty(scope, "SharedArrayBuffer");
  // Waiting would block every Worker of the shard: all run on its main thread.
  Reflect.deleteProperty(Atomics, "wait");
  Reflect.deleteProperty(Atomics, "waitAsync");
  Reflect.deleteProperty(Atomics, "pause");
  confineBuffers(scope);
  confineWebAssembly(scope);
}

/** A resizable buffer's memory is not counted by the isolate's limit, so none can be made. */
function confineBuffers(scope: Scope): void {
  const { prototype } = ArrayBufferNative;
  // An ordinary function: a class's `prototype` cannot be another object.
  function FixedBuffer(length?: unknown): object {
    if (new.target === undefined) throw new TypeError("cannot make an ArrayBuffer without new");
    return ReflectConstruct(ArrayBufferNative, [length], new.target as unknown as typeof Object) as object;
  }
  const keys = ReflectOwnKeys(ArrayBufferNative);
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i] as PropertyKey;
    if (key === "prototype") continue;
    const descriptor = ReflectGetOwnPropertyDescriptor(ArrayBufferNative, key) as PropertyDescriptor;
    ObjectDefineProperty(FixedBuffer, key, descriptor);
  }
  ObjectDefineProperty(FixedBuffer, "prototype", { value: prototype, writable: false });
  define(prototype, "constructor", FixedBuffer);
  define(scope, "ArrayBuffer", FixedBuffer);
}

/** No code from text: `eval`, `Function` and its hidden siblings throw (CSP's refusal, EvalError). Cannot be undone. */
export function confineCode(scope: Scope): void {
  const refuse = (): never => {
    throw new EvalError("cannot make code of text: it is not allowed in a Worker");
  };
  const evaluate = (_code?: unknown): never => refuse();
  ObjectDefineProperty(evaluate, "name", { value: "eval", configurable: true });
  ObjectDefineProperty(evaluate, "length", { value: 1, configurable: true });
  define(scope, "eval", evaluate);
  const prototypes: object[] = [
    FunctionPrototype,
    ObjectGetPrototypeOf(async () => {}) as object,
    ObjectGetPrototypeOf(function* () {}) as object,
    ObjectGetPrototypeOf(async function* () {}) as object,
  ];
  const names = ["Function", "AsyncFunction", "GeneratorFunction", "AsyncGeneratorFunction"];
  for (let i = 0; i < prototypes.length; i++) {
    const prototype = prototypes[i] as object;
    // Not an arrow function: `new Function(…)` must get as far as the refusal, and `instanceof Function` must work.
    function replacement(this: unknown, ..._args: unknown[]): never {
      return refuse();
    }
    ObjectDefineProperty(replacement, "name", { value: names[i] as string, configurable: true });
    ObjectDefineProperty(replacement, "length", { value: 1, configurable: true });
    ObjectDefineProperty(replacement, "prototype", { value: prototype, writable: false });
    // Pinned: it is the only way to the constructor that compiles.
    ObjectDefineProperty(prototype, "constructor", {
      __proto__: null,
      value: replacement,
      writable: false,
      configurable: false,
    } as PropertyDescriptor);
    if (i === 0) define(scope, "Function", replacement);
  }
}

interface WebAssemblyScope {
  Module: new (bytes: unknown) => object;
  Instance: new (module: unknown, imports?: unknown) => object;
  Memory: { readonly prototype: object };
}

/** Neither shared nor resizable buffers come out of a WebAssembly memory: see `confine` and `confineBuffers`. */
function confineMemory(prototype: object): void {
  Reflect.deleteProperty(prototype, "toResizableBuffer");
  const descriptor = ReflectGetOwnPropertyDescriptor(prototype, "buffer") as PropertyDescriptor;
  const native = descriptor.get as () => unknown;
  const { get } = ReflectGetOwnPropertyDescriptor(
    {
      get buffer(): unknown {
        const buffer = ReflectApply(native, this, []) as unknown;
        if (!isArrayBuffer(buffer)) throw new TypeError("cannot use a shared memory: there are no threads");
        return buffer;
      },
    },
    "buffer",
  ) as { get: () => unknown };
  ObjectDefineProperty(prototype, "buffer", { __proto__: null, ...descriptor, get } as PropertyDescriptor);
}

/** V8's asynchronous functions never settle when an isolate is entered synchronously only. */
function confineWebAssembly(scope: Scope): void {
  const wasm = scope.WebAssembly as WebAssemblyScope | undefined;
  if (wasm === undefined) return;
  const { Module, Instance } = wasm;
  confineMemory(wasm.Memory.prototype);
  const later = <T>(work: () => T): Promise<T> => PromiseThen(promiseResolve(undefined), work);
  const compile = { compile: (bytes: unknown) => later(() => new Module(bytes)) }.compile;
  const instantiate = {
    instantiate(source: unknown, imports?: unknown): Promise<unknown> {
      return later(() => {
        if (source instanceof Module) return new Instance(source, imports);
        const module = new Module(source);
        return { module, instance: new Instance(module, imports) };
      });
    },
  }.instantiate;
  const bytesOf = (response: unknown): Promise<unknown> =>
    PromiseThen(promiseResolve(response), (value) => {
      const body = value as { arrayBuffer?: () => Promise<ArrayBuffer> } | null;
      if (body === null || typeof body?.arrayBuffer !== "function") {
        return promiseReject(new TypeError("cannot compile: source is not a Response"));
      }
      return body.arrayBuffer();
    });
  const compileStreaming = {
    compileStreaming: (response: unknown) => PromiseThen(bytesOf(response), compile),
  }.compileStreaming;
  const instantiateStreaming = {
    instantiateStreaming: (response: unknown, imports?: unknown) =>
      PromiseThen(bytesOf(response), (bytes) => instantiate(bytes, imports)),
  }.instantiateStreaming;
  define(wasm, "compile", compile);
  define(wasm, "instantiate", instantiate);
  define(wasm, "compileStreaming", compileStreaming);
  define(wasm, "instantiateStreaming", instantiateStreaming);
}
