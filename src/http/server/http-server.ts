import type * as net from "node:net";
import type { TLSSocket } from "node:tls";
import type { SocketConfig } from "../../config/schema/socket.ts";
import { newErrorId } from "../../errors/error-id.ts";
import type { ProxyError } from "../../errors/proxy-error.ts";
import { plainOrigin } from "../../net/client-identity.ts";
import type { ConnectionServer } from "../../net/connection-server.ts";
import type { Peer } from "../../net/peer.ts";
import { TimerWheel } from "../../net/timer-wheel.ts";
import { Transport, type TransportOwner } from "../../net/transport.ts";
import { reportError } from "../../observability/error-report.ts";
import type { Logger } from "../../observability/log.ts";
import type { Metrics, Traffic } from "../../observability/traffic.ts";
import type { Service } from "../../services/service.ts";
import type { ByteStream, TlsFacts } from "../exchange.ts";
import { HeaderEditor } from "../header-edits.ts";
import type { ParserLimits } from "../http1/events.ts";
import { HttpDate } from "../http1/http-date.ts";
import { AcmeResponder } from "./acme-responder.ts";
import { DownstreamConnection } from "./downstream-connection.ts";
import { errorAnswer } from "./error-answer.ts";
import { Http2Connection } from "./http2-connection.ts";
import { Http2Settings } from "./http2-settings.ts";
import { TrustedProxies } from "./trusted-proxies.ts";
import { Via } from "./via.ts";

/** What a server needs of its shard; a part of `ServiceContext`. */
export interface ServerContext {
  readonly log: Logger;
  readonly metrics: Metrics;
  now(): number;
}

/**
 * How a server speaks HTTP: as a socket's config says. `intercepted` is the inside of a tunnel, where requests name a
 * path as with `host`, and tell nothing of themselves that is not the client's own.
 */
export type ServerConfig = Omit<SocketConfig["http"], "style"> & {
  readonly style: SocketConfig["http"]["style"] | "intercepted";
};

/** A connection in either version of HTTP. */
export interface ServedConnection {
  /** See `HttpServer.drain`. */
  drain(graceMs: number): void;
  /** Closes it at once, aborting its exchanges. */
  destroy(): void;
}

/** The longest request target, in bytes; RFC 9112 §3 asks for at least 8,000. */
const targetBytes = 16_384;

/**
 * One socket of the config that speaks HTTP: it takes accepted connections, and hands each request to the service. It
 * listens on nothing itself.
 */
export class HttpServer implements ConnectionServer {
  readonly protocols: readonly string[];
  readonly name: string;
  readonly config: ServerConfig;
  service: Service;
  readonly log: Logger;
  readonly traffic: Traffic;
  readonly wheel: TimerWheel;
  readonly parserLimits: ParserLimits;
  readonly requestEdits: HeaderEditor;
  readonly responseEdits: HeaderEditor;
  readonly proxies: TrustedProxies;
  readonly via: Via | null;
  readonly date: HttpDate = new HttpDate(Date.now);
  /** New requests are answered with `Connection: close`. */
  draining = false;
  /** Requests that have begun and are not yet answered, tunnels included. */
  exchanges = 0;
  /** Null where HTTP/2 is turned off. */
  readonly #http2: Http2Settings | null;
  readonly #connections: Set<ServedConnection> = new Set();
  #drained: (() => void) | null = null;
  #graceMs = 0;

  /** @throws TypeError when the configured header edits cannot be written. */
  constructor(name: string, config: ServerConfig, service: Service, context: ServerContext) {
    this.name = name;
    this.config = config;
    this.service = service;
    this.log = context.log;
    this.traffic = context.metrics.traffic("socket", name);
    this.wheel = TimerWheel.of(context);
    this.parserLimits = {
      headerBytes: config.limits.headerBytes === 0 ? Number.MAX_SAFE_INTEGER : config.limits.headerBytes,
      headerFields: config.limits.headerFields,
      targetBytes,
    };
    this.#http2 = config.http2.enabled
      ? new Http2Settings(config.http2, this.parserLimits, context.metrics.gauges)
      : null;
    this.protocols = this.#http2 === null ? ["http/1.1"] : ["h2", "http/1.1"];
    this.proxies = new TrustedProxies(config);
    this.via = config.via === undefined ? null : new Via(config.via);
    this.requestEdits = new HeaderEditor(config.injectRequestHeaders);
    this.responseEdits = new HeaderEditor(config.injectResponseHeaders);
  }

  /** Open connections, tunnels included. */
  get connections(): number {
    return this.#connections.size;
  }

  /**
   * Serves a connection from a `Listener`. Above the configured number of connections it is answered 503 and closed at
   * once: a connection left in the queue would look like a server that hangs, to clients and health checks alike.
   *
   * @param peer what a proxy in front tells in place of the socket
   */
  accept(socket: net.Socket, peer: Peer | null = null): void {
    if (this.#connections.size >= this.config.limits.connections) {
      this.#turnAway(socket);
      return;
    }
    const open = (owner: TransportOwner): Transport => Transport.accepted(owner, socket);
    this.#add(new DownstreamConnection(this, open, peer === null ? plainOrigin : { tls: null, peer }));
  }

  /** See `ConnectionServer`. */
  full(pending: number): boolean {
    return this.#connections.size + pending >= this.config.limits.connections;
  }

  /** Serves a connection that has come through its handshake, in the protocol that was chosen there (RFC 7301). */
  onSecure(socket: TLSSocket, facts: TlsFacts, peer: Peer | null = null): void {
    const origin = { tls: facts, peer };
    if (this.#http2 !== null && socket.alpnProtocol === "h2") {
      this.#add(new Http2Connection(this, this.#http2, socket, origin));
      return;
    }
    const open = (owner: TransportOwner): Transport => Transport.wrap(owner, socket);
    this.#add(new DownstreamConnection(this, open, origin));
  }

  /**
   * The first bytes of a plain connection were the preface of HTTP/2 (RFC 9113 §3.3, "prior knowledge").
   * @returns false when the server does not speak it there
   */
  switchToHttp2(connection: DownstreamConnection): boolean {
    if (this.#http2 === null || connection.origin.tls !== null) return false;
    this.#connections.delete(connection);
    this.#add(new Http2Connection(this, this.#http2, connection.release(), connection.origin));
    return true;
  }

  /** Milliseconds without a byte after which a tunnel to `stream` is closed; 0 is never. */
  tunnelIdle(stream: ByteStream): number {
    return stream.isTimed === true ? 0 : this.config.timeouts.idle;
  }

  /** See `ConnectionServer`. A forward proxy has no sites of its own. */
  answerAcme(tokens: Readonly<Record<string, string>>): void {
    if (this.config.style !== "host") return;
    this.service = AcmeResponder.before(this.service, tokens);
  }

  /** A connection is closed. */
  forget(connection: ServedConnection): void {
    this.#connections.delete(connection);
    this.#tellDrained();
  }

  /**
   * Ends the service of this socket: requests that have begun, and those that come within the grace, are answered, with
   * `Connection: close`. An idle connection is closed at the end of the grace, which keeps a request that its client is
   * sending right now from being met by a close.
   *
   * @param graceMs how long an idle connection is kept; 0 closes it at once.
   * @param done called once no connection is left, tunnels included.
   */
  drain(graceMs: number, done: () => void): void {
    this.draining = true;
    this.#graceMs = graceMs;
    this.#drained = done;
    for (const connection of [...this.#connections]) connection.drain(graceMs);
    this.#tellDrained();
  }

  /** Closes every connection at once, aborting its exchange. */
  close(): void {
    this.draining = true;
    for (const connection of [...this.#connections]) connection.destroy();
  }

  /** See `reportError`. */
  report(error: ProxyError, target: string): void {
    reportError(this, "exchange.failed", error, target);
  }

  #add(connection: ServedConnection): void {
    this.#connections.add(connection);
    if (this.draining) connection.drain(this.#graceMs);
  }

  #turnAway(socket: net.Socket): void {
    this.traffic.begin();
    this.traffic.finish(503, 0);
    this.traffic.error("connections_exceeded");
    // A client that does not read its answer is not waited for.
    socket.setTimeout(1000, () => socket.destroy());
    socket.on("error", () => {});
    socket.on("finish", () => socket.destroy());
    socket.resume();
    socket.end(errorAnswer({ status: 503, id: newErrorId() }, null, 1, false, this.date.text()), "latin1");
  }

  #tellDrained(): void {
    if (this.#connections.size > 0 || this.#drained === null) return;
    const done = this.#drained;
    this.#drained = null;
    done();
  }
}
