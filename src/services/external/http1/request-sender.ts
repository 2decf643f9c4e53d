import { ProxyError } from "../../../errors/proxy-error.ts";
import type { BodySink, BodySource, Lender } from "../../../http/body.ts";
import type { HeaderBlock } from "../../../http/header-block.ts";
import { chunkPrefix, chunkSuffix, lastChunk } from "../../../http/http1/writer.ts";
import { noLender } from "../../../net/read-buffer.ts";
import type { Transport } from "../../../net/transport.ts";

/** Hears how the sending of a request's body goes. */
export interface SenderOwner {
  onSent(): void;
  /** The upstream takes no more for now. */
  onSendBlocked(): void;
  /** The body broke off, or was not what it said. The upstream must not take what it has for a whole one. */
  onSendFailed(error: ProxyError): void;
}

/** Sends the body of a request to an upstream, in the framing that its length asks for. */
export class RequestSender implements BodySink {
  /** In bytes; -1 when it is not known, which makes it chunked. */
  readonly length: number;
  /** The body flows, or has flowed: what came of it is used up. */
  begun = false;
  done = false;
  readonly #owner: SenderOwner;
  #body: BodySource | null;
  #transport: Transport | null = null;
  #sent = 0;
  #blocked = false;

  constructor(owner: SenderOwner, body: BodySource) {
    this.#owner = owner;
    this.#body = body;
    this.length = body.length;
  }

  begin(transport: Transport): void {
    if (this.begun) return;
    this.begun = true;
    this.#transport = transport;
    this.#body?.pipe(this);
  }

  /** The upstream takes no more for now. */
  get blocked(): boolean {
    return this.#blocked;
  }

  /** The transport has handed everything to the kernel. */
  drained(): void {
    if (!this.#blocked) return;
    this.#blocked = false;
    this.#body?.resume();
  }

  /** Nobody wants the rest. Idempotent. */
  cancel(error: ProxyError): void {
    const body = this.#body;
    this.#body = null;
    this.#transport = null;
    body?.cancel(error);
  }

  /** Takes nothing more, and leaves the body to whoever has it. */
  letGo(): void {
    this.#body = null;
    this.#transport = null;
  }

  write(chunk: Uint8Array): boolean {
    return this.lend(chunk, noLender);
  }

  lend(chunk: Uint8Array, lender: Lender): boolean {
    const transport = this.#transport;
    if (transport === null) return false;
    const { length } = chunk;
    this.#sent += length;
    if (this.length < 0) {
      // An empty chunk would be the last one.
      if (length === 0) return !this.#blocked;
      transport.text(chunkPrefix(length));
      this.#blocked = !transport.lend(chunk, lender);
      transport.text(chunkSuffix);
    } else if (this.#sent > this.length) {
      this.#breakWith("it is longer than was announced");
      return false;
    } else {
      this.#blocked = !transport.lend(chunk, lender);
    }
    if (this.#blocked) this.#owner.onSendBlocked();
    return !this.#blocked;
  }

  end(trailers: HeaderBlock | null): void {
    const transport = this.#transport;
    if (transport === null) return;
    if (this.length < 0) {
      transport.text(lastChunk(trailers));
    } else if (this.#sent < this.length) {
      this.#breakWith("it is shorter than was announced");
      return;
    }
    this.#body = null;
    this.#transport = null;
    this.done = true;
    this.#owner.onSent();
  }

  fail(error: ProxyError): void {
    this.#body = null;
    this.#transport = null;
    this.#owner.onSendFailed(error);
  }

  #breakWith(reason: string): void {
    const error = new ProxyError("internal", `cannot send the request's body: ${reason}`);
    this.cancel(error);
    this.#owner.onSendFailed(error);
  }
}
