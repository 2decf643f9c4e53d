import { ProxyError } from "../../errors/proxy-error.ts";
import type { ClientFacts } from "../../http/exchange.ts";
import type { RpcCall } from "./guest-rpc-objects.ts";
import { type Entrypoint, Incoming } from "./incoming.ts";
import type { Session } from "./session.ts";

/**
 * The event that a call on an entrypoint is: it lasts until its guest says so, which is when the caller and whoever it
 * has given stubs to want nothing more of it.
 */
export class IncomingCall extends Incoming {
  readonly kind = "call";
  readonly depth: number;
  readonly client: ClientFacts;
  readonly startedAt: number;
  readonly #call: RpcCall;

  constructor(session: Session, id: number, entrypoint: Entrypoint, call: RpcCall) {
    super(session, id, entrypoint);
    this.#call = call;
    this.depth = call.depth;
    this.client = call.client;
    this.startedAt = session.owner.context.now();
  }

  /** The guest has given an outcome. */
  returned(isValue: boolean): void {
    if (this.settle()) this.session.owner.answered(isValue ? 200 : 500, this.startedAt);
  }

  fail(error: ProxyError): void {
    if (!this.settle()) return;
    this.session.owner.answered(error.status, this.startedAt);
    this.#call.callee?.answerLost(this.#call, error);
  }

  /** The guest answered with something else than an outcome. */
  respond(): void {
    this.fail(new ProxyError("worker_bad_response", "cannot use the answer: a call over RPC has none"));
  }

  /** The caller is gone. */
  abandon(error: ProxyError): void {
    if (!this.settle()) return;
    this.session.owner.answered(0, this.startedAt);
    this.session.incomingAborted(this, error);
  }
}
