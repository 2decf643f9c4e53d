import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { SocketConfig } from "../config/schema/socket.ts";
import type { SocketTlsConfig } from "../config/schema/tls.ts";
import { ForwardFront } from "../forward/forward-front.ts";
import { SocksServer } from "../forward/socks/socks-server.ts";
import type { TlsFacts } from "../http/exchange.ts";
import { HttpServer } from "../http/server/http-server.ts";
import type { ConnectionServer } from "../net/connection-server.ts";
import { Listener } from "../net/listener.ts";
import type { Stage, StageContext } from "../net/opening-stage.ts";
import type { Peer } from "../net/peer.ts";
import { PreambleStage } from "../net/preamble-stage.ts";
import { TcpServer } from "../net/tcp-server.ts";
import { TimerWheel } from "../net/timer-wheel.ts";
import { metricKey } from "../observability/metric-key.ts";
import type { ServiceContext } from "../services/context.ts";
import type { Service } from "../services/service.ts";
import { type AcceptorOwner, type AcceptorTls, type ServedKeypair, TlsAcceptor } from "../tls/acceptor.ts";
import { AcmeAlpnStage } from "../tls/acme-alpn-stage.ts";
import type { AcmeChallenges } from "../tls/acme-challenges.ts";
import { ClientHelloStage } from "../tls/client-hello-stage.ts";

/** A step on the way from the listener to the server. */
type Entry = (socket: Socket, peer: Peer | null) => void;

/**
 * One socket of the config in this shard: the descriptor that the supervisor bound, and what its connections pass, each
 * step only where the config asks for it: the PROXY preamble, TLS or a look at its ClientHello, the server of their protocol.
 */
export class ShardSocket implements AcceptorOwner {
  readonly name: string;
  readonly #fd: number;
  readonly #address: string;
  readonly #front: ForwardFront;
  readonly #server: ConnectionServer;
  /** The server, if it is one of byte streams. */
  readonly #bytes: TcpServer | null;
  readonly #listener: Listener;
  readonly #tls: TlsAcceptor | null;
  readonly #acme: AcmeAlpnStage | null;
  /** In the order in which connections pass them. */
  readonly #stages: Stage[] = [];

  constructor(
    name: string,
    fd: number,
    config: SocketConfig,
    service: Service,
    context: ServiceContext,
    shared: AcceptorTls,
  ) {
    this.name = name;
    this.#fd = fd;
    this.#address = config.address;
    this.#front = new ForwardFront(name, config, service, context);
    const { tcp, socks } = config;
    const { service: first } = this.#front;
    const bytes = tcp === undefined ? null : new TcpServer(name, tcp, first, context);
    this.#bytes = bytes;
    const server =
      bytes ??
      (socks === undefined
        ? new HttpServer(name, config.http, first, context)
        : new SocksServer(name, socks, config.proxyAuth, first, context));
    this.#server = server;
    let entry: Entry = (socket, peer) => server.accept(socket, peer);
    if (bytes !== null && tcp?.sni === true && config.tls === undefined) {
      const hello = this.#peek(tcp.timeouts.hello, context, bytes);
      this.#stages.unshift(hello);
      entry = (socket, peer) => hello.accept(socket, peer);
    }
    const tls = this.#secure(config, context, shared);
    this.#tls = tls;
    const acme =
      tls === null || config.tls === undefined ? null : this.#authorities(tls, config.tls, context);
    this.#acme = acme;
    if (tls !== null && acme !== null) {
      this.#stages.unshift(acme, tls);
      entry = (socket, peer) => acme.accept(socket, peer);
    }
    const preamble = this.#preambles(config, context, entry);
    if (preamble !== null) this.#stages.unshift(preamble);
    this.#listener = new Listener(
      preamble === null ? (socket) => entry(socket, null) : (socket) => preamble.accept(socket),
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
    const stages = this.#drainStages(graceMs);
    await Promise.all([stages, this.#front.drain(graceMs), this.#drainServer(graceMs)]);
    // A connection may have come through the last stage when no other was left.
    if (this.#server.connections > 0) await this.#drainServer(graceMs);
  }

  /**
   * Streams of bytes have no end that could be waited for: they are cut while this process can still tell of it.
   * @param drainMs until the process is killed; 0 is never
   */
  cutStreams(drainMs: number): void {
    if (drainMs > 0) this.#bytes?.cutAfter(drainMs - Math.min(1000, drainMs / 5));
  }

  /** Shows other certificates from now on. @throws Error when OpenSSL does not take one; the old ones then stay */
  useCertificates(certificates: readonly ServedKeypair[]): void {
    this.#tls?.use(certificates);
  }

  /** Answers these challenges of authorities from now on, and no others. */
  useChallenges({ tokens, certificates }: AcmeChallenges): void {
    this.#server.answerAcme?.(tokens);
    this.#acme?.use(certificates);
  }

  useTicketKeys(keys: Uint8Array): void {
    this.#tls?.useTicketKeys(keys);
  }

  get protocols(): readonly string[] {
    return this.#server.protocols;
  }

  /** A connection counts from the moment that it is accepted, wherever it stands. */
  full(): boolean {
    let pending = 0;
    for (const stage of this.#stages) pending += stage.pending;
    return this.#server.full(pending);
  }

  onSecure(socket: TLSSocket, facts: TlsFacts, peer: Peer | null): void {
    this.#server.onSecure(socket, facts, peer);
  }

  #secure(config: SocketConfig, context: ServiceContext, shared: AcceptorTls): TlsAcceptor | null {
    if (config.tls === undefined) return null;
    const { log, metrics } = context;
    try {
      return new TlsAcceptor(this.name, config.tls, shared, { log, gauges: metrics.gauges }, this);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new Error(`cannot use TLS (socket "${this.name}"): ${reason}`, { cause: error });
    }
  }

  #preambles(config: SocketConfig, context: ServiceContext, next: Entry): PreambleStage | null {
    const { proxyProtocol, http, tcp, tls } = config;
    if (proxyProtocol === undefined) return null;
    const settings =
      proxyProtocol === "accept" ? { from: http.trustedProxies, timeout: preambleMs } : proxyProtocol;
    const others = tcp === undefined || tls !== undefined;
    return new PreambleStage(this.name, settings, others, stageContext(context), () => this.full(), next);
  }

  #peek(timeoutMs: number, context: ServiceContext, server: TcpServer): ClientHelloStage {
    return new ClientHelloStage(
      this.name,
      timeoutMs,
      stageContext(context),
      () => this.full(),
      (socket, peer, hello) => server.accept(socket, peer, hello?.serverName),
    );
  }

  #authorities(tls: TlsAcceptor, config: SocketTlsConfig, context: ServiceContext): AcmeAlpnStage {
    const { log, metrics } = context;
    return new AcmeAlpnStage(
      this.name,
      config.handshakeTimeout,
      { log, gauges: metrics.gauges, wheel: TimerWheel.of(context) },
      { accept: (socket, peer) => tls.accept(socket, peer), full: () => this.full() },
    );
  }

  /** What leaves one stage may enter the next, so each is drained when those before it are. */
  async #drainStages(graceMs: number): Promise<void> {
    for (const stage of this.#stages) await stage.drain(graceMs);
  }

  #drainServer(graceMs: number): Promise<void> {
    return new Promise((resolve) => this.#server.drain(graceMs, resolve));
  }
}

/** Milliseconds that a trusted proxy has for its preamble, unless the config says otherwise. */
const preambleMs = 3000;

function stageContext(context: ServiceContext): StageContext {
  return { log: context.log, gauges: context.metrics.gauges, wheel: TimerWheel.of(context) };
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
