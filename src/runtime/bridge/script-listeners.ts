import { EventTarget } from "../web/events.ts";
import { ObjectDefineProperty } from "../web/primordials.ts";
import type { ScriptFetchEvent } from "./script-events.ts";

/** The global scope as an event target: `addEventListener("fetch", …)` of service-worker syntax. */
export class ScriptListeners {
  readonly #target = new EventTarget();
  #fetchListeners = 0;

  /** What dispatches a fetch event, or null when nothing listens. */
  current(): ((event: ScriptFetchEvent) => void) | null {
    return this.#fetchListeners > 0 ? this.#dispatch : null;
  }

  readonly #dispatch = (event: ScriptFetchEvent): void => {
    this.#target.dispatchEvent(event);
  };

  install(scope: Record<string, unknown>): void {
    const target = this.#target;
    const define = (name: string, value: unknown): void => {
      ObjectDefineProperty(scope, name, { value, writable: true, configurable: true, enumerable: true });
    };
    define("addEventListener", (type: string, listener: never, options?: never): void => {
      target.addEventListener(type, listener, options);
      if (type === "fetch") this.#fetchListeners++;
    });
    define("removeEventListener", (type: string, listener: never, options?: never): void => {
      target.removeEventListener(type, listener, options);
      if (type === "fetch" && this.#fetchListeners > 0) this.#fetchListeners--;
    });
    define("dispatchEvent", (event: never): boolean => target.dispatchEvent(event));
  }
}
