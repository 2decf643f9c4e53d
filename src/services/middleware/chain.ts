import type { MiddlewareConfig } from "../../config/schema/middleware.ts";
import type { Exchange } from "../../http/exchange.ts";
import type { RpcCall, RpcMessage, RpcRequest, RpcService } from "../../isolate/bridge/guest-rpc-objects.ts";
import type { ServiceContext } from "../context.ts";
import type { Designator, JsonValue, Resolve, Service, Tunnel } from "../service.ts";
import { createMiddleware } from "./built-in.ts";
import type { Middleware } from "./middleware.ts";

type Step =
  | { readonly service: Designator; readonly builtIn: null }
  | { readonly service: null; readonly builtIn: Middleware };

/**
 * A list of middlewares as config has it. It can stand in front of several services; the state of its built-in ones, such
 * as the counts of a rate limit, is then shared between them.
 */
export class Chain {
  readonly #steps: readonly Step[];
  #resolve: Resolve | null = null;

  /** @param service that has the list, or has the rule that has it; or the name of the list */
  constructor(service: string, config: readonly MiddlewareConfig[], context: ServiceContext) {
    this.#steps = config.map((step) =>
      "service" in step
        ? { service: step.service, builtIn: null }
        : { service: null, builtIn: createMiddleware(step, service, context) },
    );
  }

  link(resolve: Resolve): void {
    this.#resolve = resolve;
    for (const { builtIn } of this.#steps) builtIn?.link?.(resolve);
  }

  /** The service with this chain before it. */
  before(end: Service): Service {
    return "call" in end ? new RpcFront(this, end as Service & RpcService) : new Front(this, end);
  }

  /** The first step, which leads to the second, and so on to `end`. For after all services are linked. */
  compose(end: Service): Service {
    const resolve = this.#resolve;
    if (resolve === null) throw new Error("cannot use the middleware: it is not linked");
    return this.#steps.reduceRight((next: Service, { service, builtIn }) => {
      if (builtIn !== null) return new Placed(builtIn, next);
      const found = resolve(service);
      if (found.before === undefined) {
        throw new Error(`cannot use "${found.name}" as a middleware: it is of kind ${found.kind}`);
      }
      return found.before(next);
    }, end);
  }
}

/** A service behind a chain, which is put together when the first exchange comes: until then services may be unlinked. */
class Front implements Service {
  readonly name: string;
  readonly kind: Service["kind"];
  protected readonly end: Service;
  readonly #chain: Chain;
  #first: Service | null = null;

  constructor(chain: Chain, end: Service) {
    this.name = end.name;
    this.kind = end.kind;
    this.end = end;
    this.#chain = chain;
  }

  handle(exchange: Exchange): void {
    this.#first ??= this.#chain.compose(this.end);
    this.#first.handle(exchange);
  }

  connect(tunnel: Tunnel): void {
    this.#first ??= this.#chain.compose(this.end);
    this.#first.connect(tunnel);
  }

  at(entrypoint: string | null, props: JsonValue): Service {
    return this.#chain.before(this.end.at(entrypoint, props));
  }

  /** As a middleware, the service keeps those that stand before itself. */
  before(next: Service): Service {
    if (this.end.before === undefined) {
      throw new Error(`cannot use "${this.name}" as a middleware: it is of kind ${this.kind}`);
    }
    return this.#chain.before(this.end.before(next));
  }

  close(): void {}
}

/** The same for a Worker: calls over RPC are no exchanges, they come from Workers that hold a binding, and go past. */
class RpcFront extends Front implements RpcService {
  readonly #worker: RpcService;

  constructor(chain: Chain, end: Service & RpcService) {
    super(chain, end);
    this.#worker = end;
  }

  call(call: RpcCall, message: RpcMessage, request: RpcRequest): void {
    this.#worker.call(call, message, request);
  }
}

/** A built-in middleware in one place. */
export class Placed implements Service {
  readonly name: string;
  readonly kind = "middleware";
  readonly #middleware: Middleware;
  readonly #next: Service;

  constructor(middleware: Middleware, next: Service) {
    this.name = next.name;
    this.#middleware = middleware;
    this.#next = next;
  }

  handle(exchange: Exchange): void {
    if (exchange.aborted === null) this.#middleware.handle(exchange, this.#next);
  }

  connect(tunnel: Tunnel): void {
    this.#middleware.connect(tunnel, this.#next);
  }

  at(): Service {
    return this;
  }

  close(): void {}
}
