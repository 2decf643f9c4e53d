import type { Socket } from "node:net";

/** The two ends of a connection as a proxy in front tells them, where the socket itself would tell those of the proxy. */
export interface Peer {
  /** IP address of the client, or empty for a unix socket. */
  readonly address: string;
  readonly port: number;
  /** The address that the client connected to, or empty. */
  readonly localAddress: string;
  readonly localPort: number;
}

/** What Node.js keeps of a connection. */
interface Inner {
  /** The client's address, once somebody has asked for it. */
  _peername?: unknown;
  /** What a TLS socket was made over. */
  readonly _parent?: Socket | null;
}

/** The client's address as a socket tells it; empty for a unix socket. */
export function remoteAddressOf(socket: Socket): string {
  return plain(socket.remoteAddress ?? carrierOf(socket)?.remoteAddress);
}

/** The client's port; 0 for a unix socket. */
export function remotePortOf(socket: Socket): number {
  return socket.remotePort ?? carrierOf(socket)?.remotePort ?? 0;
}

/**
 * Lets a second socket around a connection know the client's address too. The system forgets it when the connection is
 * reset, although what came before can still be read: a client that sends a request and resets would have no address, and
 * would get past every rule about addresses.
 */
export function keepRemoteAddress(from: Socket, to: Socket): void {
  const known = (from as unknown as Inner)._peername;
  if (known !== undefined) (to as unknown as Inner)._peername = known;
}

/** Asked before the handshake, it still knows what a TLS socket, asked after it, may not. */
function carrierOf(socket: Socket): Socket | undefined {
  return (socket as unknown as Inner)._parent ?? undefined;
}

/** Our own address as a socket tells it. */
export function localAddressOf(socket: Socket): string {
  return plain(socket.localAddress);
}

/** A dual-stack listener shows IPv4 addresses as mapped ones (RFC 4291 §2.5.5.2). */
function plain(address: string | undefined): string {
  if (address === undefined) return "";
  return address.startsWith("::ffff:") ? address.slice("::ffff:".length) : address;
}
