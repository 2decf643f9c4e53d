import type { PerformanceEntry, PerformanceObserver } from "node:perf_hooks";
import type { Histogram } from "../observability/histogram.ts";
import { metricKey } from "../observability/metric-key.ts";
import type { Metrics } from "../observability/traffic.ts";

const kinds = ["minor", "incremental", "weak", "major"] as const;

type GcEntry = PerformanceEntry & { readonly detail: { readonly kind: number } };

/** Milliseconds after which collections are counted: what it takes is loaded when the first requests are answered. */
const DELAY = 250;

/**
 * Counts the pauses in which V8 collects the shard's own garbage. What isolates collect is not seen, since isolated-vm
 * tells nothing of it: it is a part of the entry in which it happens.
 */
export class GcPauses {
  readonly #histograms: ReadonlyMap<string, Histogram>;
  readonly #timer: NodeJS.Timeout;
  #observer: PerformanceObserver | null = null;

  constructor(metrics: Metrics, delay = DELAY) {
    this.#histograms = new Map(
      kinds.map((kind) => [kind, metrics.histogram(metricKey("sluice_shard_gc_pause_seconds", { kind }))]),
    );
    this.#timer = setTimeout(() => this.#observe(), delay);
    this.#timer.unref();
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#observer?.disconnect();
  }

  #observe(): void {
    const { constants, PerformanceObserver } = process.getBuiltinModule("node:perf_hooks");
    const byNumber = new Map([
      [constants.NODE_PERFORMANCE_GC_MINOR, this.#histograms.get("minor")],
      [constants.NODE_PERFORMANCE_GC_INCREMENTAL, this.#histograms.get("incremental")],
      [constants.NODE_PERFORMANCE_GC_WEAKCB, this.#histograms.get("weak")],
      [constants.NODE_PERFORMANCE_GC_MAJOR, this.#histograms.get("major")],
    ]);
    this.#observer = new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) {
        byNumber.get((entry as GcEntry).detail.kind)?.record(entry.duration / 1000);
      }
    });
    this.#observer.observe({ entryTypes: ["gc"] });
  }
}
