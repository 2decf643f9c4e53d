import type { Socket } from "node:net";
import { ProxyError } from "../../errors/proxy-error.ts";
import { ClientIdentity, type Origin } from "../../net/client-identity.ts";
import { MessagePump, type PumpOwner } from "../../net/message-pump.ts";
import { join, TransportStream } from "../../net/stream.ts";
import type { TimerOwner } from "../../net/timer-wheel.ts";
import type { Transport, TransportOwner } from "../../net/transport.ts";
import type { ByteStream } from "../exchange.ts";
import { END } from "../http1/events.ts";
import { RequestParser } from "../http1/request-parser.ts";
import { BodyClock } from "./body-clock.ts";
import { bodyTooLarge, bodyTooSlow, clientGone, exchangeTooLong, responseUnread } from "./client-faults.ts";
import { ConnectTunnel } from "./connect-tunnel.ts";
import { ConnectionClock } from "./connection-clock.ts";
import {
  ANSWERING,
  CLOSED,
  DRAINING_BODY,
  LINGERING,
  READING_BODY,
  READING_HEAD,
  type State,
  TUNNEL,
} from "./connection-state.ts";
import { DepartureProbe, probeMs } from "./departure-probe.ts";
import { DownstreamExchange } from "./downstream-exchange.ts";
import { errorAnswer } from "./error-answer.ts";
import { recordExchange, recordMalformed } from "./exchange-record.ts";
import type { HttpServer } from "./http-server.ts";
import { RequestBody } from "./request-body.ts";
import { openRequest } from "./request-rules.ts";

const drainBytes = 65_536;
const drainMs = 2_000;
/** Responses that a client does not read make the connection stop at the next request. */
const pendingBytes = 65_536;

/**
 * One client connection with HTTP/1.1: requests are read, answered and read again, strictly one after the other
 * (RFC 9112 §9.3.2). At most one read of input waits in memory meanwhile.
 */
export class DownstreamConnection implements TransportOwner, TimerOwner, PumpOwner {
  readonly server: HttpServer;
  readonly origin: Origin;
  readonly transport: Transport;
  readonly #parser: RequestParser;
  readonly #pump: MessagePump;
  readonly #clock: ConnectionClock;
  readonly #client: ClientIdentity;
  #state: State = READING_HEAD;
  #exchange: DownstreamExchange | null = null;
  #body: RequestBody | null = null;
  #tunnel: ConnectTunnel | null = null;
  /** The client has ended its side. */
  #peerEnded = false;
  /** Bytes thrown away since the state was entered. */
  #discarded = 0;
  /** Some of a head has come, and its deadline runs. */
  #headBegun = true;
  readonly #probes: DepartureProbe = new DepartureProbe();

  constructor(server: HttpServer, open: (owner: TransportOwner) => Transport, origin: Origin) {
    this.server = server;
    this.origin = origin;
    this.#parser = new RequestParser(server.parserLimits, origin.tls === null ? "http" : "https");
    this.#pump = new MessagePump(this, this.#parser);
    this.#clock = new ConnectionClock(server.wheel, this);
    this.transport = open(this);
    this.#client = new ClientIdentity(this.transport.socket, server.name, origin);
    this.#clock.awaitFor(server.config.timeouts.head);
  }

  // --- what the transport tells

  onConnect(): void {}

  onBytes(bytes: Buffer): void {
    switch (this.#state) {
      case LINGERING:
        this.#discarded += bytes.length;
        if (this.#discarded > drainBytes) this.transport.destroy();
        return;
      case CLOSED:
      case TUNNEL:
        return;
    }
    this.#pump.feed(bytes);
  }

  onEnd(): void {
    this.#peerEnded = true;
    switch (this.#state) {
      case LINGERING:
      case CLOSED:
        return;
      case ANSWERING:
        // RFC 9112 §9.6 lets a client end its side after its request and still read the answer.
        this.#probe();
        this.#parser.finish();
        return;
    }
    this.#parser.finish();
    this.#pump.run();
  }

  onDrain(): void {
    const exchange = this.#exchange;
    if (exchange?.blocked === true) {
      this.#clock.blockFor(0);
      exchange.drained();
    } else if (this.#state === READING_HEAD) {
      this.#pump.run();
    }
  }

  onClose(error: Error | null): void {
    if (this.#state === CLOSED) return;
    this.#state = CLOSED;
    this.#clock.stop();
    const exchange = this.#exchange;
    this.#exchange = null;
    const gone = clientGone(error);
    if (exchange !== null) {
      exchange.abort(gone);
      recordExchange(this.server, exchange);
    }
    this.#body?.fail(gone);
    this.#body = null;
    this.#tunnel?.abort(gone);
    this.#tunnel = null;
    this.server.forget(this);
  }

  onTimer(now: number): void {
    const { timeouts } = this.server.config;
    const exchange = this.#exchange;
    if (exchange !== null && now >= this.#clock.total) {
      exchange.reject(exchangeTooLong(this.#state === READING_BODY, timeouts.request));
      return;
    }
    if (exchange !== null && now >= this.#clock.blocked) {
      exchange.reject(responseUnread());
      return;
    }
    switch (this.#state) {
      case READING_HEAD:
        if (this.#parser.idle) this.#close();
        else this.#refuse(new ProxyError("request_timeout", "cannot read a request: its head took too long"));
        return;
      case READING_BODY:
        this.#bodyTimer(now);
        return;
      case ANSWERING:
        this.#clock.awaitFor(0);
        if (this.#peerEnded) this.#probe();
        return;
      default:
        this.transport.destroy();
    }
  }

  // --- what an exchange and its request body tell

  /** The connection can serve another request after this response. */
  mayKeepAlive(exchange: DownstreamExchange): boolean {
    if (this.server.draining || !this.#parser.framing.keepAlive) return false;
    // A client that waits for `100 Continue` and gets another answer may or may not send the body (RFC 9110 §10.1.1).
    return !(this.#state === READING_BODY && exchange.request.expectContinue && !exchange.continued);
  }

  responseBlocked(): void {
    this.#clock.blockFor(this.server.config.timeouts.idle);
  }

  responseComplete(exchange: DownstreamExchange): void {
    const now = recordExchange(this.server, exchange);
    this.#exchange = null;
    this.#clock.begin(Number.POSITIVE_INFINITY);
    if (this.#state === READING_BODY) {
      const body = this.#body;
      exchange
        .takeBody()
        ?.cancel(new ProxyError("internal", "cannot use the body: the response is complete"));
      if (!exchange.keepAlive) {
        this.#close();
        body?.fail(
          new ProxyError("request_body_incomplete", "cannot read more of the body: the connection ends"),
        );
        return;
      }
      if (body === null || body.cancelled) this.#drainBody();
      else this.#clock.awaitFor(this.server.config.timeouts.idle);
    } else if (!exchange.keepAlive) {
      this.#close();
      return;
    } else {
      this.#nextRequest(now);
    }
    this.#pump.run();
  }

  /** Answers an exchange whose service has failed. */
  answerError(exchange: DownstreamExchange, error: ProxyError): void {
    this.server.report(error, exchange.request.target);
    exchange.status = error.status;
    if (error.status === 0 || this.transport.destroyed) {
      recordExchange(this.server, exchange);
      this.#exchange = null;
      this.transport.destroy();
      return;
    }
    exchange.keepAlive = error.source !== "downstream" && this.mayKeepAlive(exchange);
    const { request, minor, keepAlive } = exchange;
    const answer = errorAnswer(error, request, minor, keepAlive, this.server.date.text());
    exchange.sent = answer.length - answer.indexOf("\r\n\r\n") - 4;
    this.transport.text(answer);
    this.responseComplete(exchange);
  }

  /**
   * The response's body broke off: the connection must end so that what was sent cannot pass for a whole one.
   * @param untilClose the close would be the body's regular end, so it is made a reset.
   */
  breakOff(exchange: DownstreamExchange, untilClose: boolean): void {
    if (exchange.error !== null) this.server.report(exchange.error, exchange.request.target);
    recordExchange(this.server, exchange);
    this.#exchange = null;
    this.transport.flush();
    if (untilClose) this.transport.reset();
    else this.transport.destroy();
  }

  /**
   * Leaves HTTP for bytes in both directions; the head that says so has been written.
   * @param ended called with the bytes that went to the client.
   */
  openTunnel(stream: ByteStream, ended: (written: number) => void): void {
    const { server, transport } = this;
    this.#state = TUNNEL;
    this.#exchange = null;
    this.#tunnel = null;
    this.#clock.stop();
    const first = transport.own(this.#parser.takeRest());
    const own = new TransportStream(transport, server.wheel, server.tunnelIdle(stream), first);
    own.closed = () => {
      ended(own.written);
      this.onClose(null);
    };
    join(own, stream);
  }

  /** CONNECT: the 2xx has neither Content-Length nor Transfer-Encoding (RFC 9110 §9.3.6). */
  openConnect(stream: ByteStream, ended: (written: number) => void): void {
    this.transport.text("HTTP/1.1 200 Connection Established\r\n\r\n");
    this.openTunnel(stream, ended);
  }

  /** A CONNECT was refused. */
  refuseTunnel(error: ProxyError): void {
    this.#tunnel = null;
    if (this.transport.destroyed) return;
    this.transport.text(errorAnswer(error, null, 1, false, this.server.date.text()));
    this.#close();
  }

  /** Somebody pipes the request's body. */
  bodyWanted(): void {
    this.#exchange?.sendContinue();
    this.bodyResumed();
  }

  bodyResumed(): void {
    this.#pump.runLater();
  }

  bodyCancelled(body: RequestBody): void {
    // As long as the response is not complete, the body waits: whether the connection is kept is decided then.
    if (this.#body !== body || this.#exchange !== null || this.#state !== READING_BODY) return;
    this.#drainBody();
    this.#pump.runLater();
  }

  // --- ends

  /** See `HttpServer.drain`. */
  drain(graceMs: number): void {
    if (this.#state !== READING_HEAD || !this.#parser.idle) return;
    if (graceMs === 0) this.#close();
    else this.#clock.awaitFor(graceMs);
  }

  destroy(): void {
    this.transport.destroy();
  }

  /** Gives the connection away, with what has come on it. */
  release(): Socket {
    this.#state = CLOSED;
    this.#clock.stop();
    return this.transport.release(this.#parser.takeRest());
  }

  // --- what the pump tells

  get reading(): boolean {
    switch (this.#state) {
      case READING_HEAD:
        return this.transport.pending < pendingBytes;
      case READING_BODY:
        return this.#body?.flowing === true;
      case DRAINING_BODY:
        return true;
      default:
        return false;
    }
  }

  get held(): boolean {
    return this.#state === READING_BODY && this.#body?.held === true;
  }

  onStarved(): boolean {
    const { timeouts } = this.server.config;
    if (this.#peerEnded) {
      this.#close();
      return false;
    }
    if (this.#state === READING_HEAD) {
      if (!this.#headBegun && !this.#parser.idle) {
        this.#headBegun = true;
        this.#clock.awaitFor(timeouts.head);
      }
    } else if (this.#state === READING_BODY) {
      const body = this.#body;
      if (body !== null) this.#clock.await(body.clock.wait(this.#clock.now(), body.received));
    }
    return true;
  }

  onViolation(): void {
    if (this.#parser.preface && this.server.switchToHttp2(this)) return;
    this.#refuse(this.#parser.error ?? new ProxyError("request_malformed", "cannot read a request"));
  }

  onHead(): void {
    const { server } = this;
    const parser = this.#parser;
    const { head, framing, minor } = parser;
    const now = server.wheel.now();
    const { length } = framing;
    this.#state = READING_BODY;
    this.#headBegun = false;
    const { timeouts, limits } = server.config;
    const clock = length === 0 ? null : new BodyClock(timeouts.idle, limits.minBodyRate);
    const body = clock === null ? null : new RequestBody(this, length, clock);
    this.#body = body;
    if (body === null && parser.next() === END) this.#state = ANSWERING;
    this.#client.httpVersion = minor === 1 ? "HTTP/1.1" : "HTTP/1.0";
    server.traffic.begin();
    server.exchanges++;
    const own = this.#client;
    own.host = head.authority;
    const client = server.config.style === "host" ? server.proxies.clientOf(head, own) : own;
    const exchange = new DownstreamExchange(this, head, body, client, minor, now);
    this.#exchange = exchange;
    this.#clock.begin(timeouts.request > 0 ? now + timeouts.request : Number.POSITIVE_INFINITY);
    this.#probes.begin();
    const refusal = openRequest(
      server,
      head,
      parser.form,
      client.secure ? "https" : "http",
      length,
      minor === 1 ? "1.1" : "1.0",
    );
    if (refusal !== null) {
      exchange.fail(refusal);
    } else if (parser.form === "authority") {
      this.#connect(exchange);
    } else {
      server.service.handle(exchange);
    }
  }

  #connect(exchange: DownstreamExchange): void {
    this.#exchange = null;
    const tunnel = new ConnectTunnel(this, exchange);
    this.#tunnel = tunnel;
    this.server.service.connect(tunnel);
  }

  onData(chunk: Uint8Array): void {
    if (this.#state === DRAINING_BODY) {
      this.#discarded += chunk.length;
      if (this.#discarded > drainBytes) this.#close();
      return;
    }
    const body = this.#body;
    if (body === null) return;
    const { bodyBytes } = this.server.config.limits;
    if (bodyBytes > 0 && body.received + chunk.length > bodyBytes) {
      this.#refuse(bodyTooLarge(bodyBytes));
    } else if (!body.deliver(chunk, this.transport) && this.#state === READING_BODY) {
      body.clock.stop();
      this.#clock.awaitFor(0);
    }
  }

  onMessageEnd(): void {
    const body = this.#body;
    this.#body = null;
    if (this.#exchange === null) {
      // The response was complete before the request was.
      const last = this.#state === DRAINING_BODY ? null : body;
      this.#nextRequest(this.#clock.now());
      last?.end(this.#parser.trailers);
      return;
    }
    this.#state = ANSWERING;
    this.#clock.awaitFor(0);
    body?.end(this.#parser.trailers);
  }

  #nextRequest(now: number): void {
    this.#parser.resume();
    if (this.server.draining && this.#parser.idle) {
      this.#close();
      return;
    }
    this.#state = READING_HEAD;
    const { keepAlive } = this.server.config.timeouts;
    this.#clock.await(keepAlive > 0 ? now + keepAlive : Number.POSITIVE_INFINITY);
  }

  #drainBody(): void {
    this.#state = DRAINING_BODY;
    this.#discarded = 0;
    this.#clock.awaitFor(drainMs);
  }

  /** The input is at fault, so nothing after it can be read: whoever waits for an answer gets it, then all is closed. */
  #refuse(error: ProxyError): void {
    const exchange = this.#exchange;
    if (exchange !== null) {
      exchange.reject(error);
      return;
    }
    const body = this.#body;
    this.#body = null;
    body?.fail(error);
    if (this.#state !== READING_HEAD) {
      this.#close();
      return;
    }
    const { server } = this;
    server.report(error, "");
    recordMalformed(server, this.#client.address, error.status, error.code, error.id);
    this.transport.text(errorAnswer(error, null, 1, false, this.server.date.text()));
    this.#close();
  }

  #close(): void {
    if (this.#state >= LINGERING) return;
    this.#state = LINGERING;
    this.#discarded = 0;
    this.#clock.begin(Number.POSITIVE_INFINITY);
    this.#clock.awaitFor(drainMs);
    this.transport.end();
    this.transport.resume();
    if (!this.#peerEnded) this.#parser.takeRest();
  }

  // --- timers

  #bodyTimer(now: number): void {
    const body = this.#body;
    if (body === null) return;
    if (this.#exchange === null && !body.flowing) {
      // The response is complete, and whoever was to read the rest of the body does not.
      this.#close();
      body.fail(new ProxyError("request_timeout", "cannot keep the request's body: nobody reads it"));
    } else if (body.clock.tooSlow(now, body.received)) {
      this.#refuse(bodyTooSlow());
    } else {
      this.#clock.await(body.clock.deadline);
    }
  }

  #probe(): void {
    if (this.#probes.send(this.#exchange, this.transport)) this.#clock.awaitFor(probeMs);
  }
}
