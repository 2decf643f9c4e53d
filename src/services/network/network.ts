import { createRequire } from "node:module";
import type { Socket } from "node:net";
import type { Agent, buildConnector, Dispatcher } from "undici";
import type { NetworkConfig } from "../../config/schema/network.ts";
import { ProxyError } from "../../errors/proxy-error.ts";
import { Exchange } from "../../http/exchange.ts";
import { AddressPolicy } from "../../net/cidr.ts";
import { TransportStream } from "../../net/stream.ts";
import { TimerWheel } from "../../net/timer-wheel.ts";
import { UpstreamProxies, type UpstreamProxy } from "../../net/upstream-proxy.ts";
import type { Traffic } from "../../observability/traffic.ts";
import type { LinkableService, ServiceContext, ServiceFactory } from "../context.ts";
import type { Service, Tunnel } from "../service.ts";
import { Connector, type Opening, type OpeningOwner, type Resolver, systemResolver } from "./connector.ts";
import { NetworkExchange, type NetworkHost } from "./network-exchange.ts";
import { checkHost, type Origin, parseOrigin } from "./origin.ts";

/** undici takes a third of a shard's time to load, and every shard has a network that perhaps nobody uses. */
const require = createRequire(import.meta.url);
const loadUndici = (): typeof import("undici") => require("undici");

/** What a network takes from the world; tests bring their own. Times are milliseconds. */
export interface NetworkOptions {
  readonly resolve: Resolver;
  /** Certificates (PEM) to trust in place of the system's; empty means the system's. */
  readonly trust: readonly string[];
  readonly connectMs: number;
  readonly headMs: number;
  readonly idleMs: number;
  readonly keepAliveMs: number;
  readonly maxConnections: number;
}

export const networkDefaults: NetworkOptions = {
  resolve: systemResolver,
  trust: [],
  connectMs: 10_000,
  headMs: 60_000,
  idleMs: 60_000,
  keepAliveMs: 10_000,
  maxConnections: 4096,
};

/**
 * Goes where the request's URL says, if the rules permit the address. It speaks HTTP/1.1 through undici, follows no
 * redirects, decodes no content, and keeps connections by origin: scheme, host and port. A connection that is used again
 * is one that was judged when it was opened, so a name that has since moved to a forbidden address leads nowhere new.
 *
 * What is refused: an address that the rules deny gives `address_denied` (403), for CONNECT as for requests; a name
 * behind which there is no permitted address gives `upstream_name_unresolved` (502), just as one that does not exist.
 *
 * Unix sockets are reached by `connect` to a host that is spelt `unix:/path` or `unix-abstract:name`, and only where the
 * rules say `unix` or `unix-abstract`. No URL can spell them.
 */
export class NetworkService implements LinkableService, NetworkHost {
  readonly name: string;
  readonly kind = "network" as const;
  readonly connector: Connector;
  readonly wheel: TimerWheel;
  readonly #context: ServiceContext;
  readonly #traffic: Traffic;
  readonly #gauge: string;
  readonly #options: NetworkOptions;
  readonly #trust: readonly string[];
  #agent: Agent | null = null;
  /** Connections to proxies themselves, over which http requests go with their whole URL. */
  #proxyAgent: Agent | null = null;
  #closed = false;

  /** @throws Error `cannot read address rule "…": reason` */
  constructor(
    name: string,
    config: NetworkConfig,
    context: ServiceContext,
    options: NetworkOptions = networkDefaults,
  ) {
    this.name = name;
    this.#trust = config.trust ?? options.trust;
    this.#context = context;
    this.#traffic = context.metrics.traffic("service", name);
    this.wheel = TimerWheel.of(context);
    const connector = new Connector({
      policy: new AddressPolicy(config.allow, config.deny),
      resolve: options.resolve,
      wheel: this.wheel,
      timeoutMs: options.connectMs,
      maxConnections: options.maxConnections,
      trust: this.#trust,
      proxies: config.proxy === undefined ? null : new UpstreamProxies(config.proxy),
    });
    this.connector = connector;
    this.#options = options;
    this.#gauge = `sluice_upstream_connections{service="${name}",state="open"}`;
    context.metrics.gauges.gauge(this.#gauge, () => connector.connections);
  }

  /** Made with the first exchange. */
  get dispatcher(): Dispatcher {
    if (this.#agent !== null) return this.#agent;
    this.#agent = this.#makeAgent((target, done) => {
      const secure = target.protocol === "https:";
      const { hostname } = target;
      const host = hostname.startsWith("[") ? hostname.slice(1, -1) : hostname;
      const port = Number(target.port) || (secure ? 443 : 80);
      this.connector.open({ host, port, secure, halfOpen: false }, new AgentOpening(done));
    });
    return this.#agent;
  }

  /**
   * The proxy that takes an http request with its whole URL (RFC 9112 §3.2.2), or null where a request goes directly or
   * through a tunnel, as all do that are https, over SOCKS, or may become a WebSocket.
   */
  proxyOf(origin: Origin, upgrade: string): UpstreamProxy | null {
    const { proxies } = this.connector.options;
    if (proxies === null || origin.secure || upgrade !== "") return null;
    const proxy = proxies.to(origin.host, origin.port, true);
    return proxy === null || proxy.kind === "socks5" ? null : proxy;
  }

  dispatcherTo(proxy: UpstreamProxy): Dispatcher {
    this.#proxyAgent ??= this.#makeAgent((_target, done) => {
      this.connector.openProxy(proxy, new AgentOpening(done));
    });
    return this.#proxyAgent;
  }

  #makeAgent(connect: Connect): Agent {
    const options = this.#options;
    const { Agent } = loadUndici();
    const agent = new Agent({
      connect,
      allowH2: false,
      pipelining: 1,
      headersTimeout: options.headMs,
      bodyTimeout: options.idleMs,
      keepAliveTimeout: options.keepAliveMs,
      keepAliveMaxTimeout: Math.max(options.keepAliveMs, 60_000),
      maxHeaderSize: 65_536,
    });
    if (this.#closed) void agent.destroy().catch(() => {});
    return agent;
  }

  link(): void {}

  lookup(host: string): Promise<readonly string[]> {
    const { policy, resolve } = this.connector.options;
    return new Promise((done) => {
      resolve(host, (_error, addresses) => {
        done(addresses.map(({ address }) => address).filter((address) => policy.permits(address)));
      });
    });
  }

  handle(exchange: Exchange): void {
    // What brings the first exchange has a time limit that loading undici would use up.
    if (this.#agent === null) setImmediate(() => this.#take(exchange));
    else this.#take(exchange);
  }

  #take(exchange: Exchange): void {
    if (exchange.aborted !== null) return;
    this.#traffic.begin();
    const startedAt = this.#context.now();
    let origin: Origin;
    try {
      if (exchange.depth > Exchange.maxDepth) {
        throw new ProxyError("service_loop", "cannot send the request: it has gone in a circle");
      }
      origin = parseOrigin(exchange.request.scheme, exchange.request.authority);
      if (!exchange.request.target.startsWith("/")) {
        throw new ProxyError("request_malformed", "cannot send the request: its target is no path");
      }
    } catch (thrown) {
      const error = ProxyError.from(thrown);
      this.#count(startedAt, error.status, error);
      exchange.fail(error);
      return;
    }
    new NetworkExchange(this, exchange, origin, startedAt).start();
  }

  connect(tunnel: Tunnel): void {
    new TunnelOpening(tunnel, this.wheel, this.#trust).start(this.connector);
  }

  at(): Service {
    return this;
  }

  close(): void {
    this.#context.metrics.gauges.drop(this.#gauge);
    this.#closed = true;
    this.#destroy();
  }

  finished(exchange: NetworkExchange, status: number, error: ProxyError | null): void {
    this.#count(exchange.startedAt, status, error);
  }

  /** Connections that a last exchange still holds go with it. */
  #destroy(): void {
    void this.#agent?.destroy().catch(() => {});
    void this.#proxyAgent?.destroy().catch(() => {});
  }

  #count(startedAt: number, status: number, error: ProxyError | null): void {
    if (error !== null) this.#traffic.error(error.code);
    this.#traffic.finish(status, (this.#context.now() - startedAt) / 1000);
  }
}

type Connect = (target: buildConnector.Options, done: buildConnector.Callback) => void;

/** undici's end of an opening. */
class AgentOpening implements OpeningOwner {
  readonly #done: (error: Error | null, socket: Socket | null) => void;

  constructor(done: (...result: [null, Socket] | [Error, null]) => void) {
    this.#done = done as (error: Error | null, socket: Socket | null) => void;
  }

  onOpen(socket: Socket): void {
    this.#done(null, socket);
  }

  onOpenError(error: ProxyError): void {
    this.#done(error, null);
  }
}

const unixPrefix = "unix:";
const abstractPrefix = "unix-abstract:";

/** A tunnel on its way to a standing connection. */
class TunnelOpening implements OpeningOwner {
  readonly #tunnel: Tunnel;
  readonly #wheel: TimerWheel;
  readonly #trust: readonly string[];
  #opening: Opening | null = null;

  constructor(tunnel: Tunnel, wheel: TimerWheel, trust: readonly string[]) {
    this.#tunnel = tunnel;
    this.#wheel = wheel;
    this.#trust = trust;
  }

  start(connector: Connector): void {
    const { host, port, depth } = this.#tunnel;
    this.#tunnel.onAbort = () => this.#opening?.abort();
    try {
      if (depth > Exchange.maxDepth) {
        throw new ProxyError("service_loop", "cannot open the tunnel: it has gone in a circle");
      }
      if (host.startsWith(unixPrefix)) {
        this.#opening = connector.openUnix(unixName(host, unixPrefix), false, this);
      } else if (host.startsWith(abstractPrefix)) {
        this.#opening = connector.openUnix(unixName(host, abstractPrefix), true, this);
      } else {
        if (!Number.isInteger(port) || port < 1 || port > 65_535) {
          throw new ProxyError("connect_target_invalid", "cannot open the tunnel: its port is not valid");
        }
        const destination = { host: checkHost(host), port, secure: false, halfOpen: true };
        this.#opening = connector.open(destination, this);
      }
    } catch (error) {
      this.#refuse(ProxyError.from(error));
    }
  }

  onOpen(socket: Socket): void {
    this.#tunnel.onAbort = null;
    const stream = TransportStream.over(socket, this.#wheel);
    this.#tunnel.accept(
      this.#trust.length === 0 ? stream : { readable: stream, writable: stream, trust: this.#trust },
    );
  }

  onOpenError(error: ProxyError): void {
    this.#refuse(error);
  }

  #refuse(error: ProxyError): void {
    this.#tunnel.onAbort = null;
    this.#tunnel.refuse(error);
  }
}

/** @throws ProxyError connect_target_invalid when the kernel would read another name than was judged. */
function unixName(host: string, prefix: string): string {
  const name = host.slice(prefix.length);
  if (name === "" || name.includes("\0") || Buffer.byteLength(name) > 107) {
    throw new ProxyError("connect_target_invalid", "cannot open the tunnel: it names no unix socket");
  }
  return name;
}

export const createNetwork: ServiceFactory<NetworkConfig> = (name, config, context) =>
  new NetworkService(name, config, context);
