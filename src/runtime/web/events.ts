import { DOMException } from "./dom-exception.ts";
import { host } from "./host.ts";
import { ArrayPush, ArraySplice, MapDelete, MapGet, MapNative, MapSet, ReflectApply } from "./primordials.ts";
import { now } from "./time-origin.ts";
import { defineConstants, defineInterface, isObject, requireArguments, toDictionary } from "./webidl.ts";

const initialized = 1;
const bubbles = 2;
const cancelable = 4;
const composed = 8;
const canceled = 16;
const stopped = 32;
const stoppedAtOnce = 64;
const dispatching = 128;
const passive = 256;
const trusted = 512;

export interface EventInit {
  bubbles?: boolean;
  cancelable?: boolean;
  composed?: boolean;
}

let isEvent: (value: unknown) => value is Event;
let beginDispatch: (event: Event, target: EventTarget) => boolean;
let endDispatch: (event: Event) => boolean;
let setPassive: (event: Event, value: boolean) => void;
let isStoppedAtOnce: (event: Event) => boolean;
/** Marks an event as made by the runtime, not by the Worker. */
export let markTrusted: (event: Event) => void;

/** DOM §2.2. */
export class Event {
  #type: string;
  #flags: number;
  #target: EventTarget | null = null;
  #current: EventTarget | null = null;
  readonly #time: number = now();

  constructor(type: string, init?: EventInit) {
    requireArguments(arguments.length, 1, "Event constructor");
    this.#type = `${type}`;
    let flags = initialized;
    const dictionary = toDictionary(init, "eventInitDict");
    if (dictionary !== null) {
      if (dictionary.bubbles) flags |= bubbles;
      if (dictionary.cancelable) flags |= cancelable;
      if (dictionary.composed) flags |= composed;
    }
    this.#flags = flags;
  }

  get type(): string {
    return this.#type;
  }

  get target(): EventTarget | null {
    return this.#target;
  }

  get srcElement(): EventTarget | null {
    return this.#target;
  }

  get currentTarget(): EventTarget | null {
    return this.#current;
  }

  composedPath(): EventTarget[] {
    return this.#current === null ? [] : [this.#current];
  }

  get eventPhase(): number {
    return (this.#flags & dispatching) !== 0 ? 2 : 0;
  }

  stopPropagation(): void {
    this.#flags |= stopped;
  }

  get cancelBubble(): boolean {
    return (this.#flags & stopped) !== 0;
  }

  set cancelBubble(value: boolean) {
    if (value) this.#flags |= stopped;
  }

  stopImmediatePropagation(): void {
    this.#flags |= stopped | stoppedAtOnce;
  }

  get bubbles(): boolean {
    return (this.#flags & bubbles) !== 0;
  }

  get cancelable(): boolean {
    return (this.#flags & cancelable) !== 0;
  }

  get returnValue(): boolean {
    return (this.#flags & canceled) === 0;
  }

  set returnValue(value: boolean) {
    if (!value) this.preventDefault();
  }

  preventDefault(): void {
    if ((this.#flags & (cancelable | passive)) === cancelable) this.#flags |= canceled;
  }

  get defaultPrevented(): boolean {
    return (this.#flags & canceled) !== 0;
  }

  get composed(): boolean {
    return (this.#flags & composed) !== 0;
  }

  get isTrusted(): boolean {
    return (this.#flags & trusted) !== 0;
  }

  get timeStamp(): number {
    return this.#time;
  }

  initEvent(type: string, bubbling = false, cancelling = false): void {
    if ((this.#flags & dispatching) !== 0) return;
    this.#type = `${type}`;
    this.#flags = initialized | (bubbling ? bubbles : 0) | (cancelling ? cancelable : 0);
  }

  static {
    isEvent = (value): value is Event => isObject(value) && #flags in value;
    markTrusted = (event) => {
      event.#flags |= trusted;
    };
    beginDispatch = (event, target) => {
      if ((event.#flags & dispatching) !== 0) return false;
      event.#flags |= dispatching;
      event.#target = target;
      event.#current = target;
      return true;
    };
    endDispatch = (event) => {
      event.#flags &= ~(dispatching | stopped | stoppedAtOnce | passive);
      event.#current = null;
      return (event.#flags & canceled) === 0;
    };
    setPassive = (event, value) => {
      event.#flags = value ? event.#flags | passive : event.#flags & ~passive;
    };
    isStoppedAtOnce = (event) => (event.#flags & stoppedAtOnce) !== 0;
  }
}

export type EventCallback = ((event: Event) => unknown) | { handleEvent(event: Event): unknown };

class Listener {
  readonly callback: EventCallback;
  readonly capture: boolean;
  readonly once: boolean;
  readonly passive: boolean;
  removed = false;
  /** The current function of an `on…` attribute, which keeps its place when the function is replaced. */
  readonly attribute: boolean;

  constructor(
    callback: EventCallback,
    capture: boolean,
    once: boolean,
    isPassive: boolean,
    attribute: boolean,
  ) {
    this.callback = callback;
    this.capture = capture;
    this.once = once;
    this.passive = isPassive;
    this.attribute = attribute;
  }
}

/** What `addEventListener({ signal })` needs of AbortSignal, which is itself an EventTarget. */
export interface SignalHooks {
  isSignal(value: unknown): boolean;
  aborted(signal: object): boolean;
  onAbort(signal: object, algorithm: () => void): void;
  /** The first listener for "abort" came to a target, or the last one went. */
  listened(target: object, listening: boolean): void;
}

let signals: SignalHooks;

export function provideSignals(hooks: SignalHooks): void {
  signals = hooks;
}

let behind: EventTarget | null = null;
let scope: object | null = null;

/** Makes `target` appear as `object` in its events: the global scope has its listeners in a target of the runtime's. */
export function showAs(target: EventTarget, object: object): void {
  behind = target;
  scope = object;
}

function shown(target: EventTarget): EventTarget {
  return target === behind ? (scope as EventTarget) : target;
}

/** Dispatches an event that the runtime made. Exceptions in listeners go to the host, never to the caller. */
export let dispatch: (target: EventTarget, event: Event) => boolean;
/** False when dispatching an event of that type would have no effect. */
export let hasListeners: (target: EventTarget, type: string) => boolean;
/** The value of an `on…` attribute. */
export let getHandler: (target: EventTarget, type: string) => unknown;
export let setHandler: (target: EventTarget, type: string, value: unknown) => void;

/** DOM §2.7. There is no tree: an event visits its target only. */
export class EventTarget {
  #listeners: Map<string, Listener[]> | null = null;

  addEventListener(type: string, callback: EventCallback | null, options?: unknown): void {
    requireArguments(arguments.length, 2, "addEventListener");
    let capture = false;
    let once = false;
    let isPassive = false;
    let signal: object | null = null;
    if (isObject(options)) {
      const dictionary = options as Record<string, unknown>;
      capture = !!dictionary.capture;
      once = !!dictionary.once;
      isPassive = !!dictionary.passive;
      const given = dictionary.signal;
      if (given !== undefined) {
        if (!signals.isSignal(given))
          throw new TypeError("cannot add a listener: signal is not an AbortSignal");
        signal = given as object;
      }
    } else {
      capture = !!options;
    }
    if (callback === null || callback === undefined) return;
    if (!isObject(callback)) {
      throw new TypeError("cannot add a listener: callback is neither a function nor an object");
    }
    if (signal !== null && signals.aborted(signal)) return;
    const name = `${type}`;
    this.#listeners ??= new MapNative();
    let list = MapGet(this.#listeners, name);
    if (list === undefined) {
      list = [];
      MapSet(this.#listeners, name, list);
    }
    for (let i = 0; i < list.length; i++) {
      const other = list[i] as Listener;
      if (other.callback === callback && other.capture === capture && !other.attribute) return;
    }
    const listener = new Listener(callback, capture, once, isPassive, false);
    ArrayPush(list, listener);
    if (name === "abort" && list.length === 1) signals.listened(this, true);
    if (signal !== null) signals.onAbort(signal, () => this.#remove(name, listener));
  }

  removeEventListener(type: string, callback: EventCallback | null, options?: unknown): void {
    requireArguments(arguments.length, 2, "removeEventListener");
    const capture = isObject(options) ? !!(options as Record<string, unknown>).capture : !!options;
    const name = `${type}`;
    const list = this.#listeners === null ? undefined : MapGet(this.#listeners, name);
    if (list === undefined) return;
    for (let i = 0; i < list.length; i++) {
      const listener = list[i] as Listener;
      if (listener.callback === callback && listener.capture === capture && !listener.attribute) {
        this.#remove(name, listener);
        return;
      }
    }
  }

  dispatchEvent(event: Event): boolean {
    requireArguments(arguments.length, 1, "dispatchEvent");
    if (!isEvent(event)) throw new TypeError("cannot dispatch: event is not an Event");
    return dispatch(this, event);
  }

  #remove(name: string, listener: Listener): void {
    listener.removed = true;
    const list = this.#listeners === null ? undefined : MapGet(this.#listeners, name);
    if (list === undefined) return;
    for (let i = 0; i < list.length; i++) {
      if (list[i] !== listener) continue;
      ArraySplice(list, i, 1);
      if (list.length > 0) return;
      MapDelete(this.#listeners as Map<string, Listener[]>, name);
      if (name === "abort") signals.listened(this, false);
      return;
    }
  }

  #dispatch(event: Event): void {
    const name = event.type;
    const list = this.#listeners === null ? undefined : MapGet(this.#listeners, name);
    if (list === undefined) return;
    // Listeners added while this runs are not called (DOM §2.9, inner invoke works on a clone).
    const called: Listener[] = [];
    // At the target, those that capture come first (DOM §2.9).
    for (let i = 0; i < list.length; i++)
      if ((list[i] as Listener).capture) ArrayPush(called, list[i] as Listener);
    for (let i = 0; i < list.length; i++)
      if (!(list[i] as Listener).capture) ArrayPush(called, list[i] as Listener);
    for (let i = 0; i < called.length; i++) {
      const listener = called[i] as Listener;
      if (listener.removed) continue;
      if (listener.once) this.#remove(name, listener);
      if (listener.passive) setPassive(event, true);
      this.#call(listener, event);
      if (listener.passive) setPassive(event, false);
      if (isStoppedAtOnce(event)) return;
    }
  }

  #call(listener: Listener, event: Event): void {
    try {
      const { callback } = listener;
      if (typeof callback === "function") {
        ReflectApply(callback, shown(this), [event]);
        return;
      }
      const { handleEvent } = callback;
      if (typeof handleEvent !== "function") {
        throw new TypeError("cannot call a listener: handleEvent is not a function");
      }
      ReflectApply(handleEvent, callback, [event]);
    } catch (error) {
      host.reportException(error);
    }
  }

  #attribute(type: string): Listener | null {
    const list = this.#listeners === null ? undefined : MapGet(this.#listeners, type);
    for (let i = 0; list !== undefined && i < list.length; i++) {
      if ((list[i] as Listener).attribute) return list[i] as Listener;
    }
    return null;
  }

  static {
    dispatch = (target, event) => {
      if (!beginDispatch(event, shown(target))) {
        throw new DOMException("cannot dispatch: event is being dispatched", "InvalidStateError");
      }
      target.#dispatch(event);
      return endDispatch(event);
    };
    hasListeners = (target, type) =>
      target.#listeners !== null && MapGet(target.#listeners, type) !== undefined;
    getHandler = (target, type) => {
      const listener = target.#attribute(type);
      return listener === null ? null : (listener.callback as HandlerBox).handler;
    };
    setHandler = (target, type, value) => {
      const handler = isObject(value) ? (value as Handler) : null;
      const old = target.#attribute(type);
      if (old !== null) {
        if (handler === null) target.#remove(type, old);
        else (old.callback as HandlerBox).handler = handler;
        return;
      }
      if (handler === null) return;
      target.#listeners ??= new MapNative();
      const list = MapGet(target.#listeners, type) ?? [];
      ArrayPush(list, new Listener(new HandlerBox(target, handler), false, false, false, true));
      MapSet(target.#listeners, type, list);
      if (type === "abort" && list.length === 1) signals.listened(target, true);
    };
  }
}

type Handler = ((event: Event) => unknown) | object;

/** The listener behind an `on…` attribute (HTML §8.1.8.1). */
class HandlerBox {
  readonly target: EventTarget;
  handler: Handler;

  constructor(target: EventTarget, handler: Handler) {
    this.target = target;
    this.handler = handler;
  }

  handleEvent(event: Event): void {
    if (typeof this.handler !== "function") return;
    if (ReflectApply(this.handler, this.target, [event]) === false) event.preventDefault();
  }
}

defineInterface(Event, "Event", 1);
defineConstants(Event, { NONE: 0, CAPTURING_PHASE: 1, AT_TARGET: 2, BUBBLING_PHASE: 3 });
defineInterface(EventTarget, "EventTarget", 0, { addEventListener: 2, removeEventListener: 2 });
