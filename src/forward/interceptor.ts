import type { InterceptConfig } from "../config/schema/forward.ts";
import type { SocketConfig } from "../config/schema/socket.ts";
import type { ClientFacts, Exchange } from "../http/exchange.ts";
import { HttpServer } from "../http/server/http-server.ts";
import { TimerWheel } from "../net/timer-wheel.ts";
import type { LogLevel } from "../observability/log.ts";
import { metricKey } from "../observability/metric-key.ts";
import type { ServiceContext } from "../services/context.ts";
import { HostPattern, splitAuthority } from "../services/router/host-pattern.ts";
import type { Service, Tunnel } from "../services/service.ts";
import { LeafMint } from "../tls/leaf-mint.ts";
import type { DestinationGate } from "./destination-gate.ts";
import { InterceptedSite } from "./intercepted-site.ts";
import { InterceptedTunnel } from "./intercepted-tunnel.ts";

/** Leaves that are kept; each holds some 40 KiB. */
const maxLeaves = 500;

/** Why an intercepted tunnel came to nothing; few words, since each becomes a time series. */
export type InterceptFailure = "refused" | "name" | "timeout" | "closed" | "protocol" | "not_tls";

/**
 * Stands before a service and opens the tunnels to some hosts: the TLS in them ends here, under a certificate that is
 * made for the host, and what is asked within goes to the service as https requests. All else passes.
 */
export class Interceptor implements Service {
  readonly name: string;
  readonly kind = "middleware";
  readonly config: InterceptConfig;
  readonly next: Service;
  /** Judges names that a client tells within a tunnel; null where every name will do. */
  readonly gate: DestinationGate | null;
  readonly wheel: TimerWheel;
  /** Serves what comes out of the tunnels. */
  readonly server: HttpServer;
  readonly mint: LeafMint;
  readonly pending: Set<InterceptedTunnel> = new Set();
  readonly #socket: string;
  readonly #context: ServiceContext;
  readonly #hosts: readonly HostPattern[];
  readonly #exclude: readonly HostPattern[];

  /**
   * @param socket its name in the config
   * @throws Error when the authority cannot be used
   */
  constructor(
    socket: string,
    config: InterceptConfig,
    http: SocketConfig["http"],
    next: Service,
    gate: DestinationGate | null,
    context: ServiceContext,
  ) {
    const { authority } = config;
    if (authority === undefined) throw new Error("cannot intercept: there is no authority");
    this.name = next.name;
    this.#socket = socket;
    this.config = config;
    this.next = next;
    this.gate = gate;
    this.#context = context;
    this.wheel = TimerWheel.of(context);
    this.#hosts = config.hosts.map((text) => new HostPattern(text));
    this.#exclude = config.exclude.map((text) => new HostPattern(text));
    this.mint = new LeafMint(authority, { minVersion: config.minVersion, max: maxLeaves, now: Date.now });
    const inside = new InterceptedSite(next);
    this.server = new HttpServer(socket, { ...http, style: "intercepted" }, inside, context);
  }

  handle(exchange: Exchange): void {
    this.next.handle(exchange);
  }

  connect(tunnel: Tunnel): void {
    if (this.wants(tunnel.host, tunnel.port)) new InterceptedTunnel(this, tunnel).start();
    else this.next.connect(tunnel);
  }

  /** @param host without brackets */
  wants(host: string, port: number): boolean {
    return matches(this.#hosts, host, port) && !this.excludes(host, port);
  }

  /** @param host without brackets */
  excludes(host: string, port: number): boolean {
    return matches(this.#exclude, host, port);
  }

  at(): Service {
    return this;
  }

  /** See `HttpServer.drain`; resolves when the last connection is closed. */
  async drain(graceMs: number): Promise<void> {
    const drained = new Promise<void>((resolve) => this.server.drain(graceMs, resolve));
    for (const tunnel of [...this.pending]) tunnel.drain(graceMs);
    await drained;
  }

  close(): void {
    for (const tunnel of [...this.pending]) tunnel.drain(0);
    this.server.close();
  }

  shaken(version: string): void {
    const labels = { socket: this.#socket, version };
    this.#context.metrics.gauges.add(metricKey("sluice_intercept_handshakes_total", labels));
  }

  /** @param detail for the log */
  failed(reason: InterceptFailure, host: string, client: ClientFacts, detail: string): void {
    const labels = { socket: this.#socket, reason };
    this.#context.metrics.gauges.add(metricKey("sluice_intercept_failures_total", labels));
    // A client that does not accept the certificate wants its host excluded, or the authority trusted.
    const level: LogLevel = reason === "closed" || reason === "timeout" ? "debug" : "info";
    this.#context.log.log(level, "intercept.failed", `cannot open the tunnel to ${host}: ${detail}`, {
      socket: this.#socket,
      client: client.address,
      host,
      reason,
    });
  }
}

function matches(patterns: readonly HostPattern[], host: string, port: number): boolean {
  const { name } = splitAuthority(host.includes(":") ? `[${host}]` : host);
  return patterns.some((pattern) => pattern.matches(name, port));
}
