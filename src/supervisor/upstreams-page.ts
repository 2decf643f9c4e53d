import type { Totals } from "./metrics-ledger.ts";
import { splitKey } from "./metrics-page.ts";

/** One endpoint, summed over the shards. */
interface EndpointState {
  readonly address: string;
  /** Shards that give it requests. */
  up: number;
  active: number;
  requests: number;
  ejections: number;
  readonly failures: Record<string, number>;
}

interface UpstreamState {
  readonly service: string;
  readonly connections: Record<string, number>;
  pending: number;
  readonly endpoints: EndpointState[];
}

const prefix = "sluice_upstream_";

/** What the shards tell of their externals, as JSON for people and scripts; the numbers are those of the metrics. */
export function renderUpstreams(totals: Totals): string {
  const upstreams = new Map<string, UpstreamState>();
  const endpoints = new Map<string, EndpointState>();
  for (const [key, value] of [...totals.gauges, ...totals.counters]) {
    if (!key.startsWith(prefix)) continue;
    const [name, labels] = splitKey(key);
    const service = String(labels.service);
    let upstream = upstreams.get(service);
    if (upstream === undefined) {
      upstream = { service, connections: {}, pending: 0, endpoints: [] };
      upstreams.set(service, upstream);
    }
    const kind = name.slice(prefix.length);
    if (kind === "connections") upstream.connections[String(labels.state)] = value;
    else if (kind === "pending") upstream.pending = value;
    else if (labels.endpoint !== undefined) {
      const address = String(labels.endpoint);
      let endpoint = endpoints.get(`${service} ${address}`);
      if (endpoint === undefined) {
        endpoint = { address, up: 0, active: 0, requests: 0, ejections: 0, failures: {} };
        endpoints.set(`${service} ${address}`, endpoint);
        upstream.endpoints.push(endpoint);
      }
      take(endpoint, kind, String(labels.kind), value);
    }
  }
  return `${JSON.stringify({ upstreams: [...upstreams.values()] }, null, 2)}\n`;
}

function take(endpoint: EndpointState, name: string, kind: string, value: number): void {
  switch (name) {
    case "endpoint_up":
      endpoint.up = value;
      return;
    case "endpoint_active":
      endpoint.active = value;
      return;
    case "endpoint_requests_total":
      endpoint.requests = value;
      return;
    case "endpoint_ejections_total":
      endpoint.ejections = value;
      return;
    case "endpoint_failures_total":
      endpoint.failures[kind] = value;
  }
}
