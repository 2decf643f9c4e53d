import type { Http2Stream, ServerHttp2Session, ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import { ProxyError } from "../../errors/proxy-error.ts";
import { ClientIdentity, type Origin } from "../../net/client-identity.ts";
import { join, TransportStream } from "../../net/stream.ts";
import { type TimerOwner, WheelTimer } from "../../net/timer-wheel.ts";
import { metricKey } from "../../observability/metric-key.ts";
import type { ByteStream } from "../exchange.ts";
import { violationCodes } from "../http1/request-parser.ts";
import { Violation } from "../http1/violation.ts";
import { CONNECT_ERROR, ENHANCE_YOUR_CALM, PROTOCOL_ERROR } from "../http2/codes.ts";
import { FloodGuard } from "../http2/flood-guard.ts";
import { type Http2Request, readRequest } from "../http2/request-reader.ts";
import { guardEnd, guardRead } from "../http2/stream-end.ts";
import { errorBody } from "./error-answer.ts";
import { recordMalformed } from "./exchange-record.ts";
import type { HttpServer } from "./http-server.ts";
import { Http2Exchange } from "./http2-exchange.ts";
import { type FloodReason, type Http2Settings, loadHttp2 } from "./http2-settings.ts";
import { openRequest } from "./request-rules.ts";

const END_STREAM = 1;

/** How long a connection that has ended waits for a client that does not read. */
const lingerMs = 2_000;

/** One client connection with HTTP/2: each stream is an exchange of its own (RFC 9113). */
export class Http2Connection implements TimerOwner {
  readonly server: HttpServer;
  readonly #settings: Http2Settings;
  readonly #socket: Socket;
  readonly #session: ServerHttp2Session;
  readonly #origin: Origin;
  readonly #timer: WheelTimer = new WheelTimer(this);
  readonly #resets: FloodGuard;
  readonly #controls: FloodGuard;
  /** Of the requests that name the authority it has; see `#clientOf`. */
  #client: ClientIdentity;
  /** Streams that carry an exchange or a tunnel. */
  #open = 0;
  /** The connection takes no new streams, and ends with its last one. */
  #closing = false;
  #flooded = false;

  /** @param socket stands, and nobody else reads it */
  constructor(server: HttpServer, settings: Http2Settings, socket: Socket, origin: Origin) {
    const { wheel, config } = server;
    const now = wheel.now();
    this.server = server;
    this.#settings = settings;
    this.#socket = socket;
    this.#origin = origin;
    this.#client = this.#identity("");
    this.#resets = new FloodGuard(settings.resets, now);
    this.#controls = new FloodGuard(settings.controlFrames, now);
    const session = loadHttp2().performServerHandshake(socket, settings.options);
    this.#session = session;
    session.setLocalWindowSize(settings.connectionWindow);
    session.on("stream", (stream, _fields, flags, raw) => this.#onStream(stream, flags, raw));
    session.on("remoteSettings", () => this.#onControl());
    session.on("ping", () => this.#onControl());
    session.on("error", (error) => this.#onError(error));
    session.on("close", () => this.#onClose());
    // A client that has ended its side can neither open windows nor acknowledge anything: it has left.
    socket.on("end", () => session.destroy());
    if (config.timeouts.head > 0) wheel.arm(this.#timer, now + config.timeouts.head);
  }

  /** A stream with an exchange is closed. */
  streamClosed(): void {
    this.#open--;
    if (this.#open > 0) return;
    if (this.#closing) {
      this.#linger();
      return;
    }
    const { wheel, config } = this.server;
    const { keepAlive } = config.timeouts;
    wheel.arm(this.#timer, keepAlive > 0 ? wheel.now() + keepAlive : Number.POSITIVE_INFINITY);
  }

  /** A stream was reset before its response was complete, and not by our will. */
  streamReset(): void {
    if (!this.#resets.count(this.server.wheel.now())) this.#flood("resets");
  }

  /** @param ended called with the bytes that went to the client, when the stream is closed */
  openTunnel(carrier: Http2Stream, stream: ByteStream, ended: (written: number) => void): void {
    const { wheel } = this.server;
    const socket = carrier as unknown as Socket;
    guardRead(carrier);
    // RFC 9113 §8.5: what a TCP reset says on a connection.
    socket.resetAndDestroy = () => {
      carrier.close(CONNECT_ERROR);
      return socket;
    };
    const own = TransportStream.over(socket, wheel, this.server.tunnelIdle(stream));
    own.closed = () => ended(own.written);
    join(own, stream);
  }

  /**
   * See `HttpServer.drain`. What has begun goes on to its end. There is no need for a grace: GOAWAY tells which streams were
   * taken, so that the client may send every other request again elsewhere, whatever its method (RFC 9113 §6.8).
   */
  drain(): void {
    if (!this.#closing && !this.#session.destroyed) this.#close();
  }

  destroy(): void {
    this.#session.destroy();
    this.#socket.destroy();
  }

  onTimer(): void {
    if (this.#session.destroyed || this.#closing) this.destroy();
    else this.#close();
  }

  // --- what the session tells

  #onStream(stream: ServerHttp2Stream, flags: number, raw: readonly string[]): void {
    stream.on("error", ignore);
    guardEnd(stream);
    if (stream.closed || stream.destroyed) {
      // It came and was reset in one read. No service hears of it.
      this.streamReset();
      return;
    }
    const { server } = this;
    let request: Http2Request;
    try {
      request = readRequest(raw, (flags & END_STREAM) !== 0, server.parserLimits);
    } catch (problem) {
      this.#refuse(stream, problem);
      return;
    }
    if (this.#open++ === 0) server.wheel.cancel(this.#timer);
    const { head, form, length } = request;
    const own = this.#clientOf(head.authority);
    server.traffic.begin();
    server.exchanges++;
    const client = server.config.style === "host" ? server.proxies.clientOf(head, own) : own;
    const exchange = new Http2Exchange(this, stream, request, client);
    const refusal = openRequest(server, head, form, client.secure ? "https" : "http", length, "2.0");
    if (refusal !== null) exchange.fail(refusal);
    else if (form === "authority") exchange.connect();
    else server.service.handle(exchange);
  }

  /** A request that is none: malformed ones reset their stream (RFC 9113 §8.1.1), others hear why. */
  #refuse(stream: ServerHttp2Stream, problem: unknown): void {
    if (!(problem instanceof Violation)) throw problem;
    const { server } = this;
    const error = new ProxyError(violationCodes[problem.kind], `cannot read the request: ${problem.reason}`);
    server.report(error, "");
    recordMalformed(server, this.#client.address, error.status, error.code, error.id);
    if (problem.kind === "malformed") {
      stream.close(PROTOCOL_ERROR);
    } else {
      const { fields, text } = errorBody(error);
      stream.respond(fields);
      stream.end(text, "latin1");
    }
    this.streamReset();
  }

  #onControl(): void {
    if (!this.#controls.count(this.server.wheel.now())) this.#flood("control_frames");
  }

  #onError(error: unknown): void {
    if (this.#flooded || !(error instanceof Error)) return;
    const code = "code" in error && typeof error.code === "string" ? error.code : "";
    // The system's words for a connection that was broken off are no fault of the protocol.
    if (code === "" || /^E[A-Z]+$/.test(code)) return;
    this.#tell("protocol", `cannot go on with HTTP/2: ${error.message}`);
  }

  #onClose(): void {
    this.server.wheel.cancel(this.#timer);
    this.server.forget(this);
  }

  // --- inner

  /** The client does what only an attack does. */
  #flood(reason: FloodReason): void {
    if (this.#flooded || this.#session.destroyed) return;
    this.#flooded = true;
    const message = `cannot go on with HTTP/2: the client floods the connection (${reason})`;
    this.#tell(reason, message);
    this.#session.destroy(new Error(message), ENHANCE_YOUR_CALM);
    this.#linger();
  }

  #tell(reason: FloodReason, message: string): void {
    const { server } = this;
    this.#settings.gauges.add(
      metricKey("sluice_http2_connection_errors_total", { socket: server.name, reason }),
    );
    server.log.log(reason === "protocol" ? "debug" : "warn", "http2.connection_ended", message, {
      socket: server.name,
      client: this.#client.address,
      reason,
    });
  }

  /** Takes no new streams, and ends with the last one. */
  #close(): void {
    this.#closing = true;
    this.#session.close();
    if (this.#open === 0) this.#linger();
  }

  #linger(): void {
    const { wheel } = this.server;
    wheel.arm(this.#timer, wheel.now() + lingerMs);
  }

  /** Streams go on at the same time, so one that names another authority gets facts of its own. */
  #clientOf(authority: string): ClientIdentity {
    if (this.#client.host !== authority) this.#client = this.#identity(authority);
    return this.#client;
  }

  #identity(host: string): ClientIdentity {
    const client = new ClientIdentity(this.#socket, this.server.name, this.#origin);
    client.httpVersion = "HTTP/2";
    client.host = host;
    return client;
  }
}

function ignore(): void {}
