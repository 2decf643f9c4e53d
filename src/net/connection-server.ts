import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { TlsFacts } from "../http/exchange.ts";
import type { Peer } from "./peer.ts";

/** What serves the connections of a socket, in whatever protocol, after they have passed its stages. */
export interface ConnectionServer {
  /** Open connections. */
  readonly connections: number;
  /** Protocols that it speaks, as ALPN names them, the preferred one first (RFC 7301); empty where there is no choice. */
  readonly protocols: readonly string[];
  /** One connection more would be too many. @param pending connections that are in stages before it */
  full(pending: number): boolean;
  /**
   * Serves a connection from a `Listener`, paused, some of which may have been read and put back.
   * @param peer null where the socket itself tells who it is
   */
  accept(socket: Socket, peer: Peer | null): void;
  /** Serves a connection that has come through its handshake. */
  onSecure(socket: TLSSocket, facts: TlsFacts, peer: Peer | null): void;
  /**
   * Ends the service. What is idle is closed after the grace, or at once when that is 0; what is in use goes on.
   * @param done called once no connection is left
   */
  drain(graceMs: number, done: () => void): void;
  /** Answers authorities that ask for these tokens (http-01, RFC 8555 §8.3), and for no others; only HTTP can. */
  answerAcme?(tokens: Readonly<Record<string, string>>): void;
}
