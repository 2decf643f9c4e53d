import { Event } from "../web/events.ts";
import type { ExecutionContext } from "./context.ts";

/** The event of `addEventListener("fetch", …)`, for Workers in service-worker syntax. */
export class ScriptFetchEvent extends Event {
  readonly request: unknown;
  readonly #context: ExecutionContext;
  #response: unknown;
  #responded = false;

  constructor(request: unknown, context: ExecutionContext) {
    super("fetch", { cancelable: true });
    this.request = request;
    this.#context = context;
  }

  respondWith(response: unknown): void {
    if (this.#responded) throw new TypeError("respondWith() was called already for this event");
    this.#responded = true;
    this.#response = response;
  }

  waitUntil(promise: unknown): void {
    this.#context.waitUntil(promise);
  }

  passThroughOnException(): void {
    this.#context.passThroughOnException();
  }

  /** What was given to respondWith. @throws Error when nobody called it. */
  response(): unknown {
    if (!this.#responded) throw new Error("no listener called event.respondWith()");
    return this.#response;
  }
}
