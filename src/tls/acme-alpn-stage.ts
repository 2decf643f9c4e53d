import type { Socket } from "node:net";
import type { SecureContext, Server, TLSSocket } from "node:tls";
import { loadTls } from "../net/connect.ts";
import type { Stage, StageContext } from "../net/opening-stage.ts";
import type { Peer } from "../net/peer.ts";
import type { ServedKeypair } from "./acceptor.ts";
import type { ClientHello } from "./client-hello.ts";
import { ClientHelloStage } from "./client-hello-stage.ts";

/** RFC 8737 §6.2. */
const protocol = "acme-tls/1";

/** Longer than any authority takes. */
const handshakeMs = 10_000;

/** What takes all other connections. */
interface Next {
  accept(socket: Socket, peer: Peer | null): void;
  full(): boolean;
}

/**
 * Answers authorities that look by tls-alpn-01 (RFC 8737) whether a name is ours. OpenSSL chooses a certificate before it
 * looks at the protocol, so the ClientHello is read before; but only as long as an authority may come.
 */
export class AcmeAlpnStage implements Stage {
  readonly #name: string;
  readonly #context: StageContext;
  readonly #next: Next;
  readonly #peek: ClientHelloStage;
  readonly #shaking: Set<Socket> = new Set();
  #contexts: ReadonlyMap<string, SecureContext> | null = null;
  #server: Server | null = null;

  /**
   * @param name of the socket in the config
   * @param timeoutMs for a ClientHello; 0 is none
   */
  constructor(name: string, timeoutMs: number, context: StageContext, next: Next) {
    this.#name = name;
    this.#context = context;
    this.#next = next;
    this.#peek = new ClientHelloStage(
      name,
      timeoutMs,
      context,
      () => next.full(),
      (socket, peer, hello) => this.#take(socket, peer, hello),
    );
  }

  get pending(): number {
    return this.#peek.pending + this.#shaking.size;
  }

  /** Takes a connection, of which nothing has been read as far as it can see. */
  accept(socket: Socket, peer: Peer | null): void {
    if (this.#contexts === null) this.#next.accept(socket, peer);
    else this.#peek.accept(socket, peer);
  }

  /** Answers for these names from now on. @param certificates by name in lower case */
  use(certificates: Readonly<Record<string, ServedKeypair>>): void {
    const found = Object.entries(certificates);
    if (found.length === 0) {
      this.#contexts = null;
      return;
    }
    const { createSecureContext } = loadTls();
    this.#contexts = new Map(
      found.map(([name, { certificate, key }]) => [name, createSecureContext({ cert: certificate, key })]),
    );
    this.#server ??= this.#open();
  }

  async drain(graceMs: number): Promise<void> {
    await this.#peek.drain(graceMs);
    for (const socket of [...this.#shaking]) socket.destroy();
  }

  #open(): Server {
    const server = loadTls().createServer({
      ALPNProtocols: [protocol],
      SNICallback: (name, done) => done(null, this.#contexts?.get(name.toLowerCase())),
      handshakeTimeout: handshakeMs,
    });
    server.on("secureConnection", (socket) => this.#secured(socket));
    server.on("tlsClientError", (_error, socket) => socket.destroy());
    return server;
  }

  #take(socket: Socket, peer: Peer | null, hello: ClientHello | null): void {
    const asks = hello?.protocols.includes(protocol) === true;
    if (!asks || this.#contexts?.has(hello.serverName) !== true || this.#server === null) {
      this.#next.accept(socket, peer);
      return;
    }
    this.#shaking.add(socket);
    socket.once("close", () => this.#shaking.delete(socket));
    this.#server.emit("connection", socket);
  }

  /** The handshake was the answer: nothing else is ever said on the connection (RFC 8737 §3). */
  #secured(socket: TLSSocket): void {
    this.#context.log.log("debug", "acme.challenge_answered", "an authority has asked by tls-alpn-01", {
      socket: this.#name,
      client: socket.remoteAddress,
      serverName: typeof socket.servername === "string" ? socket.servername : undefined,
    });
    socket.on("error", () => {});
    socket.setTimeout(handshakeMs, () => socket.destroy());
    socket.resume();
    socket.end();
  }
}
