import type { ProxyError } from "../../errors/proxy-error.ts";
import type { Tunnel } from "../../services/service.ts";
import type { ByteStream, ClientFacts } from "../exchange.ts";
import { type RecordedExchange, recordExchange } from "./exchange-record.ts";
import type { HttpServer } from "./http-server.ts";

/** What a tunnel runs through: a connection of HTTP/1.1, or a stream of HTTP/2. */
export interface TunnelCarrier {
  readonly server: HttpServer;
  /**
   * Answers CONNECT with 200, and goes over to bytes in both directions.
   * @param ended called with the bytes that went to the client.
   */
  openConnect(stream: ByteStream, ended: (written: number) => void): void;
  /** Answers CONNECT with an error. */
  refuseTunnel(error: ProxyError): void;
}

/** The exchange of a CONNECT. */
interface ConnectExchange extends RecordedExchange {
  status: number;
  sent: number;
  error: ProxyError | null;
  user: string;
}

/** A CONNECT on a proxy-style socket. The client's bytes wait until it is accepted. */
export class ConnectTunnel implements Tunnel {
  readonly host: string;
  readonly port: number;
  readonly client: ClientFacts;
  readonly depth = 0;
  onAbort: ((error: ProxyError) => void) | null = null;
  readonly #carrier: TunnelCarrier;
  readonly #exchange: ConnectExchange;
  #settled = false;

  /** @param exchange of the CONNECT; its authority is `host:port`, as the parser has checked. */
  constructor(carrier: TunnelCarrier, exchange: ConnectExchange) {
    const { authority } = exchange.request;
    const colon = authority.lastIndexOf(":");
    const host = authority.slice(0, colon);
    this.host = host.startsWith("[") ? host.slice(1, -1) : host;
    this.port = Number(authority.slice(colon + 1));
    this.client = exchange.client;
    this.#carrier = carrier;
    this.#exchange = exchange;
  }

  get authorization(): string | null {
    return this.#exchange.request.headers.get("proxy-authorization");
  }

  get user(): string {
    return this.#exchange.user;
  }

  set user(name: string) {
    this.#exchange.user = name;
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
    this.#carrier.openConnect(stream, (written) => {
      this.#exchange.sent = written;
      recordExchange(this.#carrier.server, this.#exchange);
    });
  }

  refuse(error: ProxyError): void {
    if (this.#settled) return;
    this.#settled = true;
    this.onAbort = null;
    this.#exchange.error = error;
    this.#exchange.status = error.status;
    this.#carrier.server.report(error, this.#exchange.request.authority);
    recordExchange(this.#carrier.server, this.#exchange);
    this.#carrier.refuseTunnel(error);
  }

  /** The client left before the tunnel stood. */
  abort(error: ProxyError): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#exchange.error = error;
    recordExchange(this.#carrier.server, this.#exchange);
    const { onAbort } = this;
    this.onAbort = null;
    onAbort?.(error);
  }
}
