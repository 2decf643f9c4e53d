import { ProxyError } from "../../errors/proxy-error.ts";
import { parseIp } from "../../net/cidr.ts";

/** Where a request goes: the host without brackets, the port written or the scheme's own. */
export interface Origin {
  readonly secure: boolean;
  readonly host: string;
  readonly port: number;
  /** Scheme, host and port as in a URL; connections are pooled under it. */
  readonly text: string;
}

/** A domain name in its text form holds at most 253 characters (RFC 1035 §2.3.4), and a dot may follow. */
const maxHostLength = 254;

/**
 * Reads the authority of a request. Names are letters, digits, hyphens, dots and underscores. What `inet_aton` would
 * take for an address, such as `0177.1` or `2130706433`, is a name to the rules and an address to a resolver, so it is
 * taken for neither.
 *
 * @throws ProxyError request_malformed; upstream_name_unresolved for a number that is no address.
 */
export function parseOrigin(scheme: "http" | "https", authority: string): Origin {
  const secure = scheme === "https";
  const { host, port } = splitHost(authority, secure ? 443 : 80);
  const checked = checkHost(host);
  const shown = checked.includes(":") ? `[${checked}]` : checked;
  return { secure, host: checked, port, text: `${scheme}://${shown}:${port}` };
}

/**
 * Reads a host that stands by itself, as in CONNECT; an IPv6 address may have its brackets.
 *
 * @throws ProxyError as `parseOrigin` does.
 */
export function checkHost(host: string): string {
  const bare = host.startsWith("[") && host.endsWith("]") ? host.slice(1, -1) : host;
  if (bare.includes(":")) {
    if (parseIp(bare) === null) throw malformed(host, "it is no IPv6 address");
    return bare.toLowerCase();
  }
  if (bare !== host || !isName(bare)) throw malformed(host, "it is no host name");
  if (parseIp(bare) === null && endsInNumber(bare)) throw unresolved(bare);
  return bare.toLowerCase();
}

/** The error for every name behind which there is nothing that may be connected to, whatever the reason. */
export function unresolved(host: string, cause?: unknown): ProxyError {
  const message = `cannot resolve ${JSON.stringify(host)}: the name has no address`;
  return new ProxyError("upstream_name_unresolved", message, cause === undefined ? {} : { cause });
}

function splitHost(authority: string, standard: number): { host: string; port: number } {
  const bracket = authority.lastIndexOf("]");
  const colon = authority.indexOf(":", bracket + 1);
  const host = colon === -1 ? authority : authority.slice(0, colon);
  // A colon without a port is allowed (RFC 3986 §3.2.3).
  if (colon === -1 || colon + 1 === authority.length) return { host, port: standard };
  let port = 0;
  for (let i = colon + 1; i < authority.length; i++) {
    const digit = authority.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9 || port > 65_535) throw malformed(authority, "its port is no number");
    port = port * 10 + digit;
  }
  if (port < 1 || port > 65_535) throw malformed(authority, "its port is not from 1 to 65535");
  return { host, port };
}

function isName(text: string): boolean {
  if (text.length === 0 || text.length > maxHostLength || text.startsWith(".") || text.includes("..")) {
    return false;
  }
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    const lower = code | 32;
    const letter = lower >= 97 && lower <= 122;
    const digit = code >= 48 && code <= 57;
    if (!letter && !digit && code !== 45 && code !== 46 && code !== 95) return false;
  }
  return true;
}

/** WHATWG URL, "ends in a number": the last part is digits, or `0x` and hexadecimal digits. */
function endsInNumber(name: string): boolean {
  const bare = name.endsWith(".") ? name.slice(0, -1) : name;
  const last = bare.slice(bare.lastIndexOf(".") + 1).toLowerCase();
  if (last.startsWith("0x")) return isDigits(last, 2, true);
  return isDigits(last, 0, false);
}

function isDigits(text: string, from: number, hex: boolean): boolean {
  for (let i = from; i < text.length; i++) {
    const code = text.charCodeAt(i);
    const digit = (code >= 48 && code <= 57) || (hex && code >= 97 && code <= 102);
    if (!digit) return false;
  }
  return true;
}

function malformed(text: string, reason: string): ProxyError {
  return new ProxyError("request_malformed", `cannot reach ${JSON.stringify(text)}: ${reason}`);
}
