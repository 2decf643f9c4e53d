import { type HeaderBlock, validName } from "../../http/header-block.ts";
import { RequestHead } from "../../http/message.ts";
import { isPlainPath, pathEnd } from "../../http/path.ts";

/** What the URL parser takes out of a path or reads as a slash: dot segments in any spelling, and backslashes. */
const rewritten = /\\|\/(?:\.|%2e){1,2}(?:\/|$)/i;

/**
 * The URL of a request as a guest gets it: byte for byte, but for a path that `new URL` would turn into another. A Worker
 * that judges `/secret/../public` as `/public` must not send on what the server behind may read as `/secret`.
 */
export function guestUrl(request: RequestHead): string {
  const { url, target } = request;
  const end = pathEnd(target);
  if (isPlainPath(target, end) || !rewritten.test(target.slice(0, end))) return url;
  return URL.parse(url)?.href ?? url;
}

/** The request that a guest describes, or null when it is not a valid one. */
export function requestHead(method: string, url: string, headers: HeaderBlock | null): RequestHead | null {
  // CONNECT makes a tunnel of the connection, which no request of a Worker may (RFC 9110 §9.3.6).
  if (headers === null || !validName(method) || method === "CONNECT") return null;
  const secure = url.startsWith("https://");
  if (!secure && !url.startsWith("http://")) return null;
  const from = secure ? 8 : 7;
  let end = url.indexOf("#", from);
  if (end < 0) end = url.length;
  let slash = from;
  for (; slash < end; slash++) {
    const code = url.charCodeAt(slash);
    if (code === 47 || code === 63) break;
    // No userinfo, and nothing that could end the line or the field (RFC 9112 §3.2).
    if (code <= 32 || code >= 127 || code === 64 || code === 92) return null;
  }
  for (let at = slash; at < end; at++) {
    const code = url.charCodeAt(at);
    if (code <= 32 || code >= 127) return null;
  }
  const authority = url.slice(from, slash);
  if (authority === "") return null;
  const target = url.charCodeAt(slash) === 47 ? url.slice(slash, end) : `/${url.slice(slash, end)}`;
  return new RequestHead(method, secure ? "https" : "http", authority, target, headers);
}

/** `host:port` or `[v6]:port`. */
export function parseTarget(address: string): { host: string; port: number } | null {
  const colon = address.lastIndexOf(":");
  const digits = address.slice(colon + 1);
  if (colon <= 0 || !/^\d{1,5}$/.test(digits)) return null;
  const port = Number(digits);
  const bracketed = address.startsWith("[") && address[colon - 1] === "]";
  const host = bracketed ? address.slice(1, colon - 1) : address.slice(0, colon);
  const plain = bracketed ? /^[0-9a-fA-F:.]+$/.test(host) : /^[A-Za-z0-9._-]+$/.test(host);
  return plain && port >= 1 && port <= 65535 ? { host, port } : null;
}
