import type { ForwardAuthConfig } from "../../config/schema/middleware.ts";
import { ProxyError } from "../../errors/proxy-error.ts";
import type { BodySink, BodySource } from "../../http/body.ts";
import { type ByteStream, Exchange, type ExchangeHandler } from "../../http/exchange.ts";
import { RequestHead, type ResponseHead, responseIsBodiless } from "../../http/message.ts";
import type { Resolve, Service, Tunnel } from "../service.ts";
import { refusal } from "./answer.ts";
import type { Middleware, MiddlewareFactory } from "./middleware.ts";
import type { Refusals } from "./refusals.ts";

/** Fields about a body that the question does not have, or that would make an answer out of less than a 2xx. */
const unasked = [
  "content-type",
  "content-encoding",
  "content-language",
  "range",
  "if-match",
  "if-none-match",
  "if-modified-since",
  "if-unmodified-since",
  "if-range",
];

/** Asks another service about each request: with a 2xx the request goes on, any other answer is the client's. */
class ForwardAuth implements Middleware {
  readonly #config: ForwardAuthConfig;
  readonly #refusals: Refusals;
  #service: Service | null = null;

  constructor(config: ForwardAuthConfig, refusals: Refusals) {
    this.#refusals = refusals;
    this.#config = config;
  }

  link(resolve: Resolve): void {
    this.#service = resolve(this.#config.service);
  }

  handle(exchange: Exchange, next: Service): void {
    if (this.#service === null) throw new Error("cannot ask about the request: the middleware is not linked");
    const head = this.#head(exchange.request);
    this.#service.handle(new Question(exchange, head, this.#config.copyHeaders, next, this.#refusals));
  }

  connect(tunnel: Tunnel): void {
    this.#refusals.count();
    tunnel.refuse(refusal("it has no head to ask about"));
  }

  #head({ method, scheme, authority, target, headers }: RequestHead): RequestHead {
    const head = new RequestHead("GET", scheme, authority, this.#config.path ?? target, headers.clone());
    for (const name of unasked) head.headers.delete(name);
    // Set anew, so that a client cannot have another request judged than it makes.
    head.headers.set("x-forwarded-method", method);
    head.headers.set("x-forwarded-proto", scheme);
    head.headers.set("x-forwarded-host", authority);
    head.headers.set("x-forwarded-uri", target);
    return head;
  }
}

class Question extends Exchange implements ExchangeHandler {
  readonly #asker: Exchange;
  readonly #copied: readonly string[];
  readonly #next: Service;
  readonly #refusals: Refusals;
  #isAnswered = false;

  constructor(
    asker: Exchange,
    request: RequestHead,
    copied: readonly string[],
    next: Service,
    refusals: Refusals,
  ) {
    super(request, null, asker.client, asker.depth + 1);
    this.#asker = asker;
    this.#copied = copied;
    this.#next = next;
    this.#refusals = refusals;
    asker.handler = this;
  }

  inform(): void {}

  respond(head: ResponseHead, body: BodySource | null): void {
    if (!this.#settle()) {
      body?.cancel(unread());
      return;
    }
    const asker = this.#asker;
    if (head.status < 200 || head.status > 299) {
      this.#refusals.count();
      const isBodiless = responseIsBodiless(asker.request.method, head.status);
      if (isBodiless) body?.cancel(unread());
      asker.takeBody()?.cancel(unread());
      asker.respond(head, isBodiless ? null : body);
      return;
    }
    if (body !== null) body.pipe(new Drain(body));
    const { headers } = asker.request;
    for (const name of this.#copied) {
      // Also when the answer has none: what the client sent under that name is not to be believed.
      headers.delete(name);
      for (const value of head.headers.getAll(name)) headers.append(name, value);
    }
    this.#next.handle(asker);
  }

  upgrade(_head: ResponseHead, stream: ByteStream): void {
    stream.readable.cancel(unread());
    stream.writable.fail(unread());
    this.fail(new ProxyError("upgrade_unsupported", "cannot use the answer: a question takes no upgrade"));
  }

  /** Without an answer nobody passes. */
  fail(error: ProxyError): void {
    if (!this.#settle()) return;
    this.#asker.takeBody()?.cancel(error);
    this.#asker.fail(error);
  }

  onAbort(error: ProxyError): void {
    if (this.#isAnswered) return;
    this.#isAnswered = true;
    this.abort(error);
  }

  #settle(): boolean {
    if (this.#isAnswered) return false;
    this.#isAnswered = true;
    this.#asker.handler = null;
    return true;
  }
}

/** Reads a short body to its end, so that its connection can be used again. */
class Drain implements BodySink {
  readonly #source: BodySource;
  #left = 65_536;

  constructor(source: BodySource) {
    this.#source = source;
  }

  write(chunk: Uint8Array): boolean {
    this.#left -= chunk.length;
    if (this.#left >= 0) return true;
    this.#source.cancel(unread());
    return false;
  }

  end(): void {}

  fail(): void {}
}

function unread(): ProxyError {
  return new ProxyError("client_disconnected", "cannot use the body: nobody reads it");
}

export const createForwardAuth: MiddlewareFactory<ForwardAuthConfig> = (config, _context, refusals) =>
  new ForwardAuth(config, refusals);
