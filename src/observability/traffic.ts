import { Histogram } from "./histogram.ts";

/** Upper bounds of the latency histogram's buckets, in seconds. */
export const latencyBounds = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
] as const;

/**
 * The counts of one socket, service or Worker in one shard. Plain fields, so that counting a request costs some
 * nanoseconds; the supervisor gathers snapshots and renders them with prom-client.
 */
export class Traffic {
  readonly kind: "socket" | "service";
  readonly name: string;
  /** Responses by status class: index 1 is 1xx … 5 is 5xx; index 0 counts exchanges that ended without an answer. */
  readonly byClass: number[] = [0, 0, 0, 0, 0, 0];
  readonly errors: Map<string, number> = new Map();
  readonly latency: number[] = new Array<number>(latencyBounds.length + 1).fill(0);
  latencySum = 0;
  active = 0;

  constructor(kind: "socket" | "service", name: string) {
    this.kind = kind;
    this.name = name;
  }

  begin(): void {
    this.active++;
  }

  /** @param status 0 when there was no answer. @param seconds from request head to the end of the response. */
  finish(status: number, seconds: number): void {
    this.active--;
    const index = status >= 100 && status < 600 ? Math.trunc(status / 100) : 0;
    this.byClass[index] = (this.byClass[index] ?? 0) + 1;
    let bucket = 0;
    while (bucket < latencyBounds.length && seconds > (latencyBounds[bucket] ?? 0)) bucket++;
    this.latency[bucket] = (this.latency[bucket] ?? 0) + 1;
    this.latencySum += seconds;
  }

  error(code: string): void {
    this.errors.set(code, (this.errors.get(code) ?? 0) + 1);
  }
}

/** Named numbers beside traffic: counters only grow, gauges are read when asked. */
export class Gauges {
  readonly counters: Map<string, number> = new Map();
  readonly #gauges: Map<string, () => number> = new Map();

  /** @param key a metric name with its labels, as `sluice_isolate_cold_starts_total{worker="x"}`. */
  add(key: string, amount = 1): void {
    this.counters.set(key, (this.counters.get(key) ?? 0) + amount);
  }

  gauge(key: string, read: () => number): void {
    this.#gauges.set(key, read);
  }

  drop(key: string): void {
    this.#gauges.delete(key);
  }

  readGauges(): Array<[key: string, value: number]> {
    return Array.from(this.#gauges, ([key, read]) => [key, read()]);
  }
}

/** What a shard sends to the supervisor when metrics are asked for. */
export interface MetricsSnapshot {
  readonly traffic: ReadonlyArray<{
    readonly kind: "socket" | "service";
    readonly name: string;
    readonly byClass: readonly number[];
    readonly errors: ReadonlyArray<readonly [code: string, count: number]>;
    readonly latency: readonly number[];
    readonly latencySum: number;
    readonly active: number;
  }>;
  readonly counters: ReadonlyArray<readonly [key: string, value: number]>;
  readonly gauges: ReadonlyArray<readonly [key: string, value: number]>;
  readonly histograms: ReadonlyArray<readonly [key: string, counts: readonly number[], sum: number]>;
}

/** All counts of a shard. */
export class Metrics {
  readonly #traffic: Map<string, Traffic> = new Map();
  readonly #histograms: Map<string, Histogram> = new Map();
  readonly gauges: Gauges = new Gauges();

  /** The one of this name, made when it is first asked for. @param key as for `Gauges.add` */
  histogram(key: string): Histogram {
    let histogram = this.#histograms.get(key);
    if (histogram === undefined) {
      histogram = new Histogram();
      this.#histograms.set(key, histogram);
    }
    return histogram;
  }

  traffic(kind: "socket" | "service", name: string): Traffic {
    const key = `${kind} ${name}`;
    let cell = this.#traffic.get(key);
    if (cell === undefined) {
      cell = new Traffic(kind, name);
      this.#traffic.set(key, cell);
    }
    return cell;
  }

  snapshot(): MetricsSnapshot {
    return {
      traffic: Array.from(this.#traffic.values(), (cell) => ({
        kind: cell.kind,
        name: cell.name,
        byClass: cell.byClass,
        errors: [...cell.errors],
        latency: cell.latency,
        latencySum: cell.latencySum,
        active: cell.active,
      })),
      counters: [...this.gauges.counters],
      gauges: this.gauges.readGauges(),
      histograms: Array.from(this.#histograms, ([key, { counts, sum }]) => [key, counts, sum] as const),
    };
  }
}
