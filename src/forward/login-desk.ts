import type { ProxyAuthConfig } from "../config/schema/forward.ts";
import { ProxyError } from "../errors/proxy-error.ts";
import type { ClientFacts } from "../http/exchange.ts";
import { type Credentials, type LoginWaiter, Users } from "../net/users.ts";
import type { ServiceContext } from "../services/context.ts";
import { addressKey } from "../services/middleware/client-key.ts";
import { type Rate, RateTable } from "../services/middleware/rate-table.ts";

/** What one client may try: so much at once, and then one every two seconds. */
const tries: Rate = { requests: 30, per: 60_000, burst: 30, algorithm: "tokenBucket" };
const maxClients = 10_000;

/**
 * Where the clients of one socket say who they are. Credentials that were found right are known again and cost nothing;
 * others are counted by the client's address, so that nobody guesses a password by trying.
 */
export class LoginDesk {
  readonly #users: Users;
  readonly #tries: RateTable = new RateTable(tries, maxClients);
  readonly #context: ServiceContext;

  /** @throws Error when a password cannot be read */
  constructor(config: ProxyAuthConfig, context: ServiceContext) {
    this.#users = new Users(config, context);
    this.#context = context;
  }

  /** Checks credentials, now or later. */
  verify(given: Credentials, client: ClientFacts, waiter: LoginWaiter): void {
    if (this.#users.knows(given)) {
      waiter.onVerdict(true, null);
      return;
    }
    const { allowed } = this.#tries.take(addressKey(client.address), this.#context.now());
    if (allowed) this.#users.verify(given, waiter);
    else {
      const message = "cannot check the password: its client has tried too many";
      waiter.onVerdict(false, new ProxyError("login_attempts_exceeded", message));
    }
  }
}
