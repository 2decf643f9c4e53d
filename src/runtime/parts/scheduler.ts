import { type AbortSignal, addAbortAlgorithm, isAbortSignal, removeAbortAlgorithm } from "../web/abort.ts";
import { Deferred, promiseReject } from "../web/primordials.ts";
import { clearTimeout, setTimeout } from "../web/timers.ts";
import {
  defineInterface,
  illegalConstructor,
  internal,
  requireArguments,
  toDictionary,
} from "../web/webidl.ts";

/** As in workerd: of the standard's scheduler (Prioritized Task Scheduling §2.2) only what waits. */
class Scheduler {
  constructor(token?: unknown) {
    if (token !== internal) throw illegalConstructor();
  }

  /** Resolves after `delay` milliseconds, or rejects with the reason of `signal` when that aborts before. */
  wait(delay: number, options?: { signal?: AbortSignal }): Promise<undefined> {
    try {
      requireArguments(arguments.length, 1, "wait");
      const signal = toDictionary(options, "cannot wait: options")?.["signal"];
      if (signal !== undefined && !isAbortSignal(signal)) {
        throw new TypeError("cannot wait: options.signal is not an AbortSignal");
      }
      if (signal?.aborted) return promiseReject(signal.reason);
      const done = new Deferred<undefined>();
      const abort = (): void => {
        clearTimeout(timer);
        done.reject(signal?.reason);
      };
      const timer = setTimeout(() => {
        if (signal !== undefined) removeAbortAlgorithm(signal, abort);
        done.resolve(undefined);
      }, delay);
      if (signal !== undefined) addAbortAlgorithm(signal, abort);
      return done.promise;
    } catch (error) {
      return promiseReject(error);
    }
  }
}

defineInterface(Scheduler, "Scheduler", 0, { wait: 1 });

export const scheduler: Scheduler = new Scheduler(internal);
