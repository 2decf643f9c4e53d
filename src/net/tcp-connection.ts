import { ProxyError } from "../errors/proxy-error.ts";
import type { ByteStream, ClientFacts } from "../http/exchange.ts";
import type { Tunnel } from "../services/service.ts";
import { join, type TransportStream } from "./stream.ts";
import type { TcpServer } from "./tcp-server.ts";

/** One client connection of a socket of byte streams. What the client sends waits, unread, until its tunnel stands. */
export class TcpConnection implements Tunnel {
  readonly host: string;
  readonly port: number;
  readonly client: ClientFacts;
  readonly depth = 0;
  onAbort: ((error: ProxyError) => void) | null = null;
  readonly #server: TcpServer;
  readonly #stream: TransportStream;
  readonly #started: number;
  /** The service has answered, or will not be heard any more. */
  #settled = false;
  #accepted = false;
  #error: ProxyError | null = null;

  /** @param host that the client has asked for, or empty */
  constructor(server: TcpServer, stream: TransportStream, client: ClientFacts, host: string, port: number) {
    this.#server = server;
    this.#stream = stream;
    this.client = client;
    this.host = host;
    this.port = port;
    this.#started = server.wheel.now();
    stream.isClient = true;
    stream.closed = (error) => this.#closed(error);
  }

  open(): void {
    this.#server.traffic.begin();
    this.#server.service.connect(this);
  }

  accept(stream: ByteStream): void {
    if (this.#settled) {
      const error = this.#error ?? gone();
      stream.readable.cancel(error);
      stream.writable.fail(error);
      return;
    }
    this.#settled = true;
    this.#accepted = true;
    this.onAbort = null;
    join(this.#stream, stream);
  }

  /** The connection is reset, so that nobody takes it for a stream that was empty. */
  refuse(error: ProxyError): void {
    if (this.#settled) return;
    this.#settled = true;
    this.onAbort = null;
    this.#error = error;
    this.#server.report(error, `${this.host}:${this.port}`);
    this.#stream.fail(error);
  }

  destroy(): void {
    this.#stream.fail(new ProxyError("draining", "cannot go on with the connection: the proxy is closing"));
  }

  #closed(error: ProxyError | null): void {
    const server = this.#server;
    const stream = this.#stream;
    const failure = this.#error ?? error;
    this.#error = failure;
    if (!this.#settled) {
      this.#settled = true;
      const { onAbort } = this;
      this.onAbort = null;
      onAbort?.(failure ?? gone());
    }
    if (this.#accepted && failure !== null) server.traffic.error(failure.code);
    const took = server.wheel.now() - this.#started;
    const status = failure === null ? 200 : this.#accepted ? 0 : failure.status;
    server.traffic.finish(status, took / 1000);
    if (server.log.accessEnabled) {
      server.log.access({
        socket: server.name,
        client: this.client.address,
        host: this.host === "" ? undefined : this.host,
        received: stream.received,
        bytes: stream.written,
        ms: Math.round(took * 1000) / 1000,
        error: failure?.code,
        id: failure === null || failure.id === "" ? undefined : failure.id,
      });
    }
    server.forget(this, stream.received, stream.written);
  }
}

function gone(): ProxyError {
  return new ProxyError("client_disconnected", "cannot open the tunnel: the client left");
}
