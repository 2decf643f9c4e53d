import type { ProxyError } from "../../errors/proxy-error.ts";
import type { BodySource } from "../../http/body.ts";
import { type ByteStream, Exchange, type ExchangeHandler } from "../../http/exchange.ts";
import type { ResponseHead } from "../../http/message.ts";

/**
 * An exchange on its way through a middleware that has a hand in the answer. Everything goes through to the exchange
 * behind it; a subclass overrides what it changes. It counts as one service passed, so that a loop of services that wrap
 * it again and again comes to an end.
 */
export class PassedExchange extends Exchange implements ExchangeHandler {
  protected readonly outer: Exchange;

  constructor(outer: Exchange) {
    super(outer.request, null, outer.client, outer.depth + 1);
    this.outer = outer;
    outer.handler = this;
  }

  override get hasBody(): boolean {
    return this.outer.hasBody;
  }

  override get bodyLength(): number {
    return this.outer.bodyLength;
  }

  override takeBody(): BodySource | null {
    return this.outer.takeBody();
  }

  override noteAttempts(count: number): void {
    this.outer.noteAttempts(count);
  }

  inform(head: ResponseHead): void {
    this.outer.inform(head);
  }

  respond(head: ResponseHead, body: BodySource | null): void {
    this.outer.respond(head, body);
  }

  upgrade(head: ResponseHead, stream: ByteStream): void {
    this.outer.upgrade(head, stream);
  }

  fail(error: ProxyError): void {
    this.outer.fail(error);
  }

  onAbort(error: ProxyError): void {
    this.abort(error);
  }
}
