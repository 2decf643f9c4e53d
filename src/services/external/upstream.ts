import type { ExternalConfig } from "../../config/schema/external.ts";
import { ProxyError } from "../../errors/proxy-error.ts";
import { HeaderEditor } from "../../http/header-edits.ts";
import type { ParserLimits } from "../../http/http1/events.ts";
import { formatAddress, parseAddress } from "../../net/address.ts";
import { PreambleWriter } from "../../net/preamble-writer.ts";
import { TimerWheel } from "../../net/timer-wheel.ts";
import type { Logger } from "../../observability/log.ts";
import { metricKey } from "../../observability/metric-key.ts";
import type { Gauges, Traffic } from "../../observability/traffic.ts";
import type { ServiceContext } from "../context.ts";
import type { Endpoint } from "./endpoint.ts";
import { EndpointGroup } from "./endpoint-group.ts";
import { EndpointMetrics } from "./endpoint-metrics.ts";
import type { Failure } from "./failure-kind.ts";
import { Forwarding } from "./forwarding.ts";
import { RetryPolicy } from "./retry-policy.ts";
import { Sticky } from "./sticky.ts";

/** What the parts of an external service share: how to speak to it, its endpoints, and its accounts. */
export class Upstream {
  readonly name: string;
  readonly config: ExternalConfig;
  /** The authority for a request that has none. */
  readonly authority: string;
  readonly wheel: TimerWheel;
  readonly traffic: Traffic;
  readonly forwarding: Forwarding;
  readonly requestEdits: HeaderEditor;
  readonly responseEdits: HeaderEditor;
  readonly parserLimits: ParserLimits = { headerBytes: 131_072, headerFields: 500, targetBytes: 8_000 };
  /** Null when connections begin with no preamble. */
  readonly preambles: PreambleWriter | null;
  readonly group: EndpointGroup;
  /** Null when nothing is ever sent again: there is one endpoint, and no retries are configured. */
  readonly retry: RetryPolicy | null;
  readonly sticky: Sticky | null;
  /** Attempts that wait for a connection, at all endpoints. */
  pending = 0;
  readonly #log: Logger;
  readonly #gauges: Gauges;
  readonly #metrics: EndpointMetrics;
  /** Names that could not be resolved, and were not since. */
  readonly #unresolved: Set<string> = new Set();

  /** @throws Error or TypeError when the config's addresses or header edits are not valid. */
  constructor(name: string, config: ExternalConfig, context: ServiceContext) {
    this.name = name;
    this.config = config;
    const first = parseAddress(config.addresses[0]?.address ?? "");
    this.authority = first.kind === "tcp" ? formatAddress(first) : "localhost";
    this.wheel = TimerWheel.of(context);
    this.traffic = context.metrics.traffic("service", name);
    this.forwarding = new Forwarding(config.http);
    this.requestEdits = new HeaderEditor(config.http.injectRequestHeaders);
    this.responseEdits = new HeaderEditor(config.http.injectResponseHeaders);
    this.#log = context.log;
    this.#gauges = context.metrics.gauges;
    this.#metrics = new EndpointMetrics(name, this.#gauges);
    this.preambles = preamblesOf(config);
    this.sticky = config.sticky === undefined ? null : new Sticky(config.sticky, name, context.secret);
    this.group = new EndpointGroup(this);
    this.retry =
      this.group.only !== null && config.retries === undefined ? null : new RetryPolicy(config.retries);
    for (const endpoint of this.group.endpoints) this.#metrics.add(endpoint);
    this.sticky?.use(this.group.endpoints);
    this.#gauges.gauge(this.#key("sluice_upstream_connections", { state: "open" }), () =>
      this.#sum(({ client }) => client.open),
    );
    this.#gauges.gauge(this.#key("sluice_upstream_connections", { state: "idle" }), () =>
      this.#sum(({ client }) => client.idle),
    );
    this.#gauges.gauge(this.#key("sluice_upstream_pending"), () => this.pending + this.group.waiting);
  }

  /** No more requests are taken on. One check when there is no limit. */
  get overloaded(): boolean {
    const { requests } = this.config.limits;
    return requests > 0 && this.traffic.active > requests;
  }

  /** One more may wait for a connection. */
  get mayWait(): boolean {
    const { pending } = this.config.limits;
    return pending === 0 || this.pending + this.group.waiting < pending;
  }

  onHealth(endpoint: Endpoint, state: "up" | "down" | "ejected" | "returned", reason: string): void {
    this.group.sift();
    this.#gauges.add(this.#key("sluice_upstream_health_changes_total", { state }));
    const level = state === "up" || state === "returned" ? "info" : "warn";
    const message = `endpoint ${endpoint.where} of "${this.name}" is ${state}: ${reason}`;
    const fields = { service: this.name, endpoint: endpoint.where, state, reason };
    this.#log.log(level, "upstream.health", message, fields);
  }

  onEndpoints(host: string, added: readonly Endpoint[], gone: readonly Endpoint[]): void {
    for (const endpoint of gone) this.#metrics.remove(endpoint);
    for (const endpoint of added) this.#metrics.add(endpoint);
    this.sticky?.use(this.group.endpoints);
    const names = (endpoints: readonly Endpoint[]) => endpoints.map(({ where }) => where).join(" ");
    const message = `endpoints of "${this.name}" have changed: "${host}" has other addresses`;
    const fields = { service: this.name, name: host, added: names(added), gone: names(gone) };
    this.#log.log("info", "upstream.endpoints", message, fields);
  }

  /** @param error null when the name could be resolved, whatever it leads to */
  onResolved(host: string, error: Error | null): void {
    const result = error === null ? "ok" : "failed";
    this.#gauges.add(this.#key("sluice_upstream_resolutions_total", { result }));
    if (error === null) {
      this.#unresolved.delete(host);
      return;
    }
    // Once, and not with each try.
    if (this.#unresolved.has(host)) return;
    this.#unresolved.add(host);
    const message = `cannot resolve "${host}": ${error.message}`;
    this.#log.log("warn", "upstream.resolve", message, { service: this.name, name: host });
  }

  onRetry(failure: Failure): void {
    this.#gauges.add(this.#key("sluice_upstream_retries_total", { kind: failure }));
  }

  onRetryDenied(): void {
    this.#gauges.add(this.#key("sluice_upstream_retries_denied_total"));
  }

  /** Counts that a limit is reached. @returns the error for whoever came too late */
  refuse(limit: "requests" | "pending"): ProxyError {
    this.#gauges.add(this.#key("sluice_upstream_overloads_total", { limit }));
    const what = limit === "pending" ? "requests wait" : "requests are under way";
    const message = `cannot reach "${this.name}": ${this.config.limits[limit]} ${what} already`;
    return new ProxyError("upstream_overloaded", message);
  }

  close(): void {
    this.group.close();
    this.#metrics.close();
    this.#gauges.drop(this.#key("sluice_upstream_connections", { state: "open" }));
    this.#gauges.drop(this.#key("sluice_upstream_connections", { state: "idle" }));
    this.#gauges.drop(this.#key("sluice_upstream_pending"));
  }

  #sum(read: (endpoint: Endpoint) => number): number {
    return this.group.endpoints.reduce((sum, endpoint) => sum + read(endpoint), 0);
  }

  #key(name: string, labels: Readonly<Record<string, string>> = {}): string {
    return metricKey(name, { service: this.name, ...labels });
  }
}

function preamblesOf({ proxyProtocol }: ExternalConfig): PreambleWriter | null {
  if (proxyProtocol === undefined) return null;
  const { version, facts } = proxyProtocol === "send" ? { version: 2 as const, facts: [] } : proxyProtocol;
  return new PreambleWriter(version, facts);
}
