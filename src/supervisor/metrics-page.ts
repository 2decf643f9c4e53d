import { catalog, type MetricEntry } from "../observability/catalog.ts";
import { pauseBounds } from "../observability/histogram.ts";
import { latencyBounds } from "../observability/traffic.ts";
import type { Totals, TrafficTotal } from "./metrics-ledger.ts";

type Labels = Record<string, string | number>;

interface MetricValue {
  readonly value: number;
  readonly labels: Labels;
  readonly metricName: string;
}

/** A metric in prom-client's JSON form, which its aggregation reads. */
interface MetricJson {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly aggregator: "sum";
  readonly values: MetricValue[];
}

/** One number of the supervisor's own, its labels written in the key as in `name{label="value"}`. */
export type OwnMetrics = Iterable<readonly [key: string, value: number]>;

/** A page in Prometheus's text format, with its content type. */
export interface MetricsPage {
  readonly contentType: string;
  readonly body: string;
}

/**
 * Renders totals with prom-client, which is loaded on the first call: a proxy that nobody scrapes does without.
 *
 * @param kindOf the kind of a service by its name
 */
export async function renderMetrics(
  totals: Totals,
  own: OwnMetrics,
  kindOf: (service: string) => string,
): Promise<MetricsPage> {
  const { AggregatorRegistry } = await import("prom-client");
  const metrics = new MetricSet();
  for (const cell of totals.traffic.values()) addTraffic(metrics, cell, kindOf);
  for (const [key, value] of totals.counters) metrics.addKey(key, value, "counter");
  for (const [key, value] of totals.gauges) metrics.addKey(key, value, "gauge");
  for (const [key, { counts, sum }] of totals.histograms) {
    const [name, labels] = splitKey(key);
    addHistogram(metrics, name, labels, pauseBounds, counts, sum);
  }
  for (const [key, value] of own) metrics.addKey(key, value, "gauge");
  const registry = AggregatorRegistry.aggregate([metrics.list()]);
  return { contentType: registry.contentType, body: await registry.metrics() };
}

class MetricSet {
  readonly #metrics: Map<string, MetricJson> = new Map();

  add(name: string, labels: Labels, value: number, sample = name): void {
    this.#metric(name, "gauge").values.push({ value, labels, metricName: sample });
  }

  addKey(key: string, value: number, type: "counter" | "gauge"): void {
    const [name, labels] = splitKey(key);
    this.#metric(name, type).values.push({ value, labels, metricName: name });
  }

  list(): MetricJson[] {
    const order = new Map(catalog.map((entry, index) => [entry.name, index]));
    return [...this.#metrics.values()].sort(
      (a, b) => (order.get(a.name) ?? catalog.length) - (order.get(b.name) ?? catalog.length),
    );
  }

  /** The catalog decides the type; `type` is for a metric that it does not list. */
  #metric(name: string, type: "counter" | "gauge"): MetricJson {
    let metric = this.#metrics.get(name);
    if (metric === undefined) {
      const entry: MetricEntry | undefined = entries.get(name);
      metric = {
        name,
        help: entry?.help ?? name,
        type: entry?.type ?? type,
        aggregator: "sum",
        values: [],
      };
      this.#metrics.set(name, metric);
    }
    return metric;
  }
}

const entries: ReadonlyMap<string, MetricEntry> = new Map(catalog.map((entry) => [entry.name, entry]));
const classes = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"] as const;

function addTraffic(metrics: MetricSet, cell: TrafficTotal, kindOf: (service: string) => string): void {
  const labels: Labels =
    cell.kind === "socket" ? { socket: cell.name } : { service: cell.name, kind: kindOf(cell.name) };
  const prefix = `sluice_${cell.kind}`;
  for (const [index, name] of classes.entries()) {
    const count = cell.byClass[index] ?? 0;
    // Every class that matters to a dashboard exists from the start, so that rates have a first point.
    if (count > 0 || index >= 2) metrics.add(`${prefix}_requests_total`, { ...labels, class: name }, count);
  }
  for (const [code, count] of cell.errors) metrics.add(`${prefix}_errors_total`, { ...labels, code }, count);
  metrics.add(`${prefix}_active_exchanges`, labels, cell.active);

  addHistogram(
    metrics,
    `${prefix}_request_duration_seconds`,
    labels,
    latencyBounds,
    cell.latency,
    cell.latencySum,
  );
}

/** @param counts by bucket, not cumulative; the last is for what lies above every bound */
function addHistogram(
  metrics: MetricSet,
  name: string,
  labels: Labels,
  bounds: readonly number[],
  counts: readonly number[],
  total: number,
): void {
  let sum = 0;
  for (const [index, bound] of bounds.entries()) {
    sum += counts[index] ?? 0;
    metrics.add(name, { ...labels, le: bound }, sum, `${name}_bucket`);
  }
  sum += counts[bounds.length] ?? 0;
  metrics.add(name, { ...labels, le: "+Inf" }, sum, `${name}_bucket`);
  metrics.add(name, labels, total, `${name}_sum`);
  metrics.add(name, labels, sum, `${name}_count`);
}

/** A metric's name and its labels. */
export function splitKey(key: string): [name: string, labels: Labels] {
  const brace = key.indexOf("{");
  return brace < 0 ? [key, {}] : [key.slice(0, brace), readLabels(key.slice(brace))];
}

/** Reads `{a="x",b="y"}`; a quote or backslash in a value is escaped by a backslash. */
export function readLabels(text: string): Labels {
  const labels: Labels = {};
  let at = 1;
  while (at < text.length && text[at] !== "}") {
    const equals = text.indexOf('="', at);
    if (equals < 0) break;
    const name = text.slice(at, equals);
    let value = "";
    let end = equals + 2;
    while (end < text.length && text[end] !== '"') {
      if (text[end] === "\\") end++;
      value += text[end] ?? "";
      end++;
    }
    labels[name] = value;
    at = end + 1;
    if (text[at] === ",") at++;
  }
  return labels;
}
