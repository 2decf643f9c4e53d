import { ProxyError } from "../../errors/proxy-error.ts";
import type { BodySink, BodySource, Lender } from "../../http/body.ts";
import type { Exchange } from "../../http/exchange.ts";
import type { HeaderBlock } from "../../http/header-block.ts";
import type { ResponseHead } from "../../http/message.ts";
import type { Service, Tunnel } from "../service.ts";
import type { Middleware, MiddlewareFactory } from "./middleware.ts";
import { PassedExchange } from "./passed-exchange.ts";
import type { Refusals } from "./refusals.ts";

/** Hands an exchange on if its body is small enough; one of unknown length is counted as it passes. */
export function handleWithin(exchange: Exchange, bytes: number, next: Service, refusals: Refusals): void {
  const { bodyLength } = exchange;
  if (bodyLength > bytes) {
    const error = tooLarge(bytes);
    refusals.count();
    exchange.takeBody()?.cancel(error);
    exchange.fail(error);
  } else next.handle(bodyLength === -1 ? new LimitedExchange(exchange, bytes, refusals) : exchange);
}

class BodyLimit implements Middleware {
  readonly #bytes: number;
  readonly #refusals: Refusals;

  constructor(bytes: number, refusals: Refusals) {
    this.#bytes = bytes;
    this.#refusals = refusals;
  }

  handle(exchange: Exchange, next: Service): void {
    handleWithin(exchange, this.#bytes, next, this.#refusals);
  }

  connect(tunnel: Tunnel, next: Service): void {
    next.connect(tunnel);
  }
}

/** An exchange whose request fails once its body is longer than it may be: with 413 if its answer has not begun. */
class LimitedExchange extends PassedExchange {
  readonly #bytes: number;
  readonly #refusals: Refusals;
  #response: BodySource | null = null;

  constructor(outer: Exchange, bytes: number, refusals: Refusals) {
    super(outer);
    this.#bytes = bytes;
    this.#refusals = refusals;
  }

  override takeBody(): BodySource | null {
    const body = this.outer.takeBody();
    return body === null ? null : new LimitedBody(body, this.#bytes, this);
  }

  override respond(head: ResponseHead, body: BodySource | null): void {
    this.#response = body;
    this.outer.respond(head, body);
  }

  /** A response that has begun breaks off. Who answers it may not hear of the abort any more, but of its body's end. */
  exceeded(error: ProxyError): void {
    this.#refusals.count();
    const response = this.#response;
    this.#response = null;
    this.outer.handler = null;
    this.outer.fail(error);
    this.abort(error);
    response?.cancel(error);
  }
}

class LimitedBody implements BodySource, BodySink {
  readonly length = -1;
  readonly #source: BodySource;
  readonly #bytes: number;
  readonly #exchange: LimitedExchange;
  #left: number;
  #sink: BodySink | null = null;

  constructor(source: BodySource, bytes: number, exchange: LimitedExchange) {
    this.#source = source;
    this.#bytes = bytes;
    this.#left = bytes;
    this.#exchange = exchange;
  }

  pipe(sink: BodySink): void {
    this.#sink = sink;
    this.#source.pipe(this);
  }

  resume(): void {
    this.#source.resume();
  }

  cancel(error: ProxyError): void {
    this.#sink = null;
    this.#source.cancel(error);
  }

  write(chunk: Uint8Array): boolean {
    return this.#counts(chunk) && this.#sink !== null && this.#sink.write(chunk);
  }

  lend(chunk: Uint8Array, lender: Lender): boolean {
    const sink = this.#sink;
    if (!this.#counts(chunk) || sink === null) {
      lender.giveBack();
      return false;
    }
    if (sink.lend !== undefined) return sink.lend(chunk, lender);
    const more = sink.write(Uint8Array.from(chunk));
    lender.giveBack();
    return more;
  }

  end(trailers: HeaderBlock | null): void {
    const sink = this.#sink;
    this.#sink = null;
    sink?.end(trailers);
  }

  fail(error: ProxyError): void {
    const sink = this.#sink;
    this.#sink = null;
    sink?.fail(error);
  }

  #counts(chunk: Uint8Array): boolean {
    this.#left -= chunk.length;
    if (this.#left >= 0) return true;
    if (this.#sink === null) return false;
    const error = tooLarge(this.#bytes);
    this.#source.cancel(error);
    this.fail(error);
    this.#exchange.exceeded(error);
    return false;
  }
}

function tooLarge(bytes: number): ProxyError {
  return new ProxyError("request_body_too_large", `cannot take the body: it has more than ${bytes} bytes`);
}

export const createBodyLimit: MiddlewareFactory<number> = (bytes, _context, refusals) =>
  new BodyLimit(bytes, refusals);
