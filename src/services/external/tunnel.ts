import type { ProxyError } from "../../errors/proxy-error.ts";
import { Dial, type DialOwner } from "../../net/connect.ts";
import type { TransportStream } from "../../net/stream.ts";
import type { Tunnel } from "../service.ts";
import type { Endpoint } from "./endpoint.ts";
import type { Upstream } from "./upstream.ts";

/** One stream of bytes to an upstream. */
export class ExternalTunnel implements DialOwner {
  readonly #upstream: Upstream;
  readonly #endpoint: Endpoint;
  readonly #tunnel: Tunnel;
  readonly #started: number;

  constructor(endpoint: Endpoint, tunnel: Tunnel) {
    this.#upstream = endpoint.upstream;
    this.#endpoint = endpoint;
    this.#tunnel = tunnel;
    this.#started = endpoint.upstream.wheel.now();
  }

  open(): void {
    const upstream = this.#upstream;
    const { address, tls } = this.#endpoint;
    const tunnel = this.#tunnel;
    upstream.traffic.begin();
    const { connect, idle } = upstream.config.timeouts;
    const dial = new Dial(this, address, tls, upstream.wheel, connect, idle);
    tunnel.onAbort = (error) => {
      dial.abort();
      upstream.traffic.error(error.code);
      this.#finish(0);
    };
  }

  onStream(stream: TransportStream): void {
    this.#tunnel.onAbort = null;
    stream.closed = () => this.#finish(200);
    this.#tunnel.accept(stream);
  }

  onDialError(error: ProxyError): void {
    this.#tunnel.onAbort = null;
    this.#upstream.traffic.error(error.code);
    this.#finish(error.status);
    this.#tunnel.refuse(error);
  }

  #finish(status: number): void {
    this.#upstream.traffic.finish(status, (this.#upstream.wheel.now() - this.#started) / 1000);
  }
}
