import type { ProxyError } from "../../errors/proxy-error.ts";

/** The replies of RFC 1928 §6 that are given. */
export const granted = 0;
const failed = 1;
const notAllowed = 2;
const networkUnreachable = 3;
const hostUnreachable = 4;
const refused = 5;

/** What tells the client why it gets no way. */
export function replyOf(error: ProxyError): number {
  switch (error.code) {
    case "address_denied":
    case "destination_denied":
    case "connect_refused":
      return notAllowed;
    case "upstream_name_unresolved":
    case "upstream_connect_timeout":
      return hostUnreachable;
    case "upstream_unreachable":
      return unreachable(systemCode(error.cause));
    default:
      return failed;
  }
}

function unreachable(code: string): number {
  if (code === "ENETUNREACH" || code === "ENETDOWN") return networkUnreachable;
  return code === "EHOSTUNREACH" || code === "EHOSTDOWN" ? hostUnreachable : refused;
}

function systemCode(cause: unknown): string {
  // A name with several addresses fails with one error for each.
  const first: unknown = cause instanceof AggregateError ? cause.errors[0] : cause;
  if (first === null || typeof first !== "object" || !("code" in first)) return "";
  return typeof first.code === "string" ? first.code : "";
}

/** A reply in Latin-1. It names no address: whence the connection goes is not the client's business. */
export function replyText(reply: number): string {
  return String.fromCharCode(5, reply, 0, 1, 0, 0, 0, 0, 0, 0);
}
