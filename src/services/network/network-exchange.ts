import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Dispatcher } from "undici";
import { ProxyError } from "../../errors/proxy-error.ts";
import type { BodySink, BodySource } from "../../http/body.ts";
import type { Exchange, ExchangeHandler } from "../../http/exchange.ts";
import type { HeaderBlock } from "../../http/header-block.ts";
import { responseIsBodiless } from "../../http/message.ts";
import { TransportStream } from "../../net/stream.ts";
import { basicLogin, type UpstreamProxy } from "../../net/upstream-proxy.ts";
import type { Connector } from "./connector.ts";
import type { Origin } from "./origin.ts";
import { RequestBody } from "./request-body.ts";
import { type ResponseFields, readResponse, readTrailers } from "./response-fields.ts";

/** What an exchange needs of the service that it runs in. */
export interface NetworkHost {
  readonly dispatcher: Dispatcher;
  readonly connector: Pick<Connector, "breaking" | "judge">;
  proxyOf(origin: Origin, upgrade: string): UpstreamProxy | null;
  dispatcherTo(proxy: UpstreamProxy): Dispatcher;
  readonly wheel: ConstructorParameters<typeof TransportStream>[1];
  /** Called once for each exchange, with status 0 when there was no answer. */
  finished(exchange: NetworkExchange, status: number, error: ProxyError | null): void;
}

/** Fields that undici writes by itself or refuses, and those of one connection (RFC 9110 §7.6.1). */
const ownFields: ReadonlySet<string> = new Set([
  ...["connection", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade", "http2-settings"],
  ...["content-length", "host", "expect", "proxy-authorization"],
]);

/**
 * Interim responses before one final response (RFC 9110 §15.2). They wait for no reader, so a flood of them would pile up in
 * memory for a client that does not read.
 */
const maxInterim = 32;

/** Methods that may be sent twice (RFC 9110 §9.2.2). */
const idempotent: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"]);

/**
 * One exchange with an origin: what undici calls, the body that the downstream reads, and what hears of an abort.
 *
 * undici goes on parsing what it has read when it is paused by the end of a connection, so chunks may come while the
 * sink holds; they wait here; there are never more of them than the socket had buffered.
 */
export class NetworkExchange implements Dispatcher.DispatchHandler, BodySource, ExchangeHandler {
  length = -1;
  readonly startedAt: number;
  readonly #host: NetworkHost;
  readonly #exchange: Exchange;
  readonly #origin: Origin;
  readonly #proxy: UpstreamProxy | null;
  #controller: Dispatcher.DispatchController | null = null;
  #body: RequestBody | null = null;
  #status = 0;
  #untilClose = false;
  #retried = false;
  #interim = 0;
  /** The response's head has been handed on. */
  #responded = false;
  #done = false;
  #sink: BodySink | null = null;
  readonly #waiting: Buffer[] = [];
  #held = false;
  #writing = false;
  /** The sink asked for more from within its own `write`. */
  #wanted = false;
  #scheduled = false;
  #ended = false;
  #trailers: HeaderBlock | null = null;
  #broken: ProxyError | null = null;

  constructor(host: NetworkHost, exchange: Exchange, origin: Origin, startedAt: number) {
    this.#host = host;
    this.#exchange = exchange;
    this.#origin = origin;
    this.#proxy = host.proxyOf(origin, exchange.request.upgrade);
    this.startedAt = startedAt;
  }

  start(): void {
    this.#exchange.handler = this;
    if (this.#proxy === null) {
      this.#send();
      return;
    }
    // Each request is judged: a connection to a proxy leads everywhere.
    this.#host.connector.judge(this.#origin.host, this.#proxy, (error) => {
      if (this.#done) return;
      if (error === null) this.#send();
      else this.#fail(error);
    });
  }

  #send(): void {
    const { request } = this.#exchange;
    const proxy = this.#proxy;
    // The length is asked for before the body is taken; a body that is known to be empty stays where it is.
    const length = this.#exchange.bodyLength;
    const source = length === 0 ? null : this.#exchange.takeBody();
    const headers: string[] = [];
    for (const [name, value] of request.headers) {
      if (!ownFields.has(name.toLowerCase())) headers.push(name, value);
    }
    if (source !== null) {
      this.#body = new RequestBody(source);
      // undici forgets a request that failed before it was sent together with its listener for the body's errors.
      this.#body.on("error", ignore);
      if (length > 0) headers.push("content-length", String(length));
    }
    if (proxy !== null) {
      headers.push("host", request.authority);
      if (proxy.login !== null) headers.push("proxy-authorization", basicLogin(proxy.login));
    }
    const dispatcher = proxy === null ? this.#host.dispatcher : this.#host.dispatcherTo(proxy);
    dispatcher.dispatch(
      {
        origin: proxy === null ? this.#origin.text : originOf(proxy),
        path: proxy === null ? request.target : `${this.#origin.text}${request.target}`,
        method: request.method,
        headers,
        body: this.#body,
        upgrade: request.upgrade === "websocket" ? "websocket" : null,
      },
      this,
    );
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#done) controller.abort(left());
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    _headers: unknown,
    reason = "",
  ): void {
    if (this.#done) return;
    let fields: ResponseFields;
    try {
      fields = readResponse(status, reason, controller.rawHeaders);
    } catch (error) {
      const malformed = ProxyError.from(error);
      this.#fail(malformed);
      controller.abort(malformed);
      return;
    }
    if (status === 407 && this.#proxy !== null) {
      // It is between us and the proxy; a client would give it the password that it has for us.
      const { host, port } = this.#proxy;
      const message = `cannot send the request through the proxy ${host}:${port}: it answered 407`;
      const refused = new ProxyError("upstream_proxy_failed", message);
      this.#fail(refused);
      controller.abort(refused);
      return;
    }
    if (status < 200) {
      if (++this.#interim > maxInterim) {
        const flood = new ProxyError("upstream_malformed", "cannot read the response: too many interim ones");
        this.#fail(flood);
        controller.abort(flood);
        return;
      }
      this.#exchange.inform(fields.head);
      return;
    }
    this.#responded = true;
    this.#status = status;
    if (responseIsBodiless(this.#exchange.request.method, status)) {
      fields.head.announcedLength = status === 204 ? -1 : fields.length;
      this.#exchange.respond(fields.head, null);
      this.#finish(null);
      return;
    }
    this.length = fields.length;
    this.#untilClose = fields.untilClose;
    this.#exchange.respond(fields.head, this);
    if (!this.#done && this.#sink === null) this.#hold();
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    // A parser that is resumed begins with an empty chunk; a sink that holds after each chunk would never see another.
    if (this.#done || chunk.length === 0) return;
    if (this.#held || this.#sink === null || this.#waiting.length > 0) this.#waiting.push(chunk);
    else this.#write(this.#sink, chunk);
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    if (this.#done) return;
    const { breaking } = this.#host.connector;
    if (this.#untilClose && breaking !== null) {
      // undici takes a reset for the end of a body that the connection's end delimits; it is none (RFC 9112 §8).
      this.#break(new ProxyError("upstream_truncated", truncated, { cause: breaking }));
      return;
    }
    this.#ended = true;
    this.#trailers = readTrailers(controller.rawTrailers);
    if (!this.#held && this.#sink !== null) this.#go();
  }

  onRequestUpgrade(
    controller: Dispatcher.DispatchController,
    status: number,
    _headers: unknown,
    socket: Duplex,
  ): void {
    let fields: ResponseFields | null = null;
    try {
      fields = readResponse(status, "", controller.rawHeaders);
    } catch {}
    if (this.#done || fields === null || fields.upgrade !== "websocket" || !(socket instanceof Socket)) {
      socket.destroy();
      const message = "cannot upgrade: the server switched to another protocol than was offered";
      this.#fail(new ProxyError("upstream_malformed", message));
      return;
    }
    this.#responded = true;
    this.#status = status;
    this.#finish(null);
    this.#exchange.upgrade(fields.head, TransportStream.over(socket, this.#host.wheel));
  }

  onResponseError(_controller: Dispatcher.DispatchController | null, cause: Error): void {
    if (this.#done) return;
    const error = mapError(cause, this.#responded);
    if (this.#responded) this.#break(error);
    else if (this.#mayRetry(error)) this.#retry();
    else this.#fail(error);
  }

  pipe(sink: BodySink): void {
    this.#sink = sink;
    if (this.#held) this.#schedule();
  }

  resume(): void {
    if (this.#writing) this.#wanted = true;
    else if (this.#held) this.#schedule();
  }

  cancel(error: ProxyError): void {
    if (this.#done) return;
    this.#finish(error);
    this.#waiting.length = 0;
    this.#sink = null;
    this.#body?.destroy(error);
    if (!this.#ended) this.#controller?.abort(error);
  }

  onAbort(error: ProxyError): void {
    this.cancel(error);
  }

  #write(sink: BodySink, chunk: Buffer): void {
    this.#writing = true;
    this.#wanted = false;
    const more = sink.write(chunk) || this.#wanted;
    this.#writing = false;
    if (!more) this.#hold();
  }

  #hold(): void {
    this.#held = true;
    if (!this.#ended) this.#controller?.pause();
  }

  /** Goes on in a microtask: undici's parser must not be resumed from within a parser, this one or another. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#held = false;
      this.#go();
    });
  }

  #go(): void {
    const sink = this.#sink;
    if (this.#done || sink === null) return;
    while (this.#waiting.length > 0) {
      const chunk = this.#waiting.shift();
      if (chunk !== undefined) this.#write(sink, chunk);
      if (this.#held || this.#done) return;
    }
    if (this.#broken !== null) {
      this.#finish(this.#broken);
      sink.fail(this.#broken);
    } else if (this.#ended) {
      this.#finish(null);
      sink.end(this.#trailers);
    } else {
      this.#controller?.resume();
    }
  }

  /** The body broke off; the sink hears of it at once, or as soon as there is one. */
  #break(error: ProxyError): void {
    this.#broken = error;
    this.#ended = true;
    this.#waiting.length = 0;
    this.#body?.destroy(error);
    if (this.#sink === null) return;
    if (this.#writing) this.#schedule();
    else this.#go();
  }

  #fail(error: ProxyError): void {
    if (this.#done) return;
    this.#status = 0;
    this.#finish(error);
    this.#body?.destroy(error);
    this.#exchange.fail(error);
  }

  #mayRetry(error: ProxyError): boolean {
    return (
      !this.#retried &&
      this.#body === null &&
      error.code === "upstream_reset" &&
      idempotent.has(this.#exchange.request.method) &&
      this.#exchange.request.upgrade === ""
    );
  }

  /** A server may close an idle connection just as it is used again (RFC 9112 §9.3.1). */
  #retry(): void {
    this.#retried = true;
    this.#controller = null;
    // Not from within undici's own handling of the connection that died.
    queueMicrotask(() => {
      if (!this.#done) this.#send();
    });
  }

  #finish(error: ProxyError | null): void {
    if (this.#done) return;
    this.#done = true;
    if (this.#exchange.handler === this) this.#exchange.handler = null;
    this.#host.finished(this, this.#responded ? this.#status : (error?.status ?? 0), error);
  }
}

/** A URL under which undici keeps the connections to a proxy. */
function originOf({ kind, host, port }: UpstreamProxy): string {
  return `${kind}://${host.includes(":") ? `[${host}]` : host}:${port}`;
}

const truncated = "cannot read the response's body: it broke off";

function ignore(): void {}

function left(): ProxyError {
  return new ProxyError("client_disconnected", "cannot finish the exchange: the client left");
}

/** @param begun the response's head had come. */
function mapError(cause: Error, begun: boolean): ProxyError {
  if (cause instanceof ProxyError) return cause;
  const code = "code" in cause && typeof cause.code === "string" ? cause.code : "";
  const options = { cause };
  switch (code) {
    case "UND_ERR_HEADERS_TIMEOUT":
      return new ProxyError("upstream_head_timeout", "cannot read the response: none came in time", options);
    case "UND_ERR_BODY_TIMEOUT":
      return new ProxyError("upstream_idle_timeout", "cannot read the response's body: it stalled", options);
    case "UND_ERR_REQ_CONTENT_LENGTH_MISMATCH":
      return new ProxyError(
        "request_body_incomplete",
        "cannot send the body: its length was announced wrongly",
        options,
      );
    case "UND_ERR_INVALID_ARG":
    case "UND_ERR_NOT_SUPPORTED":
      return new ProxyError("request_malformed", `cannot send the request: ${cause.message}`, options);
    case "UND_ERR_DESTROYED":
    case "UND_ERR_CLOSED":
      return new ProxyError("draining", "cannot send the request: the service is closed", options);
    case "UND_ERR_HEADERS_OVERFLOW":
      return new ProxyError(
        "upstream_malformed",
        "cannot read the response: its header is too large",
        options,
      );
  }
  if (begun) return new ProxyError("upstream_truncated", truncated, options);
  // undici's parser says of an end of the connection, and of nothing else, that an EOF is invalid.
  const garbled = cause.name === "HTTPParserError" && !cause.message.includes("EOF");
  // It tells of every error after a Content-Length that the body had another length.
  if (garbled || code === "UND_ERR_RES_CONTENT_LENGTH_MISMATCH") {
    return new ProxyError("upstream_malformed", `cannot read the response: ${cause.message}`, options);
  }
  return new ProxyError("upstream_reset", `cannot read the response: ${cause.message}`, options);
}
