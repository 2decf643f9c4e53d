import { metricKey } from "../observability/metric-key.ts";
import type { MetricsSnapshot } from "../observability/traffic.ts";
import type { Generation } from "./generation.ts";
import { MetricsLedger } from "./metrics-ledger.ts";
import { type MetricsPage, renderMetrics } from "./metrics-page.ts";
import { type Revision, serviceKind } from "./revision.ts";
import { renderUpstreams } from "./upstreams-page.ts";

/** A shard that does not answer in time shows as it last was. */
const answerMs = 1_000;

/** What the supervisor holds at the moment; it owns the generations, this class only counts. */
export interface SupervisorState {
  readonly serving: Generation | null;
  readonly draining: readonly Generation[];
  readonly quarantined: readonly string[];
  /** Numbers of certificates and their orders. */
  readonly certificates: Iterable<readonly [key: string, value: number]>;
}

/** All metrics of the proxy: what the shards count, and what the supervisor itself does. */
export class SupervisorMetrics {
  readonly #ledger: MetricsLedger = new MetricsLedger();
  readonly #kinds: Map<string, string> = new Map();
  readonly #counters: Map<string, number> = new Map();
  readonly #startedAt: number = Date.now() / 1000;

  constructor() {
    for (const result of ["ok", "failed"])
      this.#counters.set(metricKey("sluice_reloads_total", { result }), 0);
  }

  reloaded(result: "ok" | "failed"): void {
    this.#count(metricKey("sluice_reloads_total", { result }));
  }

  restarted(cause: string): void {
    this.#count(metricKey("sluice_shard_restarts_total", { cause }));
  }

  quarantined(worker: string): void {
    this.#count(metricKey("sluice_worker_quarantines_total", { worker }));
  }

  /** Remembers the kinds of its services, also for what they leave behind when the config no longer has them. */
  learn(revision: Revision): void {
    for (const name of Object.keys(revision.config.services))
      this.#kinds.set(name, serviceKind(revision, name));
  }

  update(shard: number, snapshot: MetricsSnapshot): void {
    this.#ledger.update(shard, snapshot);
  }

  retire(shard: number): void {
    this.#ledger.retire(shard);
  }

  /** Fetches the counts of all shards. */
  async collect({ serving, draining }: SupervisorState): Promise<void> {
    const generations = serving === null ? draining : [serving, ...draining];
    const shards = generations.flatMap((generation) => generation.shards);
    await Promise.all(shards.map((shard) => shard.refreshMetrics(answerMs)));
  }

  /** The page that Prometheus reads, with counts fetched now. */
  async page(state: SupervisorState): Promise<MetricsPage> {
    await this.collect(state);
    return renderMetrics(
      this.#ledger.totals(),
      this.#own(state),
      (name) => this.#kinds.get(name) ?? "unknown",
    );
  }

  /** What is known of externals and their endpoints now, as JSON. */
  async upstreams(state: SupervisorState): Promise<string> {
    await this.collect(state);
    return renderUpstreams(this.#ledger.totals());
  }

  *#own({
    serving,
    draining,
    quarantined,
    certificates,
  }: SupervisorState): Iterable<readonly [key: string, value: number]> {
    const ending = draining.reduce((sum, generation) => sum + generation.shards.length, 0);
    yield [metricKey("sluice_shards", { state: "running" }), serving?.listening ?? 0];
    yield [metricKey("sluice_shards", { state: "draining" }), ending];
    const delays = serving?.shards.map((shard) => shard.delayMs) ?? [];
    yield ["sluice_shard_ping_seconds", Math.max(0, ...delays) / 1000];
    yield ["sluice_generation", serving?.number ?? 0];
    yield ["sluice_start_time_seconds", this.#startedAt];
    for (const worker of quarantined) yield [metricKey("sluice_worker_quarantined", { worker }), 1];
    yield* certificates;
    yield* this.#counters;
  }

  #count(key: string): void {
    this.#counters.set(key, (this.#counters.get(key) ?? 0) + 1);
  }
}
