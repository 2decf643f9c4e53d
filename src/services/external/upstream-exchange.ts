import { ProxyError } from "../../errors/proxy-error.ts";
import type { BodySource } from "../../http/body.ts";
import type { ByteStream, ClientFacts, Exchange, ExchangeHandler } from "../../http/exchange.ts";
import type { RequestHead, ResponseHead } from "../../http/message.ts";
import type { Attempt, AttemptOwner, Progress } from "./attempt.ts";
import type { Endpoint } from "./endpoint.ts";
import type { EndpointWaiter } from "./endpoint-group.ts";
import { type ClockOwner, ExchangeClock } from "./exchange-clock.ts";
import { type Failure, failureOf } from "./failure-kind.ts";
import { isIdempotent } from "./idempotent.ts";
import { ReplayBody } from "./replay-body.ts";
import type { Upstream } from "./upstream.ts";

/**
 * An exchange on its way through an external: it chooses an endpoint, makes an attempt there, and when that fails and
 * may be repeated, another one.
 */
export class UpstreamExchange implements ExchangeHandler, AttemptOwner, ClockOwner, EndpointWaiter {
  readonly request: RequestHead;
  readonly client: ClientFacts;
  requestBody: BodySource | null = null;
  readonly #upstream: Upstream;
  readonly #exchange: Exchange;
  readonly #started: number;
  /** Null when it is over, and between two attempts. */
  #attempt: Attempt | null = null;
  #endpoint: Endpoint | null = null;
  #status = 0;
  #done = false;
  /** Something went to the client: nothing may be sent again. */
  #informed = false;
  #retries = 0;
  /** Endpoints that have failed it; null when none has. */
  #tried: Endpoint[] | null = null;
  /** The request's body, when it may be needed again. */
  #replay: ReplayBody | null = null;
  #clock: ExchangeClock | null = null;
  /** The endpoint that the client's cookie names. */
  #preferred: Endpoint | null = null;

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
    if (upstream.overloaded) {
      this.#giveUp(upstream.refuse("requests"));
      return;
    }
    if (timeouts.total > 0) this.#time.total = this.#started + timeouts.total;
    if (upstream.retry !== null && this.requestBody !== null) {
      this.#replay = new ReplayBody(this.requestBody, upstream.retry.bodyBuffer);
      this.requestBody = this.#replay;
    }
    if (upstream.sticky !== null) this.#preferred = upstream.sticky.find(request);
    const { only } = upstream.group;
    if (only !== null) this.#try(only, false);
    else this.#choose();
  }

  /** There are endpoints, or it is known that there are none. */
  onEndpoints(): void {
    if (this.#done) return;
    const { group } = this.#upstream;
    const endpoint = group.choose(this, this.#tried);
    if (endpoint !== null) {
      if (this.#clock !== null) this.#clock.wake = Number.POSITIVE_INFINITY;
      this.#try(endpoint, false);
    } else if (group.settled || !group.wait(this)) {
      // Of several names one may be known to lead nowhere before the others.
      this.#giveUp(group.missing());
    }
  }

  // --- what the attempt tells

  onInterim(head: ResponseHead): void {
    // `100 Continue` asks the client for its body, which then waits for whichever attempt it is.
    if (head.status !== 100) this.#informed = true;
    this.#exchange.inform(head);
  }

  onResponse(head: ResponseHead, body: BodySource | null): void {
    const upstream = this.#upstream;
    const endpoint = this.#endpoint as Endpoint;
    this.#status = head.status;
    endpoint.answered(head.status);
    if (upstream.retry !== null) {
      if (upstream.retry.on.hasStatus(head.status) && this.#mayRetry("status", "answered")) {
        this.#attempt = null;
        const error = new ProxyError("upstream_reset", "cannot take the response: the request is sent again");
        body?.cancel(error);
        this.#retry("status", endpoint, error);
        return;
      }
      this.#replay?.settle();
      if (this.#clock !== null) this.#clock.try = Number.POSITIVE_INFINITY;
    }
    this.#edit(head, endpoint);
    if (body === null) this.#finish(head.status);
    this.#exchange.respond(head, body);
  }

  onSwitch(head: ResponseHead, stream: ByteStream): void {
    const endpoint = this.#endpoint as Endpoint;
    this.#status = head.status;
    endpoint.answered(head.status);
    this.#replay?.settle();
    this.#edit(head, endpoint);
    if (this.#exchange.handler === this) this.#exchange.handler = null;
    // A tunnel may stay for longer than any exchange.
    this.#clock?.stop();
    this.#exchange.upgrade(head, stream);
  }

  onFailed(error: ProxyError, progress: Progress): void {
    const endpoint = this.#endpoint as Endpoint;
    const failure = failureOf(error);
    this.#attempt = null;
    if (failure !== null) {
      endpoint.failed(failure);
      if (this.#upstream.retry !== null && this.#mayRetry(failure, progress)) {
        this.#retry(failure, endpoint, error);
        return;
      }
    }
    this.#giveUp(error);
  }

  onDone(error: ProxyError | null): void {
    // The response of an attempt that another one follows.
    if (this.#attempt === null) return;
    if (error !== null) {
      this.#upstream.traffic.error(error.code);
      const failure = failureOf(error);
      if (failure !== null) this.#endpoint?.failed(failure);
    }
    this.#finish(error === null ? this.#status : 0);
  }

  // --- its early end

  onAbort(error: ProxyError): void {
    if (this.#done) return;
    this.#upstream.traffic.error(error.code);
    const attempt = this.#attempt;
    this.#finish(0);
    this.requestBody?.cancel(error);
    attempt?.abort(error);
  }

  onTotal(): void {
    const { total } = this.#upstream.config.timeouts;
    const message = `cannot finish the exchange with "${this.#upstream.name}": it took longer than ${total} ms`;
    const error = new ProxyError("upstream_total_timeout", message);
    if (this.#attempt !== null) this.#attempt.fail(error);
    else this.#giveUp(error);
  }

  onTry(): void {
    const { retry, wheel } = this.#upstream;
    const ms = retry?.perTryMs ?? 0;
    // A client that uploads slowly says nothing about the server, and must not get it ejected.
    if (this.#replay?.awaitsClient === true) {
      this.#time.try = wheel.now() + ms;
      return;
    }
    const message = `cannot get a response from ${this.#endpoint?.where}: no head within ${ms} ms`;
    this.#attempt?.fail(new ProxyError("upstream_head_timeout", message));
  }

  /** The wait for a name, or before the same endpoint is asked again, is over. */
  onWake(): void {
    const { group } = this.#upstream;
    group.leave(this);
    const endpoint = group.choose(this, this.#tried);
    if (endpoint === null) this.#giveUp(group.missing("upstream_connect_timeout"));
    else this.#try(endpoint, this.#tried?.includes(endpoint) === true);
  }

  // --- inner

  /** What the client gets to see of a response's head. */
  #edit(head: ResponseHead, endpoint: Endpoint): void {
    const { responseEdits, sticky } = this.#upstream;
    if (responseEdits.active) responseEdits.apply(head.headers);
    if (sticky !== null && endpoint !== this.#preferred) sticky.issue(head, endpoint, this.client.secure);
  }

  /** The first attempt, of a group. */
  #choose(): void {
    const upstream = this.#upstream;
    const { group } = upstream;
    group.open();
    const endpoint = this.#preferred ?? group.choose(this, null);
    if (endpoint !== null) {
      this.#try(endpoint, false);
    } else if (!upstream.mayWait) {
      this.#giveUp(upstream.refuse("pending"));
    } else if (group.wait(this)) {
      const { connect } = upstream.config.timeouts;
      if (connect > 0) this.#time.wake = upstream.wheel.now() + connect;
    } else {
      this.#giveUp(group.missing());
    }
  }

  /** @param fresh the endpoint has failed it before, so that an idle connection is not to be trusted. */
  #try(endpoint: Endpoint, fresh: boolean): void {
    const { retry, wheel } = this.#upstream;
    this.#endpoint = endpoint;
    endpoint.begin();
    if (retry !== null && retry.perTryMs > 0) this.#time.try = wheel.now() + retry.perTryMs;
    const attempt = endpoint.client.attempt(this, fresh);
    this.#attempt = attempt;
    attempt.start();
  }

  /** RFC 9110 §9.2.2: what is not idempotent is sent again only if it was provably not processed. */
  #mayRetry(failure: Failure, progress: Progress): boolean {
    const { retry, traffic } = this.#upstream;
    if (retry === null || this.#informed || this.#retries >= retry.attempts) return false;
    // A server that says that it did nothing is like one that was never reached.
    const kind = progress === "unprocessed" ? "connect" : failure;
    if (kind !== "status" && !retry.on.has(kind)) return false;
    if (progress !== "unprocessed" && !isIdempotent(this.request.method)) return false;
    if (this.#replay !== null && !this.#replay.replayable) return false;
    if (this.#retries > 0 || retry.begin(traffic)) return true;
    this.#upstream.onRetryDenied();
    return false;
  }

  /** @param error what the client gets if there is no other endpoint, and this one is not to be asked again */
  #retry(failure: Failure, failed: Endpoint, error: ProxyError): void {
    const upstream = this.#upstream;
    const { group, retry, wheel } = upstream;
    this.#retries++;
    failed.end();
    this.#endpoint = null;
    if (this.#clock !== null) this.#clock.try = Number.POSITIVE_INFINITY;
    if (this.#tried === null) this.#tried = [failed];
    else this.#tried.push(failed);
    const next = group.only ?? group.choose(this, this.#tried);
    const isAgain = next !== null && this.#tried.includes(next);
    if (retry === null || next === null || (isAgain && retry.backoffMs === null)) {
      this.#giveUp(error);
      return;
    }
    upstream.onRetry(failure);
    this.#exchange.noteAttempts(this.#retries + 1);
    if (isAgain) this.#time.wake = wheel.now() + retry.delay(this.#retries, Math.random());
    else this.#try(next, false);
  }

  get #time(): ExchangeClock {
    this.#clock ??= new ExchangeClock(this, this.#upstream.wheel);
    return this.#clock;
  }

  /** There is no response, and no other attempt. */
  #giveUp(error: ProxyError): void {
    if (this.#done) return;
    this.#upstream.traffic.error(error.code);
    this.#finish(0);
    this.requestBody?.cancel(error);
    this.#exchange.fail(error);
  }

  #finish(status: number): void {
    const { group, retry, traffic, wheel } = this.#upstream;
    this.#done = true;
    this.#attempt = null;
    this.#endpoint?.end();
    this.#endpoint = null;
    this.#clock?.stop();
    this.#replay?.settle();
    if (this.#retries > 0) retry?.end();
    if (group.only === null) group.leave(this);
    if (this.#exchange.handler === this) this.#exchange.handler = null;
    traffic.finish(status, (wheel.now() - this.#started) / 1000);
  }
}
