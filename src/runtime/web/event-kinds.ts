import { Event, type EventInit } from "./events.ts";
import { ArrayPush, ObjectFreeze, ReflectApply, SymbolIterator } from "./primordials.ts";
import { defineInterface, isObject, requireArguments } from "./webidl.ts";

/** DOM §2.4. */
export class CustomEvent extends Event {
  readonly #detail: unknown;

  constructor(type: string, init?: EventInit & { detail?: unknown }) {
    super(type, init);
    this.#detail = init?.detail ?? null;
  }

  get detail(): unknown {
    return this.#detail;
  }
}

export interface ErrorEventInit extends EventInit {
  message?: string;
  filename?: string;
  lineno?: number;
  colno?: number;
  error?: unknown;
}

/** HTML §8.1.4.5. */
export class ErrorEvent extends Event {
  readonly #message: string;
  readonly #filename: string;
  readonly #lineno: number;
  readonly #colno: number;
  readonly #error: unknown;

  constructor(type: string, init?: ErrorEventInit) {
    super(type, init);
    this.#message = init?.message === undefined ? "" : `${init.message}`;
    this.#filename = init?.filename === undefined ? "" : `${init.filename}`;
    this.#lineno = (init?.lineno ?? 0) >>> 0;
    this.#colno = (init?.colno ?? 0) >>> 0;
    this.#error = init?.error;
  }

  get message(): string {
    return this.#message;
  }

  get filename(): string {
    return this.#filename;
  }

  get lineno(): number {
    return this.#lineno;
  }

  get colno(): number {
    return this.#colno;
  }

  get error(): unknown {
    return this.#error;
  }
}

/** HTML §8.1.4.7. */
export class PromiseRejectionEvent extends Event {
  readonly #promise: unknown;
  readonly #reason: unknown;

  constructor(type: string, init: EventInit & { promise: unknown; reason?: unknown }) {
    requireArguments(arguments.length, 2, "PromiseRejectionEvent constructor");
    super(type, init);
    if (!isObject(init) || !isObject(init.promise)) {
      throw new TypeError("cannot make a PromiseRejectionEvent: promise is missing");
    }
    this.#promise = init.promise;
    this.#reason = init.reason;
  }

  get promise(): unknown {
    return this.#promise;
  }

  get reason(): unknown {
    return this.#reason;
  }
}

export interface MessageEventInit extends EventInit {
  data?: unknown;
  origin?: string;
  lastEventId?: string;
  source?: unknown;
  ports?: readonly unknown[];
}

/** HTML §9.1. */
export class MessageEvent extends Event {
  readonly #data: unknown;
  readonly #origin: string;
  readonly #lastEventId: string;
  readonly #source: unknown;
  readonly #ports: readonly unknown[];

  constructor(type: string, init?: MessageEventInit) {
    super(type, init);
    this.#data = init?.data ?? null;
    this.#origin = init?.origin === undefined ? "" : `${init.origin}`;
    this.#lastEventId = init?.lastEventId === undefined ? "" : `${init.lastEventId}`;
    this.#source = init?.source ?? null;
    this.#ports = init?.ports === undefined ? ObjectFreeze([]) : toPorts(init.ports);
  }

  get data(): unknown {
    return this.#data;
  }

  get origin(): string {
    return this.#origin;
  }

  get lastEventId(): string {
    return this.#lastEventId;
  }

  get source(): unknown {
    return this.#source;
  }

  get ports(): readonly unknown[] {
    return this.#ports;
  }
}

/** A frozen array of what is iterated (Web IDL §3.2.28). */
function toPorts(ports: unknown): readonly unknown[] {
  const method = isObject(ports) ? (ports as Iterable<unknown>)[SymbolIterator] : undefined;
  if (typeof method !== "function") throw new TypeError("cannot make a MessageEvent: ports is not iterable");
  const once = { __proto__: null, [SymbolIterator]: () => ReflectApply(method, ports, []) };
  const list: unknown[] = [];
  for (const port of once as Iterable<unknown>) {
    if (!isObject(port)) throw new TypeError("cannot make a MessageEvent: one of ports is not a MessagePort");
    ArrayPush(list, port);
  }
  return ObjectFreeze(list);
}

/** WebSockets §8. */
export class CloseEvent extends Event {
  readonly #wasClean: boolean;
  readonly #code: number;
  readonly #reason: string;

  constructor(type: string, init?: EventInit & { wasClean?: boolean; code?: number; reason?: string }) {
    super(type, init);
    this.#wasClean = !!init?.wasClean;
    this.#code = (init?.code ?? 0) & 0xffff;
    this.#reason = init?.reason === undefined ? "" : `${init.reason}`;
  }

  get wasClean(): boolean {
    return this.#wasClean;
  }

  get code(): number {
    return this.#code;
  }

  get reason(): string {
    return this.#reason;
  }
}

defineInterface(CustomEvent, "CustomEvent", 1);
defineInterface(ErrorEvent, "ErrorEvent", 1);
defineInterface(PromiseRejectionEvent, "PromiseRejectionEvent", 2);
defineInterface(MessageEvent, "MessageEvent", 1);
defineInterface(CloseEvent, "CloseEvent", 1);
