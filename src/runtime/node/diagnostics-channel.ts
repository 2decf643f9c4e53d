import { process } from "../parts/node-process.ts";
import { invalidType, validateFunction } from "./errors.ts";

type Subscriber = (message: unknown, name: string | symbol) => void;

interface Storage {
  run(store: unknown, callback: () => unknown): unknown;
}

type Transform = (message: unknown) => unknown;

/** A channel exists for good once somebody asks for it: there are few, and their names are constants. */
const channels = new Map<string | symbol, Channel>();

export class Channel {
  readonly name: string | symbol;
  #subscribers: readonly Subscriber[] = [];
  readonly #stores = new Map<Storage, Transform | undefined>();

  constructor(name: string | symbol) {
    this.name = name;
  }

  get hasSubscribers(): boolean {
    return this.#subscribers.length > 0 || this.#stores.size > 0;
  }

  subscribe(subscriber: Subscriber): void {
    validateFunction(subscriber, "subscription");
    this.#subscribers = [...this.#subscribers, subscriber];
  }

  unsubscribe(subscriber: Subscriber): boolean {
    const at = this.#subscribers.indexOf(subscriber);
    if (at < 0) return false;
    this.#subscribers = this.#subscribers.filter((_, index) => index !== at);
    return true;
  }

  bindStore(storage: Storage, transform?: Transform): void {
    this.#stores.set(storage, transform);
  }

  unbindStore(storage: Storage): boolean {
    return this.#stores.delete(storage);
  }

  publish(message: unknown): void {
    for (const subscriber of this.#subscribers) {
      try {
        subscriber(message, this.name);
      } catch (error) {
        process.nextTick(() => {
          throw error;
        });
      }
    }
  }

  /** Calls `callback` with each bound storage holding what its transform makes of the message. */
  runStores(
    message: unknown,
    callback: (...parameters: never[]) => unknown,
    self?: unknown,
    ...parameters: unknown[]
  ): unknown {
    let run = (): unknown => {
      this.publish(message);
      return Reflect.apply(callback, self, parameters as never[]);
    };
    for (const [storage, transform] of this.#stores) {
      const inner = run;
      run = () => {
        let store = message;
        try {
          if (transform !== undefined) store = transform(message);
        } catch (error) {
          process.nextTick(() => {
            throw error;
          });
          return inner();
        }
        return storage.run(store, inner);
      };
    }
    return run();
  }
}

function channel(name: unknown): Channel {
  if (typeof name !== "string" && typeof name !== "symbol")
    throw invalidType("channel", "one of type string or symbol", name);
  let known = channels.get(name);
  if (known === undefined) {
    known = new Channel(name);
    channels.set(name, known);
  }
  return known;
}

const kinds = ["start", "end", "asyncStart", "asyncEnd", "error"] as const;
type Kind = (typeof kinds)[number];
type Context = Record<string, unknown>;
type AnyFunction = (...parameters: unknown[]) => unknown;

/** The five channels of one operation. */
class TracingChannel {
  readonly start!: Channel;
  readonly end!: Channel;
  readonly asyncStart!: Channel;
  readonly asyncEnd!: Channel;
  readonly error!: Channel;

  constructor(given: unknown) {
    for (const kind of kinds) {
      const made =
        typeof given === "string"
          ? channel(`tracing:${given}:${kind}`)
          : (given as Record<string, unknown> | null)?.[kind];
      if (!(made instanceof Channel))
        throw invalidType(`nameOrChannels.${kind}`, "an instance of Channel", made);
      Object.defineProperty(this, kind, { value: made });
    }
  }

  get hasSubscribers(): boolean {
    return kinds.some((kind) => this[kind].hasSubscribers);
  }

  subscribe(handlers: Partial<Record<Kind, Subscriber>>): void {
    for (const kind of kinds) {
      const handler = handlers[kind];
      if (handler !== undefined) this[kind].subscribe(handler);
    }
  }

  unsubscribe(handlers: Partial<Record<Kind, Subscriber>>): boolean {
    let all = true;
    for (const kind of kinds) {
      const handler = handlers[kind];
      if (handler !== undefined && !this[kind].unsubscribe(handler)) all = false;
    }
    return all;
  }

  traceSync(callback: AnyFunction, context: Context = {}, self?: unknown, ...parameters: unknown[]): unknown {
    if (!this.hasSubscribers) return Reflect.apply(callback, self, parameters);
    return this.start.runStores(context, () => {
      try {
        const result = Reflect.apply(callback, self, parameters);
        context["result"] = result;
        return result;
      } catch (error) {
        context["error"] = error;
        this.error.publish(context);
        throw error;
      } finally {
        this.end.publish(context);
      }
    });
  }

  tracePromise(
    callback: AnyFunction,
    context: Context = {},
    self?: unknown,
    ...parameters: unknown[]
  ): unknown {
    if (!this.hasSubscribers) return Reflect.apply(callback, self, parameters);
    return this.start.runStores(context, () => {
      try {
        let promise = Reflect.apply(callback, self, parameters) as Promise<unknown>;
        if (typeof promise?.then !== "function") promise = Promise.resolve(promise);
        return promise.then(
          (value) => {
            context["result"] = value;
            this.asyncStart.publish(context);
            this.asyncEnd.publish(context);
            return value;
          },
          (error: unknown) => {
            context["error"] = error;
            this.error.publish(context);
            this.asyncStart.publish(context);
            this.asyncEnd.publish(context);
            throw error;
          },
        );
      } catch (error) {
        context["error"] = error;
        this.error.publish(context);
        throw error;
      } finally {
        this.end.publish(context);
      }
    });
  }

  traceCallback(
    callback: AnyFunction,
    position = -1,
    context: Context = {},
    self?: unknown,
    ...parameters: unknown[]
  ): unknown {
    if (!this.hasSubscribers) return Reflect.apply(callback, self, parameters);
    const at = position < 0 ? parameters.length + position : position;
    const last = parameters[at];
    validateFunction(last, "callback");
    const channels = this;
    parameters[at] = function (this: unknown, error: unknown, value: unknown, ...rest: unknown[]) {
      if (error) {
        context["error"] = error;
        channels.error.publish(context);
      } else context["result"] = value;
      return channels.asyncStart.runStores(context, () => {
        try {
          return Reflect.apply(last as AnyFunction, this, [error, value, ...rest]);
        } finally {
          channels.asyncEnd.publish(context);
        }
      });
    };
    return this.start.runStores(context, () => {
      try {
        return Reflect.apply(callback, self, parameters);
      } catch (error) {
        context["error"] = error;
        this.error.publish(context);
        throw error;
      } finally {
        this.end.publish(context);
      }
    });
  }
}

/** node:diagnostics_channel. */
export const diagnosticsChannel = {
  Channel,
  channel,
  hasSubscribers: (name: string | symbol): boolean => channels.get(name)?.hasSubscribers ?? false,
  subscribe: (name: string | symbol, subscriber: Subscriber): void => channel(name).subscribe(subscriber),
  tracingChannel: (given: unknown): TracingChannel => new TracingChannel(given),
  unsubscribe: (name: string | symbol, subscriber: Subscriber): boolean =>
    channel(name).unsubscribe(subscriber),
};
