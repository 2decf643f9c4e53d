import type { MaintenanceConfig } from "../../config/schema/middleware.ts";
import type { Exchange } from "../../http/exchange.ts";
import type { Service, Tunnel } from "../service.ts";
import { answer, type Fields, refusal } from "./answer.ts";
import { AddressList } from "./ip-filter.ts";
import type { Middleware, MiddlewareFactory } from "./middleware.ts";
import type { Refusals } from "./refusals.ts";

/** Answers everyone but those who may pass with one page, while it is switched on. */
class Maintenance implements Middleware {
  readonly #enabled: boolean;
  readonly #status: number;
  readonly #fields: Fields;
  readonly #page: Uint8Array;
  /** Null when nobody passes. */
  readonly #passes: AddressList | null;
  readonly #refusals: Refusals;

  constructor(config: MaintenanceConfig, refusals: Refusals) {
    this.#refusals = refusals;
    this.#enabled = config.enabled;
    this.#status = config.status;
    this.#page = Buffer.from(config.body);
    this.#passes = config.pass.length === 0 ? null : new AddressList(config.pass, []);
    this.#fields = [
      ...(config.retryAfter > 0 ? [["retry-after", `${Math.ceil(config.retryAfter / 1000)}`] as const] : []),
      ["content-type", config.contentType],
      // Nobody is to see the page when the work is done.
      ["cache-control", "no-store"],
    ];
  }

  handle(exchange: Exchange, next: Service): void {
    if (!this.#enabled || this.#passes?.permits(exchange.client) === true) next.handle(exchange);
    else {
      this.#refusals.count();
      answer(exchange, this.#status, this.#fields, this.#page);
    }
  }

  connect(tunnel: Tunnel, next: Service): void {
    if (!this.#enabled || this.#passes?.permits(tunnel.client) === true) next.connect(tunnel);
    else {
      this.#refusals.count();
      tunnel.refuse(refusal("there is maintenance"));
    }
  }
}

export const createMaintenance: MiddlewareFactory<MaintenanceConfig> = (config, _context, refusals) =>
  new Maintenance(config, refusals);
