import type { ProxyError } from "../../errors/proxy-error.ts";
import type { ClientFacts } from "../exchange.ts";
import type { RequestHead } from "../message.ts";
import type { HttpServer } from "./http-server.ts";

/** An exchange of either version of HTTP, as it is recorded. */
export interface RecordedExchange {
  readonly request: RequestHead;
  readonly client: ClientFacts;
  /** Milliseconds of the server's clock. */
  readonly started: number;
  /** Status of the response; 0 as long as there is none. */
  readonly status: number;
  /** Body bytes of the response, before framing. */
  readonly sent: number;
  /** How often a service has sent the request, if it tells. */
  readonly attempts: number;
  /** Who asked, where the socket wants to know; empty otherwise. */
  readonly user: string;
  /** Why there is no whole response, if so. */
  readonly error: ProxyError | null;
}

/**
 * Writes an exchange that is over into metrics and access log.
 * @returns the time, for whoever needs it next.
 */
export function recordExchange(server: HttpServer, exchange: RecordedExchange): number {
  const now = server.wheel.now();
  const took = now - exchange.started;
  const { error, status } = exchange;
  server.exchanges--;
  // A response that broke off counts as none, whatever its head said.
  server.traffic.finish(error === null || error.status === status ? status : 0, took / 1000);
  if (error?.code === "client_disconnected") server.traffic.error(error.code);
  if (server.log.accessEnabled) {
    const { request, client } = exchange;
    server.log.access({
      socket: server.name,
      client: client.address,
      user: exchange.user === "" ? undefined : exchange.user,
      method: request.method,
      host: request.authority,
      target: request.target,
      version: client.httpVersion,
      status,
      bytes: exchange.sent,
      ms: Math.round(took * 1000) / 1000,
      attempts: exchange.attempts === 0 ? undefined : exchange.attempts,
      error: error?.code,
      id: error === null || error.id === "" ? undefined : error.id,
    });
  }
  return now;
}

/** The same for input that was no request. */
export function recordMalformed(
  server: HttpServer,
  client: string,
  status: number,
  code: string,
  id: string,
): void {
  server.traffic.begin();
  server.traffic.finish(status, 0);
  if (server.log.accessEnabled) server.log.access({ socket: server.name, client, status, error: code, id });
}
