/** One metric as Prometheus knows it. */
export interface MetricEntry {
  readonly name: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly labels: readonly string[];
  readonly help: string;
}

/**
 * Every metric that `/metrics` shows; docs/metrics.md is checked against it. A shard may report others by name, and
 * they are shown too, but a test asks for each to be listed here.
 */
export const catalog: readonly MetricEntry[] = [
  {
    name: "sluice_socket_requests_total",
    type: "counter",
    labels: ["socket", "class"],
    help: "Finished exchanges by socket and status class; class none ended without an answer",
  },
  {
    name: "sluice_socket_errors_total",
    type: "counter",
    labels: ["socket", "code"],
    help: "Exchanges that failed, by socket and error code",
  },
  {
    name: "sluice_socket_request_duration_seconds",
    type: "histogram",
    labels: ["socket"],
    help: "Time from a request's head to the end of its response, by socket",
  },
  {
    name: "sluice_socket_active_exchanges",
    type: "gauge",
    labels: ["socket"],
    help: "Exchanges in progress, by socket",
  },
  {
    name: "sluice_socket_connections",
    type: "gauge",
    labels: ["socket"],
    help: "Open connections from clients, by socket",
  },
  {
    name: "sluice_socket_bytes_total",
    type: "counter",
    labels: ["socket", "direction"],
    help: "Bytes of closed connections of tcp sockets; direction is received (from clients) or sent",
  },
  {
    name: "sluice_socket_openings_pending",
    type: "gauge",
    labels: ["socket", "what"],
    help: "Connections whose first bytes are being read; what is preamble (PROXY protocol) or client_hello (TLS)",
  },
  {
    name: "sluice_socket_opening_failures_total",
    type: "counter",
    labels: ["socket", "what", "reason"],
    help: "Connections refused for their first bytes; reason is timeout, closed, malformed, untrusted or busy (too many)",
  },
  {
    name: "sluice_service_requests_total",
    type: "counter",
    labels: ["service", "kind", "class"],
    help: "Finished exchanges by service and status class; kind worker is a Worker",
  },
  {
    name: "sluice_service_errors_total",
    type: "counter",
    labels: ["service", "kind", "code"],
    help: "Exchanges that failed, by service and error code",
  },
  {
    name: "sluice_service_request_duration_seconds",
    type: "histogram",
    labels: ["service", "kind"],
    help: "Time that a service took from request to the end of its response",
  },
  {
    name: "sluice_service_active_exchanges",
    type: "gauge",
    labels: ["service", "kind"],
    help: "Exchanges in progress, by service",
  },
  {
    name: "sluice_middleware_refusals_total",
    type: "counter",
    labels: ["service", "middleware"],
    help: "Requests and tunnels that a built-in middleware did not let pass, by the service that has it",
  },
  {
    name: "sluice_upstream_connections",
    type: "gauge",
    labels: ["service", "state"],
    help: "Connections to upstreams; state is open (all of them) or idle, where the service tells",
  },
  {
    name: "sluice_upstream_pending",
    type: "gauge",
    labels: ["service"],
    help: "Requests that wait for a connection or a name, by external",
  },
  {
    name: "sluice_upstream_endpoint_up",
    type: "gauge",
    labels: ["service", "endpoint"],
    help: "Shards that hold an endpoint for well",
  },
  {
    name: "sluice_upstream_endpoint_active",
    type: "gauge",
    labels: ["service", "endpoint"],
    help: "Attempts and streams under way at an endpoint",
  },
  {
    name: "sluice_upstream_endpoint_requests_total",
    type: "counter",
    labels: ["service", "endpoint"],
    help: "Attempts and streams that an endpoint was given; endpoint gone is all that a name no longer leads to",
  },
  {
    name: "sluice_upstream_endpoint_failures_total",
    type: "counter",
    labels: ["service", "endpoint", "kind"],
    help: "Failures of an endpoint; kind is connect, reset, timeout, malformed, status (one that health.passive counts) or check",
  },
  {
    name: "sluice_upstream_endpoint_ejections_total",
    type: "counter",
    labels: ["service", "endpoint"],
    help: "Times that an endpoint was left out because requests failed",
  },
  {
    name: "sluice_upstream_health_changes_total",
    type: "counter",
    labels: ["service", "state"],
    help: "Changes of the health of endpoints; state is up, down, ejected or returned",
  },
  {
    name: "sluice_upstream_retries_total",
    type: "counter",
    labels: ["service", "kind"],
    help: "Requests that were sent again, by the kind of failure before",
  },
  {
    name: "sluice_upstream_retries_denied_total",
    type: "counter",
    labels: ["service"],
    help: "Requests that were not sent again because the retry budget was used up",
  },
  {
    name: "sluice_upstream_overloads_total",
    type: "counter",
    labels: ["service", "limit"],
    help: "Requests refused by limits.requests or limits.pending; limit is which of them",
  },
  {
    name: "sluice_upstream_resolutions_total",
    type: "counter",
    labels: ["service", "result"],
    help: "Resolutions of host names; result is ok or failed",
  },
  {
    name: "sluice_tls_handshakes_total",
    type: "counter",
    labels: ["socket", "version", "resumed"],
    help: "TLS handshakes of clients that came to their end; resumed ones are yes or no",
  },
  {
    name: "sluice_tls_handshake_failures_total",
    type: "counter",
    labels: ["socket", "reason"],
    help: "TLS handshakes that failed; reason is timeout, closed, certificate, protocol or busy (too many connections)",
  },
  {
    name: "sluice_tls_handshakes_pending",
    type: "gauge",
    labels: ["socket"],
    help: "TLS handshakes in progress",
  },
  {
    name: "sluice_intercept_handshakes_total",
    type: "counter",
    labels: ["socket", "version"],
    help: "TLS handshakes in intercepted tunnels that came to their end",
  },
  {
    name: "sluice_intercept_failures_total",
    type: "counter",
    labels: ["socket", "reason"],
    help: "Intercepted tunnels that came to nothing; reason is refused (the client does not accept the certificate), name, timeout, closed, protocol or not_tls",
  },
  {
    name: "sluice_certificate_expiry_seconds",
    type: "gauge",
    labels: ["socket", "name"],
    help: "When the certificate that a socket shows for a name ends, in seconds since 1970; 0 until an authority has issued one",
  },
  {
    name: "sluice_acme_orders_total",
    type: "counter",
    labels: ["certificate", "result"],
    help: "Orders of certificates by ACME, by the first name of the certificate; result is ok or failed",
  },
  {
    name: "sluice_http2_connection_errors_total",
    type: "counter",
    labels: ["socket", "reason"],
    help: "HTTP/2 connections of clients that were ended: reason is resets, control_frames or protocol",
  },
  {
    name: "sluice_isolate_cold_starts_total",
    type: "counter",
    labels: ["worker"],
    help: "Isolates made, by Worker",
  },
  {
    name: "sluice_isolate_heap_bytes",
    type: "gauge",
    labels: ["worker"],
    help: "Heap of a Worker's isolates",
  },
  {
    name: "sluice_isolate_cpu_seconds_total",
    type: "counter",
    labels: ["worker"],
    help: "CPU time spent in a Worker's isolates",
  },
  {
    name: "sluice_isolate_entry_seconds",
    type: "histogram",
    labels: ["worker"],
    help: "Time of one entry into a Worker's isolate, during which its shard does nothing else",
  },
  {
    name: "sluice_isolate_evictions_total",
    type: "counter",
    labels: ["worker", "reason"],
    help: "Idle isolates ended, by Worker; reason is idle, max or memory",
  },
  {
    name: "sluice_isolates",
    type: "gauge",
    labels: ["state"],
    help: "Isolates: busy, idle, or spare (made ahead, of no Worker yet)",
  },
  {
    name: "sluice_worker_limit_hits_total",
    type: "counter",
    labels: ["worker", "limit"],
    help: "Times that a Worker ran into one of its limits",
  },
  {
    name: "sluice_bridge_body_bytes_total",
    type: "counter",
    labels: ["worker", "direction"],
    help: "Bytes of bodies that crossed between host and isolate; a body that no Worker touches does not",
  },
  {
    name: "sluice_shard_resident_bytes",
    type: "gauge",
    labels: [],
    help: "Resident memory of all shards",
  },
  {
    name: "sluice_shard_cpu_seconds_total",
    type: "counter",
    labels: [],
    help: "CPU time of all shards, user and system",
  },
  {
    name: "sluice_shard_gc_pause_seconds",
    type: "histogram",
    labels: ["kind"],
    help: "Garbage collection of the shards themselves; kind is minor, incremental, weak or major",
  },
  {
    name: "sluice_shard_ping_seconds",
    type: "gauge",
    labels: [],
    help: "How long the slowest shard took to answer the last ping of the supervisor",
  },
  {
    name: "sluice_shards",
    type: "gauge",
    labels: ["state"],
    help: "Shard processes: running in the current generation, or draining in an older one",
  },
  {
    name: "sluice_shard_restarts_total",
    type: "counter",
    labels: ["cause"],
    help: "Shards that ended against the supervisor's will and were started again, by cause",
  },
  {
    name: "sluice_worker_quarantines_total",
    type: "counter",
    labels: ["worker"],
    help: "Times that a Worker was put into quarantine because it ended shards",
  },
  {
    name: "sluice_worker_quarantined",
    type: "gauge",
    labels: ["worker"],
    help: "1 for a Worker that is in quarantine now",
  },
  {
    name: "sluice_reloads_total",
    type: "counter",
    labels: ["result"],
    help: "Reloads of the config: result is ok or failed",
  },
  {
    name: "sluice_generation",
    type: "gauge",
    labels: [],
    help: "Number of the generation that serves, counted from 1",
  },
  {
    name: "sluice_start_time_seconds",
    type: "gauge",
    labels: [],
    help: "When the supervisor started, in seconds since 1970",
  },
];
