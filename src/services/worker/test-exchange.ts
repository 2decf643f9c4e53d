import { ProxyError } from "../../errors/proxy-error.ts";
import type { BodySource } from "../../http/body.ts";
import { type ByteStream, Exchange } from "../../http/exchange.ts";
import { RequestHead, type ResponseHead } from "../../http/message.ts";

/** The outcome of one `test` handler; null is success. */
export type TestOutcome = ProxyError | null;

/** Carries a call of a Worker's `test` handler, which has no request, the way that exchanges go. */
export class TestExchange extends Exchange {
  readonly outcome: Promise<TestOutcome>;
  readonly #resolve: (outcome: TestOutcome) => void;

  constructor() {
    const client = { address: "", port: 0, socket: "", secure: false, httpVersion: "HTTP/1.1" };
    super(new RequestHead("GET", "http", "test", "/"), null, client, 0);
    const { promise, resolve } = Promise.withResolvers<TestOutcome>();
    this.outcome = promise;
    this.#resolve = resolve;
  }

  inform(): void {}

  respond(_head: ResponseHead, body: BodySource | null): void {
    body?.cancel(new ProxyError("internal", "cannot use a body: a test has none"));
    this.#resolve(null);
  }

  upgrade(_head: ResponseHead, stream: ByteStream): void {
    const error = new ProxyError("internal", "cannot upgrade a test");
    stream.readable.cancel(error);
    stream.writable.fail(error);
    this.#resolve(error);
  }

  fail(error: ProxyError): void {
    this.#resolve(error);
  }
}
