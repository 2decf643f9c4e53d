import { bindFrame } from "../web/async-context.ts";
import {
  clearTimeout as clearWeb,
  setInterval as startInterval,
  setTimeout as startTimeout,
} from "../web/timers.ts";
import { AbortError, invalidType, validateAbortSignal, validateFunction } from "./errors.ts";

type Callback = (...parameters: unknown[]) => unknown;

const custom = Symbol.for("nodejs.util.promisify.custom");

/** What `setTimeout` and `setInterval` give. */
class Timeout {
  readonly #callback: Callback;
  readonly #ms: number;
  readonly #parameters: unknown[];
  readonly #repeats: boolean;
  #id = 0;
  #live = true;

  constructor(callback: Callback, ms: number | undefined, parameters: unknown[], repeats: boolean) {
    validateFunction(callback, "callback");
    this.#callback = bindFrame(callback);
    this.#ms = Math.max(1, Number(ms) || 1);
    this.#parameters = parameters;
    this.#repeats = repeats;
    this.#start();
  }

  #start(): void {
    const set = this.#repeats ? startInterval : startTimeout;
    this.#id = set(() => {
      if (!this.#repeats) this.#live = false;
      Reflect.apply(this.#callback, this, this.#parameters);
    }, this.#ms);
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  hasRef(): boolean {
    return this.#live;
  }

  refresh(): this {
    clearWeb(this.#id);
    this.#live = true;
    this.#start();
    return this;
  }

  close(): this {
    this.#live = false;
    clearWeb(this.#id);
    return this;
  }

  [Symbol.toPrimitive](): number {
    return this.#id;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

class Immediate {
  #cleared = false;

  constructor(callback: Callback, parameters: unknown[]) {
    validateFunction(callback, "callback");
    const run = bindFrame(callback);
    startTimeout(() => {
      if (!this.#cleared) run(...parameters);
    }, 0);
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  hasRef(): boolean {
    return !this.#cleared;
  }

  clear(): void {
    this.#cleared = true;
  }

  [Symbol.dispose](): void {
    this.clear();
  }
}

export function setImmediate(callback: Callback, ...parameters: unknown[]): Immediate {
  return new Immediate(callback, parameters);
}

export function clearImmediate(immediate: unknown): void {
  if (immediate instanceof Immediate) immediate.clear();
}

function clear(timer: unknown): void {
  if (timer instanceof Timeout) timer.close();
  else if (typeof timer === "number" || typeof timer === "string") clearWeb(Number(timer));
}

interface WaitOptions {
  signal?: {
    readonly aborted: boolean;
    readonly reason: unknown;
    addEventListener(name: string, listener: () => void, options: object): void;
    removeEventListener(name: string, listener: () => void): void;
  };
}

/** A promise that `start` settles; @returns what undoes `start`. */
function waited<T>(
  value: T,
  options: WaitOptions | undefined,
  start: (done: () => void) => () => void,
): Promise<T> {
  if (options !== undefined && (options === null || typeof options !== "object"))
    return Promise.reject(invalidType("options", "of type object", options));
  const signal = options?.signal;
  try {
    validateAbortSignal(signal, "options.signal");
  } catch (error) {
    return Promise.reject(error as Error);
  }
  if (signal?.aborted === true) return Promise.reject(new AbortError(undefined, { cause: signal.reason }));
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      undo();
      reject(new AbortError(undefined, { cause: signal?.reason }));
    };
    const undo = start(() => {
      signal?.removeEventListener("abort", abort);
      resolve(value);
    });
    signal?.addEventListener("abort", abort, { once: true });
  });
}

async function* everyInterval(ms?: number, value?: unknown, options?: WaitOptions): AsyncGenerator<unknown> {
  for (;;) yield await promises.setTimeout(ms, value, options);
}

/** node:timers/promises. */
export const promises = {
  scheduler: {
    wait: (ms: number, options?: WaitOptions): Promise<unknown> =>
      promises.setTimeout(ms, undefined, options),
    yield: (): Promise<unknown> => promises.setImmediate(),
  },
  setImmediate: (value?: unknown, options?: WaitOptions): Promise<unknown> =>
    waited(value, options, (done) => {
      const immediate = setImmediate(done);
      return () => immediate.clear();
    }),
  setInterval: everyInterval,
  setTimeout: (ms?: number, value?: unknown, options?: WaitOptions): Promise<unknown> =>
    waited(value, options, (done) => {
      const timer = new Timeout(done, ms, [], false);
      return () => void timer.close();
    }),
};

/** The global of that name too, with `nodejs_compat`. */
export function setTimeout(callback: Callback, ms?: number, ...parameters: unknown[]): Timeout {
  return new Timeout(callback, ms, parameters, false);
}
Object.assign(setTimeout, { [custom]: promises.setTimeout });

export function setInterval(callback: Callback, ms?: number, ...parameters: unknown[]): Timeout {
  return new Timeout(callback, ms, parameters, true);
}
Object.assign(setImmediate, { [custom]: promises.setImmediate });

/** node:timers. */
export const timers = {
  clearImmediate,
  clearInterval: clear,
  clearTimeout: clear,
  promises,
  setImmediate,
  setInterval,
  setTimeout,
};
