import { part } from "../part.ts";
import { invalidType, nodeError, validateBoolean, validateFunction, validateNumber } from "./errors.ts";
import { addAbortListener, on, once, type Target } from "./event-waiting.ts";

export type Listener = (this: unknown, ...parameters: never[]) => unknown;
type Wrapped = Listener & { listener?: Listener };
type Handlers = Listener | Listener[];

const errorMonitor = Symbol("events.errorMonitor");
const captureRejection = Symbol.for("nodejs.rejection");
const captures = Symbol("kCapture");
let defaultMaximum = 10;

interface Options {
  captureRejections?: boolean;
}

/** What an emitter keeps; other modules of npm packages look at `_events` too. */
export interface EventEmitter {
  _events: Record<PropertyKey, Handlers | undefined>;
  _eventsCount: number;
  _maxListeners: number | undefined;
  [captures]: boolean;
  on(name: PropertyKey, listener: Listener): EventEmitter;
  once(name: PropertyKey, listener: Listener): EventEmitter;
  off(name: PropertyKey, listener: Listener): EventEmitter;
  addListener(name: PropertyKey, listener: Listener): EventEmitter;
  removeListener(name: PropertyKey, listener: Listener): EventEmitter;
  emit(name: PropertyKey, ...parameters: unknown[]): boolean;
  listeners(name: PropertyKey): Listener[];
  getMaxListeners(): number;
}

interface EmitterClass {
  new (options?: Options): EventEmitter;
  (this: unknown, options?: Options): void;
  prototype: EventEmitter;
  [key: string]: unknown;
}

/** node:events. A function, since older packages call it on their own objects and inherit from its prototype. */
function Emitter(this: EventEmitter, options?: Options): void {
  initialize.call(this, options);
}

function noEvents(): EventEmitter["_events"] {
  return Object.create(null) as EventEmitter["_events"];
}

function initialize(this: EventEmitter, options?: Options): void {
  if (this._events === undefined || this._events === Object.getPrototypeOf(this)._events) {
    this._events = noEvents();
    this._eventsCount = 0;
  }
  this._maxListeners ||= undefined;
  if (options?.captureRejections !== undefined) {
    validateBoolean(options.captureRejections, "options.captureRejections");
    this[captures] = options.captureRejections;
  } else {
    this[captures] = prototype[captures];
  }
}

export const EventEmitter: EmitterClass = Emitter as unknown as EmitterClass;
const { prototype } = EventEmitter;

function maximum(emitter: EventEmitter): number {
  return emitter._maxListeners === undefined ? defaultMaximum : emitter._maxListeners;
}

function eventsOf(emitter: EventEmitter): EventEmitter["_events"] {
  if (emitter._events === undefined) {
    emitter._events = noEvents();
    emitter._eventsCount = 0;
  }
  return emitter._events;
}

function add(emitter: EventEmitter, name: PropertyKey, listener: Listener, first: boolean): EventEmitter {
  validateFunction(listener, "listener");
  let events = eventsOf(emitter);
  if (events["newListener"] !== undefined) {
    emitter.emit("newListener", name, (listener as Wrapped).listener ?? listener);
    // A listener may have taken all others away.
    events = eventsOf(emitter);
  }
  const known = events[name];
  if (known === undefined) {
    events[name] = listener;
    emitter._eventsCount++;
    return emitter;
  }
  let list: Listener[] & { warned?: boolean };
  if (typeof known === "function") list = events[name] = first ? [listener, known] : [known, listener];
  else {
    list = known;
    if (first) list.unshift(listener);
    else list.push(listener);
  }
  const most = maximum(emitter);
  if (most > 0 && list.length > most && list.warned !== true) {
    list.warned = true;
    const { inspect } = part<{ util: { inspect(value: unknown, options: object): string } }>(
      "node-util",
    ).util;
    const shown = inspect(emitter, { depth: -1 });
    const warning = new Error(
      `Possible EventEmitter memory leak detected. ${list.length} ${String(name)} listeners added to ${shown}. ` +
        `MaxListeners is ${most}. Use emitter.setMaxListeners() to increase limit`,
    ) as Error & Record<string, unknown>;
    warning.name = "MaxListenersExceededWarning";
    warning["emitter"] = emitter;
    warning["type"] = name;
    warning["count"] = list.length;
    part<{ process: { emitWarning(warning: Error): void } }>("node-process").process.emitWarning(warning);
  }
  return emitter;
}

function wrapOnce(emitter: EventEmitter, name: PropertyKey, listener: Listener): Wrapped {
  let fired = false;
  const wrapped: Wrapped = (...parameters) => {
    if (fired) return undefined;
    emitter.removeListener(name, wrapped);
    fired = true;
    return Reflect.apply(listener, emitter, parameters);
  };
  wrapped.listener = listener;
  return wrapped;
}

function call(emitter: EventEmitter, listener: Listener, name: PropertyKey, parameters: unknown[]): void {
  const result = Reflect.apply(listener, emitter, parameters as never[]);
  if (result === undefined || result === null || emitter[captures] !== true) return;
  const { then } = result as { then?: unknown };
  if (typeof then !== "function") return;
  then.call(result, undefined, (error: unknown) => {
    part<{ process: { nextTick(run: () => void): void } }>("node-process").process.nextTick(() => {
      const handler = (emitter as unknown as Record<PropertyKey, unknown>)[captureRejection];
      if (typeof handler === "function") {
        handler.call(emitter, error, name, ...parameters);
        return;
      }
      const before = emitter[captures];
      emitter[captures] = false;
      try {
        emitter.emit("error", error);
      } finally {
        emitter[captures] = before;
      }
    });
  });
}

function unhandled(emitter: EventEmitter, error: unknown): never {
  if (error instanceof Error) throw error;
  void emitter;
  const { inspect } = part<{ util: { inspect(value: unknown): string } }>("node-util").util;
  let shown: string;
  try {
    shown = inspect(error);
  } catch {
    shown = String(error);
  }
  const thrown = nodeError(Error, "ERR_UNHANDLED_ERROR", `Unhandled error. (${shown})`);
  (thrown as Error & { context?: unknown }).context = error;
  throw thrown;
}

function remove(emitter: EventEmitter, name: PropertyKey, listener: Listener): EventEmitter {
  validateFunction(listener, "listener");
  const events = emitter._events;
  const known = events?.[name];
  if (events === undefined || known === undefined) return emitter;
  if (known === listener || (known as Wrapped).listener === listener) {
    emitter._eventsCount--;
    if (emitter._eventsCount === 0) emitter._events = noEvents();
    else delete events[name];
    if (events["removeListener"] !== undefined)
      emitter.emit("removeListener", name, (known as Wrapped).listener ?? listener);
    return emitter;
  }
  if (typeof known === "function") return emitter;
  let at = known.length - 1;
  while (at >= 0 && known[at] !== listener && (known[at] as Wrapped).listener !== listener) at--;
  if (at < 0) return emitter;
  if (at === 0) known.shift();
  else known.splice(at, 1);
  if (known.length === 1) events[name] = known[0];
  if (events["removeListener"] !== undefined) emitter.emit("removeListener", name, listener);
  return emitter;
}

function listed(emitter: EventEmitter, name: PropertyKey, unwrap: boolean): Listener[] {
  const known = emitter._events?.[name];
  if (known === undefined) return [];
  const list = typeof known === "function" ? [known] : [...known];
  return unwrap ? list.map((listener) => (listener as Wrapped).listener ?? listener) : list;
}

const members = {
  setMaxListeners(this: EventEmitter, count: unknown): EventEmitter {
    validateNumber(count, "setMaxListeners", 0);
    this._maxListeners = count;
    return this;
  },
  getMaxListeners(this: EventEmitter): number {
    return maximum(this);
  },
  emit(this: EventEmitter, name: PropertyKey, ...parameters: unknown[]): boolean {
    const events = this._events;
    if (name === "error") {
      if (events?.[errorMonitor] !== undefined) this.emit(errorMonitor, ...parameters);
      if (events?.["error"] === undefined) unhandled(this, parameters[0]);
    }
    const handlers = events?.[name];
    if (handlers === undefined) return false;
    if (typeof handlers === "function") {
      call(this, handlers, name, parameters);
      return true;
    }
    const list = handlers.slice();
    for (let i = 0; i < list.length; i++) call(this, list[i] as Listener, name, parameters);
    return true;
  },
  addListener(this: EventEmitter, name: PropertyKey, listener: Listener): EventEmitter {
    return add(this, name, listener, false);
  },
  prependListener(this: EventEmitter, name: PropertyKey, listener: Listener): EventEmitter {
    return add(this, name, listener, true);
  },
  once(this: EventEmitter, name: PropertyKey, listener: Listener): EventEmitter {
    validateFunction(listener, "listener");
    return this.on(name, wrapOnce(this, name, listener));
  },
  prependOnceListener(this: EventEmitter, name: PropertyKey, listener: Listener): EventEmitter {
    validateFunction(listener, "listener");
    return (this as unknown as typeof members).prependListener.call(
      this,
      name,
      wrapOnce(this, name, listener),
    );
  },
  removeListener(this: EventEmitter, name: PropertyKey, listener: Listener): EventEmitter {
    return remove(this, name, listener);
  },
  removeAllListeners(this: EventEmitter, name?: PropertyKey): EventEmitter {
    const events = this._events;
    if (events === undefined) return this;
    if (events["removeListener"] === undefined) {
      if (arguments.length === 0) {
        this._events = noEvents();
        this._eventsCount = 0;
      } else if (events[name as PropertyKey] !== undefined) {
        this._eventsCount--;
        if (this._eventsCount === 0) this._events = noEvents();
        else delete events[name as PropertyKey];
      }
      return this;
    }
    if (arguments.length === 0) {
      for (const key of Reflect.ownKeys(events)) {
        if (key !== "removeListener") members.removeAllListeners.call(this, key);
      }
      members.removeAllListeners.call(this, "removeListener");
      this._events = noEvents();
      this._eventsCount = 0;
      return this;
    }
    for (const listener of listed(this, name as PropertyKey, false).reverse()) {
      this.removeListener(name as PropertyKey, listener);
    }
    return this;
  },
  listeners(this: EventEmitter, name: PropertyKey): Listener[] {
    return listed(this, name, true);
  },
  rawListeners(this: EventEmitter, name: PropertyKey): Listener[] {
    return listed(this, name, false);
  },
  listenerCount(this: EventEmitter, name: PropertyKey, listener?: Listener): number {
    const list = listed(this, name, false);
    if (listener === undefined || listener === null) return list.length;
    return list.filter((one) => one === listener || (one as Wrapped).listener === listener).length;
  },
  eventNames(this: EventEmitter): PropertyKey[] {
    return this._eventsCount > 0 ? Reflect.ownKeys(this._events) : [];
  },
};
Object.assign(prototype, members, {
  on: members.addListener,
  off: members.removeListener,
  _events: undefined,
  _eventsCount: 0,
  _maxListeners: undefined,
});
Object.defineProperty(prototype, captures, { value: false, writable: true, enumerable: false });

/** Of EventTargets, which warn of nothing. */
const targetMaximums = new WeakMap<object, number>();

function setMaxListeners(count = defaultMaximum, ...emitters: unknown[]): void {
  validateNumber(count, "setMaxListeners", 0);
  if (emitters.length === 0) {
    defaultMaximum = count;
    return;
  }
  for (const emitter of emitters) {
    const { setMaxListeners: set } = emitter as { setMaxListeners?: (count: number) => void };
    if (typeof set === "function") set.call(emitter, count);
    else if (typeof (emitter as Target).addEventListener === "function")
      targetMaximums.set(emitter as object, count);
    else throw invalidType("eventTargets", "an instance of EventEmitter or EventTarget", emitter);
  }
}

interface ResourceLike {
  runInAsyncScope(run: unknown, self: unknown, ...parameters: unknown[]): unknown;
  asyncId(): number;
  triggerAsyncId(): number;
  emitDestroy(): unknown;
}

/** An emitter whose listeners run in the frame in which it was made. */
class EventEmitterAsyncResource extends EventEmitter {
  readonly asyncResource: ResourceLike;

  constructor(options?: string | ({ name?: string } & Options)) {
    super(typeof options === "string" ? undefined : options);
    const name = typeof options === "string" ? options : (options?.name ?? new.target.name);
    const hooks = part<{ AsyncResource: new (type: string) => ResourceLike }>("node-async_hooks");
    this.asyncResource = new hooks.AsyncResource(name);
  }

  override emit(name: PropertyKey, ...parameters: unknown[]): boolean {
    return this.asyncResource.runInAsyncScope(prototype.emit, this, name, ...parameters) as boolean;
  }

  get asyncId(): number {
    return this.asyncResource.asyncId();
  }

  get triggerAsyncId(): number {
    return this.asyncResource.triggerAsyncId();
  }

  emitDestroy(): void {
    this.asyncResource.emitDestroy();
  }
}

Object.assign(EventEmitter, {
  EventEmitter,
  EventEmitterAsyncResource,
  addAbortListener,
  captureRejectionSymbol: captureRejection,
  errorMonitor,
  getEventListeners(emitter: EventEmitter, name: PropertyKey): unknown[] {
    return typeof emitter?.listeners === "function" ? emitter.listeners(name) : [];
  },
  getMaxListeners: (emitter: EventEmitter): number =>
    typeof emitter?.getMaxListeners === "function"
      ? emitter.getMaxListeners()
      : (targetMaximums.get(emitter) ?? defaultMaximum),
  init: initialize,
  listenerCount(emitter: EventEmitter, name: PropertyKey): number {
    const { listenerCount } = emitter as unknown as { listenerCount?: (name: PropertyKey) => number };
    return typeof listenerCount === "function"
      ? listenerCount.call(emitter, name)
      : listed(emitter, name, false).length;
  },
  on,
  once,
  setMaxListeners,
  usingDomains: false,
});
Object.defineProperty(EventEmitter, "defaultMaxListeners", {
  get: () => defaultMaximum,
  set(value: unknown) {
    validateNumber(value, "defaultMaxListeners", 0);
    defaultMaximum = value;
  },
  enumerable: true,
});
Object.defineProperty(EventEmitter, "captureRejections", {
  get: () => prototype[captures],
  set(value: unknown) {
    validateBoolean(value, "EventEmitter.captureRejections");
    prototype[captures] = value;
  },
  enumerable: true,
});
Object.defineProperty(Emitter, "name", { value: "EventEmitter" });
