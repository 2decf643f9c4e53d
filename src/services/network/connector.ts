import { lookup } from "node:dns";
import * as net from "node:net";
import type { ConnectionOptions } from "node:tls";
import { ProxyError } from "../../errors/proxy-error.ts";
import { type AddressPolicy, parseIp } from "../../net/cidr.ts";
import { connectError, loadTls } from "../../net/connect.ts";
import { type TimerOwner, type TimerWheel, WheelTimer } from "../../net/timer-wheel.ts";
import type { UpstreamProxies, UpstreamProxy } from "../../net/upstream-proxy.ts";
import { unresolved } from "./origin.ts";
import { type HandshakeOwner, ProxyHandshake } from "./proxy-handshake.ts";

export interface ResolvedAddress {
  readonly address: string;
  readonly family: number;
}

/** Finds all addresses of a name. Calls back once, never before it has returned. */
export type Resolver = (
  host: string,
  done: (error: Error | null, addresses: readonly ResolvedAddress[]) => void,
) => void;

/** The system's resolver: /etc/hosts and DNS, as every other program of the machine sees them. */
export const systemResolver: Resolver = (host, done) => {
  lookup(host, { all: true }, (error, addresses) => done(error, addresses ?? []));
};

/** Where to connect to, and how. */
export interface Destination {
  readonly host: string;
  readonly port: number;
  readonly secure: boolean;
  /** The peer's end of sending does not end ours; for tunnels. */
  readonly halfOpen: boolean;
}

/** Hears how an opening ended; exactly one is called, once, unless it was aborted. */
export interface OpeningOwner {
  onOpen(socket: net.Socket): void;
  onOpenError(error: ProxyError): void;
}

export interface ConnectorOptions {
  readonly policy: AddressPolicy;
  readonly resolve: Resolver;
  readonly wheel: TimerWheel;
  /** Milliseconds for resolution, connection and TLS handshake together. */
  readonly timeoutMs: number;
  /** Connections that may be open at once. */
  readonly maxConnections: number;
  /** Certificates (PEM) to trust in place of the system's; empty means the system's. */
  readonly trust: readonly string[];
  /** Null goes there directly. */
  readonly proxies: UpstreamProxies | null;
}

/**
 * Opens connections to where the policy permits. A name is resolved once, each of its addresses is judged, and only
 * those that are permitted are connected to, as they were judged: nothing resolves the name a second time, so an answer
 * that changes between two look-ups (DNS rebinding) gains nothing.
 *
 * A name without a permitted address fails as a name that does not exist, after the same look-up, so that nobody learns
 * from outside which names the inner network has. An address that is denied is refused with `address_denied`: whoever
 * wrote it down learns nothing from that.
 */
export class Connector {
  readonly options: ConnectorOptions;
  /** Connections open or being opened. */
  connections = 0;
  /** Set while the failure of a socket is told to its listeners, see `NetworkExchange.onResponseEnd`. */
  breaking: Error | null = null;

  constructor(options: ConnectorOptions) {
    this.options = options;
  }

  open(destination: Destination, owner: OpeningOwner): Opening {
    const opening = new Opening(this, destination, owner);
    opening.start();
    return opening;
  }

  /** Opens a connection to a proxy itself, whose address config has and no rule judges. */
  openProxy(proxy: UpstreamProxy, owner: OpeningOwner): Opening {
    const { host, port } = proxy;
    const opening = new Opening(this, { host, port, secure: proxy.kind === "https", halfOpen: false }, owner);
    opening.startProxy(proxy);
    return opening;
  }

  /**
   * Judges a host that a proxy is asked for.
   * @param done called once, never before this returns; with null when it may be reached
   */
  judge(host: string, proxy: UpstreamProxy, done: (error: ProxyError | null) => void): void {
    const { policy, resolve } = this.options;
    const literal = parseIp(host);
    if (literal !== null || proxy.resolve === "proxy") {
      const permitted = literal === null || policy.permitsIp(literal);
      queueMicrotask(() => done(permitted ? null : denied(host)));
      return;
    }
    resolve(host, (error, addresses) => {
      const permitted = addresses.some(({ address }) => policy.permits(address));
      done(permitted ? null : unresolved(host, error ?? undefined));
    });
  }

  /** Opens a unix socket; `name` is a path, or the name of an abstract socket. */
  openUnix(name: string, abstract: boolean, owner: OpeningOwner): Opening {
    const destination = { host: name, port: 0, secure: false, halfOpen: true };
    const opening = new Opening(this, destination, owner);
    opening.startUnix(abstract);
    return opening;
  }
}

/** One connection being opened. */
export class Opening implements TimerOwner, HandshakeOwner {
  readonly #connector: Connector;
  readonly #destination: Destination;
  readonly #owner: OpeningOwner;
  readonly #timer = new WheelTimer(this);
  #socket: net.Socket | null = null;
  #proxy: UpstreamProxy | null = null;
  #handshake: ProxyHandshake | null = null;
  #settled = false;

  constructor(connector: Connector, destination: Destination, owner: OpeningOwner) {
    this.#connector = connector;
    this.#destination = destination;
    this.#owner = owner;
  }

  start(): void {
    const { host, port, secure, halfOpen } = this.#destination;
    const { policy, resolve, proxies } = this.#connector.options;
    if (!this.#begin()) return;
    const literal = parseIp(host);
    this.#proxy = proxies === null ? null : proxies.to(host, port, !secure && !halfOpen);
    if (literal === null && this.#proxy?.resolve === "proxy") {
      this.#approach(this.#proxy, host);
    } else if (literal === null) {
      resolve(host, (error, addresses) => this.#onResolved(error, addresses));
    } else if (policy.permitsIp(literal)) {
      this.#connect([{ address: host, family: net.isIP(host) }]);
    } else {
      this.#failLater(denied(host));
    }
  }

  /** Opens the connection to a proxy, and nothing beyond. */
  startProxy(proxy: UpstreamProxy): void {
    this.#proxy = proxy;
    if (this.#begin()) this.#dialProxy(proxy, () => this.#finish());
  }

  startUnix(abstract: boolean): void {
    const { host } = this.#destination;
    if (!this.#begin()) return;
    if (!this.#connector.options.policy.permitsUnix(abstract)) {
      this.#failLater(denied(`${abstract ? "unix-abstract" : "unix"}:${host}`));
      return;
    }
    this.#use(net.connect({ path: abstract ? `\0${host}` : host, allowHalfOpen: true }), "connect");
  }

  /** Nobody wants the connection any more; its owner hears nothing. After it stands this does nothing. */
  abort(): void {
    if (this.#settled) return;
    this.#settle();
    this.#handshake?.stop();
    this.#socket?.destroy();
  }

  onTimer(): void {
    const { host, port } = this.#destination;
    this.#fail(
      new ProxyError("upstream_connect_timeout", `cannot connect to ${host}:${port}: it took too long`),
    );
  }

  #begin(): boolean {
    const { wheel, timeoutMs, maxConnections } = this.#connector.options;
    if (this.#connector.connections >= maxConnections) {
      const message = `cannot connect to ${this.#destination.host}: ${maxConnections} connections are open`;
      this.#failLater(new ProxyError("upstream_busy", message));
      return false;
    }
    if (timeoutMs > 0) wheel.arm(this.#timer, wheel.now() + timeoutMs);
    return true;
  }

  #onResolved(error: Error | null, addresses: readonly ResolvedAddress[]): void {
    if (this.#settled) return;
    const { policy } = this.#connector.options;
    const permitted = addresses.filter(({ address }) => policy.permits(address));
    if (permitted.length === 0) this.#fail(unresolved(this.#destination.host, error ?? undefined));
    else this.#connect(permitted);
  }

  /** @param addresses all judged; Node tries them in turn (RFC 8305). */
  #connect(addresses: readonly ResolvedAddress[]): void {
    const { host, port, secure, halfOpen } = this.#destination;
    const proxy = this.#proxy;
    if (proxy !== null) {
      // The proxy is told the address that was judged: it resolves nothing that could then be another.
      // More proxies have no way to IPv6 than none to IPv4.
      const target = addresses.find(({ family }) => family === 4) ?? addresses[0];
      this.#approach(proxy, target?.address ?? host);
      return;
    }
    const options: net.TcpNetConnectOpts = {
      host,
      port,
      allowHalfOpen: halfOpen,
      noDelay: true,
      keepAlive: true,
      lookup: (_host, { all }, done) => {
        const [first] = addresses;
        if (all === true) done(null, [...addresses]);
        else done(null, first?.address ?? "", first?.family ?? 0);
      },
    };
    if (!secure) {
      this.#use(net.connect(options), "connect");
      return;
    }
    this.#use(this.#tls(host, options), "secureConnect");
  }

  /** Asks the proxy for the way. @param target the name or address that it is told */
  #approach(proxy: UpstreamProxy, target: string): void {
    this.#dialProxy(proxy, (socket) => {
      this.#handshake = new ProxyHandshake(this, socket, proxy, target, this.#destination.port);
      this.#handshake.start();
    });
  }

  #dialProxy(proxy: UpstreamProxy, ready: (socket: net.Socket) => void): void {
    const { host, port } = proxy;
    const { halfOpen } = this.#destination;
    const options = { host, port, allowHalfOpen: halfOpen, noDelay: true, keepAlive: true };
    const isSecure = proxy.kind === "https";
    const socket = isSecure ? this.#tls(host, options) : net.connect(options);
    this.#watch(socket);
    socket.once(isSecure ? "secureConnect" : "connect", () => {
      if (!this.#settled) ready(socket);
    });
  }

  onWay(): void {
    const { host, secure } = this.#destination;
    const carrier = this.#socket;
    if (this.#settled || carrier === null) return;
    if (!secure) {
      this.#finish();
      return;
    }
    const socket = this.#tls(host, { socket: carrier });
    this.#hear(socket);
    this.#socket = socket;
    socket.once("close", () => carrier.destroy());
    socket.once("secureConnect", () => this.#finish());
  }

  onNoWay(error: ProxyError): void {
    this.#fail(error);
  }

  #finish(): void {
    const socket = this.#socket;
    if (this.#settled || socket === null) return;
    this.#settle();
    this.#owner.onOpen(socket);
  }

  /** TLS as a client, which accepts no other certificate than a browser would. */
  #tls(host: string, options: ConnectionOptions): net.Socket {
    const name = host.endsWith(".") ? host.slice(0, -1) : host;
    const { trust } = this.#connector.options;
    const { checkServerIdentity, connect } = loadTls();
    return connect({
      ...options,
      minVersion: "TLSv1.2",
      ALPNProtocols: ["http/1.1"],
      rejectUnauthorized: true,
      // An IP address is no server name (RFC 6066 §3); the certificate is checked against it either way.
      servername: net.isIP(host) === 0 ? name : "",
      // Browsers take no name from a certificate's subject any more, which Node.js falls back to (RFC 9525).
      checkServerIdentity: (_name, certificate) =>
        certificate.subjectaltname === undefined ? noNames(name) : checkServerIdentity(name, certificate),
      ...(trust.length > 0 ? { ca: [...trust] } : {}),
    });
  }

  #use(socket: net.Socket, ready: "connect" | "secureConnect"): void {
    this.#watch(socket);
    socket.once(ready, () => this.#onReady(socket));
  }

  /** Counts a connection for as long as it lives. */
  #watch(socket: net.Socket): void {
    const connector = this.#connector;
    this.#socket = socket;
    connector.connections++;
    this.#hear(socket);
    socket.once("close", () => {
      connector.connections--;
    });
  }

  #hear(socket: net.Socket): void {
    const connector = this.#connector;
    // First of all listeners, and for as long as the socket lives: an error that nobody hears would end the process.
    socket.on("error", (error) => {
      connector.breaking = error;
      process.nextTick(() => {
        connector.breaking = null;
      });
      this.#fail(connectError(error, this.#where()));
    });
    socket.once("close", () => this.#fail(connectError(null, this.#where())));
  }

  #onReady(socket: net.Socket): void {
    if (this.#settled) return;
    const { remoteAddress } = socket;
    // Whatever happened on the way, no byte goes to an address that is not permitted.
    if (remoteAddress !== undefined && !this.#connector.options.policy.permits(remoteAddress)) {
      this.#fail(unresolved(this.#destination.host));
      return;
    }
    this.#finish();
  }

  #where(): string {
    const { host, port } = this.#destination;
    const proxy = this.#proxy;
    return proxy === null ? `${host}:${port}` : `${host}:${port} (proxy ${proxy.host}:${proxy.port})`;
  }

  #failLater(error: ProxyError): void {
    queueMicrotask(() => this.#fail(error));
  }

  #fail(error: ProxyError): void {
    if (this.#settled) return;
    this.#settle();
    this.#handshake?.stop();
    this.#socket?.destroy();
    this.#owner.onOpenError(error);
  }

  #settle(): void {
    this.#settled = true;
    this.#connector.options.wheel.cancel(this.#timer);
  }
}

function noNames(host: string): NodeJS.ErrnoException {
  const error: NodeJS.ErrnoException = new Error(
    `the certificate names no host, so not ${JSON.stringify(host)}`,
  );
  error.code = "ERR_TLS_CERT_ALTNAME_INVALID";
  return error;
}

function denied(host: string): ProxyError {
  return new ProxyError("address_denied", `cannot connect to ${host}: the network's rules do not allow it`);
}
