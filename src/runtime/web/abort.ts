import { Dependents } from "./dependents.ts";
import { DOMException } from "./dom-exception.ts";
import {
  dispatch,
  Event,
  EventTarget,
  getHandler,
  hasListeners,
  markTrusted,
  provideSignals,
  setHandler,
} from "./events.ts";
import {
  ArrayPush,
  SetAdd,
  SetDelete,
  SetForEach,
  SetNative,
  SetSize,
  SymbolIterator,
} from "./primordials.ts";
import { setTimeout } from "./timers.ts";
import {
  defineInterface,
  enforceRange,
  illegalConstructor,
  internal,
  isObject,
  requireArguments,
} from "./webidl.ts";

export let isAbortSignal: (value: unknown) => value is AbortSignal;
/** Aborts; an undefined reason becomes an AbortError. */
export let signalAbort: (signal: AbortSignal, reason: unknown) => void;
/** Runs `algorithm` once when the signal aborts, before its listeners hear of it; never if it has aborted already. */
export let addAbortAlgorithm: (signal: AbortSignal, algorithm: () => void) => void;
export let removeAbortAlgorithm: (signal: AbortSignal, algorithm: () => void) => void;
/** Makes `signal` abort whenever `source` does. */
export let followSignal: (signal: AbortSignal, source: AbortSignal) => void;

let signalListened: (signal: AbortSignal, listening: boolean) => void;

/** DOM §3.2. Listeners, algorithms and dependents cost nothing until there are some. */
export class AbortSignal extends EventTarget {
  #aborted = false;
  #reason: unknown = undefined;
  #algorithms: Set<() => void> | null = null;
  /** Signals that follow this one, in the order of their making. */
  #dependents: Dependents<AbortSignal> | null = null;
  /** The signals that this one follows; none of them follows another. */
  #sources: AbortSignal[] | null = null;

  constructor(token?: unknown) {
    if (token !== internal) throw illegalConstructor();
    super();
  }

  static abort(reason?: unknown): AbortSignal {
    const signal = new AbortSignal(internal);
    signal.#aborted = true;
    signal.#reason = reason === undefined ? abortError() : reason;
    return signal;
  }

  static timeout(milliseconds: number): AbortSignal {
    requireArguments(arguments.length, 1, "AbortSignal.timeout");
    const delay = enforceRange(milliseconds, Number.MAX_SAFE_INTEGER, "milliseconds");
    const signal = new AbortSignal(internal);
    setTimeout(() => {
      signal.#abort(new DOMException("The operation was aborted due to timeout", "TimeoutError"));
    }, delay);
    return signal;
  }

  static any(signals: Iterable<AbortSignal>): AbortSignal {
    requireArguments(arguments.length, 1, "AbortSignal.any");
    if (!isObject(signals) || typeof signals[SymbolIterator] !== "function") {
      throw new TypeError("cannot combine signals: signals is not iterable");
    }
    const sources: AbortSignal[] = [];
    for (const source of signals) {
      if (!isAbortSignal(source)) throw new TypeError("cannot combine signals: one is not an AbortSignal");
      ArrayPush(sources, source);
    }
    const result = new AbortSignal(internal);
    for (let i = 0; i < sources.length; i++) {
      const source = sources[i] as AbortSignal;
      if (!source.#aborted) continue;
      result.#aborted = true;
      result.#reason = source.#reason;
      return result;
    }
    result.#sources = [];
    for (let i = 0; i < sources.length; i++) result.#follow(sources[i] as AbortSignal);
    return result;
  }

  get aborted(): boolean {
    return this.#aborted;
  }

  get reason(): unknown {
    return this.#reason;
  }

  throwIfAborted(): void {
    if (this.#aborted) throw this.#reason;
  }

  get onabort(): unknown {
    return getHandler(this, "abort");
  }

  set onabort(value: unknown) {
    setHandler(this, "abort", value);
  }

  #abort(reason: unknown): void {
    if (this.#aborted) return;
    this.#aborted = true;
    this.#reason = reason;
    const dependents = this.#dependents;
    this.#dependents = null;
    if (dependents === null) {
      this.#notify();
      return;
    }
    // All dependents are marked before any event runs (DOM §3.2, signal abort).
    const marked: AbortSignal[] = [];
    const live = dependents.live();
    for (let i = 0; i < live.length; i++) {
      const dependent = live[i] as AbortSignal;
      if (dependent.#aborted) continue;
      dependent.#aborted = true;
      dependent.#reason = reason;
      dependent.#leave();
      ArrayPush(marked, dependent);
    }
    this.#notify();
    for (let i = 0; i < marked.length; i++) (marked[i] as AbortSignal).#notify();
  }

  /** Follows a signal that has not aborted, or those that it follows itself. */
  #follow(source: AbortSignal): void {
    const roots = source.#sources;
    if (roots === null) {
      source.#dependents ??= new Dependents();
      source.#dependents.add(this);
      ArrayPush(this.#sources as AbortSignal[], source);
      return;
    }
    for (let i = 0; i < roots.length; i++) this.#follow(roots[i] as AbortSignal);
  }

  /** Somebody waits for this signal, so those that it follows keep it; else nobody would abort it. */
  #hold(): void {
    const sources = this.#sources;
    for (let i = 0; sources !== null && i < sources.length; i++) {
      (sources[i] as AbortSignal).#dependents?.hold(this);
    }
  }

  /** Nobody waits any more. */
  #leave(): void {
    const sources = this.#sources;
    for (let i = 0; sources !== null && i < sources.length; i++) {
      (sources[i] as AbortSignal).#dependents?.release(this);
    }
  }

  #notify(): void {
    const algorithms = this.#algorithms;
    this.#algorithms = null;
    if (algorithms !== null) SetForEach(algorithms, (algorithm) => algorithm());
    if (!hasListeners(this, "abort")) return;
    const event = new Event("abort");
    markTrusted(event);
    dispatch(this, event);
  }

  static {
    isAbortSignal = (value): value is AbortSignal => isObject(value) && #aborted in value;
    signalAbort = (signal, reason) => signal.#abort(reason === undefined ? abortError() : reason);
    addAbortAlgorithm = (signal, algorithm) => {
      if (signal.#aborted) return;
      signal.#algorithms ??= new SetNative();
      SetAdd(signal.#algorithms, algorithm);
      if (signal.#sources !== null) signal.#hold();
    };
    removeAbortAlgorithm = (signal, algorithm) => {
      if (signal.#algorithms === null) return;
      SetDelete(signal.#algorithms, algorithm);
      if (signal.#sources !== null && SetSize(signal.#algorithms) === 0 && !hasListeners(signal, "abort")) {
        signal.#leave();
      }
    };
    followSignal = (signal, source) => {
      if (source.#aborted) {
        signal.#abort(source.#reason);
        return;
      }
      signal.#sources ??= [];
      signal.#follow(source);
      if (signal.#algorithms !== null || hasListeners(signal, "abort")) signal.#hold();
    };
    signalListened = (signal, listening) => {
      if (signal.#sources === null || signal.#aborted) return;
      if (listening) signal.#hold();
      else if (signal.#algorithms === null || SetSize(signal.#algorithms) === 0) signal.#leave();
    };
  }
}

/** A signal that only the runtime can abort. */
export function createAbortSignal(): AbortSignal {
  return new AbortSignal(internal);
}

function abortError(): DOMException {
  return new DOMException("This operation was aborted", "AbortError");
}

/** DOM §3.1. */
export class AbortController {
  readonly #signal: AbortSignal = new AbortSignal(internal);

  get signal(): AbortSignal {
    return this.#signal;
  }

  abort(reason?: unknown): void {
    signalAbort(this.#signal, reason);
  }
}

defineInterface(AbortSignal, "AbortSignal", 0, { abort: 0 });
defineInterface(AbortController, "AbortController", 0, { abort: 0 });

provideSignals({
  isSignal: isAbortSignal,
  aborted: (signal) => (signal as AbortSignal).aborted,
  onAbort: (signal, algorithm) => addAbortAlgorithm(signal as AbortSignal, algorithm),
  listened: (target, listening) => {
    if (isAbortSignal(target)) signalListened(target, listening);
  },
});
