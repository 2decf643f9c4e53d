import type { Socket } from "node:net";
import type { ClientFacts, TlsFacts } from "../http/exchange.ts";
import { localAddressOf, type Peer, remoteAddressOf, remotePortOf } from "./peer.ts";

/** What is known of a connection beside its socket. */
export interface Origin {
  /** Null on a connection without it. */
  readonly tls: TlsFacts | null;
  /** What a proxy in front tells in place of the socket. */
  readonly peer: Peer | null;
}

/** Most connections: the socket tells all. */
export const plainOrigin: Origin = { tls: null, peer: null };

/** Who is at the other end of a connection; one object serves all exchanges of the connection. */
export class ClientIdentity implements ClientFacts {
  readonly address: string;
  readonly port: number;
  readonly socket: string;
  readonly secure: boolean;
  readonly tls: TlsFacts | null;
  httpVersion = "HTTP/1.1";
  host = "";
  readonly hops = "";
  readonly #socket: Socket;
  readonly #peer: Peer | null;

  /** @param name of the socket in the config. */
  constructor(socket: Socket, name: string, { tls, peer }: Origin) {
    this.address = peer === null ? remoteAddressOf(socket) : peer.address;
    this.port = peer === null ? remotePortOf(socket) : peer.port;
    this.#socket = socket;
    this.#peer = peer;
    this.socket = name;
    this.secure = tls !== null;
    this.tls = tls;
  }

  // A call into the system, which few need.
  get localAddress(): string {
    return this.#peer === null ? localAddressOf(this.#socket) : this.#peer.localAddress;
  }

  get localPort(): number {
    return this.#peer === null ? (this.#socket.localPort ?? 0) : this.#peer.localPort;
  }
}
