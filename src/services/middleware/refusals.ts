import { metricKey } from "../../observability/metric-key.ts";
import type { Gauges } from "../../observability/traffic.ts";

/** Counts the exchanges and tunnels that one middleware does not let pass. */
export class Refusals {
  readonly #gauges: Gauges | null;
  readonly #key: string;

  /**
   * @param metrics of the shard, if it has any
   * @param service that has the middleware before it: of a rule, its router
   */
  constructor(metrics: { readonly gauges: Gauges } | undefined, service: string, middleware: string) {
    this.#gauges = metrics?.gauges ?? null;
    this.#key = metricKey("sluice_middleware_refusals_total", { service, middleware });
  }

  count(): void {
    this.#gauges?.add(this.#key);
  }
}
