import type { MiddlewareConfig } from "../../config/schema/middleware.ts";
import { ProxyError } from "../../errors/proxy-error.ts";
import type { Exchange } from "../../http/exchange.ts";
import type { LinkableService, ServiceFactory } from "../context.ts";
import type { Resolve, Service, Tunnel } from "../service.ts";
import { Chain } from "./chain.ts";

/** Middlewares under a name, for the lists of several services and routes; nothing follows it but what they put there. */
class ChainService implements LinkableService {
  readonly name: string;
  readonly kind = "middleware";
  readonly #chain: Chain;

  constructor(name: string, chain: Chain) {
    this.name = name;
    this.#chain = chain;
  }

  link(resolve: Resolve): void {
    this.#chain.link(resolve);
  }

  before(next: Service): Service {
    return this.#chain.before(next);
  }

  handle(exchange: Exchange): void {
    const error = this.#nothingFollows();
    exchange.takeBody()?.cancel(error);
    exchange.fail(error);
  }

  connect(tunnel: Tunnel): void {
    tunnel.refuse(this.#nothingFollows());
  }

  at(): Service {
    return this;
  }

  close(): void {}

  #nothingFollows(): ProxyError {
    return new ProxyError("route_missing", `cannot answer: nothing follows the middleware "${this.name}"`);
  }
}

/** Makes a service of kind `middleware`. */
export const createChain: ServiceFactory<readonly MiddlewareConfig[]> = (name, config, context) =>
  new ChainService(name, new Chain(name, config, context));
