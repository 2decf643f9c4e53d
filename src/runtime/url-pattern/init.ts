import { ObjectCreate, StringCharCodeAt, StringSlice, StringStartsWith } from "../web/primordials.ts";
import { parseUrl, type UrlRecord } from "../web/url-record.ts";
import { isObject, quote, toUSVString } from "../web/webidl.ts";
import {
  encodeDomain,
  encodeHash,
  encodeHostname,
  encodeOpaquePathname,
  encodePassword,
  encodePathname,
  encodePort,
  encodeProtocol,
  encodeSearch,
  encodeUsername,
  isSpecialScheme,
} from "./canonical.ts";
import { escapePattern } from "./parts.ts";

/** URLPatternInit (URL Pattern §1.1); components that are not given are undefined. */
export interface Init {
  protocol: string | undefined;
  username: string | undefined;
  password: string | undefined;
  hostname: string | undefined;
  port: string | undefined;
  pathname: string | undefined;
  search: string | undefined;
  hash: string | undefined;
  baseURL: string | undefined;
}

export type ComponentName = Exclude<keyof Init, "baseURL">;

export const componentNames: readonly ComponentName[] = [
  "protocol",
  "username",
  "password",
  "hostname",
  "port",
  "pathname",
  "search",
  "hash",
];

export function emptyInit(): Init {
  return ObjectCreate(null) as Init;
}

/** Dictionary members are read in the order of their names (Web IDL §3.2.17). */
const members: readonly (keyof Init)[] = [
  "baseURL",
  "hash",
  "hostname",
  "password",
  "pathname",
  "port",
  "protocol",
  "search",
  "username",
];

/** @throws TypeError when `value` is not an object. */
export function readInit(value: unknown, what: string): Init {
  const init = emptyInit();
  if (value === undefined || value === null) return init;
  if (!isObject(value)) throw new TypeError(`${what} is neither a string nor an object`);
  const source = value as Record<string, unknown>;
  for (let i = 0; i < members.length; i++) {
    const key = members[i] as keyof Init;
    const member = source[key];
    if (member !== undefined) init[key] = toUSVString(member);
  }
  return init;
}

/**
 * URL Pattern §3.2, "process a URLPatternInit".
 *
 * @param isPattern what is given is a pattern and stays as it is; else it is encoded as a URL's components are.
 * @param fallback for components that neither `init` nor its base URL has; undefined leaves them out.
 * @throws TypeError for a component or a base URL that is not valid.
 */
export function processInit(init: Init, isPattern: boolean, fallback: string | undefined): Init {
  const result = emptyInit();
  for (let i = 0; i < componentNames.length; i++) result[componentNames[i] as ComponentName] = fallback;
  let base: UrlRecord | null = null;
  if (init.baseURL !== undefined) {
    base = parseUrl(init.baseURL, null);
    if (base === null) throw new TypeError(`cannot use baseURL: ${quote(init.baseURL)} is not a valid URL`);
    inherit(result, init, base, isPattern);
  }
  const { protocol, username, password, hostname, port, pathname, search, hash } = init;
  if (protocol !== undefined) {
    const scheme = protocol[protocol.length - 1] === ":" ? StringSlice(protocol, 0, -1) : protocol;
    result.protocol = isPattern ? scheme : encodeProtocol(scheme);
  }
  if (username !== undefined) result.username = isPattern ? username : encodeUsername(username);
  if (password !== undefined) result.password = isPattern ? password : encodePassword(password);
  const scheme = result.protocol ?? "";
  const ordinary = scheme === "" || isSpecialScheme(scheme);
  if (hostname !== undefined) {
    if (isPattern) result.hostname = hostname;
    else result.hostname = ordinary ? encodeDomain(hostname) : encodeHostname(hostname);
  }
  if (port !== undefined) result.port = isPattern ? port : encodePort(port, scheme);
  if (pathname !== undefined) {
    const path = base === null ? pathname : resolvePath(pathname, base, isPattern);
    if (isPattern) result.pathname = path;
    else result.pathname = ordinary ? encodePathname(path) : encodeOpaquePathname(path);
  }
  if (search !== undefined) {
    const query = search[0] === "?" ? StringSlice(search, 1) : search;
    result.search = isPattern ? query : encodeSearch(query);
  }
  if (hash !== undefined) {
    const fragment = hash[0] === "#" ? StringSlice(hash, 1) : hash;
    result.hash = isPattern ? fragment : encodeHash(fragment);
  }
  return result;
}

/** A component comes from the base URL as long as `init` has neither it nor one before it. */
function inherit(result: Init, init: Init, base: UrlRecord, isPattern: boolean): void {
  const take = (text: string): string => (isPattern ? escapePattern(text) : text);
  const { href } = base;
  if (init.protocol !== undefined) return;
  result.protocol = take(StringSlice(href, 0, base.protocolEnd - 1));
  const hasHost = init.hostname !== undefined;
  const hasPort = init.port !== undefined;
  // Patterns do not inherit credentials: a pattern that tells nothing of them is to match any.
  if (!isPattern && !hasHost && !hasPort && init.username === undefined) {
    result.username = usernameOf(base);
    if (init.password === undefined) result.password = passwordOf(base);
  }
  if (hasHost) return;
  result.hostname = take(StringSlice(href, base.hostStart, base.hostEnd));
  if (hasPort) return;
  result.port = take(portOf(base));
  if (init.pathname !== undefined) return;
  result.pathname = take(pathOf(base));
  if (init.search !== undefined) return;
  result.search = take(searchOf(base));
  if (init.hash !== undefined) return;
  result.hash = take(hashOf(base));
}

export function usernameOf({ href, protocolEnd, usernameEnd }: UrlRecord): string {
  return usernameEnd > protocolEnd ? StringSlice(href, protocolEnd + 2, usernameEnd) : "";
}

export function passwordOf({ href, usernameEnd, passwordEnd }: UrlRecord): string {
  return passwordEnd > usernameEnd ? StringSlice(href, usernameEnd + 1, passwordEnd) : "";
}

export function portOf({ href, hostStart, hostEnd, pathStart }: UrlRecord): string {
  return hostEnd > hostStart && pathStart > hostEnd ? StringSlice(href, hostEnd + 1, pathStart) : "";
}

export function pathOf({ href, pathStart, searchStart }: UrlRecord): string {
  return StringSlice(href, pathStart, searchStart);
}

export function searchOf({ href, searchStart, hashStart }: UrlRecord): string {
  return StringSlice(href, searchStart + 1, hashStart);
}

export function hashOf({ href, hashStart }: UrlRecord): string {
  return StringSlice(href, hashStart + 1);
}

/** A relative path goes behind the base URL's last slash. */
function resolvePath(path: string, base: UrlRecord, isPattern: boolean): string {
  const basePath = pathOf(base);
  // Only an opaque path does not begin with a slash, unless it is empty.
  if (isAbsolutePath(path, isPattern) || (basePath !== "" && basePath[0] !== "/")) return path;
  const own = isPattern ? escapePattern(basePath) : basePath;
  let end = own.length;
  while (end > 0 && StringCharCodeAt(own, end - 1) !== 47) end--;
  return StringSlice(own, 0, end) + path;
}

function isAbsolutePath(path: string, isPattern: boolean): boolean {
  if (path[0] === "/") return true;
  return isPattern && (StringStartsWith(path, "\\/") || StringStartsWith(path, "{/"));
}
