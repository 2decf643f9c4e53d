import { DOMException } from "../web/dom-exception.ts";
import { host } from "../web/host.ts";
import {
  ArrayPush,
  ObjectFreeze,
  PromiseThen,
  promiseResolve,
  ReflectApply,
  SetAdd,
  SetDelete,
  SetForEach,
  SetNative,
  SymbolIterator,
} from "../web/primordials.ts";
import {
  defineInterface,
  illegalConstructor,
  internal,
  isObject,
  requireArguments,
  toDictionary,
} from "../web/webidl.ts";
import { findEntries, onEntry, type PerformanceEntry, selectEntries } from "./entries.ts";

const supported: readonly string[] = ObjectFreeze(["mark", "measure"]);
const settled = promiseResolve(undefined);

function isSupported(type: string): boolean {
  return type === "mark" || type === "measure";
}

/** Performance Timeline §5.2. */
export class PerformanceObserverEntryList {
  readonly #entries: readonly PerformanceEntry[];

  constructor(token: unknown, entries: readonly PerformanceEntry[]) {
    if (token !== internal) throw illegalConstructor();
    this.#entries = entries;
  }

  getEntries(): PerformanceEntry[] {
    return selectEntries(this.#entries, null, null);
  }

  getEntriesByName(name: string, type?: string): PerformanceEntry[] {
    requireArguments(arguments.length, 1, "getEntriesByName");
    return selectEntries(this.#entries, `${name}`, type === undefined ? null : `${type}`);
  }

  getEntriesByType(type: string): PerformanceEntry[] {
    requireArguments(arguments.length, 1, "getEntriesByType");
    return selectEntries(this.#entries, null, `${type}`);
  }
}

type Callback = (
  list: PerformanceObserverEntryList,
  observer: PerformanceObserver,
  options: object,
) => unknown;

/** Observers that are to hear of entries, in the order of their registering. */
const observers = new SetNative<PerformanceObserver>();
let scheduled = false;
let take: (observer: PerformanceObserver, entry: PerformanceEntry) => void;
let deliver: (observer: PerformanceObserver) => void;

/** Once for all entries of a turn (Performance Timeline §6.2). */
function schedule(): void {
  if (scheduled) return;
  scheduled = true;
  PromiseThen(settled, () => {
    scheduled = false;
    const waiting: PerformanceObserver[] = [];
    SetForEach(observers, (observer) => {
      ArrayPush(waiting, observer);
    });
    for (let i = 0; i < waiting.length; i++) deliver(waiting[i] as PerformanceObserver);
  });
}

/** Performance Timeline §5. */
export class PerformanceObserver {
  readonly #callback: Callback;
  #mode: "none" | "single" | "multiple" = "none";
  #types: string[] = [];
  #buffer: PerformanceEntry[] = [];

  constructor(callback: Callback) {
    requireArguments(arguments.length, 1, "PerformanceObserver constructor");
    if (typeof callback !== "function") {
      throw new TypeError("cannot make a PerformanceObserver: callback is not a function");
    }
    this.#callback = callback;
  }

  static get supportedEntryTypes(): readonly string[] {
    return supported;
  }

  observe(options?: unknown): void {
    const dictionary = toDictionary(options, "options");
    const buffered = dictionary === null ? undefined : dictionary.buffered;
    const given = dictionary === null ? undefined : dictionary.entryTypes;
    const types = given === undefined ? null : toSequence(given);
    const single = dictionary === null ? undefined : dictionary.type;
    const type = single === undefined ? null : `${single as string}`;
    if (types === null && type === null) {
      throw new TypeError("cannot observe: options has neither entryTypes nor type");
    }
    if (types !== null && (type !== null || buffered !== undefined)) {
      throw new TypeError("cannot observe: options has another member beside entryTypes");
    }
    const mode = types !== null ? "multiple" : "single";
    if (this.#mode !== "none" && this.#mode !== mode) {
      throw new DOMException("cannot observe: entryTypes and type are mixed", "InvalidModificationError");
    }
    this.#mode = mode;
    if (types !== null) this.#observeTypes(types);
    else this.#observeType(type as string, !!buffered);
  }

  #observeTypes(types: readonly string[]): void {
    const known: string[] = [];
    for (let i = 0; i < types.length; i++) {
      if (isSupported(types[i] as string)) ArrayPush(known, types[i] as string);
    }
    if (known.length === 0) return;
    this.#types = known;
    SetAdd(observers, this);
  }

  #observeType(type: string, buffered: boolean): void {
    if (!isSupported(type)) return;
    if (!this.#observes(type)) ArrayPush(this.#types, type);
    SetAdd(observers, this);
    if (!buffered) return;
    const before = findEntries(null, type);
    for (let i = 0; i < before.length; i++) ArrayPush(this.#buffer, before[i] as PerformanceEntry);
    schedule();
  }

  #observes(type: string): boolean {
    for (let i = 0; i < this.#types.length; i++) if (this.#types[i] === type) return true;
    return false;
  }

  disconnect(): void {
    SetDelete(observers, this);
    this.#types = [];
    this.#buffer = [];
    this.#mode = "none";
  }

  takeRecords(): PerformanceEntry[] {
    const records = this.#buffer;
    this.#buffer = [];
    return records;
  }

  static {
    take = (observer, entry) => {
      if (observer.#observes(entry.entryType)) ArrayPush(observer.#buffer, entry);
    };
    deliver = (observer) => {
      const records = observer.#buffer;
      if (records.length === 0) return;
      observer.#buffer = [];
      const list = new PerformanceObserverEntryList(internal, records);
      try {
        ReflectApply(observer.#callback, observer, [list, observer, { droppedEntriesCount: 0 }]);
      } catch (error) {
        host.reportException(error);
      }
    };
  }
}

function toSequence(value: unknown): string[] {
  if (!isObject(value) || typeof (value as Iterable<unknown>)[SymbolIterator] !== "function") {
    throw new TypeError("cannot observe: entryTypes is not iterable");
  }
  const found: string[] = [];
  for (const item of value as Iterable<unknown>) ArrayPush(found, `${item as string}`);
  return found;
}

onEntry((entry) => {
  let any = false;
  SetForEach(observers, (observer) => {
    take(observer, entry);
    any = true;
  });
  if (any) schedule();
});

defineInterface(PerformanceObserverEntryList, "PerformanceObserverEntryList");
defineInterface(PerformanceObserver, "PerformanceObserver", 1, { observe: 0 });
