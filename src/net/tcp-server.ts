import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { SocketTcpConfig } from "../config/schema/tcp.ts";
import type { ProxyError } from "../errors/proxy-error.ts";
import type { TlsFacts } from "../http/exchange.ts";
import { reportError } from "../observability/error-report.ts";
import type { Logger } from "../observability/log.ts";
import { metricKey } from "../observability/metric-key.ts";
import type { Gauges, Metrics, Traffic } from "../observability/traffic.ts";
import type { Service } from "../services/service.ts";
import { ClientIdentity } from "./client-identity.ts";
import type { ConnectionServer } from "./connection-server.ts";
import type { Peer } from "./peer.ts";
import { TransportStream } from "./stream.ts";
import { TcpConnection } from "./tcp-connection.ts";
import { type TimerOwner, TimerWheel, WheelTimer } from "./timer-wheel.ts";

/** What a server needs of its shard; a part of `ServiceContext`. */
export interface TcpContext {
  readonly log: Logger;
  readonly metrics: Metrics;
  now(): number;
}

/** Before the kernel asks a silent client whether it is still there. */
const keepAliveMs = 60_000;

/** One socket of the config that takes byte streams: it hands each connection to the service as a tunnel. */
export class TcpServer implements ConnectionServer, TimerOwner {
  readonly name: string;
  readonly protocols: readonly string[];
  readonly service: Service;
  readonly log: Logger;
  readonly traffic: Traffic;
  readonly wheel: TimerWheel;
  readonly #config: SocketTcpConfig;
  readonly #gauges: Gauges;
  readonly #receivedKey: string;
  readonly #sentKey: string;
  readonly #connections: Set<TcpConnection> = new Set();
  readonly #timer: WheelTimer = new WheelTimer(this);
  #isCut = false;
  #drained: (() => void) | null = null;

  constructor(name: string, config: SocketTcpConfig, service: Service, context: TcpContext) {
    this.name = name;
    this.#config = config;
    this.protocols = config.protocols;
    this.service = service;
    this.log = context.log;
    this.traffic = context.metrics.traffic("socket", name);
    this.wheel = TimerWheel.of(context);
    this.#gauges = context.metrics.gauges;
    this.#receivedKey = metricKey("sluice_socket_bytes_total", { socket: name, direction: "received" });
    this.#sentKey = metricKey("sluice_socket_bytes_total", { socket: name, direction: "sent" });
  }

  get connections(): number {
    return this.#connections.size;
  }

  full(pending: number): boolean {
    return this.#connections.size + pending >= this.#config.limits.connections;
  }

  /** @param serverName that the client has asked for, where somebody has looked */
  accept(socket: Socket, peer: Peer | null, serverName = ""): void {
    if (this.full(0)) {
      this.#turnAway(socket);
      return;
    }
    const stream = TransportStream.accepted(socket, this.wheel, this.#config.timeouts.idle);
    this.#open(stream, stream.socket, null, peer, serverName);
  }

  onSecure(socket: TLSSocket, facts: TlsFacts, peer: Peer | null): void {
    const name: unknown = socket.servername;
    const stream = TransportStream.over(socket, this.wheel, this.#config.timeouts.idle);
    this.#open(stream, socket, facts, peer, typeof name === "string" ? name.toLowerCase() : "");
  }

  /** A connection is closed. */
  forget(connection: TcpConnection, received: number, sent: number): void {
    this.#connections.delete(connection);
    if (received > 0) this.#gauges.add(this.#receivedKey, received);
    if (sent > 0) this.#gauges.add(this.#sentKey, sent);
    this.#tellDrained();
  }

  /** What goes on in a stream is not known, so each connection lasts until one of its ends closes it. */
  drain(_graceMs: number, done: () => void): void {
    this.#drained = done;
    this.#tellDrained();
  }

  /** Resets every connection, those that are to come too, in so many milliseconds. */
  cutAfter(ms: number): void {
    this.wheel.arm(this.#timer, this.wheel.now() + ms);
  }

  onTimer(): void {
    this.#isCut = true;
    this.close();
  }

  /** Closes every connection at once. */
  close(): void {
    for (const connection of [...this.#connections]) connection.destroy();
  }

  /** See `reportError`. */
  report(error: ProxyError, target: string): void {
    reportError(this, "tunnel.failed", error, target);
  }

  #open(
    stream: TransportStream,
    socket: Socket,
    tls: TlsFacts | null,
    peer: Peer | null,
    host: string,
  ): void {
    // Without a limit, only the kernel finds out that the other end is gone without a word.
    if (this.#config.timeouts.idle === 0) socket.setKeepAlive(true, keepAliveMs);
    const client = new ClientIdentity(socket, this.name, { tls, peer });
    client.httpVersion = "";
    client.host = host;
    const port = this.#config.port ?? client.localPort;
    const connection = new TcpConnection(this, stream, client, host, port);
    this.#connections.add(connection);
    connection.open();
    if (this.#isCut) connection.destroy();
  }

  #turnAway(socket: Socket): void {
    this.traffic.begin();
    this.traffic.finish(503, 0);
    this.traffic.error("connections_exceeded");
    socket.on("error", () => {});
    socket.resetAndDestroy();
  }

  #tellDrained(): void {
    if (this.#connections.size > 0 || this.#drained === null) return;
    const done = this.#drained;
    this.#drained = null;
    this.wheel.cancel(this.#timer);
    done();
  }
}
