import { ProxyError } from "../../errors/proxy-error.ts";

/** The client left, by its own will or by an accident of the network. */
export function clientGone(cause: Error | null = null): ProxyError {
  const reason = cause === null ? "" : ` (${cause.message})`;
  return new ProxyError("client_disconnected", `cannot go on with the exchange: the client left${reason}`);
}

/** @param isReading the request was still coming */
export function exchangeTooLong(isReading: boolean, ms: number): ProxyError {
  const message = `cannot finish the exchange: it took longer than ${ms} ms`;
  return new ProxyError(isReading ? "request_timeout" : "upstream_total_timeout", message);
}

export function responseUnread(): ProxyError {
  return new ProxyError("request_timeout", "cannot send the response: the client does not read");
}

export function bodyTooSlow(): ProxyError {
  return new ProxyError("request_timeout", "cannot read the request's body: it comes too slowly");
}

export function bodyTooLarge(limit: number): ProxyError {
  return new ProxyError("request_body_too_large", `cannot take the request's body: more than ${limit} bytes`);
}
