import { RpcTarget, WorkerEntrypoint } from "cloudflare:workers";

interface Props {
  readonly currency: string;
}

/** One session of one customer. It stays here: who logged in has a stub of it, and nobody else can get one. */
class Session extends RpcTarget {
  readonly #name: string;
  readonly #currency: string;
  #spent = 0;

  constructor(name: string, currency: string) {
    super();
    this.#name = name;
    this.#currency = currency;
  }

  /** A property: `await session.name`. */
  get name(): string {
    return this.#name;
  }

  spend(amount: number): string {
    if (!(amount > 0)) throw new RangeError(`cannot spend ${amount}: it is not positive`);
    this.#spent += amount;
    return `${this.#spent} ${this.#currency}`;
  }

  /** Calls back: `visit` is a function of the caller. */
  async history(visit: (line: string) => void | Promise<void>): Promise<number> {
    await visit(`${this.#name} logged in`);
    await visit(`${this.#name} spent ${this.#spent} ${this.#currency}`);
    return 2;
  }

  /** When the last stub is gone. */
  [Symbol.dispose](): void {
    console.log(`${this.#name} is logged out`);
  }
}

export class Accounts extends WorkerEntrypoint<unknown, Props> {
  async login(token: string): Promise<Session> {
    const name = token === "t-ada" ? "Ada" : null;
    if (name === null) throw new Error("cannot log in: the token is not known");
    return new Session(name, this.ctx.props.currency);
  }
}

export default { fetch: () => new Response("only over RPC\n", { status: 404 }) } satisfies ExportedHandler;
