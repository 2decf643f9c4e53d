import { parseIp, parseRange } from "./cidr.ts";

/**
 * Names under these belong to nobody on the internet: RFC 6761 (localhost, test), RFC 6762 (local), RFC 8375 (home.arpa),
 * and the one that ICANN keeps free for private use.
 */
export const privateSuffixes: readonly string[] = ["localhost", "test", "local", "home.arpa", "internal"];

/** Addresses of this machine and of private networks. */
export const privateRanges: readonly string[] = [
  "127.0.0.0/8",
  "10.0.0.0/8",
  "172.16.0.0/12",
  "192.168.0.0/16",
  "169.254.0.0/16",
  "::1/128",
  "fc00::/7",
  "fe80::/10",
];

/** True for names of hosts under `suffix`, and for `suffix` itself. */
export function isUnder(name: string, suffix: string): boolean {
  const lower = name.toLowerCase();
  return lower === suffix || lower.endsWith(`.${suffix}`);
}

/** True for a name under one of `privateSuffixes`, and for an address within one of `privateRanges`. */
export function isPrivateName(name: string): boolean {
  const address = parseIp(name);
  if (address !== null) return privateRanges.some((range) => parseRange(range).has(address));
  return privateSuffixes.some((suffix) => isUnder(name, suffix));
}
