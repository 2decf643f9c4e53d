/**
 * How a parsed URL crosses from host to guest: one string, `o1,o2,…,o8,href`, with offsets into the href that mark
 * where components end. Empty means that the input is not a valid URL.
 *
 *     https://user:pass@example.com:1234/foo/bar?baz#quux
 *           |      |    |          |    |        |   |
 *           |      |    |          |    |        |   8 hash start, at "#", or the length
 *           |      |    |          |    |        7 search start, at "?", or the hash start
 *           |      |    |          |    6 path start
 *           |      |    |          5 host end, before ":port"
 *           |      |    4 host start, after "@" or "//"
 *           |      3 end of the password, at "@"; the host start when there are no credentials
 *           |      2 end of the username
 *           1 protocol end, after ":"
 *
 * A URL without an authority has 2 to 5 equal to 1.
 */

/** What the host end needs of the platform's URL class; typed here so that the file needs no platform types. */
interface PlatformUrl {
  href: string;
  protocol: string;
  username: string;
  password: string;
  hostname: string;
  host: string;
  port: string;
  pathname: string;
  search: string;
  hash: string;
}

type PlatformUrlClass = new (input: string, base?: string) => PlatformUrl;

/** Longer inputs are not parsed: nothing that a proxy handles is near this, and a parse takes the host's time. */
const maximumLength = 1 << 20;

/** Components that `setUrlPartForGuest` assigns. */
const parts: readonly string[] = [
  "href",
  "protocol",
  "username",
  "password",
  "host",
  "hostname",
  "port",
  "pathname",
  "search",
  "hash",
];

/** The host end of `host.parseUrl`. Never throws; its arguments come from a guest and may be anything. */
export function parseUrlForGuest(input: unknown, base: unknown): string {
  if (typeof input !== "string" || input.length > maximumLength) return "";
  if (base !== null && (typeof base !== "string" || base.length > maximumLength)) return "";
  const url = parse(input, base);
  return url === null ? "" : record(url);
}

/** The host end of `host.setUrlPart`. A value that the standard ignores leaves the URL as it was. */
export function setUrlPartForGuest(href: unknown, part: unknown, value: unknown): string {
  if (typeof href !== "string" || typeof part !== "string" || typeof value !== "string") return "";
  if (href.length > maximumLength || value.length > maximumLength || !parts.includes(part)) return "";
  const url = parse(href, null);
  if (url === null) return "";
  try {
    url[part as keyof PlatformUrl] = value;
  } catch {
    return "";
  }
  return record(url);
}

function parse(input: string, base: string | null): PlatformUrl | null {
  const Url = (globalThis as unknown as { URL: PlatformUrlClass }).URL;
  try {
    return base === null ? new Url(input) : new Url(input, base);
  } catch {
    return null;
  }
}

function record(url: PlatformUrl): string {
  const { href } = url;
  const protocolEnd = url.protocol.length;
  let usernameEnd = protocolEnd;
  let passwordEnd = protocolEnd;
  let hostStart = protocolEnd;
  let hostEnd = protocolEnd;
  let pathStart = protocolEnd;
  // An opaque or authority-less path never begins with "//": it is written "/.//" (URL §4.5).
  if (href.startsWith("//", protocolEnd)) {
    usernameEnd = protocolEnd + 2 + url.username.length;
    passwordEnd = usernameEnd;
    if (url.password !== "") passwordEnd += 1 + url.password.length;
    hostStart = passwordEnd;
    if (href[hostStart] === "@") hostStart++;
    hostEnd = hostStart + url.hostname.length;
    pathStart = hostEnd + (url.port === "" ? 0 : 1 + url.port.length);
  } else if (url.pathname.startsWith("//")) {
    pathStart += 2;
  }
  const searchStart = pathStart + url.pathname.length;
  const hash = href.indexOf("#", searchStart);
  const hashStart = hash < 0 ? href.length : hash;
  return `${protocolEnd},${usernameEnd},${passwordEnd},${hostStart},${hostEnd},${pathStart},${searchStart},${hashStart},${href}`;
}
