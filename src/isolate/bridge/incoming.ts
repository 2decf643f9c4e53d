import { ProxyError } from "../../errors/proxy-error.ts";
import type { BodySource } from "../../http/body.ts";
import type { ByteStream, ClientFacts, Exchange, ExchangeHandler } from "../../http/exchange.ts";
import type { ResponseHead } from "../../http/message.ts";
import type { Service, Tunnel } from "../../services/service.ts";
import type { GuestOut } from "./guest-out.ts";
import type { HeldBody } from "./held-body.ts";
import type { Relay } from "./relay.ts";
import type { Session } from "./session.ts";

/** Which handler of the Worker is meant, and with which props. */
export interface Entrypoint {
  readonly name: string;
  /** JSON. */
  readonly props: string;
  /** The number of the service that `env.next` leads to; 0 when it is not there as a middleware. */
  readonly next: number;
}

/** What a Worker was asked for, from its record to the guest's word that all is done. */
export abstract class Incoming {
  readonly id: number;
  readonly entrypoint: Entrypoint;
  readonly session: Session;
  /** Its record has crossed: the guest has seen it. */
  entered = false;
  /** The guest has answered, or nobody waits for an answer any more. */
  settled = false;
  /** Its Worker called waitUntil: what it has fetched goes on when the client leaves. */
  waits = false;
  subrequests = 0;
  wallTimer: NodeJS.Timeout | null = null;
  /** What a fetch made for it, or a body that was read for it, last failed with. */
  lastFailure: ProxyError | null = null;
  /** What is held for it. */
  bodies: HeldBody[] | null = null;

  constructor(session: Session, id: number, entrypoint: Entrypoint) {
    this.session = session;
    this.id = id;
    this.entrypoint = entrypoint;
  }

  abstract readonly depth: number;
  abstract readonly client: ClientFacts;
  abstract fail(error: ProxyError): void;

  noteFailure(error: ProxyError): void {
    this.lastFailure = error;
  }

  protected settle(): boolean {
    if (this.settled) return false;
    this.settled = true;
    if (this.wallTimer !== null) clearTimeout(this.wallTimer);
    this.wallTimer = null;
    return true;
  }
}

/** An exchange that a Worker handles. */
export class IncomingRequest extends Incoming implements ExchangeHandler {
  readonly kind = "request";
  readonly exchange: Exchange;
  readonly startedAt: number;
  readonly hadBody: boolean;

  constructor(session: Session, id: number, entrypoint: Entrypoint, exchange: Exchange, startedAt: number) {
    super(session, id, entrypoint);
    this.exchange = exchange;
    this.startedAt = startedAt;
    this.hadBody = exchange.hasBody;
  }

  get depth(): number {
    return this.exchange.depth;
  }

  get client(): ClientFacts {
    return this.exchange.client;
  }

  respond(head: ResponseHead, body: BodySource | null): void {
    if (!this.settle()) {
      body?.cancel(late());
      return;
    }
    this.#answered(head.status);
    this.exchange.respond(head, body);
  }

  fail(error: ProxyError): void {
    if (!this.settle()) return;
    this.#answered(error.status);
    this.exchange.fail(error);
  }

  /** Answers 101, and goes over to a WebSocket. */
  upgrade(head: ResponseHead, stream: ByteStream): void {
    if (!this.settle()) {
      stream.readable.cancel(late());
      stream.writable.fail(late());
      return;
    }
    this.#answered(head.status);
    this.exchange.upgrade(head, stream);
  }

  /** Hands the exchange to another service, as if this Worker were not there. */
  passOn(service: Service): void {
    if (!this.settle()) return;
    this.#answered(0);
    service.handle(this.exchange);
  }

  onAbort(error: ProxyError): void {
    if (!this.settle()) return;
    this.#answered(0);
    this.session.incomingAborted(this, error);
  }

  #answered(status: number): void {
    this.exchange.handler = null;
    this.session.owner.answered(status, this.startedAt);
  }
}

/** A tunnel that a Worker's `connect` handler decides on. */
export class IncomingTunnel extends Incoming {
  readonly kind = "tunnel";
  readonly tunnel: Tunnel;
  /** What the client sends, as a body for the guest. */
  readonly fromClient: Relay;

  /** The handle by which the guest knows `fromClient`. */
  readonly #body: number;

  constructor(
    session: Session,
    id: number,
    entrypoint: Entrypoint,
    tunnel: Tunnel,
    fromClient: Relay,
    body: number,
  ) {
    super(session, id, entrypoint);
    this.tunnel = tunnel;
    this.fromClient = fromClient;
    this.#body = body;
    tunnel.onAbort = (error) => {
      if (!this.settle()) return;
      session.bodies.forget(body);
      session.incomingAborted(this, error);
    };
  }

  get depth(): number {
    return this.tunnel.depth;
  }

  get client(): ClientFacts {
    return this.tunnel.client;
  }

  accept(toClient: GuestOut): void {
    if (this.settle()) this.tunnel.accept({ readable: toClient, writable: this.fromClient });
    else toClient.cancel(late());
  }

  fail(error: ProxyError): void {
    if (!this.settle()) return;
    this.session.bodies.forget(this.#body);
    this.tunnel.refuse(error);
  }

  /** The Worker answered with a response, which refuses the tunnel. */
  respond(head: ResponseHead): void {
    const detail = { details: { status: head.status } };
    this.fail(
      head.status >= 500
        ? new ProxyError("upstream_unreachable", "cannot open the tunnel: the Worker says so", detail)
        : new ProxyError("connect_refused", "cannot open the tunnel: the Worker refuses it", detail),
    );
  }

  /** Settles without an answer yet: another socket will give it. */
  join(): boolean {
    if (!this.settle()) return false;
    this.session.bodies.forget(this.#body);
    return true;
  }
}

function late(): ProxyError {
  return new ProxyError("client_disconnected", "cannot use the answer: nobody waits for it");
}
