import type { Exchange } from "../../http/exchange.ts";
import type { ServiceContext } from "../context.ts";
import type { Resolve, Service, Tunnel } from "../service.ts";
import type { Refusals } from "./refusals.ts";

/**
 * One built-in middleware of a chain, made once and told for each exchange what follows it. It hands the exchange on, as it
 * is or wrapped (see `PassedExchange`), or answers it. Never throws.
 */
export interface Middleware {
  handle(exchange: Exchange, next: Service): void;
  /** A tunnel has no head to judge: what cannot judge the client without one refuses it. */
  connect(tunnel: Tunnel, next: Service): void;
  /** Called once, before the first exchange, by a middleware chain that asks other services. */
  link?(resolve: Resolve): void;
}

/** How the registry makes a built-in middleware from its config. */
export type MiddlewareFactory<C> = (config: C, context: ServiceContext, refusals: Refusals) => Middleware;
