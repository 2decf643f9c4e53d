import { DOMException } from "../web/dom-exception.ts";
import { ArrayPush, ArraySort } from "../web/primordials.ts";
import { structuredClone } from "../web/structured-clone.ts";
import { now } from "../web/time-origin.ts";
import {
  defineInterface,
  illegalConstructor,
  internal,
  isObject,
  requireArguments,
  toDictionary,
} from "../web/webidl.ts";

/** Performance Timeline §4. */
export class PerformanceEntry {
  readonly #name: string;
  readonly #entryType: string;
  readonly #startTime: number;
  readonly #duration: number;

  constructor(token: unknown, name: string, entryType: string, startTime: number, duration: number) {
    if (token !== internal) throw illegalConstructor();
    this.#name = name;
    this.#entryType = entryType;
    this.#startTime = startTime;
    this.#duration = duration;
  }

  get name(): string {
    return this.#name;
  }

  get entryType(): string {
    return this.#entryType;
  }

  get startTime(): number {
    return this.#startTime;
  }

  get duration(): number {
    return this.#duration;
  }

  toJSON(): object {
    return {
      name: this.#name,
      entryType: this.#entryType,
      startTime: this.#startTime,
      duration: this.#duration,
    };
  }
}

/** The detail of an entry, cloned; null when there is none. */
function cloneDetail(dictionary: Record<string, unknown> | null): unknown {
  const detail = dictionary === null ? undefined : dictionary.detail;
  return detail === undefined || detail === null ? null : structuredClone(detail);
}

function toTime(value: unknown, what: string): number {
  const time = +(value as number);
  if (!(time > -Infinity && time < Infinity)) throw new TypeError(`${what} is not a finite number`);
  if (time < 0) throw new TypeError(`${what} is negative`);
  return time;
}

/** User Timing §3.2. */
export class PerformanceMark extends PerformanceEntry {
  readonly #detail: unknown;

  constructor(markName: string, markOptions?: unknown) {
    requireArguments(arguments.length, 1, "PerformanceMark constructor");
    const name = `${markName}`;
    const dictionary = toDictionary(markOptions, "markOptions");
    const start = dictionary === null ? undefined : dictionary.startTime;
    const time = start === undefined ? now() : toTime(start, "startTime");
    super(internal, name, "mark", time, 0);
    this.#detail = cloneDetail(dictionary);
  }

  get detail(): unknown {
    return this.#detail;
  }

  override toJSON(): object {
    return { ...super.toJSON(), detail: this.#detail };
  }
}

/** User Timing §3.3. */
export class PerformanceMeasure extends PerformanceEntry {
  readonly #detail: unknown;

  constructor(token: unknown, name: string, startTime: number, endTime: number, detail: unknown) {
    super(token, name, "measure", startTime, endTime - startTime);
    this.#detail = detail;
  }

  get detail(): unknown {
    return this.#detail;
  }

  override toJSON(): object {
    return { ...super.toJSON(), detail: this.#detail };
  }
}

let entries: PerformanceEntry[] = [];
/** Told of each new entry. */
let observe: (entry: PerformanceEntry) => void = () => {};

export function onEntry(observer: (entry: PerformanceEntry) => void): void {
  observe = observer;
}

/** Entries in the order of their start; null stands for any. */
export function findEntries(name: string | null, type: string | null): PerformanceEntry[] {
  return selectEntries(entries, name, type);
}

export function selectEntries(
  from: readonly PerformanceEntry[],
  name: string | null,
  type: string | null,
): PerformanceEntry[] {
  const found: PerformanceEntry[] = [];
  for (let i = 0; i < from.length; i++) {
    const entry = from[i] as PerformanceEntry;
    if (name !== null && entry.name !== name) continue;
    if (type !== null && entry.entryType !== type) continue;
    ArrayPush(found, entry);
  }
  return ArraySort(found, (a, b) => a.startTime - b.startTime);
}

export function clearEntries(type: string, name?: string): void {
  const wanted = name === undefined ? null : `${name}`;
  const kept: PerformanceEntry[] = [];
  for (let i = 0; i < entries.length; i++) {
    const entry = entries[i] as PerformanceEntry;
    if (entry.entryType !== type || (wanted !== null && entry.name !== wanted)) ArrayPush(kept, entry);
  }
  entries = kept;
}

function add<T extends PerformanceEntry>(entry: T): T {
  ArrayPush(entries, entry);
  observe(entry);
  return entry;
}

/** User Timing §3.1.1. */
export function mark(name: string, options?: unknown): PerformanceMark {
  return add(new PerformanceMark(name, options));
}

/** User Timing §3.1.3. */
export function measure(
  measureName: string,
  startOrOptions?: unknown,
  endMark?: unknown,
): PerformanceMeasure {
  const name = `${measureName}`;
  const dictionary = isObject(startOrOptions) ? (startOrOptions as Record<string, unknown>) : null;
  const detail = dictionary?.detail;
  const duration = dictionary?.duration;
  const end = dictionary?.end;
  const start = dictionary?.start;
  const isGiven =
    dictionary !== null &&
    (start !== undefined || end !== undefined || duration !== undefined || detail !== undefined);
  if (isGiven) {
    if (endMark !== undefined) throw new TypeError("cannot measure: endMark is given beside options");
    if (start === undefined && end === undefined) {
      throw new TypeError("cannot measure: options has neither start nor end");
    }
    if (start !== undefined && end !== undefined && duration !== undefined) {
      throw new TypeError("cannot measure: options has start, end and duration");
    }
  }
  const length = duration === undefined ? 0 : toTime(duration, "duration");
  let endTime: number;
  if (endMark !== undefined) endTime = timeOf(`${endMark as string}`);
  else if (end !== undefined) endTime = timeOf(end);
  else if (start !== undefined && duration !== undefined) endTime = timeOf(start) + length;
  else endTime = now();
  let startTime = 0;
  if (start !== undefined) startTime = timeOf(start);
  else if (end !== undefined && duration !== undefined) startTime = timeOf(end) - length;
  else if (dictionary === null && startOrOptions !== undefined && startOrOptions !== null) {
    startTime = timeOf(`${startOrOptions as string}`);
  }
  return add(
    new PerformanceMeasure(internal, name, startTime, endTime, cloneDetail(isGiven ? dictionary : null)),
  );
}

/** A time, or that of the last mark of a name (User Timing §4.1, convert a mark to a timestamp). */
function timeOf(value: unknown): number {
  if (typeof value === "number") return toTime(value, "a time");
  const name = `${value as string}`;
  for (let i = entries.length - 1; i >= 0; i--) {
    const entry = entries[i] as PerformanceEntry;
    if (entry.entryType === "mark" && entry.name === name) return entry.startTime;
  }
  throw new DOMException(`cannot measure: there is no mark "${name}"`, "SyntaxError");
}

defineInterface(PerformanceEntry, "PerformanceEntry");
defineInterface(PerformanceMark, "PerformanceMark", 1);
defineInterface(PerformanceMeasure, "PerformanceMeasure");
