import type { ProxyError } from "../../errors/proxy-error.ts";
import type { ClientFacts } from "../../http/exchange.ts";
import { Dial, type DialOwner } from "../../net/connect.ts";
import type { TransportStream } from "../../net/stream.ts";
import type { Tunnel } from "../service.ts";
import type { Endpoint } from "./endpoint.ts";
import type { EndpointWaiter } from "./endpoint-group.ts";
import { type ClockOwner, ExchangeClock } from "./exchange-clock.ts";
import { failureOf } from "./failure-kind.ts";
import type { Upstream } from "./upstream.ts";

/** One stream of bytes to an upstream. What cannot be connected to is tried elsewhere; after that it is one endpoint's. */
export class ExternalTunnel implements DialOwner, EndpointWaiter, ClockOwner {
  /** A stream of bytes has no request that the choice of an endpoint could depend on. */
  readonly request = null;
  readonly client: ClientFacts;
  readonly #upstream: Upstream;
  readonly #tunnel: Tunnel;
  readonly #started: number;
  #endpoint: Endpoint | null = null;
  #dial: Dial | null = null;
  #tried: Endpoint[] = [];
  #clock: ExchangeClock | null = null;
  #done = false;

  constructor(upstream: Upstream, tunnel: Tunnel) {
    this.#upstream = upstream;
    this.#tunnel = tunnel;
    this.client = tunnel.client;
    this.#started = upstream.wheel.now();
  }

  open(): void {
    const upstream = this.#upstream;
    upstream.traffic.begin();
    this.#tunnel.onAbort = (error) => {
      this.#dial?.abort();
      upstream.traffic.error(error.code);
      this.#finish(0);
    };
    if (upstream.overloaded) {
      this.#refuse(upstream.refuse("requests"));
      return;
    }
    upstream.group.open();
    this.#next();
  }

  onEndpoints(): void {
    if (!this.#done) this.#next();
  }

  onStream(stream: TransportStream): void {
    const endpoint = this.#endpoint;
    this.#tunnel.onAbort = null;
    endpoint?.answered(200);
    stream.closed = () => this.#finish(200);
    const trust = this.#upstream.config.tcp?.trust ?? [];
    // For TLS that a Worker starts on it.
    this.#tunnel.accept(trust.length === 0 ? stream : { readable: stream, writable: stream, trust });
  }

  onDialError(error: ProxyError): void {
    const { retry } = this.#upstream;
    const endpoint = this.#endpoint as Endpoint;
    this.#dial = null;
    this.#endpoint = null;
    endpoint.end();
    const failure = failureOf(error);
    if (failure !== null) endpoint.failed(failure);
    this.#tried.push(endpoint);
    const isRetried =
      retry !== null && failure !== null && retry.on.has(failure) && this.#tried.length <= retry.attempts;
    const next = isRetried ? this.#upstream.group.choose(this, this.#tried) : null;
    if (next === null || failure === null || this.#tried.includes(next)) {
      this.#refuse(error);
      return;
    }
    this.#upstream.onRetry(failure);
    this.#try(next);
  }

  onTotal(): void {}
  onTry(): void {}

  /** The name took too long. */
  onWake(): void {
    this.#refuse(this.#upstream.group.missing("upstream_connect_timeout"));
  }

  #next(): void {
    const { config, group, wheel } = this.#upstream;
    const endpoint = group.only ?? group.choose(this, null);
    if (endpoint !== null) {
      this.#clock?.stop();
      this.#try(endpoint);
    } else if (!this.#upstream.mayWait) {
      this.#refuse(this.#upstream.refuse("pending"));
    } else if (group.wait(this)) {
      if (this.#clock !== null || config.timeouts.connect === 0) return;
      this.#clock = new ExchangeClock(this, wheel);
      this.#clock.wake = wheel.now() + config.timeouts.connect;
    } else {
      this.#refuse(group.missing());
    }
  }

  #try(endpoint: Endpoint): void {
    const { config, wheel } = this.#upstream;
    this.#endpoint = endpoint;
    endpoint.begin();
    const { connect, idle } = config.timeouts;
    const preamble = this.#upstream.preambles?.of(this.client) ?? null;
    this.#dial = new Dial(this, endpoint.address, endpoint.tls, wheel, connect, idle, preamble);
  }

  #refuse(error: ProxyError): void {
    this.#tunnel.onAbort = null;
    this.#upstream.traffic.error(error.code);
    this.#finish(error.status);
    this.#tunnel.refuse(error);
  }

  #finish(status: number): void {
    if (this.#done) return;
    this.#done = true;
    const { group, traffic, wheel } = this.#upstream;
    this.#clock?.stop();
    this.#endpoint?.end();
    this.#endpoint = null;
    if (group.only === null) group.leave(this);
    traffic.finish(status, (wheel.now() - this.#started) / 1000);
  }
}
