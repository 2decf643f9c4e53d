import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { ProxyAuthConfig, SocksConfig } from "../../config/schema/forward.ts";
import type { ProxyError } from "../../errors/proxy-error.ts";
import type { TlsFacts } from "../../http/exchange.ts";
import { ClientIdentity } from "../../net/client-identity.ts";
import type { ConnectionServer } from "../../net/connection-server.ts";
import type { Peer } from "../../net/peer.ts";
import { TimerWheel } from "../../net/timer-wheel.ts";
import { Transport, type TransportOwner } from "../../net/transport.ts";
import { reportError } from "../../observability/error-report.ts";
import type { Logger } from "../../observability/log.ts";
import type { Traffic } from "../../observability/traffic.ts";
import type { ServiceContext } from "../../services/context.ts";
import type { Service } from "../../services/service.ts";
import { LoginDesk } from "../login-desk.ts";
import { SocksConnection } from "./socks-connection.ts";

/** One socket of the config that speaks SOCKS 5: it hands each CONNECT to the service as a tunnel. */
export class SocksServer implements ConnectionServer {
  readonly name: string;
  readonly protocols: readonly string[] = [];
  readonly config: SocksConfig;
  readonly service: Service;
  /** Null where nobody is asked who they are. */
  readonly desk: LoginDesk | null;
  readonly log: Logger;
  readonly traffic: Traffic;
  readonly wheel: TimerWheel;
  readonly #connections: Set<SocksConnection> = new Set();
  #draining = false;
  #graceMs = 0;
  #drained: (() => void) | null = null;

  /** @throws Error when a password cannot be read */
  constructor(
    name: string,
    config: SocksConfig,
    auth: ProxyAuthConfig | undefined,
    service: Service,
    context: ServiceContext,
  ) {
    this.name = name;
    this.config = config;
    this.service = service;
    this.desk = auth === undefined ? null : new LoginDesk(auth, context);
    this.log = context.log;
    this.traffic = context.metrics.traffic("socket", name);
    this.wheel = TimerWheel.of(context);
  }

  get connections(): number {
    return this.#connections.size;
  }

  full(pending: number): boolean {
    return this.#connections.size + pending >= this.config.limits.connections;
  }

  accept(socket: Socket, peer: Peer | null): void {
    if (this.full(0)) {
      this.traffic.begin();
      this.traffic.finish(503, 0);
      this.traffic.error("connections_exceeded");
      socket.on("error", () => {});
      socket.resetAndDestroy();
      return;
    }
    this.#serve((owner) => Transport.accepted(owner, socket), null, peer);
  }

  onSecure(socket: TLSSocket, facts: TlsFacts, peer: Peer | null): void {
    this.#serve((owner) => Transport.wrap(owner, socket), facts, peer);
  }

  /** A connection is closed. */
  forget(connection: SocksConnection): void {
    this.#connections.delete(connection);
    this.#tellDrained();
  }

  drain(graceMs: number, done: () => void): void {
    this.#draining = true;
    this.#graceMs = graceMs;
    this.#drained = done;
    for (const connection of [...this.#connections]) connection.drain(graceMs);
    this.#tellDrained();
  }

  /** Closes every connection at once. */
  close(): void {
    for (const connection of [...this.#connections]) connection.destroy();
  }

  /** See `reportError`. */
  report(error: ProxyError, target: string): void {
    reportError(this, "tunnel.failed", error, target);
  }

  #serve(open: (owner: TransportOwner) => Transport, tls: TlsFacts | null, peer: Peer | null): void {
    const connection = new SocksConnection(this, open, (transport) => {
      const client = new ClientIdentity(transport.socket, this.name, { tls, peer });
      client.httpVersion = "";
      return client;
    });
    this.#connections.add(connection);
    if (this.#draining) connection.drain(this.#graceMs);
  }

  #tellDrained(): void {
    if (this.#connections.size > 0 || this.#drained === null) return;
    const done = this.#drained;
    this.#drained = null;
    done();
  }
}
