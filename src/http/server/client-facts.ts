import type { Socket } from "node:net";
import type { ClientFacts, TlsFacts } from "../exchange.ts";

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

  /** @param name of the socket in the config. */
  constructor(socket: Socket, name: string, tls: TlsFacts | null) {
    const address = socket.remoteAddress ?? "";
    // A dual-stack listener shows IPv4 clients as mapped addresses (RFC 4291 §2.5.5.2).
    this.address = address.startsWith("::ffff:") ? address.slice("::ffff:".length) : address;
    this.port = socket.remotePort ?? 0;
    this.socket = name;
    this.secure = tls !== null;
    this.tls = tls;
  }
}
