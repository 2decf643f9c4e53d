import type { SocketConfig } from "../config/schema/socket.ts";
import { HttpServer } from "../http/server/http-server.ts";
import { Listener } from "../net/listener.ts";
import { metricKey } from "../observability/metric-key.ts";
import type { ServiceContext } from "../services/context.ts";
import type { Service } from "../services/service.ts";
import { type ServedKeypair, TlsAcceptor } from "../tls/acceptor.ts";

/** One socket of the config in this shard: the descriptor that the supervisor bound, and what serves its connections. */
export class ShardSocket {
  readonly name: string;
  readonly #fd: number;
  readonly #address: string;
  readonly #server: HttpServer;
  readonly #listener: Listener;
  readonly #tls: TlsAcceptor | null;

  constructor(
    name: string,
    fd: number,
    config: SocketConfig,
    service: Service,
    context: ServiceContext,
    ticketKeys: Uint8Array,
  ) {
    this.name = name;
    this.#fd = fd;
    this.#address = config.address;
    this.#server = new HttpServer(name, config.http, service, context);
    const tls = this.#secure(config, context, ticketKeys);
    this.#tls = tls;
    this.#listener = new Listener(
      tls === null ? (socket) => this.#server.accept(socket) : (socket) => tls.accept(socket),
    );
    context.metrics.gauges.gauge(
      metricKey("sluice_socket_connections", { socket: name }),
      () => this.#server.connections,
    );
  }

  /** Takes connections from now on. @throws Error `cannot listen on … (socket "…"): reason` */
  async listen(): Promise<void> {
    try {
      await this.#listener.listen({ fd: this.#fd });
    } catch (error) {
      throw new Error(`cannot listen on ${this.#address} (socket "${this.name}"): ${listenReason(error)}`);
    }
  }

  /**
   * Takes no more connections. Those in the queue are left to the next generation: only this process's copy of the
   * descriptor is closed. Resolves when the last connection is closed.
   */
  async drain(graceMs: number): Promise<void> {
    this.#listener.close();
    await Promise.all([this.#tls?.drain(graceMs), this.#drainServer(graceMs)]);
    // A handshake may have come to its end when no other connection was left.
    if (this.#server.connections > 0) await this.#drainServer(graceMs);
  }

  /** Shows other certificates from now on. @throws Error when OpenSSL does not take one; the old ones then stay */
  useCertificates(certificates: readonly ServedKeypair[]): void {
    this.#tls?.use(certificates);
  }

  useTicketKeys(keys: Uint8Array): void {
    this.#tls?.useTicketKeys(keys);
  }

  #secure(config: SocketConfig, context: ServiceContext, ticketKeys: Uint8Array): TlsAcceptor | null {
    if (config.tls === undefined) return null;
    const { log, metrics } = context;
    try {
      return new TlsAcceptor(
        this.name,
        config.tls,
        ticketKeys,
        { log, gauges: metrics.gauges },
        this.#server,
      );
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new Error(`cannot use TLS (socket "${this.name}"): ${reason}`, { cause: error });
    }
  }

  #drainServer(graceMs: number): Promise<void> {
    return new Promise((resolve) => this.#server.drain(graceMs, resolve));
  }
}

/** The system's words for why a socket does not listen. */
function listenReason(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const { errno } = cause as NodeJS.ErrnoException;
  // A module that takes a while to load, and is needed only now.
  const { getSystemErrorMap } = process.getBuiltinModule("node:util");
  const known = errno === undefined ? undefined : getSystemErrorMap().get(errno)?.[1];
  return known ?? (cause instanceof Error ? cause.message : String(cause));
}
