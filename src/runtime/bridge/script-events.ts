import { Event } from "../web/events.ts";
import { defineInterface, illegalConstructor, internal } from "../web/webidl.ts";
import type { ExecutionContext } from "./context.ts";

/** Service Workers §4.4. */
export class ExtendableEvent extends Event {
  readonly #context: ExecutionContext;

  constructor(token: unknown, type: string, context: ExecutionContext) {
    if (token !== internal) throw illegalConstructor();
    super(type, { cancelable: true });
    this.#context = context;
  }

  waitUntil(promise: unknown): void {
    this.#context.waitUntil(promise);
  }
}

defineInterface(ExtendableEvent, "ExtendableEvent");

/** What was given to respondWith. @throws Error when nobody called it. */
export let responseOf: (event: FetchEvent) => unknown;

/** The event of `addEventListener("fetch", …)`, for Workers in service-worker syntax (Service Workers §4.6). */
export class FetchEvent extends ExtendableEvent {
  readonly #request: unknown;
  readonly #passThrough: ExecutionContext;
  #response: unknown;
  #responded = false;

  constructor(token: unknown, request: unknown, context: ExecutionContext) {
    super(token, "fetch", context);
    this.#request = request;
    this.#passThrough = context;
  }

  get request(): unknown {
    return this.#request;
  }

  respondWith(response: unknown): void {
    if (this.#responded) throw new TypeError("respondWith() was called already for this event");
    this.#responded = true;
    this.#response = response;
  }

  passThroughOnException(): void {
    this.#passThrough.passThroughOnException();
  }

  static {
    responseOf = (event) => {
      if (!event.#responded) throw new Error("no listener called event.respondWith()");
      return event.#response;
    };
  }
}

defineInterface(FetchEvent, "FetchEvent");
