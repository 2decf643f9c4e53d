import { ProxyError } from "../../errors/proxy-error.ts";
import type { BodySource } from "../../http/body.ts";
import type { ByteStream, ClientFacts, Exchange, ExchangeHandler } from "../../http/exchange.ts";
import type { RequestHead, ResponseHead } from "../../http/message.ts";
import { type TimerOwner, WheelTimer } from "../../net/timer-wheel.ts";
import type { Attempt, AttemptOwner } from "./attempt.ts";
import type { Upstream } from "./upstream.ts";

/** An exchange on its way through an external: it makes the attempts, and takes what comes of them. */
export class UpstreamExchange implements ExchangeHandler, AttemptOwner, TimerOwner {
  readonly request: RequestHead;
  readonly client: ClientFacts;
  requestBody: BodySource | null = null;
  readonly #upstream: Upstream;
  readonly #exchange: Exchange;
  readonly #started: number;
  /** Null when it is over, or between two attempts. */
  #attempt: Attempt | null = null;
  #status = 0;
  #done = false;
  /** Made when there is a deadline that no attempt knows of. */
  #timer: WheelTimer | null = null;

  constructor(upstream: Upstream, exchange: Exchange) {
    this.#upstream = upstream;
    this.#exchange = exchange;
    this.request = exchange.request;
    this.client = exchange.client;
    this.#started = upstream.wheel.now();
  }

  start(): void {
    const upstream = this.#upstream;
    const { request } = this;
    const { http, timeouts } = upstream.config;
    this.#exchange.handler = this;
    upstream.traffic.begin();
    upstream.forwarding.apply(request, this.client);
    if (upstream.requestEdits.active) upstream.requestEdits.apply(request.headers);
    if (http.style === "host" && http.forwardedProtoHeader !== undefined) {
      request.headers.set(http.forwardedProtoHeader, request.scheme);
    }
    // Only an HTTP/1.0 client may leave out Host; the upstream hears HTTP/1.1 and needs one (RFC 9112 §3.2).
    if (request.authority === "") request.authority = upstream.authority;
    this.requestBody = this.#exchange.takeBody();
    if (timeouts.total > 0) {
      this.#timer = new WheelTimer(this);
      upstream.wheel.arm(this.#timer, this.#started + timeouts.total);
    }
    this.#attempt = upstream.endpoint.client.attempt(this, false);
    this.#attempt.start();
  }

  // --- what the attempt tells

  onInterim(head: ResponseHead): void {
    this.#exchange.inform(head);
  }

  onResponse(head: ResponseHead, body: BodySource | null): void {
    this.#status = head.status;
    if (this.#upstream.responseEdits.active) this.#upstream.responseEdits.apply(head.headers);
    if (body === null) this.#finish(head.status);
    this.#exchange.respond(head, body);
  }

  onSwitch(head: ResponseHead, stream: ByteStream): void {
    this.#status = head.status;
    if (this.#upstream.responseEdits.active) this.#upstream.responseEdits.apply(head.headers);
    if (this.#exchange.handler === this) this.#exchange.handler = null;
    // A tunnel may stay for longer than any exchange.
    if (this.#timer !== null) this.#upstream.wheel.cancel(this.#timer);
    this.#exchange.upgrade(head, stream);
  }

  onFailed(error: ProxyError): void {
    this.requestBody?.cancel(error);
    this.#upstream.traffic.error(error.code);
    this.#finish(0);
    this.#exchange.fail(error);
  }

  onDone(error: ProxyError | null): void {
    if (error !== null) this.#upstream.traffic.error(error.code);
    this.#finish(error === null ? this.#status : 0);
  }

  // --- its early end

  onAbort(error: ProxyError): void {
    if (this.#done) return;
    this.requestBody?.cancel(error);
    this.#upstream.traffic.error(error.code);
    const attempt = this.#attempt;
    this.#finish(0);
    attempt?.abort(error);
  }

  onTimer(): void {
    const { total } = this.#upstream.config.timeouts;
    const message = `cannot finish the exchange with "${this.#upstream.name}": it took longer than ${total} ms`;
    this.#attempt?.fail(new ProxyError("upstream_total_timeout", message));
  }

  #finish(status: number): void {
    const { traffic, wheel } = this.#upstream;
    this.#done = true;
    this.#attempt = null;
    if (this.#timer !== null) wheel.cancel(this.#timer);
    if (this.#exchange.handler === this) this.#exchange.handler = null;
    traffic.finish(status, (wheel.now() - this.#started) / 1000);
  }
}
