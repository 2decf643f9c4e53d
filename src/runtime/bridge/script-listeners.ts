import { ErrorEvent, PromiseRejectionEvent } from "../web/event-kinds.ts";
import { dispatch, EventTarget, hasListeners, markTrusted, showAs } from "../web/events.ts";
import {
  markHandled,
  ObjectDefineProperty,
  ObjectSetPrototypeOf,
  promiseReject,
  StringIndexOf,
  StringSlice,
} from "../web/primordials.ts";
import { errorClasses } from "../web/structured-clone.ts";
import { defineInterface, illegalConstructor } from "../web/webidl.ts";
import { describeError } from "./describe-error.ts";
import { ExtendableEvent, FetchEvent } from "./script-events.ts";

/** HTML §10.2.1.1. */
class WorkerGlobalScope extends EventTarget {
  constructor() {
    super();
    throw illegalConstructor();
  }
}

/** What Workers of this kind are by their standard (Service Workers §4.1), and what code asks for to know where it is. */
class ServiceWorkerGlobalScope extends WorkerGlobalScope {}

defineInterface(WorkerGlobalScope, "WorkerGlobalScope");
defineInterface(ServiceWorkerGlobalScope, "ServiceWorkerGlobalScope");

/** The global scope as an event target: `fetch` of service-worker syntax, `error` and `unhandledrejection`. */
export class ScriptListeners {
  readonly #target = new EventTarget();
  readonly #hears: () => void;
  #fetchListeners = 0;
  #hearsRejections = false;
  #tellsError = false;

  /** @param hears is called once, when there is the first listener for rejections that nobody handles. */
  constructor(hears: () => void) {
    this.#hears = hears;
  }

  /** What dispatches a fetch event, or null when nothing listens. */
  current(): ((event: FetchEvent) => void) | null {
    return this.#fetchListeners > 0 ? this.#dispatch : null;
  }

  readonly #dispatch = (event: FetchEvent): void => {
    this.#target.dispatchEvent(event);
  };

  /** Fires `error` (HTML §8.1.4.6). @returns whether a listener took charge of the exception. */
  tellError(error: unknown): boolean {
    // What a listener for errors throws is not told to it again.
    if (this.#tellsError || !hasListeners(this.#target, "error")) return false;
    this.#tellsError = true;
    try {
      const { message } = describeError(error);
      const event = new ErrorEvent("error", { message, error, cancelable: true });
      markTrusted(event);
      return !dispatch(this.#target, event);
    } finally {
      this.#tellsError = false;
    }
  }

  /**
   * Fires `unhandledrejection` (HTML §8.1.4.7). Only the host hears from V8, and only a text: the event's reason is made
   * of it, and its promise is another one.
   *
   * @returns whether a listener took charge of it.
   */
  tellRejection(message: string, stack: string): boolean {
    if (!hasListeners(this.#target, "unhandledrejection")) return false;
    const reason = reasonOf(message, stack);
    const promise = promiseReject(reason);
    markHandled(promise);
    const event = new PromiseRejectionEvent("unhandledrejection", { promise, reason, cancelable: true });
    markTrusted(event);
    return !dispatch(this.#target, event);
  }

  install(scope: Record<string, unknown>): void {
    const target = this.#target;
    showAs(target, scope);
    const define = (name: string, value: unknown, enumerable: boolean): void => {
      ObjectDefineProperty(scope, name, { value, writable: true, configurable: true, enumerable });
    };
    const operation = (name: string, value: object, length: number): void => {
      // Not left to the bundler, which drops the names of functions.
      ObjectDefineProperty(value, "name", { value: name });
      ObjectDefineProperty(value, "length", { value: length });
      define(name, value, true);
    };
    const add = (type: string, listener: never, options?: never): void => {
      target.addEventListener(type, listener, options);
      if (type === "fetch") this.#fetchListeners++;
      if (type !== "unhandledrejection" || this.#hearsRejections) return;
      this.#hearsRejections = true;
      this.#hears();
    };
    const remove = (type: string, listener: never, options?: never): void => {
      target.removeEventListener(type, listener, options);
      if (type === "fetch" && this.#fetchListeners > 0) this.#fetchListeners--;
    };
    operation("addEventListener", add, 2);
    operation("removeEventListener", remove, 2);
    operation("dispatchEvent", (event: never): boolean => target.dispatchEvent(event), 1);
    define("WorkerGlobalScope", WorkerGlobalScope, false);
    define("ServiceWorkerGlobalScope", ServiceWorkerGlobalScope, false);
    define("ExtendableEvent", ExtendableEvent, false);
    define("FetchEvent", FetchEvent, false);
    ObjectSetPrototypeOf(scope, ServiceWorkerGlobalScope.prototype);
  }
}

/** The error that a text of the host's describes, or the text of a value that is none. */
function reasonOf(message: string, stack: string): unknown {
  const thrown = "thrown: ";
  if (stack === "" && StringIndexOf(message, thrown) === 0) return StringSlice(message, thrown.length);
  const colon = StringIndexOf(message, ": ");
  const name = colon < 0 ? "Error" : StringSlice(message, 0, colon);
  const Class = errorClasses[name] ?? (errorClasses["Error"] as ErrorConstructor);
  const error = new Class(colon < 0 ? message : StringSlice(message, colon + 2));
  if (error.name !== name) ObjectDefineProperty(error, "name", hidden(name));
  ObjectDefineProperty(error, "stack", hidden(stack));
  return error;
}

function hidden(value: string): PropertyDescriptor {
  return { __proto__: null, value, writable: true, configurable: true } as PropertyDescriptor;
}
