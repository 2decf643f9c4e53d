import { ProxyError } from "../../errors/proxy-error.ts";
import { noLender } from "../../net/read-buffer.ts";
import { type BodySink, type BodySource, BytesBody, type Lender } from "../body.ts";
import { type ByteStream, type ClientFacts, Exchange } from "../exchange.ts";
import type { HeaderBlock } from "../header-block.ts";
import { chunkPrefix, chunkSuffix, interimHead, lastChunk, responseHead } from "../http1/writer.ts";
import { type RequestHead, ResponseHead, responseIsBodiless } from "../message.ts";
import type { DownstreamConnection } from "./downstream-connection.ts";
import { recordExchange } from "./exchange-record.ts";
import type { RequestBody } from "./request-body.ts";

const WAITING = 0;
const RESPONDING = 1;
const DONE = 2;

const BODILESS = 0;
const COUNTED = 1;
const CHUNKED = 2;
const UNTIL_CLOSE = 3;

/** A body up to this size goes out with its head. */
const smallBody = 4_096;

/** A request that came over a connection; it writes the response itself, in the framing that the client understands. */
export class DownstreamExchange extends Exchange implements BodySink {
  /** Milliseconds of the server's clock at which the head was complete. */
  readonly started: number;
  readonly minor: 0 | 1;
  /** The request's body, also after the service has taken it. */
  readonly requestBody: RequestBody | null;
  /** Status of the response; 0 as long as there is none. */
  status = 0;
  /** Body bytes of the response, before framing. */
  sent = 0;
  /** Why there is no whole response, if so. */
  error: ProxyError | null = null;
  /** The connection goes on after this response. */
  keepAlive = false;
  /** `100 Continue` has been sent. */
  continued = false;
  readonly #connection: DownstreamConnection;
  #state: 0 | 1 | 2 = WAITING;
  #framing: 0 | 1 | 2 | 3 = BODILESS;
  #remaining = 0;
  #source: BodySource | null = null;
  #blocked = false;

  constructor(
    connection: DownstreamConnection,
    request: RequestHead,
    body: RequestBody | null,
    client: ClientFacts,
    minor: 0 | 1,
    started: number,
  ) {
    super(request, body, client, 0);
    this.#connection = connection;
    this.requestBody = body;
    this.minor = minor;
    this.started = started;
  }

  /** No response has begun. */
  get waiting(): boolean {
    return this.#state === WAITING;
  }

  get done(): boolean {
    return this.#state === DONE;
  }

  /** The client takes no more for now. */
  get blocked(): boolean {
    return this.#blocked;
  }

  inform(head: ResponseHead): void {
    if (this.#state !== WAITING || this.aborted !== null) return;
    // No 1xx to an HTTP/1.0 client (RFC 9110 §15.2); 101 is `upgrade`.
    if (this.minor === 0 || head.status < 100 || head.status > 199 || head.status === 101) return;
    if (head.status === 100) this.sendContinue();
    else this.#connection.transport.text(interimHead(head));
  }

  /** Asks a client that waits for it to send the body (RFC 9110 §10.1.1). */
  sendContinue(): void {
    if (!this.request.expectContinue || this.continued || this.minor === 0 || this.#state !== WAITING) return;
    this.continued = true;
    this.#connection.transport.text(interimHead(new ResponseHead(100)));
  }

  respond(head: ResponseHead, body: BodySource | null): void {
    if (this.#state !== WAITING || this.aborted !== null) {
      body?.cancel(this.aborted ?? new ProxyError("internal", "cannot respond: the exchange has its answer"));
      return;
    }
    const connection = this.#connection;
    const { transport } = connection;
    // The answer is made of the request's body, so the client is asked for it while a 1xx may still be sent.
    if (body !== null && body === this.requestBody) this.sendContinue();
    this.status = head.status;
    this.#state = RESPONDING;
    this.keepAlive = connection.mayKeepAlive(this);
    if (responseIsBodiless(this.request.method, head.status)) {
      body?.cancel(new ProxyError("internal", "cannot send the body: the response has none"));
      if (this.#writeHead(head, -1)) this.#complete();
      return;
    }
    const length = body === null ? 0 : body.length;
    if (length < 0 && this.minor === 0) this.keepAlive = false;
    this.#framing = length >= 0 ? COUNTED : this.minor === 1 ? CHUNKED : UNTIL_CLOSE;
    this.#remaining = length;
    if (!this.#writeHead(head, length)) {
      body?.cancel(this.error ?? new ProxyError("internal", "cannot respond"));
    } else if (body === null) {
      this.#complete();
    } else if (body instanceof BytesBody && length <= smallBody) {
      this.sent = length;
      transport.bytes(body.take());
      this.#complete();
    } else {
      this.#source = body;
      body.pipe(this);
    }
  }

  upgrade(head: ResponseHead, stream: ByteStream): void {
    if (this.#state !== WAITING || this.aborted !== null) {
      discard(
        stream,
        this.aborted ?? new ProxyError("internal", "cannot upgrade: the exchange has its answer"),
      );
      return;
    }
    // A client that did not ask would take the stream for the answer to its next request.
    if (this.request.upgrade === "" || head.status !== 101) {
      const error = new ProxyError("upgrade_unsupported", "cannot upgrade: the client did not ask for it");
      discard(stream, error);
      this.fail(error);
      return;
    }
    this.status = 101;
    this.#state = RESPONDING;
    if (!this.#writeHead(head, -1)) {
      discard(stream, this.error ?? new ProxyError("internal", "cannot upgrade"));
      return;
    }
    this.#state = DONE;
    this.handler = null;
    const connection = this.#connection;
    connection.openTunnel(stream, (written) => {
      this.sent = written;
      recordExchange(connection.server, this);
    });
  }

  fail(error: ProxyError): void {
    if (this.#state === DONE) return;
    this.error = error;
    this.#source = null;
    const broken = this.#state === RESPONDING;
    this.#state = DONE;
    this.handler = null;
    if (broken) this.#connection.breakOff(this, this.#framing === UNTIL_CLOSE);
    else if (this.aborted === null) this.#connection.answerError(this, error);
  }

  write(chunk: Uint8Array): boolean {
    return this.lend(chunk, noLender);
  }

  lend(chunk: Uint8Array, lender: Lender): boolean {
    if (this.#state !== RESPONDING) return false;
    const { length } = chunk;
    const { transport } = this.#connection;
    this.sent += length;
    let more: boolean;
    if (this.#framing === CHUNKED) {
      // An empty chunk would be the last one.
      if (length === 0) return true;
      transport.text(chunkPrefix(length));
      more = transport.lend(chunk, lender);
      transport.text(chunkSuffix);
    } else {
      if (this.#framing === COUNTED) {
        this.#remaining -= length;
        if (this.#remaining < 0) {
          this.#breakWith("it is longer than was announced");
          return false;
        }
      }
      more = transport.lend(chunk, lender);
    }
    if (!more) {
      this.#blocked = true;
      this.#connection.responseBlocked();
    }
    return more;
  }

  end(trailers: HeaderBlock | null): void {
    if (this.#state !== RESPONDING) return;
    if (this.#framing === COUNTED && this.#remaining !== 0) {
      this.#breakWith("it is shorter than was announced");
      return;
    }
    if (this.#framing === CHUNKED) this.#connection.transport.text(lastChunk(trailers));
    this.#source = null;
    this.#complete();
  }

  /** The connection takes more. */
  drained(): void {
    if (!this.#blocked) return;
    this.#blocked = false;
    this.#source?.resume();
  }

  override abort(error: ProxyError): void {
    if (this.aborted !== null || this.#state === DONE) return;
    this.error ??= error;
    this.#state = DONE;
    const source = this.#source;
    this.#source = null;
    super.abort(error);
    source?.cancel(error);
    this.requestBody?.fail(error);
  }

  /** The client did wrong or took too long: it gets the error if it can, and the service hears that it is over. */
  reject(error: ProxyError): void {
    if (this.#state === DONE) {
      this.requestBody?.fail(error);
      return;
    }
    const { handler } = this;
    const source = this.#source;
    this.fail(error);
    this.handler = handler;
    super.abort(error);
    source?.cancel(error);
    this.requestBody?.fail(error);
  }

  #breakWith(reason: string): void {
    const error = new ProxyError("internal", `cannot send the response's body: ${reason}`);
    this.#source?.cancel(error);
    this.fail(error);
  }

  #complete(): void {
    this.#state = DONE;
    this.handler = null;
    this.#connection.responseComplete(this);
  }

  /** Writes the final head; false when it cannot be written, and the client got an error in its place. */
  #writeHead(head: ResponseHead, length: number): boolean {
    const { server, transport } = this.#connection;
    if (server.responseEdits.active) server.responseEdits.apply(head.headers);
    server.via?.response(head.headers);
    try {
      transport.text(
        responseHead(head, {
          length,
          chunked: this.#framing === CHUNKED,
          keepAlive: this.keepAlive,
          minor: this.minor,
          date: server.date.text(),
          upgrade: this.request.upgrade,
        }),
      );
    } catch (problem) {
      this.#state = WAITING;
      this.fail(ProxyError.from(problem));
      return false;
    }
    return true;
  }
}

function discard(stream: ByteStream, error: ProxyError): void {
  stream.readable.cancel(error);
  stream.writable.fail(error);
}
