import type { ExternalConfig } from "../../config/schema/external.ts";
import { ProxyError } from "../../errors/proxy-error.ts";
import { Exchange } from "../../http/exchange.ts";
import { Dial, type DialOwner } from "../../net/connect.ts";
import type { TransportStream } from "../../net/stream.ts";
import { metricKey } from "../../observability/metric-key.ts";
import type { Gauges } from "../../observability/traffic.ts";
import type { LinkableService, ServiceContext, ServiceFactory } from "../context.ts";
import type { Service, Tunnel } from "../service.ts";
import { UpstreamPool } from "./pool.ts";
import { Upstream } from "./upstream.ts";
import { UpstreamExchange } from "./upstream-exchange.ts";

/**
 * A server at a fixed address. It takes every request, whatever the URL's host says. In host style it sees the client's
 * authority in Host, as in workerd and unlike nginx's default: the site that the client asked for is what decides about
 * virtual hosts, redirects and cookies, and a Worker that wants another name says so in the URL.
 */
class ExternalService implements LinkableService {
  readonly kind = "external";
  readonly name: string;
  readonly #upstream: Upstream;
  readonly #pool: UpstreamPool;
  readonly #gauges: Gauges;
  #closed = false;

  constructor(name: string, config: ExternalConfig, context: ServiceContext) {
    this.name = name;
    this.#upstream = new Upstream(name, config, context);
    this.#pool = new UpstreamPool(this.#upstream);
    this.#gauges = context.metrics.gauges;
    this.#gauges.gauge(this.#key("open"), () => this.#pool.open);
    this.#gauges.gauge(this.#key("idle"), () => this.#pool.idle);
  }

  link(): void {}

  handle(exchange: Exchange): void {
    const problem = this.#problem(exchange.depth);
    if (problem !== null) {
      exchange.takeBody()?.cancel(problem);
      exchange.fail(problem);
    } else if (this.#upstream.config.tcp !== undefined) {
      const error = new ProxyError(
        "connect_unsupported",
        `cannot send a request to "${this.name}": it is plain tcp`,
      );
      exchange.takeBody()?.cancel(error);
      exchange.fail(error);
    } else {
      new UpstreamExchange(this.#upstream, this.#pool, exchange).start();
    }
  }

  /** Opens a stream to the address, whatever host and port were asked for. */
  connect(tunnel: Tunnel): void {
    const problem = this.#problem(tunnel.depth);
    if (problem !== null) {
      tunnel.refuse(problem);
      return;
    }
    new ExternalTunnel(this.#upstream, tunnel).open();
  }

  at(): Service {
    return this;
  }

  close(): void {
    this.#closed = true;
    this.#pool.close();
    this.#gauges.drop(this.#key("open"));
    this.#gauges.drop(this.#key("idle"));
  }

  #problem(depth: number): ProxyError | null {
    if (this.#closed) return new ProxyError("draining", `cannot reach "${this.name}": the service is closed`);
    if (depth > Exchange.maxDepth) {
      return new ProxyError(
        "service_loop",
        `cannot reach "${this.name}": the request went through too many services`,
      );
    }
    return null;
  }

  #key(state: "open" | "idle"): string {
    return metricKey("sluice_upstream_connections", { service: this.name, state });
  }
}

/** One stream of bytes to the upstream. */
class ExternalTunnel implements DialOwner {
  readonly #upstream: Upstream;
  readonly #tunnel: Tunnel;
  readonly #started: number;

  constructor(upstream: Upstream, tunnel: Tunnel) {
    this.#upstream = upstream;
    this.#tunnel = tunnel;
    this.#started = upstream.wheel.now();
  }

  open(): void {
    const upstream = this.#upstream;
    const tunnel = this.#tunnel;
    upstream.traffic.begin();
    const { connect, idle } = upstream.config.timeouts;
    const dial = new Dial(this, upstream.address, upstream.tls, upstream.wheel, connect, idle);
    tunnel.onAbort = (error) => {
      dial.abort();
      upstream.traffic.error(error.code);
      this.#finish(0);
    };
  }

  onStream(stream: TransportStream): void {
    this.#tunnel.onAbort = null;
    stream.closed = () => this.#finish(200);
    this.#tunnel.accept(stream);
  }

  onDialError(error: ProxyError): void {
    this.#tunnel.onAbort = null;
    this.#upstream.traffic.error(error.code);
    this.#finish(error.status);
    this.#tunnel.refuse(error);
  }

  #finish(status: number): void {
    this.#upstream.traffic.finish(status, (this.#upstream.wheel.now() - this.#started) / 1000);
  }
}

/** Makes a service of kind `external`. */
export const createExternal: ServiceFactory<ExternalConfig> = (name, config, context) =>
  new ExternalService(name, config, context);
