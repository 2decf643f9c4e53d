import { blockDelete } from "../web/headers.ts";
import { StringIndexOf, StringSlice, StringStartsWith } from "../web/primordials.ts";
import type { RequestParts } from "../web/request.ts";
import { originOf, parseUrl } from "../web/url-record.ts";
import { quote } from "../web/webidl.ts";

/** One request on the wire, of those that a fetch comes to when it follows redirects. */
export type SentRequest = Omit<RequestParts, "redirect">;

/** What another origin must not learn (Fetch §4.4, step 13; a cookie here is a header like any other). */
const secretFields = ["authorization", "cookie", "proxy-authorization"];

const bodyFields = [
  "content-encoding",
  "content-language",
  "content-length",
  "content-location",
  "content-type",
];

export function isHttp(url: string): boolean {
  return StringStartsWith(url, "http:") || StringStartsWith(url, "https:");
}

export function isRedirect(status: number): boolean {
  return status === 301 || status === 302 || status === 303 || status === 307 || status === 308;
}

/** The request that follows a redirect (Fetch §4.4 "HTTP-redirect fetch"). */
export function redirected(parts: SentRequest, status: number, location: string): SentRequest {
  const to = parseUrl(location, parts.url);
  if (to === null || !isHttp(to.href)) {
    throw new TypeError(`cannot follow the redirect to ${quote(location)}: not an http or https URL`);
  }
  if (to.hostStart > to.protocolEnd + 2) {
    throw new TypeError(`cannot follow the redirect to ${quote(location)}: the URL has credentials`);
  }
  let { method, body } = parts;
  let { headers } = parts;
  const toGet =
    ((status === 301 || status === 302) && method === "POST") ||
    (status === 303 && method !== "GET" && method !== "HEAD");
  if (toGet) {
    method = "GET";
    body = { kind: "none" };
    for (let i = 0; i < bodyFields.length; i++) headers = blockDelete(headers, bodyFields[i] as string);
  } else if (body.kind === "stream" || body.kind === "handle") {
    throw new TypeError(
      `cannot follow the redirect to ${quote(location)}: the request's body is a stream, already sent`,
    );
  }
  if (originOf(to.href) !== originOf(parts.url)) {
    for (let i = 0; i < secretFields.length; i++) headers = blockDelete(headers, secretFields[i] as string);
  }
  const { href } = to;
  const hash = StringIndexOf(parts.url, "#");
  const url = hash < 0 || StringIndexOf(href, "#") >= 0 ? href : href + StringSlice(parts.url, hash);
  return {
    method,
    url,
    headers,
    body,
    signal: parts.signal,
    flags: parts.flags,
  };
}
