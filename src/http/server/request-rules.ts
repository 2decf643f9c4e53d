import { ProxyError } from "../../errors/proxy-error.ts";
import type { RequestHead } from "../message.ts";
import type { HttpServer } from "./http-server.ts";

/**
 * Checks a request against the socket's style and limits, and edits its head as the socket's config says.
 *
 * A proxy-style socket takes full URLs and CONNECT only: a path says nothing of where to go, and Host would, but then a
 * web page could make a browser send requests to a forward proxy as if it were a site. A host-style socket takes paths
 * and full URLs (RFC 9112 §3.2.2) and refuses CONNECT, since it serves its own sites and opens no way to others.
 *
 * @param scheme that the client speaks.
 * @param length of the body; -1 when it is not announced.
 * @param version of HTTP in which it came.
 * @returns why the request is refused, or null.
 */
export function openRequest(
  server: HttpServer,
  head: RequestHead,
  form: "origin" | "absolute" | "authority" | "asterisk",
  scheme: "http" | "https",
  length: number,
  version: "1.0" | "1.1" | "2.0",
): ProxyError | null {
  const { style, limits, forwardedProtoHeader } = server.config;
  // Only websocket is ever passed on: h2c would smuggle requests past everything here (RFC 9113 §3.1).
  if (head.upgrade !== "" && head.upgrade !== "websocket") head.upgrade = "";
  if (style === "proxy") {
    if (form !== "absolute" && form !== "authority") {
      const what = form === "origin" ? "a path" : '"*"';
      return new ProxyError(
        "request_malformed",
        `cannot forward a request whose target is ${what}: a proxy needs a full URL, or CONNECT`,
      );
    }
  } else if (form === "authority") {
    return new ProxyError("method_not_allowed", "cannot open a tunnel: the socket is no forward proxy");
  } else {
    // A client that wrote https:// without TLS would pass for one that has it, to Workers and to the application behind
    // (RFC 9110 §7.4). Only the connection can tell, or the header of a load balancer.
    head.scheme = scheme;
  }
  if (style === "host" && forwardedProtoHeader !== undefined) head.headers.delete(forwardedProtoHeader);
  if (server.via !== null) {
    const refusal = server.via.request(head.headers, version);
    if (refusal !== null) return refusal;
  }
  if (server.requestEdits.active) server.requestEdits.apply(head.headers);
  if (limits.bodyBytes > 0 && length > limits.bodyBytes) {
    return new ProxyError(
      "request_body_too_large",
      `cannot take the request's body: ${length} bytes are more than ${limits.bodyBytes}`,
    );
  }
  return null;
}
