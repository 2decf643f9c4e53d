import { createHmac, randomBytes } from "node:crypto";
import type { BasicAuthConfig } from "../../config/schema/middleware.ts";
import { ProxyError } from "../../errors/proxy-error.ts";
import type { Exchange, ExchangeHandler } from "../../http/exchange.ts";
import { checkPassword, readPassword, type StoredPassword } from "../../net/password.ts";
import type { Service, Tunnel } from "../service.ts";
import { answerStatus, refusal } from "./answer.ts";
import type { Middleware, MiddlewareFactory } from "./middleware.ts";

/** Each check with scrypt takes a thread for some 30 ms: so many run at once, and so many wait. */
const maxRunning = 2;
const maxWaiting = 64;
/** Credentials that were right, which are known again without another check. */
const maxRemembered = 1024;

/**
 * HTTP authentication with user name and password (RFC 7617). The credentials go no further: what follows sees the name
 * alone, in a header that no client can set.
 */
class BasicAuth implements Middleware {
  readonly #config: BasicAuthConfig;
  readonly #users: ReadonlyMap<string, StoredPassword>;
  readonly #challenge: string;
  /** Stands in for a user who does not exist, so that the time of an answer does not tell names. */
  readonly #nobody: StoredPassword;
  readonly #secret = randomBytes(32);
  readonly #remembered: Set<string> = new Set();
  readonly #waiting: PendingLogin[] = [];
  #running = 0;

  constructor(config: BasicAuthConfig) {
    this.#config = config;
    this.#users = new Map(Object.entries(config.users).map(([name, text]) => [name, readPassword(text)]));
    this.#challenge = `Basic realm="${config.realm.replaceAll(/["\\]/g, "\\$&")}", charset="UTF-8"`;
    const slowest = this.#users.values().find(({ kind }) => kind === "scrypt");
    this.#nobody = slowest ?? { kind: "plain", text: "" };
  }

  handle(exchange: Exchange, next: Service): void {
    const given = readCredentials(exchange.request.headers.get("authorization"));
    if (given === null) {
      this.#refuse(exchange);
      return;
    }
    const mark = createHmac("sha256", this.#secret)
      .update(`${given.user}:${given.password}`)
      .digest("base64");
    if (this.#remembered.has(mark)) this.#pass(exchange, given.user, next);
    else if (this.#waiting.length >= maxWaiting) {
      const error = new ProxyError("upstream_busy", "cannot check the password: too many are being checked");
      exchange.takeBody()?.cancel(error);
      exchange.fail(error);
    } else {
      this.#waiting.push(new PendingLogin(exchange, next, given, mark));
      this.#advance();
    }
  }

  connect(tunnel: Tunnel): void {
    tunnel.refuse(refusal("it carries no credentials"));
  }

  #advance(): void {
    while (this.#running < maxRunning) {
      const login = this.#waiting.shift();
      if (login === undefined) return;
      if (login.left) continue;
      this.#running++;
      void this.#check(login);
    }
  }

  async #check(login: PendingLogin): Promise<void> {
    const { exchange, next, given, mark } = login;
    const stored = this.#users.get(given.user);
    let isRight = false;
    let problem: unknown = null;
    try {
      isRight = (await checkPassword(stored ?? this.#nobody, given.password)) && stored !== undefined;
    } catch (error) {
      problem = error;
    }
    this.#running--;
    if (isRight) this.#remember(mark);
    if (!login.left) {
      exchange.handler = null;
      if (problem !== null) exchange.fail(ProxyError.from(problem));
      else if (isRight) this.#pass(exchange, given.user, next);
      else this.#refuse(exchange);
    }
    this.#advance();
  }

  #remember(mark: string): void {
    if (this.#remembered.size >= maxRemembered) this.#remembered.clear();
    this.#remembered.add(mark);
  }

  #pass(exchange: Exchange, user: string, next: Service): void {
    const { headers } = exchange.request;
    headers.delete("authorization");
    if (this.#config.userHeader !== undefined) {
      headers.set(this.#config.userHeader, Buffer.from(user, "utf8").toString("latin1"));
    }
    next.handle(exchange);
  }

  #refuse(exchange: Exchange): void {
    answerStatus(exchange, 401, [["www-authenticate", this.#challenge]]);
  }
}

/** An exchange whose password is to be checked; its client may leave in the meantime. */
class PendingLogin implements ExchangeHandler {
  readonly exchange: Exchange;
  readonly next: Service;
  readonly given: Credentials;
  readonly mark: string;
  left = false;

  constructor(exchange: Exchange, next: Service, given: Credentials, mark: string) {
    this.exchange = exchange;
    this.next = next;
    this.given = given;
    this.mark = mark;
    exchange.handler = this;
  }

  onAbort(): void {
    this.left = true;
  }
}

interface Credentials {
  readonly user: string;
  readonly password: string;
}

/** RFC 7617 §2: a name without a colon, a colon, and the password; null for anything else. */
function readCredentials(field: string | null): Credentials | null {
  const match = field === null ? null : /^basic +([A-Za-z0-9+/]{1,2048}={0,2})$/i.exec(field);
  if (match === null) return null;
  const text = Buffer.from(match[1] ?? "", "base64").toString("utf8");
  const colon = text.indexOf(":");
  if (colon === -1) return null;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 32 || code === 127) return null;
  }
  return { user: text.slice(0, colon), password: text.slice(colon + 1) };
}

export const createBasicAuth: MiddlewareFactory<BasicAuthConfig> = (config) => new BasicAuth(config);
