import { ArrayPush, ObjectCreate, ReflectApply, ReflectOwnKeys } from "../web/primordials.ts";
import { internal } from "../web/webidl.ts";
import type { ExecutionContext, Invocation } from "./context.ts";
import { WorkerEntrypoint } from "./entrypoint.ts";
import { FetchEvent, responseOf } from "./script-events.ts";

type Handler = (...parameters: readonly unknown[]) => unknown;
type EntrypointClass = new (context: ExecutionContext, env: unknown) => Record<string, unknown>;

/** The Worker says that it has no such entrypoint or handler. */
class HandlerMissing extends Error {
  readonly #missing = true;

  static is(error: unknown): error is HandlerMissing {
    return typeof error === "object" && error !== null && #missing in error;
  }
}

/** By its brand: the Worker may have changed what `instanceof` says. */
export const isHandlerMissing: (error: unknown) => error is Error = HandlerMissing.is;

/** What a Worker exports, and how its handlers are called. */
export class Handlers {
  #exports: Record<string, unknown> | null = null;
  readonly #env: unknown;
  /** Listeners of addEventListener("fetch"), for a Worker in service-worker syntax. */
  readonly #listener: () => ((event: FetchEvent) => void) | null;

  constructor(env: unknown, listener: () => ((event: FetchEvent) => void) | null) {
    this.#env = env;
    this.#listener = listener;
  }

  /** @param exported the Worker's module namespace; null for service-worker syntax. */
  loaded(exported: Record<string, unknown> | null): void {
    this.#exports = exported;
  }

  /** Which handlers each entrypoint has. */
  entrypoints(): Record<string, string[]> {
    const found: Record<string, string[]> = ObjectCreate(null) as Record<string, string[]>;
    if (this.#exports === null) {
      if (this.#listener() !== null) found["default"] = ["fetch"];
      return found;
    }
    const names = ReflectOwnKeys(this.#exports);
    for (let i = 0; i < names.length; i++) {
      const name = names[i];
      if (typeof name !== "string") continue;
      const exported = this.#exports[name];
      const target = isEntrypointClass(exported) ? exported.prototype : exported;
      if (typeof target !== "object" || target === null) continue;
      const handlers: string[] = [];
      for (let k = 0; k < kinds.length; k++) {
        const kind = kinds[k] as string;
        if (typeof (target as Record<string, unknown>)[kind] === "function") ArrayPush(handlers, kind);
      }
      if (handlers.length > 0) found[name] = handlers;
    }
    return found;
  }

  /** Calls the `fetch` handler; gives what it returns, which may be a promise. */
  fetch(invocation: Invocation, entrypoint: string, request: unknown): unknown {
    const { context } = invocation;
    if (this.#exports === null) {
      const listener = entrypoint === "default" ? this.#listener() : null;
      if (listener === null) throw new HandlerMissing('the script has no listener for "fetch"');
      const event = new FetchEvent(internal, request, context);
      listener(event);
      return responseOf(event);
    }
    return this.#call(invocation, entrypoint, "fetch", request);
  }

  /** Calls the `test` handler. */
  test(invocation: Invocation, entrypoint: string): unknown {
    if (this.#exports === null) throw new HandlerMissing('a script has no handler for "test"');
    return this.#call(invocation, entrypoint, "test", ObjectCreate(null));
  }

  /** Calls the `connect` handler with a socket. */
  connect(invocation: Invocation, entrypoint: string, socket: unknown): unknown {
    if (this.#exports === null) throw new HandlerMissing('a script has no handler for "connect"');
    return this.#call(invocation, entrypoint, "connect", socket);
  }

  /** What calls over RPC find: a fresh instance of the entrypoint's class, or the object that holds the handlers. */
  callee(invocation: Invocation, entrypoint: string): { readonly value: object; readonly isClass: boolean } {
    const exported = this.#exports === null ? null : this.#exports[entrypoint];
    if (typeof exported === "function" && exported.prototype instanceof WorkerEntrypoint) {
      return {
        value: new (exported as EntrypointClass)(invocation.context, invocation.env ?? this.#env),
        isClass: true,
      };
    }
    if (typeof exported === "object" && exported !== null) return { value: exported, isClass: false };
    throw new TypeError(
      typeof exported === "function"
        ? `cannot call the entrypoint "${entrypoint}": its class does not extend WorkerEntrypoint`
        : `cannot call the entrypoint "${entrypoint}": the Worker has none of that name`,
    );
  }

  get env(): unknown {
    return this.#env;
  }

  #call(invocation: Invocation, entrypoint: string, name: string, argument: unknown): unknown {
    const exported = (this.#exports as Record<string, unknown>)[entrypoint];
    const { context } = invocation;
    const env = invocation.env ?? this.#env;
    if (isEntrypointClass(exported)) {
      const instance = new exported(context, env);
      const handler = instance[name];
      if (typeof handler !== "function") {
        throw new HandlerMissing(`the entrypoint "${entrypoint}" has no method "${name}"`);
      }
      return ReflectApply(handler, instance, [argument, env, context]);
    }
    if (typeof exported !== "object" || exported === null) {
      throw new HandlerMissing(`the Worker has no entrypoint "${entrypoint}"`);
    }
    const handler = (exported as Record<string, unknown>)[name];
    if (typeof handler !== "function") {
      throw new HandlerMissing(`the entrypoint "${entrypoint}" has no handler "${name}"`);
    }
    return ReflectApply(handler as Handler, exported, [argument, env, context]);
  }
}

/** The handlers that the host knows how to call. */
const kinds = ["fetch", "connect", "test"];

function isEntrypointClass(value: unknown): value is EntrypointClass {
  return (
    typeof value === "function" &&
    (value.prototype instanceof WorkerEntrypoint || typeof value.prototype?.fetch === "function")
  );
}
