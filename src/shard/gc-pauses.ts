import { constants, PerformanceObserver } from "node:perf_hooks";
import type { Histogram } from "../observability/histogram.ts";
import { metricKey } from "../observability/metric-key.ts";
import type { Metrics } from "../observability/traffic.ts";

const kinds: ReadonlyArray<readonly [kind: number, name: string]> = [
  [constants.NODE_PERFORMANCE_GC_MINOR, "minor"],
  [constants.NODE_PERFORMANCE_GC_INCREMENTAL, "incremental"],
  [constants.NODE_PERFORMANCE_GC_WEAKCB, "weak"],
  [constants.NODE_PERFORMANCE_GC_MAJOR, "major"],
];

/**
 * Counts the pauses in which V8 collects the shard's own garbage. What isolates collect is not seen, since isolated-vm
 * tells nothing of it: it is a part of the entry in which it happens.
 */
export class GcPauses {
  readonly #observer: PerformanceObserver;

  constructor(metrics: Metrics) {
    const histograms = new Map<number, Histogram>();
    for (const [kind, name] of kinds) {
      histograms.set(kind, metrics.histogram(metricKey("sluice_shard_gc_pause_seconds", { kind: name })));
    }
    this.#observer = new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) {
        const { duration, detail } = entry as PerformanceEntry & {
          readonly detail: { readonly kind: number };
        };
        histograms.get(detail.kind)?.record(duration / 1000);
      }
    });
    this.#observer.observe({ entryTypes: ["gc"] });
  }

  close(): void {
    this.#observer.disconnect();
  }
}
