import { withoutNames } from "./field-values.ts";

/**
 * Fields that must not come in a trailer, because they frame, route, authenticate or describe the message before its
 * content is handled (RFC 9110 §6.5.1). A recipient that merges trailers into the header would otherwise take them for
 * what the sender of the header had said.
 */
const forbidden: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "http2-settings",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",

  "forwarded",
  "host",
  "max-forwards",
  "via",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-proto",

  "authorization",
  "cookie",
  "proxy-authenticate",
  "proxy-authorization",
  "set-cookie",
  "www-authenticate",

  "cache-control",
  "content-encoding",
  "content-range",
  "content-type",
  "expect",
  "if-match",
  "if-modified-since",
  "if-none-match",
  "if-range",
  "if-unmodified-since",
  "location",
  "range",
]);

/** The lines of a trailer section that may be passed on. */
export function allowedTrailers(text: string): string {
  return withoutNames(text, forbidden);
}
