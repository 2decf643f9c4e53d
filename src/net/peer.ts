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

/** The client's address as a socket tells it. */
export function remoteAddressOf(socket: Socket): string {
  return plain(socket.remoteAddress);
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
