import { AbortError, invalidType, validateAbortSignal, validateFunction } from "./errors.ts";
import type { EventEmitter, Listener } from "./events.ts";

interface SignalOptions {
  signal?: AbortSignalLike;
}

interface AbortSignalLike {
  readonly aborted: boolean;
  readonly reason: unknown;
  addEventListener(name: string, listener: () => void, options?: object): void;
  removeEventListener(name: string, listener: () => void): void;
}

export interface Target {
  addEventListener(name: unknown, listener: unknown, options?: object): void;
  removeEventListener(name: unknown, listener: unknown, options?: object): void;
}

function listen(emitter: unknown, name: PropertyKey, listener: Listener, once = false): () => void {
  const node = emitter as EventEmitter;
  if (typeof node?.on === "function") {
    if (once) node.once(name, listener);
    else node.on(name, listener);
    return () => {
      node.removeListener(name, listener);
    };
  }
  const target = emitter as Target;
  if (typeof target?.addEventListener !== "function")
    throw invalidType("emitter", "an instance of EventEmitter", emitter);
  target.addEventListener(name, listener, { once });
  return () => target.removeEventListener(name, listener);
}

function demandSignal(options: unknown): AbortSignalLike | undefined {
  if (options !== undefined && (typeof options !== "object" || options === null))
    throw invalidType("options", "of type object", options);
  const signal = (options as SignalOptions | undefined)?.signal;
  validateAbortSignal(signal, "options.signal");
  return signal;
}

/** A promise for the parameters of the next event of that name. */
export async function once(
  emitter: EventEmitter,
  name: PropertyKey,
  options?: SignalOptions,
): Promise<unknown[]> {
  const signal = demandSignal(options);
  if (signal?.aborted === true) throw new AbortError(undefined, { cause: signal.reason });
  return new Promise((resolve, reject) => {
    const stops: (() => void)[] = [];
    const stop = (): void => {
      for (const end of stops) end();
    };
    stops.push(
      listen(
        emitter,
        name,
        (...parameters: unknown[]) => {
          stop();
          resolve(parameters);
        },
        true,
      ),
    );
    if (name !== "error" && typeof (emitter as EventEmitter).once === "function") {
      stops.push(
        listen(
          emitter,
          "error",
          (error: unknown) => {
            stop();
            reject(error);
          },
          true,
        ),
      );
    }
    if (signal === undefined) return;
    const abort = (): void => {
      stop();
      reject(new AbortError(undefined, { cause: signal.reason }));
    };
    signal.addEventListener("abort", abort, { once: true });
    stops.push(() => signal.removeEventListener("abort", abort));
  });
}

interface IteratorOptions extends SignalOptions {
  close?: PropertyKey[];
}

/** An asynchronous iterator over the parameters of events of that name. */
export function on(
  emitter: EventEmitter,
  name: PropertyKey,
  options?: IteratorOptions,
): AsyncIterator<unknown[]> {
  const signal = demandSignal(options);
  if (signal?.aborted === true) throw new AbortError(undefined, { cause: signal.reason });
  const events: unknown[][] = [];
  const waiting: { resolve(result: IteratorResult<unknown[]>): void; reject(error: unknown): void }[] = [];
  let failure: { error: unknown } | null = null;
  let finished = false;
  const done = (): IteratorResult<unknown[]> => ({ value: undefined, done: true });
  const stops: (() => void)[] = [];
  const finish = (): Promise<IteratorResult<unknown[]>> => {
    for (const end of stops) end();
    stops.length = 0;
    finished = true;
    for (const one of waiting.splice(0)) one.resolve(done());
    return Promise.resolve(done());
  };
  const fail = (error: unknown): void => {
    const first = waiting.shift();
    if (first === undefined) failure = { error };
    else first.reject(error);
    void finish();
  };
  stops.push(
    listen(emitter, name, (...parameters: unknown[]) => {
      const first = waiting.shift();
      if (first === undefined) events.push(parameters);
      else first.resolve({ value: parameters, done: false });
    }),
  );
  if (name !== "error" && typeof (emitter as EventEmitter).on === "function")
    stops.push(listen(emitter, "error", (error: unknown) => fail(error)));
  for (const closing of options?.close ?? []) stops.push(listen(emitter, closing, () => void finish()));
  if (signal !== undefined) {
    const abort = (): void => fail(new AbortError(undefined, { cause: signal.reason }));
    signal.addEventListener("abort", abort, { once: true });
    stops.push(() => signal.removeEventListener("abort", abort));
  }
  const iterator = {
    next(): Promise<IteratorResult<unknown[]>> {
      const value = events.shift();
      if (value !== undefined) return Promise.resolve({ value, done: false });
      if (failure !== null) {
        const { error } = failure;
        failure = null;
        return Promise.reject(error);
      }
      if (finished) return Promise.resolve(done());
      return new Promise((resolve, reject) => {
        waiting.push({ resolve, reject });
      });
    },
    return: finish,
    throw(error: unknown): Promise<IteratorResult<unknown[]>> {
      if (!(error instanceof Error))
        throw invalidType("EventEmitter.AsyncIterator", "an instance of Error", error);
      fail(error);
      return Promise.resolve(done());
    },
    [Symbol.asyncIterator]() {
      return iterator;
    },
  };
  return iterator as AsyncIterator<unknown[]>;
}

/** Calls `listener` when the signal aborts, even when that was before. */
export function addAbortListener(
  signal: AbortSignalLike,
  listener: () => void,
): { [Symbol.dispose](): void } {
  if (signal === undefined) throw invalidType("signal", "an instance of AbortSignal", signal);
  validateAbortSignal(signal, "signal");
  validateFunction(listener, "listener");
  if (signal.aborted) {
    queueMicrotask(() => listener());
    return { [Symbol.dispose]() {} };
  }
  signal.addEventListener("abort", listener, { once: true });
  return { [Symbol.dispose]: () => signal.removeEventListener("abort", listener) };
}

declare function queueMicrotask(run: () => void): void;
