import { createHash, type X509Certificate } from "node:crypto";
import type { Socket } from "node:net";
import type { SecureContext, SecureContextOptions, Server, TLSSocket, TlsOptions } from "node:tls";
import type { SocketTlsConfig } from "../config/schema/tls.ts";
import { loadTls } from "../net/connect.ts";
import type { ConnectionServer } from "../net/connection-server.ts";
import type { Stage } from "../net/opening-stage.ts";
import type { Peer } from "../net/peer.ts";
import type { Logger } from "../observability/log.ts";
import { metricKey } from "../observability/metric-key.ts";
import type { Gauges } from "../observability/traffic.ts";
import { leafOf, namesOf } from "./certificate.ts";
import { tlsFacts } from "./client-auth.ts";
import { MissingLeaves } from "./missing-leaves.ts";
import { ServerNames } from "./server-names.ts";

/** A certificate that is shown to clients; see config/certificates.ts. */
export interface ServedKeypair {
  /** PEM. */
  readonly certificate: string;
  /** PEM. */
  readonly key: string;
  /** An OCSP response in DER, as base64. */
  readonly ocsp?: string | undefined;
}

/** Takes what comes out of handshakes. */
export type AcceptorOwner = Pick<ConnectionServer, "protocols" | "full" | "onSecure">;

/** What the supervisor keeps of TLS for all shards. */
export interface AcceptorTls {
  /** 48 bytes: a session begun with one shard is resumed by another. */
  readonly ticketKeys: Uint8Array;
  /** Has the development CA make a certificate for a name that a client of the socket asks for. */
  askLeaf(socket: string, name: string): void;
}

/** What an acceptor needs of its shard. */
export interface AcceptorContext {
  readonly log: Logger;
  readonly gauges: Gauges;
}

/** A response that is stapled, with the certificate that it is for. */
interface Staple {
  readonly leaf: X509Certificate;
  readonly response: Buffer;
}

/** Longer than any handshake; Node.js takes 0 for its own default. */
const NEVER = 2 ** 31 - 1;

/**
 * The TLS of one socket: it takes accepted connections, and hands those over that have come through the handshake. What
 * fails is closed, counted and told in the log at `debug`, since every scanner on the internet fails.
 */
export class TlsAcceptor implements Stage {
  readonly #name: string;
  readonly #config: SocketTlsConfig;
  readonly #context: AcceptorContext;
  readonly #owner: AcceptorOwner;
  readonly #server: Server;
  /** Connections in their handshake, with what is told of them. */
  readonly #pending: Map<Socket, Peer | null> = new Map();
  #names: ServerNames<SecureContext> = new ServerNames();
  #staples: Staple[] = [];
  readonly #missing: MissingLeaves | null;
  #idle: (() => void) | null = null;

  /**
   * @param name of the socket in the config
   * @param tls.askLeaf has the development CA make a certificate for a name
   * @throws Error when OpenSSL does not take a certificate
   */
  constructor(
    name: string,
    config: SocketTlsConfig,
    { ticketKeys, askLeaf }: AcceptorTls,
    context: AcceptorContext,
    owner: AcceptorOwner,
  ) {
    this.#name = name;
    this.#config = config;
    this.#context = context;
    this.#owner = owner;
    this.#missing =
      config.development === false ? null : new MissingLeaves((wanted) => askLeaf(name, wanted));
    this.#server = loadTls().createServer(this.#options(ticketKeys));
    this.use(config.certificates);
    this.#server.on("secureConnection", (socket) => this.#secured(socket));
    this.#server.on("tlsClientError", (error, socket) => this.#failed(error, socket));
    context.gauges.gauge(
      metricKey("sluice_tls_handshakes_pending", { socket: name }),
      () => this.#pending.size,
    );
  }

  /** Handshakes that go on. */
  get pending(): number {
    return this.#pending.size;
  }

  /** Begins a handshake on a connection from a `Listener`, some of which may have been read and put back. */
  accept(socket: Socket, peer: Peer | null = null): void {
    if (this.#owner.full(this.#pending.size)) {
      this.#count("busy");
      socket.destroy();
      return;
    }
    this.#pending.set(socket, peer);
    socket.once("close", () => this.#closed(socket));
    this.#server.emit("connection", socket);
  }

  /**
   * Shows these certificates from now on; what stands or is in a handshake goes on with the old ones.
   * @throws Error when OpenSSL does not take one; the old ones then stay
   */
  use(certificates: readonly ServedKeypair[]): void {
    const { createSecureContext } = loadTls();
    const names = new ServerNames<SecureContext>();
    const staples: Staple[] = [];
    for (const keypair of certificates) {
      const leaf = leafOf(keypair.certificate);
      const context = createSecureContext(this.#contextOptions(keypair));
      for (const name of namesOf(leaf)) names.add(name, context);
      if (keypair.ocsp !== undefined) staples.push({ leaf, response: Buffer.from(keypair.ocsp, "base64") });
    }
    const first = certificates[0];
    if (first !== undefined) this.#server.setSecureContext(this.#contextOptions(first));
    this.#names = names;
    this.#staples = staples;
    this.#missing?.settle((name) => names.find(name) !== undefined);
    this.#server.removeAllListeners("OCSPRequest");
    // With a listener each handshake that asks takes a way around by JavaScript.
    if (staples.length > 0) this.#server.on("OCSPRequest", (der, _, done) => done(null, this.#staple(der)));
  }

  /** Encrypts and takes tickets with these keys from now on. */
  useTicketKeys(keys: Uint8Array): void {
    this.#server.setTicketKeys(Buffer.from(keys));
  }

  /** Resolves when no handshake goes on any more, each of which has `graceMs` to come to its end. */
  async drain(graceMs: number): Promise<void> {
    if (this.#pending.size > 0 && graceMs > 0) {
      const timer = setTimeout(() => this.close(), graceMs);
      await new Promise<void>((resolve) => {
        this.#idle = resolve;
      });
      clearTimeout(timer);
    }
    this.close();
  }

  /** Ends all handshakes. Idempotent. */
  close(): void {
    for (const socket of [...this.#pending.keys()]) socket.destroy();
  }

  #options(ticketKeys: Uint8Array): TlsOptions {
    const { clientCertificates, handshakeTimeout } = this.#config;
    const { protocols } = this.#owner;
    return {
      ...(protocols.length > 0 ? { ALPNProtocols: [...protocols] } : {}),
      SNICallback: (name, done) => this.#choose(name, done),
      ticketKeys: Buffer.from(ticketKeys),
      handshakeTimeout: handshakeTimeout > 0 ? handshakeTimeout : NEVER,
      requestCert: clientCertificates !== undefined,
      rejectUnauthorized: clientCertificates?.required === true,
    };
  }

  #contextOptions({ certificate, key }: ServedKeypair): SecureContextOptions {
    const { clientCertificates, minVersion, ciphers } = this.#config;
    return {
      cert: certificate,
      key,
      minVersion,
      // Sockets share ticket keys. A session is good only where clients are asked for the same, or one without a
      // certificate would get in with a ticket from another socket.
      sessionIdContext: createHash("sha256")
        .update(JSON.stringify([this.#name, clientCertificates ?? null]))
        .digest("hex")
        .slice(0, 32),
      ...(ciphers === undefined ? {} : { ciphers }),
      ...(clientCertificates === undefined ? {} : { ca: [...clientCertificates.trust] }),
    };
  }

  #choose(name: string, done: (error: null, context?: SecureContext) => void): void {
    const found = this.#names.find(name);
    if (found !== undefined || this.#missing === null) done(null, found);
    else this.#missing.want(name, () => done(null, this.#names.find(name)));
  }

  #staple(der: Buffer): Buffer | null {
    return this.#staples.find(({ leaf }) => leaf.raw.equals(der))?.response ?? null;
  }

  #secured(socket: TLSSocket): void {
    const raw = rawOf(socket);
    // A TLS socket has no TCP handle that could be reset; what is below it has.
    socket.resetAndDestroy = () => {
      raw?.resetAndDestroy();
      return socket;
    };
    const facts = tlsFacts(socket, this.#config.clientCertificates !== undefined);
    const resumed = socket.isSessionReused() ? "yes" : "no";
    const labels = { socket: this.#name, version: facts.version, resumed };
    this.#context.gauges.add(metricKey("sluice_tls_handshakes_total", labels));
    this.#owner.onSecure(socket, facts, raw === null ? null : (this.#pending.get(raw) ?? null));
    if (raw !== null) this.#settled(raw);
  }

  #failed(error: NodeJS.ErrnoException, socket: TLSSocket): void {
    // A certificate that is not accepted ends the connection without an error of its own.
    const refused: unknown = socket.authorizationError ?? null;
    const code = refused === null ? (error.code ?? "") : String(refused);
    const reason = refused === null ? reasonOf(code) : "certificate";
    this.#count(reason);
    this.#context.log.log(
      "debug",
      "tls.handshake_failed",
      `cannot finish a TLS handshake: ${error.message}`,
      {
        socket: this.#name,
        client: socket.remoteAddress,
        serverName: typeof socket.servername === "string" ? socket.servername : undefined,
        reason,
        code,
      },
    );
    const raw = rawOf(socket);
    if (raw !== null) this.#settled(raw);
    socket.destroy();
  }

  /** The connection is closed. Node.js ends one whose client has no good certificate without a word. */
  #closed(socket: Socket): void {
    if (!this.#pending.has(socket)) return;
    const reason = this.#config.clientCertificates?.required === true ? "certificate" : "closed";
    this.#count(reason);
    this.#context.log.log(
      "debug",
      "tls.handshake_failed",
      "cannot finish a TLS handshake: it was broken off",
      {
        socket: this.#name,
        reason,
      },
    );
    this.#settled(socket);
  }

  #count(reason: string): void {
    this.#context.gauges.add(
      metricKey("sluice_tls_handshake_failures_total", { socket: this.#name, reason }),
    );
  }

  #settled(socket: Socket): void {
    if (!this.#pending.delete(socket) || this.#pending.size > 0) return;
    const idle = this.#idle;
    this.#idle = null;
    idle?.();
  }
}

/** The socket that a TLS socket was made over. */
function rawOf(socket: TLSSocket): Socket | null {
  return (socket as unknown as { readonly _parent?: Socket })._parent ?? null;
}

/** Few words for the many codes, since each becomes a time series. */
function reasonOf(code: string): "timeout" | "closed" | "certificate" | "protocol" {
  if (code === "ERR_TLS_HANDSHAKE_TIMEOUT") return "timeout";
  if (code === "ECONNRESET" || code === "EPIPE") return "closed";
  return code.includes("CERT") || code.startsWith("UNABLE_TO_") ? "certificate" : "protocol";
}
