import type { ProxyError } from "../errors/proxy-error.ts";
import type { ByteStream, ClientFacts, Exchange } from "../http/exchange.ts";

export type JsonValue = string | number | boolean | null | JsonValue[] | { [key: string]: JsonValue };

/** Names a service, and for a Worker which of its entrypoints with which props. The config's normal form. */
export interface Designator {
  readonly name: string;
  /** Null is the default export. */
  readonly entrypoint: string | null;
  readonly props: JsonValue;
}

/** A request for a stream of bytes to `host:port`: CONNECT on a proxy-style socket, or a raw TCP connection. */
export interface Tunnel {
  readonly host: string;
  readonly port: number;
  readonly client: ClientFacts;
  /** As for an exchange; see `Exchange.maxDepth`. */
  readonly depth: number;
  /** Proxy-Authorization of CONNECT; null or absent without it. */
  readonly authorization?: string | null;
  /** As for an exchange; see `Exchange.user`. */
  user?: string;
  /** Set by the service to hear that the client left before `accept` or `refuse`. */
  onAbort: ((error: ProxyError) => void) | null;
  /** The tunnel stands: bytes flow between the client and `stream` with backpressure and half-close. */
  accept(stream: ByteStream): void;
  refuse(error: ProxyError): void;
}

/**
 * What a socket, a binding, a router rule and a middleware all hold: something that answers exchanges. Any service can
 * stand in any of these places.
 */
export interface Service {
  readonly name: string;
  readonly kind: "worker" | "external" | "network" | "disk" | "router" | "middleware";
  /** Answers the exchange, now or later. Never throws. */
  handle(exchange: Exchange): void;
  /** Opens a stream of bytes, now or later. Never throws. */
  connect(tunnel: Tunnel): void;
  /** The same service seen through a named entrypoint or props; only Workers have these. */
  at(entrypoint: string | null, props: JsonValue): Service;
  /** The addresses behind a name, as far as the service's rules permit them; only a network has them. Never rejects. */
  lookup?(host: string): Promise<readonly string[]>;
  /**
   * This service as a middleware in front of another, for after all services are linked. Workers and services of kind
   * `middleware` have it.
   */
  before?(next: Service): Service;
  /** Ends idle connections, timers and isolates. Called once, after the last exchange. */
  close(): void;
}

/** Finds the service behind a designator. The config is checked before, so it always exists. */
export type Resolve = (designator: Designator) => Service;
