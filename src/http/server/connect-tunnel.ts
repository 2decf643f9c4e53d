import type { ProxyError } from "../../errors/proxy-error.ts";
import type { Tunnel } from "../../services/service.ts";
import type { ByteStream, ClientFacts } from "../exchange.ts";
import type { DownstreamConnection } from "./downstream-connection.ts";
import type { DownstreamExchange } from "./downstream-exchange.ts";
import { recordExchange } from "./exchange-record.ts";

/** RFC 9110 §9.3.6: a 2xx to CONNECT has neither Content-Length nor Transfer-Encoding. */
const established = "HTTP/1.1 200 Connection Established\r\n\r\n";

/** A CONNECT on a proxy-style socket. The client's bytes wait until it is accepted. */
export class ConnectTunnel implements Tunnel {
  readonly host: string;
  readonly port: number;
  readonly client: ClientFacts;
  readonly depth = 0;
  onAbort: ((error: ProxyError) => void) | null = null;
  readonly #connection: DownstreamConnection;
  readonly #exchange: DownstreamExchange;
  #settled = false;

  /** @param exchange of the CONNECT; its authority is `host:port`, as the parser has checked. */
  constructor(connection: DownstreamConnection, exchange: DownstreamExchange) {
    const { authority } = exchange.request;
    const colon = authority.lastIndexOf(":");
    const host = authority.slice(0, colon);
    this.host = host.startsWith("[") ? host.slice(1, -1) : host;
    this.port = Number(authority.slice(colon + 1));
    this.client = exchange.client;
    this.#connection = connection;
    this.#exchange = exchange;
  }

  get authorization(): string | null {
    return this.#exchange.request.headers.get("proxy-authorization");
  }

  accept(stream: ByteStream): void {
    if (this.#settled) {
      const error = this.#exchange.error;
      if (error !== null) {
        stream.readable.cancel(error);
        stream.writable.fail(error);
      }
      return;
    }
    this.#settled = true;
    this.onAbort = null;
    this.#exchange.status = 200;
    this.#connection.transport.text(established);
    this.#connection.openTunnel(stream, (written) => {
      this.#exchange.sent = written;
      recordExchange(this.#connection.server, this.#exchange);
    });
  }

  refuse(error: ProxyError): void {
    if (this.#settled) return;
    this.#settled = true;
    this.onAbort = null;
    this.#exchange.error = error;
    this.#exchange.status = error.status;
    this.#connection.server.report(error, this.#exchange.request.authority);
    recordExchange(this.#connection.server, this.#exchange);
    this.#connection.refuseTunnel(error);
  }

  /** The client left before the tunnel stood. */
  abort(error: ProxyError): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#exchange.error = error;
    recordExchange(this.#connection.server, this.#exchange);
    const { onAbort } = this;
    this.onAbort = null;
    onAbort?.(error);
  }
}
