import {
  bindFrame,
  callInFrame,
  currentFrame,
  Frame,
  framesAreTracked,
  setFrame,
  trackFrames,
} from "../web/async-context.ts";
import {
  MapNative,
  MapSet,
  ObjectDefineProperty,
  ReflectApply,
  ReflectConstruct,
} from "../web/primordials.ts";
import { invalidType, notImplemented, validateFunction, validateString } from "./errors.ts";

type AnyFunction = (this: unknown, ...parameters: never[]) => unknown;

/** Has promises and finalizers of the Worker's own call back in the frame in which it asked them to. */
export function track(): void {
  if (framesAreTracked()) return;
  trackFrames();
  const { prototype } = Promise;
  const native = prototype.then;
  const { then } = {
    // biome-ignore lint/suspicious/noThenProperty: it is the method of promises that is replaced.
    then(this: Promise<unknown>, fulfilled?: unknown, rejected?: unknown): unknown {
      return ReflectApply(native, this, [
        typeof fulfilled === "function" ? bindFrame(fulfilled as AnyFunction) : fulfilled,
        typeof rejected === "function" ? bindFrame(rejected as AnyFunction) : rejected,
      ]);
    },
  };
  ObjectDefineProperty(prototype, "then", {
    __proto__: null,
    value: then,
    writable: true,
    configurable: true,
  } as PropertyDescriptor);
  const NativeRegistry = FinalizationRegistry;
  // An ordinary function: `instanceof` and the prototype stay the native class's.
  function Registry(callback: unknown): object {
    if (new.target === undefined) throw new TypeError("cannot make a FinalizationRegistry without new");
    const bound = typeof callback === "function" ? bindFrame(callback as AnyFunction) : callback;
    return ReflectConstruct(NativeRegistry, [bound], new.target as unknown as typeof Object) as object;
  }
  Registry.prototype = NativeRegistry.prototype;
  ObjectDefineProperty(Registry, "name", { value: "FinalizationRegistry" });
  ObjectDefineProperty(NativeRegistry.prototype, "constructor", { value: Registry });
  ObjectDefineProperty(globalThis, "FinalizationRegistry", { value: Registry });
}

/** `values` with one more; null removes. */
function framed(storage: object, value: unknown, remove: boolean): Frame | undefined {
  const frame = currentFrame();
  const values = new MapNative<object, unknown>();
  frame?.values?.forEach((held, key) => {
    if (!remove || key !== storage) MapSet(values, key, held);
  });
  if (!remove) MapSet(values, storage, value);
  return new Frame(frame === undefined ? 0 : frame.exchange, values);
}

/** node:async_hooks. A value that goes along with everything that `run` sets off. */
export class AsyncLocalStorage {
  readonly #default: unknown;
  readonly #name: string;

  constructor(options: { defaultValue?: unknown; name?: string } = {}) {
    if (options === null || typeof options !== "object")
      throw invalidType("options", "of type object", options);
    if (options.name !== undefined) validateString(options.name, "options.name");
    this.#default = options.defaultValue;
    this.#name = options.name ?? "";
  }

  get name(): string {
    return this.#name;
  }

  static bind(callback: AnyFunction): AnyFunction {
    return AsyncResource.bind(callback);
  }

  /** A function that calls what it is given in the present frame. */
  static snapshot(): (callback: AnyFunction, ...parameters: unknown[]) => unknown {
    const frame = currentFrame();
    return (callback, ...parameters) => callInFrame(frame, callback as never, undefined, parameters);
  }

  run(store: unknown, callback: AnyFunction, ...parameters: unknown[]): unknown {
    if (Object.is(this.getStore(), store)) return ReflectApply(callback, null, parameters as never[]);
    return callInFrame(framed(this, store, false), callback as never, null, parameters);
  }

  exit(callback: AnyFunction, ...parameters: unknown[]): unknown {
    return callInFrame(framed(this, undefined, false), callback as never, null, parameters);
  }

  enterWith(store: unknown): void {
    setFrame(framed(this, store, false));
  }

  disable(): void {
    setFrame(framed(this, undefined, true));
  }

  getStore(): unknown {
    const values = currentFrame()?.values;
    if (values?.has(this) === true) return values.get(this);
    return this.#default;
  }

  withScope(store: unknown): { [Symbol.dispose](): void; dispose(): void } {
    const before = currentFrame();
    this.enterWith(store);
    const dispose = (): void => setFrame(before);
    return { dispose, [Symbol.dispose]: dispose };
  }
}

let lastId = 1;

/** Something that calls back later, in the frame in which it was made. */
export class AsyncResource {
  readonly #frame = currentFrame();
  readonly #id = ++lastId;

  constructor(type: string, _options?: unknown) {
    validateString(type, "type");
  }

  runInAsyncScope(callback: AnyFunction, self?: unknown, ...parameters: unknown[]): unknown {
    return callInFrame(this.#frame, callback as never, self, parameters);
  }

  emitDestroy(): this {
    return this;
  }

  asyncId(): number {
    return this.#id;
  }

  triggerAsyncId(): number {
    return 1;
  }

  bind(callback: AnyFunction): AnyFunction {
    validateFunction(callback, "fn");
    const { runInAsyncScope } = AsyncResource.prototype;
    const resource = this;
    const bound = function (this: unknown, ...parameters: unknown[]): unknown {
      return ReflectApply(runInAsyncScope, resource, [callback, this, ...parameters] as never);
    };
    ObjectDefineProperty(bound, "length", { value: callback.length, configurable: true });
    ObjectDefineProperty(bound, "asyncResource", { value: resource, configurable: true, enumerable: true });
    return bound;
  }

  static bind(callback: AnyFunction, type?: string, self?: unknown): AnyFunction {
    validateFunction(callback, "fn");
    const resource = new AsyncResource(type ?? (callback.name || "bound-anonymous-fn"));
    if (self === undefined) return resource.bind(callback);
    return resource.bind(function (this: unknown, ...parameters: never[]) {
      return ReflectApply(callback, self, parameters);
    });
  }
}

export const asyncHooks = {
  AsyncLocalStorage,
  AsyncResource,
  /** There is nothing to hook into: V8 tells of promises only whoever embeds it. */
  createHook: (): unknown => ({
    enable() {
      throw notImplemented("async_hooks.createHook().enable()");
    },
    disable() {
      return this;
    },
  }),
  executionAsyncId: (): number => 0,
  triggerAsyncId: (): number => 0,
  executionAsyncResource: (): object => ({}),
  asyncWrapProviders: Object.freeze({ __proto__: null }),
};
