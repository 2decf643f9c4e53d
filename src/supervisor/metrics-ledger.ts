import { Histogram } from "../observability/histogram.ts";
import { latencyBounds, type MetricsSnapshot } from "../observability/traffic.ts";

/** The counts of one socket or service over all shards. */
export interface TrafficTotal {
  readonly kind: "socket" | "service";
  readonly name: string;
  readonly byClass: number[];
  readonly errors: Map<string, number>;
  readonly latency: number[];
  latencySum: number;
  active: number;
}

/**
 * Adds up what shards count. A shard that ends leaves its counts here, so that a total never goes back when a shard
 * dies or a generation ends; what it held open (active exchanges, connections, heaps) goes with it.
 */
export class MetricsLedger {
  readonly #live: Map<number, MetricsSnapshot> = new Map();
  readonly #past: Totals = new Totals();

  /** @param shard any number that is never used for another shard */
  update(shard: number, snapshot: MetricsSnapshot): void {
    this.#live.set(shard, snapshot);
  }

  /** The shard is gone; its last snapshot is all that will ever be known of it. */
  retire(shard: number): void {
    const last = this.#live.get(shard);
    this.#live.delete(shard);
    if (last !== undefined) this.#past.addCounts(last);
  }

  /** The sum over the living and the dead. */
  totals(): Totals {
    const totals = new Totals();
    totals.addTotals(this.#past);
    for (const snapshot of this.#live.values()) {
      totals.addCounts(snapshot);
      totals.addLevels(snapshot);
    }
    return totals;
  }
}

/** Sums by name. Counts only grow; levels are what is held right now. */
export class Totals {
  readonly traffic: Map<string, TrafficTotal> = new Map();
  readonly counters: Map<string, number> = new Map();
  readonly gauges: Map<string, number> = new Map();
  readonly histograms: Map<string, Histogram> = new Map();

  addCounts(snapshot: MetricsSnapshot): void {
    for (const each of snapshot.traffic) {
      this.#addTraffic(each.kind, each.name, each.byClass, each.errors, each.latency, each.latencySum);
    }
    for (const [key, value] of snapshot.counters) addTo(this.counters, key, value);
    // Some counts are read when asked for, as gauges are, such as the CPU time of an isolate.
    for (const [key, value] of snapshot.gauges) {
      if (isCount(key)) addTo(this.counters, key, value);
    }
    for (const [key, counts, sum] of snapshot.histograms) this.#addHistogram(key, counts, sum);
  }

  addLevels(snapshot: MetricsSnapshot): void {
    for (const each of snapshot.traffic) this.#cell(each.kind, each.name).active += each.active;
    for (const [key, value] of snapshot.gauges) {
      if (!isCount(key)) addTo(this.gauges, key, value);
    }
  }

  addTotals(other: Totals): void {
    for (const each of other.traffic.values()) {
      this.#addTraffic(each.kind, each.name, each.byClass, each.errors, each.latency, each.latencySum);
    }
    for (const [key, value] of other.counters) addTo(this.counters, key, value);
    for (const [key, { counts, sum }] of other.histograms) this.#addHistogram(key, counts, sum);
  }

  #addHistogram(key: string, counts: readonly number[], sum: number): void {
    let histogram = this.histograms.get(key);
    if (histogram === undefined) {
      histogram = new Histogram();
      this.histograms.set(key, histogram);
    }
    addEach(histogram.counts, counts);
    histogram.sum += sum;
  }

  #addTraffic(
    kind: "socket" | "service",
    name: string,
    byClass: readonly number[],
    errors: Iterable<readonly [string, number]>,
    latency: readonly number[],
    latencySum: number,
  ): void {
    const cell = this.#cell(kind, name);
    addEach(cell.byClass, byClass);
    addEach(cell.latency, latency);
    for (const [code, count] of errors) addTo(cell.errors, code, count);
    cell.latencySum += latencySum;
  }

  #cell(kind: "socket" | "service", name: string): TrafficTotal {
    const key = `${kind} ${name}`;
    let cell = this.traffic.get(key);
    if (cell === undefined) {
      cell = {
        kind,
        name,
        byClass: [0, 0, 0, 0, 0, 0],
        errors: new Map(),
        latency: new Array<number>(latencyBounds.length + 1).fill(0),
        latencySum: 0,
        active: 0,
      };
      this.traffic.set(key, cell);
    }
    return cell;
  }
}

/** True for the name of a counter, which by Prometheus's custom ends in `_total`. */
function isCount(key: string): boolean {
  const brace = key.indexOf("{");
  return (brace < 0 ? key : key.slice(0, brace)).endsWith("_total");
}

function addEach(into: number[], from: readonly number[]): void {
  for (let i = 0; i < into.length; i++) into[i] = (into[i] ?? 0) + (from[i] ?? 0);
}

function addTo(map: Map<string, number>, key: string, value: number): void {
  map.set(key, (map.get(key) ?? 0) + value);
}
