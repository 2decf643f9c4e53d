import { SECURE_LATER, SECURE_OFF, SECURE_ON } from "../../wire/socket-ops.ts";
import { StringIndexOf, StringSlice } from "../web/primordials.ts";
import { quote, toDictionary } from "../web/webidl.ts";

export type SecureTransport = "off" | "on" | "starttls";

/** The second argument of `connect`, read. */
export interface SocketOptions {
  readonly secureTransport: SecureTransport;
  /** The end of what comes in does not end what goes out. */
  readonly allowHalfOpen: boolean;
}

const plainSocket: SocketOptions = { secureTransport: "off", allowHalfOpen: false };
/** A tunnel of a client: its two directions end by themselves. */
export const tunnelSocket: SocketOptions = { secureTransport: "off", allowHalfOpen: true };

/** @throws TypeError for a value that is none of its kind */
export function toSocketOptions(value: unknown): SocketOptions {
  const dictionary = toDictionary(value, "options");
  if (dictionary === null) return plainSocket;
  const { allowHalfOpen, secureTransport = "off" } = dictionary;
  if (secureTransport !== "off" && secureTransport !== "on" && secureTransport !== "starttls") {
    throw new TypeError(
      `cannot connect: options.secureTransport is ${quote(`${secureTransport as string}`)}, not "off", "on" or "starttls"`,
    );
  }
  return { secureTransport, allowHalfOpen: Boolean(allowHalfOpen) };
}

/** As a record says it; see wire/socket-ops.ts. */
export function secureField({ secureTransport }: SocketOptions): number {
  if (secureTransport === "off") return SECURE_OFF;
  return secureTransport === "on" ? SECURE_ON : SECURE_LATER;
}

/** `"host:port"` or `{ hostname, port }` as one text. @throws TypeError for anything else */
export function addressText(address: unknown): string {
  if (typeof address === "string") return address;
  if (typeof address === "object" && address !== null) {
    const { hostname, port } = address as { hostname?: unknown; port?: unknown };
    if (typeof hostname === "string" && typeof port === "number") {
      const bare = StringIndexOf(hostname, ":") < 0 || hostname[0] === "[";
      return bare ? `${hostname}:${port}` : `[${hostname}]:${port}`;
    }
  }
  throw new TypeError('cannot connect: the address must be "host:port" or { hostname, port }');
}

/** The host of an address, without the brackets of IPv6. */
export function hostOf(address: string): string {
  let colon = address.length - 1;
  while (colon > 0 && address[colon] !== ":") colon--;
  const host = StringSlice(address, 0, colon);
  return host[0] === "[" ? StringSlice(host, 1, host.length - 1) : host;
}
