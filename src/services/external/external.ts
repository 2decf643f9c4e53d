import type { ExternalConfig } from "../../config/schema/external.ts";
import { ProxyError } from "../../errors/proxy-error.ts";
import { Exchange } from "../../http/exchange.ts";
import type { LinkableService, ServiceContext, ServiceFactory } from "../context.ts";
import type { Service, Tunnel } from "../service.ts";
import { ExternalTunnel } from "./tunnel.ts";
import { Upstream } from "./upstream.ts";
import { UpstreamExchange } from "./upstream-exchange.ts";

/**
 * A server at a fixed address, or several that do the same. It takes every request, whatever the URL's host says. In host
 * style it sees the client's authority in Host, as in workerd and unlike nginx's default: the site that the client asked
 * for is what decides about virtual hosts, redirects and cookies, and a Worker that wants another name says so in the URL.
 */
class ExternalService implements LinkableService {
  readonly kind = "external";
  readonly name: string;
  readonly #upstream: Upstream;
  #closed = false;

  constructor(name: string, config: ExternalConfig, context: ServiceContext) {
    this.name = name;
    this.#upstream = new Upstream(name, config, context);
  }

  link(): void {}

  /** Names are asked for, endpoints checked and connections opened ahead; nothing of it is waited for. */
  ready(): Promise<void> {
    this.#upstream.group.open();
    return Promise.resolve();
  }

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
      new UpstreamExchange(this.#upstream, exchange).start();
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
    this.#upstream.close();
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
}

/** Makes a service of kind `external`. */
export const createExternal: ServiceFactory<ExternalConfig> = (name, config, context) =>
  new ExternalService(name, config, context);
