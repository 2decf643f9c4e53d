import { StringCharCodeAt, StringIndexOf, StringSlice, StringToLowerCase } from "../web/primordials.ts";
import { parseUrl, setUrlPart, type UrlRecord } from "../web/url-record.ts";
import { quote } from "../web/webidl.ts";

/** Components of a URL, encoded as the URL parser does (URL Pattern §3.1). Each throws a TypeError for what it refuses. */

const special = parseUrl("https://dummy.invalid/", null) as UrlRecord;
const opaque = parseUrl("dummy:x", null) as UrlRecord;

function refuse(what: string, value: string): never {
  throw new TypeError(`cannot use ${quote(value)} as ${what}: it is not valid`);
}

/** A scheme without its colon. */
export function isSpecialScheme(scheme: string): boolean {
  switch (scheme) {
    case "http":
    case "https":
    case "ws":
    case "wss":
    case "ftp":
    case "file":
      return true;
    default:
      return false;
  }
}

export function defaultPort(scheme: string): string {
  if (scheme === "http" || scheme === "ws") return "80";
  if (scheme === "https" || scheme === "wss") return "443";
  return scheme === "ftp" ? "21" : "";
}

export function encodeProtocol(value: string): string {
  if (value === "") return "";
  const record = parseUrl(`${value}://dummy.invalid/`, null);
  if (record === null || StringIndexOf(value, ":") >= 0) return refuse("a protocol", value);
  return StringSlice(record.href, 0, record.protocolEnd - 1);
}

export function encodeUsername(value: string): string {
  if (value === "") return "";
  const record = setUrlPart(special, "username", value) ?? refuse("a username", value);
  return StringSlice(record.href, record.protocolEnd + 2, record.usernameEnd);
}

export function encodePassword(value: string): string {
  if (value === "") return "";
  const record = setUrlPart(special, "password", value) ?? refuse("a password", value);
  return StringSlice(record.href, record.usernameEnd + 1, record.passwordEnd);
}

/** A hostname of a scheme that is special. */
export function encodeDomain(value: string): string {
  return encodeHost(value, "https:");
}

/** A hostname of a scheme that is not special, which has no international names. */
export function encodeHostname(value: string): string {
  return encodeHost(value, "dummy:");
}

function encodeHost(value: string, scheme: string): string {
  if (value === "") return "";
  const host = stripNewlines(value);
  for (let i = 0; i < host.length; i++) {
    const code = StringCharCodeAt(host, i);
    // What ends a host, and would begin another component. In brackets a colon is the address's.
    if (code === 64 || (code === 58 && host[0] !== "[")) return refuse("a hostname", value);
  }
  let end = 0;
  while (end < host.length && !endsHost(StringCharCodeAt(host, end), scheme)) end++;
  const record = end === 0 ? null : parseUrl(`${scheme}//${StringSlice(host, 0, end)}/`, null);
  if (record === null) return refuse("a hostname", value);
  return StringSlice(record.href, record.hostStart, record.hostEnd);
}

function endsHost(code: number, scheme: string): boolean {
  return code === 47 || code === 63 || code === 35 || (code === 92 && scheme === "https:");
}

/** The URL parser drops these wherever they are. */
function stripNewlines(value: string): string {
  let text = "";
  for (let i = 0; i < value.length; i++) {
    const code = StringCharCodeAt(value, i);
    if (code !== 9 && code !== 10 && code !== 13) text += value[i];
  }
  return text;
}

/** Pieces of an address are not addresses, so only their characters are looked at. */
export function encodeIPv6(value: string): string {
  for (let i = 0; i < value.length; i++) {
    if (StringIndexOf("0123456789abcdefABCDEF[]:", value[i] as string) < 0) refuse("an IPv6 hostname", value);
  }
  return StringToLowerCase(value);
}

/** @param protocol whose own port becomes "". */
export function encodePort(value: string, protocol = ""): string {
  if (value === "") return "";
  const digits = stripNewlines(value);
  let port = 0;
  let i = 0;
  for (; i < digits.length; i++) {
    const code = StringCharCodeAt(digits, i);
    if (code < 48 || code > 57) break;
    port = port * 10 + code - 48;
    if (port > 65535) return refuse("a port", value);
  }
  if (i === 0) return refuse("a port", value);
  const text = `${port}`;
  return text === defaultPort(protocol) ? "" : text;
}

export function encodePathname(value: string): string {
  if (value === "") return "";
  // Without a slash the parser would add one; with a segment before it, "." and ".." at the beginning are kept.
  const rooted = value[0] === "/";
  const record = setUrlPart(special, "pathname", rooted ? value : `/-${value}`) ?? refuse("a path", value);
  const path = StringSlice(record.href, record.pathStart, record.searchStart);
  return rooted ? path : StringSlice(path, 2);
}

export function encodeOpaquePathname(value: string): string {
  if (value === "") return "";
  const record = parseUrl(`dummy:${escapeMarks(value)}`, null) ?? refuse("a path", value);
  return StringSlice(record.href, record.pathStart, record.searchStart);
}

/** In a path by itself "?" and "#" begin no other component. */
function escapeMarks(value: string): string {
  let text = "";
  for (let i = 0; i < value.length; i++) {
    const character = value[i] as string;
    if (character === "?") text += "%3F";
    else if (character === "#") text += "%23";
    else text += character;
  }
  return text;
}

export function encodeSearch(value: string): string {
  if (value === "") return "";
  const record = setUrlPart(opaque, "search", `?${value}`) ?? refuse("a search", value);
  return StringSlice(record.href, record.searchStart + 1, record.hashStart);
}

export function encodeHash(value: string): string {
  if (value === "") return "";
  const record = setUrlPart(opaque, "hash", `#${value}`) ?? refuse("a hash", value);
  return StringSlice(record.href, record.hashStart + 1);
}
