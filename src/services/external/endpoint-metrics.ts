import { metricKey } from "../../observability/metric-key.ts";
import type { Gauges } from "../../observability/traffic.ts";
import type { Endpoint } from "./endpoint.ts";
import type { Failure } from "./failure-kind.ts";

/** Endpoints of one service that are shown one by one; names may lead to any number. */
const maxShown = 64;

const kinds: readonly Failure[] = ["connect", "reset", "timeout", "malformed", "status", "check"];

/** Shows the counts of a service's endpoints. What an endpoint that is gone has counted goes to the endpoint `gone`. */
export class EndpointMetrics {
  readonly #service: string;
  readonly #gauges: Gauges;
  readonly #shown: Map<Endpoint, readonly string[]> = new Map();

  constructor(service: string, gauges: Gauges) {
    this.#service = service;
    this.#gauges = gauges;
  }

  add(endpoint: Endpoint): void {
    if (this.#shown.size >= maxShown) return;
    const keys: string[] = [];
    const show = (name: string, read: () => number, kind?: string): void => {
      const labels = { service: this.#service, endpoint: endpoint.where };
      const key = metricKey(name, kind === undefined ? labels : { ...labels, kind });
      keys.push(key);
      this.#gauges.gauge(key, read);
    };
    show("sluice_upstream_endpoint_up", () => (endpoint.available ? 1 : 0));
    show("sluice_upstream_endpoint_active", () => endpoint.active);
    show("sluice_upstream_endpoint_requests_total", () => endpoint.requests);
    show("sluice_upstream_endpoint_ejections_total", () => endpoint.ejections);
    for (const kind of kinds) {
      show("sluice_upstream_endpoint_failures_total", () => endpoint.failures[kind], kind);
    }
    this.#shown.set(endpoint, keys);
  }

  remove(endpoint: Endpoint): void {
    const keys = this.#shown.get(endpoint);
    if (keys === undefined) return;
    this.#shown.delete(endpoint);
    for (const key of keys) this.#gauges.drop(key);
    const labels = { service: this.#service, endpoint: "gone" };
    const keep = (name: string, count: number, kind?: string): void => {
      if (count > 0)
        this.#gauges.add(metricKey(name, kind === undefined ? labels : { ...labels, kind }), count);
    };
    keep("sluice_upstream_endpoint_requests_total", endpoint.requests);
    keep("sluice_upstream_endpoint_ejections_total", endpoint.ejections);
    for (const kind of kinds) {
      keep("sluice_upstream_endpoint_failures_total", endpoint.failures[kind], kind);
    }
  }

  close(): void {
    for (const keys of this.#shown.values()) for (const key of keys) this.#gauges.drop(key);
    this.#shown.clear();
  }
}
