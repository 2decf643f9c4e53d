import { HeaderBlock } from "./header-block.ts";

/**
 * The head of a request between a socket, a binding and a service. Framing and hop-by-hop fields are not in it
 * (RFC 9112 §6, RFC 9110 §7.6.1): they belong to one connection, and each writer makes them anew from the body.
 */
export class RequestHead {
  method: string;
  scheme: "http" | "https";
  /** What Host and the URL's authority say, for example `example.com:8080`; empty only for an HTTP/1.0 client. */
  authority: string;
  /** Path and query, byte for byte as received, or `*` (RFC 9110 §7.7). */
  target: string;
  /** End-to-end fields but Host, which `authority` holds. */
  headers: HeaderBlock;
  /** The protocol that the client offers to upgrade to, lower case, or empty. Only `websocket` is ever passed on. */
  upgrade: string;
  /** The client waits for `100 Continue` before it sends the body. */
  expectContinue: boolean;
  /** The client announced `TE: trailers`. */
  acceptsTrailers: boolean;

  constructor(
    method: string,
    scheme: "http" | "https",
    authority: string,
    target: string,
    headers: HeaderBlock = new HeaderBlock(),
  ) {
    this.method = method;
    this.scheme = scheme;
    this.authority = authority;
    this.target = target;
    this.headers = headers;
    this.upgrade = "";
    this.expectContinue = false;
    this.acceptsTrailers = false;
  }

  /**
   * The target URI. `*` is no part of it (RFC 9112 §3.3), and without an authority it names `localhost`: appended as they
   * are, the one would become part of the host, and the other would let the path's first segment be read as one.
   */
  get url(): string {
    const target = this.target === "*" ? "/" : this.target;
    return `${this.scheme}://${this.authority === "" ? "localhost" : this.authority}${target}`;
  }
}

/** The head of a response. Like a request's, it holds end-to-end fields only. */
export class ResponseHead {
  status: number;
  /** The reason phrase as received; empty means the standard one. */
  reason: string;
  headers: HeaderBlock;
  /**
   * The Content-Length that the answer to HEAD, or a 304, tells about a body that is not sent (RFC 9110 §8.6);
   * -1 when there is none. For every other response the body source says its length.
   */
  announcedLength: number;

  constructor(status: number, headers: HeaderBlock = new HeaderBlock(), reason = "") {
    this.status = status;
    this.reason = reason;
    this.headers = headers;
    this.announcedLength = -1;
  }
}

/** True when a response to `method` with `status` has no content whatever its header says (RFC 9112 §6.3). */
export function responseIsBodiless(method: string, status: number): boolean {
  return method === "HEAD" || status === 204 || status === 304 || (status >= 100 && status < 200);
}
