import { part } from "../part.ts";
import { EventTarget } from "./events.ts";
import { now, restart, timeOrigin } from "./time-origin.ts";
import { defineInterface, illegalConstructor, internal, requireArguments } from "./webidl.ts";

/** The Worker starts now: an isolate may have been made long before it got its Worker. */
export function startPerformance(): void {
  restart();
}

/** Marks and measures, which few Workers make. */
function timeline(): typeof import("../parts/performance-timeline.ts") {
  return part("performance-timeline");
}

/** High Resolution Time §7, at the resolution of the Worker's clock; Performance Timeline §3; User Timing §3. */
export class Performance extends EventTarget {
  readonly #made = true;

  constructor(token?: unknown) {
    if (token !== internal) throw illegalConstructor();
    super();
  }

  get timeOrigin(): number {
    void this.#made;
    return timeOrigin;
  }

  now(): number {
    void this.#made;
    return now();
  }

  mark(name: string, options?: unknown): unknown {
    requireArguments(arguments.length, 1, "mark");
    return timeline().mark(name, options);
  }

  measure(name: string, startOrOptions?: unknown, endMark?: string): unknown {
    requireArguments(arguments.length, 1, "measure");
    return timeline().measure(name, startOrOptions, endMark);
  }

  clearMarks(name?: string): void {
    timeline().clearEntries("mark", name);
  }

  clearMeasures(name?: string): void {
    timeline().clearEntries("measure", name);
  }

  getEntries(): unknown[] {
    return timeline().findEntries(null, null);
  }

  getEntriesByName(name: string, type?: string): unknown[] {
    requireArguments(arguments.length, 1, "getEntriesByName");
    return timeline().findEntries(`${name}`, type === undefined ? null : `${type}`);
  }

  getEntriesByType(type: string): unknown[] {
    requireArguments(arguments.length, 1, "getEntriesByType");
    return timeline().findEntries(null, `${type}`);
  }

  toJSON(): { timeOrigin: number } {
    return { timeOrigin };
  }
}

defineInterface(Performance, "Performance", 0, { measure: 1, mark: 1, getEntriesByName: 1 });

export const performance = new Performance(internal);
