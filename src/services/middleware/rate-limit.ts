import type { RateLimitConfig } from "../../config/schema/middleware.ts";
import type { Exchange } from "../../http/exchange.ts";
import type { ResponseHead } from "../../http/message.ts";
import type { Service, Tunnel } from "../service.ts";
import { answerStatus, type Fields, refusal } from "./answer.ts";
import { addressKey, clientKey } from "./client-key.ts";
import { HeadEdit } from "./head-edit.ts";
import type { Middleware, MiddlewareFactory } from "./middleware.ts";
import { type Rate, RateTable, type Verdict } from "./rate-table.ts";
import type { Refusals } from "./refusals.ts";

/** Lets a client make so many requests in a time, and answers 429 to the rest (RFC 6585 §4). */
class RateLimit implements Middleware {
  readonly #config: RateLimitConfig;
  readonly #table: RateTable;
  readonly #policy: string;
  readonly #now: () => number;
  readonly #refusals: Refusals;

  constructor(config: RateLimitConfig, now: () => number, refusals: Refusals) {
    this.#config = config;
    this.#refusals = refusals;
    const rate: Rate = {
      requests: config.requests,
      per: config.per,
      burst: config.burst ?? config.requests,
      algorithm: config.algorithm,
    };
    this.#table = new RateTable(rate, config.maxKeys);
    this.#now = now;
    this.#policy = `"default";q=${config.requests};w=${Math.ceil(config.per / 1000)}`;
  }

  handle(exchange: Exchange, next: Service): void {
    const verdict = this.#table.take(
      clientKey(this.#config.by, exchange.request, exchange.client),
      this.#now(),
    );
    if (!verdict.allowed) {
      this.#refusals.count();
      const fields: Fields = [["retry-after", `${seconds(verdict.retryMs)}`], ...this.#fields(verdict)];
      answerStatus(exchange, 429, fields);
    } else
      next.handle(this.#config.headers ? new HeadEdit(exchange, new Told(this.#fields(verdict))) : exchange);
  }

  /** A tunnel has neither headers nor cookies: it counts for its client's address. */
  connect(tunnel: Tunnel, next: Service): void {
    if (this.#table.take(addressKey(tunnel.client.address), this.#now()).allowed) next.connect(tunnel);
    else {
      this.#refusals.count();
      tunnel.refuse(refusal("its client opens too many"));
    }
  }

  /** draft-ietf-httpapi-ratelimit-headers §3, §4. */
  #fields({ remaining, resetMs }: Verdict): Fields {
    if (!this.#config.headers) return [];
    return [
      ["ratelimit-policy", this.#policy],
      ["ratelimit", `"default";r=${remaining};t=${seconds(resetMs)}`],
    ];
  }
}

/** The state of the limit goes with the answer, in place of what a service behind says of its own. */
class Told {
  readonly #fields: Fields;

  constructor(fields: Fields) {
    this.#fields = fields;
  }

  edit(head: ResponseHead): void {
    for (const [name, value] of this.#fields) head.headers.set(name, value);
  }
}

/** Whole seconds, rounded up: a client that waits so long is let through. */
function seconds(ms: number): number {
  return Math.max(1, Math.ceil(ms / 1000));
}

export const createRateLimit: MiddlewareFactory<RateLimitConfig> = (config, context, refusals) =>
  new RateLimit(config, () => context.now(), refusals);
