import type { ProxyAuthConfig } from "../config/schema/forward.ts";
import { ProxyError } from "../errors/proxy-error.ts";
import { readBasicCredentials } from "../http/basic-credentials.ts";
import type { Exchange, ExchangeHandler } from "../http/exchange.ts";
import type { LoginWaiter } from "../net/users.ts";
import type { ServiceContext } from "../services/context.ts";
import type { Service, Tunnel } from "../services/service.ts";
import { LoginDesk } from "./login-desk.ts";

/**
 * Asks the clients of a forward proxy who they are (RFC 9110 §11.7, RFC 7617), and lets through who has the right name
 * and password. The credentials go no further.
 */
export class ProxyLogin implements Service {
  readonly name: string;
  readonly kind = "middleware";
  readonly next: Service;
  readonly #desk: LoginDesk;
  readonly #challenge: string;

  /** @throws Error when a password cannot be read */
  constructor(config: ProxyAuthConfig, next: Service, context: ServiceContext) {
    this.name = next.name;
    this.next = next;
    this.#desk = new LoginDesk(config, context);
    this.#challenge = `Basic realm="${config.realm.replaceAll(/["\\]/g, "\\$&")}", charset="UTF-8"`;
  }

  handle(exchange: Exchange): void {
    const { headers } = exchange.request;
    const given = readBasicCredentials(headers.get("proxy-authorization"));
    headers.delete("proxy-authorization");
    if (given === null) refuse(exchange, this.refusal());
    else this.#desk.verify(given, exchange.client, new PendingExchange(this, exchange, given.user));
  }

  connect(tunnel: Tunnel): void {
    const given = readBasicCredentials(tunnel.authorization ?? null);
    if (given === null) tunnel.refuse(this.refusal());
    else this.#desk.verify(given, tunnel.client, new PendingTunnel(this, tunnel, given.user));
  }

  handOn(exchange: Exchange, user: string): void {
    exchange.user = user;
    this.next.handle(exchange);
  }

  open(tunnel: Tunnel, user: string): void {
    tunnel.user = user;
    this.next.connect(tunnel);
  }

  refusal(): ProxyError {
    return new ProxyError(
      "proxy_auth_required",
      "cannot let the client pass: it gave no user and password that are right",
      {
        field: ["Proxy-Authenticate", this.#challenge],
      },
    );
  }

  at(): Service {
    return this;
  }

  close(): void {}
}

/** An exchange whose password is to be checked; its client may leave in the meantime. */
class PendingExchange implements ExchangeHandler, LoginWaiter {
  readonly #login: ProxyLogin;
  readonly #exchange: Exchange;
  readonly #user: string;
  left = false;

  constructor(login: ProxyLogin, exchange: Exchange, user: string) {
    this.#login = login;
    this.#user = user;
    this.#exchange = exchange;
    exchange.handler = this;
  }

  onAbort(): void {
    this.left = true;
  }

  onVerdict(isRight: boolean, problem: ProxyError | null): void {
    const exchange = this.#exchange;
    exchange.handler = null;
    if (isRight) this.#login.handOn(exchange, this.#user);
    else refuse(exchange, problem ?? this.#login.refusal());
  }
}

/** The same for a tunnel. */
class PendingTunnel implements LoginWaiter {
  readonly #login: ProxyLogin;
  readonly #tunnel: Tunnel;
  readonly #user: string;
  left = false;

  constructor(login: ProxyLogin, tunnel: Tunnel, user: string) {
    this.#login = login;
    this.#user = user;
    this.#tunnel = tunnel;
    tunnel.onAbort = () => {
      this.left = true;
    };
  }

  onVerdict(isRight: boolean, problem: ProxyError | null): void {
    const tunnel = this.#tunnel;
    tunnel.onAbort = null;
    if (isRight) this.#login.open(tunnel, this.#user);
    else tunnel.refuse(problem ?? this.#login.refusal());
  }
}

function refuse(exchange: Exchange, error: ProxyError): void {
  exchange.takeBody()?.cancel(error);
  exchange.fail(error);
}
