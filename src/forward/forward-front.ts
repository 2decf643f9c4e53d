import type { SocketConfig } from "../config/schema/socket.ts";
import type { ServiceContext } from "../services/context.ts";
import type { Service } from "../services/service.ts";
import { DestinationGate } from "./destination-gate.ts";
import { Interceptor } from "./interceptor.ts";
import { ProxyLogin } from "./proxy-login.ts";

/** What a forward proxy's socket puts before its service, in the order in which it is passed. */
export class ForwardFront {
  readonly service: Service;
  readonly #interceptor: Interceptor | null = null;

  /**
   * @param name of the socket
   * @throws Error when the interception authority cannot be used
   */
  constructor(name: string, config: SocketConfig, service: Service, context: ServiceContext) {
    const { proxyAuth, destinations, intercept } = config;
    let next = service;
    if (intercept !== undefined) {
      const gate = destinations === undefined ? null : new DestinationGate(destinations, service);
      this.#interceptor = new Interceptor(name, intercept, config.http, next, gate, context);
      next = this.#interceptor;
    }
    if (destinations !== undefined) next = new DestinationGate(destinations, next);
    // SOCKS has a login of its own; see SocksServer.
    if (proxyAuth !== undefined && config.socks === undefined)
      next = new ProxyLogin(proxyAuth, next, context);
    this.service = next;
  }

  /** Ends what goes on in opened tunnels; see `HttpServer.drain`. */
  async drain(graceMs: number): Promise<void> {
    await this.#interceptor?.drain(graceMs);
  }

  close(): void {
    this.#interceptor?.close();
  }
}
