import type { ClientFacts } from "../../http/exchange.ts";
import type { RequestHead } from "../../http/message.ts";
import { parseIp } from "../../net/cidr.ts";

/** What tells one client from another. */
export type ClientTrait = "client" | { readonly header: string } | { readonly cookie: string };

/** A value of a client's choice is kept up to this length. */
const maxLength = 256;

/**
 * The value of the trait; the client's address when the request has none. The kinds do not meet: a header that holds an
 * address is not that address.
 */
export function clientKey(trait: ClientTrait, request: RequestHead, client: ClientFacts): string {
  if (trait !== "client") {
    const value = "header" in trait ? request.headers.get(trait.header) : cookieValue(request, trait.cookie);
    if (value !== null && value !== "") return `=${value.slice(0, maxLength)}`;
  }
  return addressKey(client.address);
}

/** One subscriber has a whole /64 of IPv6 addresses (RFC 6177), and can take a new one for each request. */
export function addressKey(address: string): string {
  if (!address.includes(":")) return address;
  const ip = parseIp(address);
  return ip === null || ip.family === 4
    ? address
    : `${(ip.a >>> 0).toString(16)}:${(ip.b >>> 0).toString(16)}/64`;
}

/** The first cookie of that name (RFC 6265 §5.4), without quotes; null when there is none. */
export function cookieValue(request: RequestHead, name: string): string | null {
  for (const line of request.headers.getAll("cookie")) {
    for (const pair of line.split(";")) {
      const equals = pair.indexOf("=");
      if (equals === -1 || pair.slice(0, equals).trim() !== name) continue;
      const value = pair.slice(equals + 1).trim();
      return value.length > 1 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value;
    }
  }
  return null;
}
