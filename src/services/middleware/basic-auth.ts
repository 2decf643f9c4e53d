import type { BasicAuthConfig } from "../../config/schema/middleware.ts";
import type { ProxyError } from "../../errors/proxy-error.ts";
import { readBasicCredentials } from "../../http/basic-credentials.ts";
import type { Exchange, ExchangeHandler } from "../../http/exchange.ts";
import { type Credentials, type LoginWaiter, Users } from "../../net/users.ts";
import type { ServiceContext } from "../context.ts";
import type { Service, Tunnel } from "../service.ts";
import { answerStatus, refusal } from "./answer.ts";
import type { Middleware, MiddlewareFactory } from "./middleware.ts";
import type { Refusals } from "./refusals.ts";

/**
 * HTTP authentication with user name and password (RFC 7617). The credentials go no further: what follows sees the name
 * alone, in a header that no client can set.
 */
class BasicAuth implements Middleware {
  readonly #userHeader: string | null;
  readonly #users: Users;
  readonly #challenge: string;
  readonly #refusals: Refusals;

  constructor(config: BasicAuthConfig, context: ServiceContext, refusals: Refusals) {
    this.#refusals = refusals;
    this.#userHeader = config.userHeader ?? null;
    this.#users = new Users(config, context);
    this.#challenge = `Basic realm="${config.realm.replaceAll(/["\\]/g, "\\$&")}", charset="UTF-8"`;
  }

  handle(exchange: Exchange, next: Service): void {
    const given = readBasicCredentials(exchange.request.headers.get("authorization"));
    if (given === null) this.refuse(exchange);
    else if (this.#users.knows(given)) this.pass(exchange, given.user, next);
    else this.#users.verify(given, new PendingLogin(this, exchange, next, given));
  }

  connect(tunnel: Tunnel): void {
    this.#refusals.count();
    tunnel.refuse(refusal("it carries no credentials"));
  }

  pass(exchange: Exchange, user: string, next: Service): void {
    const { headers } = exchange.request;
    headers.delete("authorization");
    if (this.#userHeader !== null) {
      headers.set(this.#userHeader, Buffer.from(user, "utf8").toString("latin1"));
    }
    next.handle(exchange);
  }

  refuse(exchange: Exchange): void {
    this.#refusals.count();
    answerStatus(exchange, 401, [["www-authenticate", this.#challenge]]);
  }
}

/** An exchange whose password is to be checked; its client may leave in the meantime. */
class PendingLogin implements ExchangeHandler, LoginWaiter {
  readonly #auth: BasicAuth;
  readonly #exchange: Exchange;
  readonly #next: Service;
  readonly #given: Credentials;
  left = false;

  constructor(auth: BasicAuth, exchange: Exchange, next: Service, given: Credentials) {
    this.#auth = auth;
    this.#exchange = exchange;
    this.#next = next;
    this.#given = given;
    exchange.handler = this;
  }

  onAbort(): void {
    this.left = true;
  }

  onVerdict(isRight: boolean, problem: ProxyError | null): void {
    const exchange = this.#exchange;
    exchange.handler = null;
    if (problem !== null) {
      exchange.takeBody()?.cancel(problem);
      exchange.fail(problem);
    } else if (isRight) this.#auth.pass(exchange, this.#given.user, this.#next);
    else this.#auth.refuse(exchange);
  }
}

export const createBasicAuth: MiddlewareFactory<BasicAuthConfig> = (config, context, refusals) =>
  new BasicAuth(config, context, refusals);
