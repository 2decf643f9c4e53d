import { bindFrame } from "./async-context.ts";
import { host } from "./host.ts";
import { PromiseThen, promiseResolve } from "./primordials.ts";
import { requireArguments } from "./webidl.ts";

const settled = promiseResolve(undefined);

/** HTML §8.7. An exception in the callback goes to the host, not into a rejected promise. */
export function queueMicrotask(callback: () => unknown): void {
  requireArguments(arguments.length, 1, "queueMicrotask");
  if (typeof callback !== "function") {
    throw new TypeError("cannot queue a microtask: callback is not a function");
  }
  const run = bindFrame(callback);
  PromiseThen(settled, () => {
    try {
      run();
    } catch (error) {
      host.reportException(error);
    }
  });
}

/** HTML §8.1.4.6. */
export function reportError(error: unknown): void {
  requireArguments(arguments.length, 1, "reportError");
  host.reportException(error);
}
