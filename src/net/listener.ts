import * as net from "node:net";
import type { Address } from "./address.ts";

/** Where to listen: a descriptor that the supervisor has bound, or an address. */
export type ListenAt = { readonly fd: number } | Address;

/**
 * Listens, and hands over each accepted connection, not yet read from. It keeps no list: whoever takes a connection
 * closes it.
 */
export class Listener {
  readonly #server: net.Server;
  /** Connections have an address, which those of unix sockets have not. */
  #isTcp = false;

  /** @param accept gets a connection that is paused and half-open by itself; see `Transport.accepted`. */
  constructor(accept: (socket: net.Socket) => void) {
    this.#server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true });
    this.#server.on("connection", (socket: net.Socket) => {
      // A client that has reset its connection has no address any more, and would pass for one that never had any. To
      // have asked keeps the address for later; see `keepRemoteAddress`.
      if (this.#isTcp && socket.remoteAddress === undefined) socket.destroy();
      else accept(socket);
    });
  }

  /**
   * Starts to listen; rejects when that cannot be had.
   * @throws Error `cannot listen on …: reason`
   */
  listen(at: ListenAt): Promise<void> {
    const server = this.#server;
    return new Promise((resolve, reject) => {
      const failed = (error: NodeJS.ErrnoException): void => {
        reject(new Error(`cannot listen: ${error.code ?? error.message}`, { cause: error }));
      };
      server.once("error", failed);
      server.listen(listenOptions(at), () => {
        server.off("error", failed);
        const address = server.address();
        this.#isTcp = address !== null && typeof address === "object";
        // Accepting can fail later, for want of descriptors; the connection stays in the queue and is tried again.
        server.on("error", () => {});
        resolve();
      });
    });
  }

  /** The TCP port that the listener got, or 0 when it has none. */
  get port(): number {
    const address = this.#server.address();
    return address !== null && typeof address === "object" ? address.port : 0;
  }

  get listening(): boolean {
    return this.#server.listening;
  }

  /** Stops to accept. Connections that were accepted are none of its business. Idempotent. */
  close(): void {
    if (this.#server.listening) this.#server.close();
  }
}

function listenOptions(at: ListenAt): net.ListenOptions | { fd: number } {
  if (!("kind" in at)) return { fd: at.fd };
  switch (at.kind) {
    case "fd":
      return { fd: at.fd };
    case "tcp":
      return at.host === "" ? { port: at.port } : { host: at.host, port: at.port };
    case "unix":
      return { path: at.path };
    case "unix-abstract":
      return { path: `\0${at.name}` };
    case "systemd":
      throw new Error(`cannot listen on systemd:${at.name}: its descriptor was not handed over`);
  }
}
