import type { ProxyError } from "../../errors/proxy-error.ts";
import { ProxyError as Failure } from "../../errors/proxy-error.ts";
import type { BodySource } from "../../http/body.ts";
import { type ByteStream, type ClientFacts, Exchange } from "../../http/exchange.ts";
import type { RequestHead, ResponseHead } from "../../http/message.ts";
import { checkAnswer } from "../../http/websocket/handshake.ts";
import type { HeldBody, Tie } from "./held-body.ts";
import type { Session } from "./session.ts";

/** Facts of a client for exchanges that no client's exchange led to. */
export const noClient: ClientFacts = {
  address: "",
  port: 0,
  socket: "",
  secure: false,
  httpVersion: "HTTP/1.1",
};

/** A request that a Worker sends through a binding: its answer goes to the guest. */
export class GuestFetch extends Exchange {
  readonly id: number;
  /** The exchange on whose behalf it is made, or 0 when that is not known. */
  readonly owner: number;
  /** How the body of the answer belongs to the owner. */
  readonly tie: Tie;
  readonly #session: Session;
  /** The guest wants the bytes of the answer as they come. */
  readonly #coded: boolean;
  #answered = false;

  constructor(
    session: Session,
    id: number,
    owner: number,
    named: boolean,
    request: RequestHead,
    body: BodySource | null,
    client: ClientFacts,
    depth: number,
    coded: boolean,
  ) {
    super(request, body, client, depth);
    this.#session = session;
    this.id = id;
    this.owner = owner;
    this.tie = named ? "named" : "inferred";
    this.#coded = coded;
  }

  /** Keeps the answer's body for the guest. */
  hold(head: ResponseHead, body: BodySource): HeldBody {
    const held = this.#session.bodies.hold(body, this.owner, this.tie);
    if (!this.#coded) held.headers = head.headers;
    return held;
  }

  inform(): void {}

  respond(head: ResponseHead, body: BodySource | null): void {
    if (this.#answered || this.aborted !== null) {
      body?.cancel(this.aborted ?? late());
      return;
    }
    this.#answered = true;
    this.#session.fetchAnswered(this, head, body);
  }

  upgrade(head: ResponseHead, stream: ByteStream): void {
    const error =
      this.#answered || this.aborted !== null ? (this.aborted ?? late()) : this.#open(head, stream);
    if (error === null) return;
    stream.readable.cancel(error);
    stream.writable.fail(error);
    this.fail(error);
  }

  /** @returns why the answer is no WebSocket (RFC 6455 §4.1). */
  #open(head: ResponseHead, stream: ByteStream): ProxyError | null {
    const { headers, upgrade } = this.request;
    const { webSockets } = this.#session;
    const key = headers.get("sec-websocket-key") ?? "";
    const opened =
      upgrade !== "websocket" || head.status !== 101
        ? "it was not asked for"
        : checkAnswer(headers, key, head.headers, webSockets.maxMessageBytes);
    if (typeof opened === "string") {
      return new Failure("upstream_malformed", `cannot open the WebSocket: ${opened}`);
    }
    this.#answered = true;
    webSockets.opened(this, head, stream, opened);
    return null;
  }

  fail(error: ProxyError): void {
    if (this.#answered || this.aborted !== null) return;
    this.#answered = true;
    this.#session.fetchFailed(this, error);
  }
}

function late(): ProxyError {
  return new Failure("internal", "cannot take a second answer");
}
