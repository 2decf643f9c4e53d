import type { JwtConfig } from "../../../config/schema/jwt.ts";
import { ProxyError } from "../../../errors/proxy-error.ts";
import type { Exchange, ExchangeHandler } from "../../../http/exchange.ts";
import type { ServiceContext } from "../../context.ts";
import type { Resolve, Service, Tunnel } from "../../service.ts";
import { answerStatus, refusal } from "../answer.ts";
import type { Middleware, MiddlewareFactory } from "../middleware.ts";
import type { Refusals } from "../refusals.ts";
import { takeToken } from "./token-source.ts";
import { InvalidToken, TokenVerifier } from "./token-verifier.ts";
import { type VerifiedToken, VerifiedTokens } from "./verified-tokens.ts";

/** So many tokens are checked at a time, each for some 100 µs of a thread. */
const maxPending = 256;

/** Lets those pass who bring a JSON Web Token that is good, and tells what follows what it says. */
export class Jwt implements Middleware {
  readonly #config: JwtConfig;
  readonly #verifier: TokenVerifier;
  readonly #refusals: Refusals;
  /** Fields that no client may set. */
  readonly #ownFields: readonly string[];
  readonly #realm: string;
  #pending = 0;

  /** @throws Error when a key of the config cannot be read */
  constructor(config: JwtConfig, context: ServiceContext, refusals: Refusals) {
    this.#config = config;
    this.#verifier = new TokenVerifier(config, context);
    this.#refusals = refusals;
    const { claimHeaders, payloadHeader, realm } = config;
    this.#ownFields = [...Object.keys(claimHeaders), ...(payloadHeader === undefined ? [] : [payloadHeader])];
    this.#realm = realm === undefined ? "" : `realm="${realm.replaceAll(/["\\]/g, "\\$&")}"`;
  }

  link(resolve: Resolve): void {
    this.#verifier.link(resolve);
  }

  handle(exchange: Exchange, next: Service): void {
    const { from, optional, removeToken } = this.#config;
    const found = takeToken(exchange.request, from, removeToken);
    for (const name of this.#ownFields) exchange.request.headers.delete(name);
    if (found.kind === "none") {
      if (optional) next.handle(exchange);
      // Who shows nothing is told no reason (RFC 6750 §3.1).
      else this.#refuse(exchange, 401, []);
      return;
    }
    if (found.kind === "malformed") {
      this.#refuse(exchange, 400, ['error="invalid_request"', describe("Expected one token")]);
      return;
    }
    const key = VerifiedTokens.key(found.token);
    const known = this.#verifier.known(key);
    if (known !== null) this.#pass(exchange, known, next);
    else if (this.#pending >= maxPending) {
      const error = new ProxyError("upstream_busy", "cannot check the token: too many are being checked");
      exchange.takeBody()?.cancel(error);
      exchange.fail(error);
    } else void this.#check(new PendingToken(exchange), found.token, key, next);
  }

  connect(tunnel: Tunnel): void {
    this.#refusals.count();
    tunnel.refuse(refusal("it carries no token"));
  }

  async #check(pending: PendingToken, token: string, key: string, next: Service): Promise<void> {
    const { exchange } = pending;
    let verified: VerifiedToken | null = null;
    let problem: unknown = null;
    this.#pending++;
    try {
      verified = await this.#verifier.verify(token, key);
    } catch (error) {
      problem = error;
    }
    this.#pending--;
    if (pending.left) return;
    exchange.handler = null;
    if (verified !== null) this.#pass(exchange, verified, next);
    else if (problem instanceof InvalidToken) {
      this.#refuse(exchange, 401, ['error="invalid_token"', describe(problem.message)]);
    } else {
      const error = ProxyError.from(problem);
      exchange.takeBody()?.cancel(error);
      exchange.fail(error);
    }
  }

  #pass(exchange: Exchange, verified: VerifiedToken, next: Service): void {
    if (!verified.hasScopes) {
      const { scopes } = this.#config;
      this.#refuse(exchange, 403, ['error="insufficient_scope"', `scope="${scopes.join(" ")}"`]);
      return;
    }
    for (const [name, value] of verified.fields) exchange.request.headers.append(name, value);
    next.handle(exchange);
  }

  #refuse(exchange: Exchange, status: number, parameters: readonly string[]): void {
    this.#refusals.count();
    const all = (this.#realm === "" ? parameters : [this.#realm, ...parameters]).join(", ");
    answerStatus(exchange, status, [["www-authenticate", all === "" ? "Bearer" : `Bearer ${all}`]]);
  }
}

function describe(text: string): string {
  return `error_description="${text}"`;
}

/** An exchange whose token is being checked; its client may leave in the meantime. */
class PendingToken implements ExchangeHandler {
  readonly exchange: Exchange;
  left = false;

  constructor(exchange: Exchange) {
    this.exchange = exchange;
    exchange.handler = this;
  }

  onAbort(): void {
    this.left = true;
  }
}

export const createJwt: MiddlewareFactory<JwtConfig> = (config, context, refusals) =>
  new Jwt(config, context, refusals);
