import type { DestinationsConfig } from "../config/schema/forward.ts";
import { ProxyError } from "../errors/proxy-error.ts";
import type { Exchange } from "../http/exchange.ts";
import { anyPort, HostPattern, splitAuthority } from "../services/router/host-pattern.ts";
import type { Service, Tunnel } from "../services/service.ts";

/** Lets through what goes to a host and port that config allows, requests and tunnels alike. */
export class DestinationGate implements Service {
  readonly name: string;
  readonly kind = "middleware";
  readonly #next: Service;
  readonly #allow: readonly HostPattern[];
  readonly #deny: readonly HostPattern[];
  /** Empty is every port. */
  readonly #ports: ReadonlySet<number>;
  readonly #tunnelPorts: ReadonlySet<number>;

  constructor(config: DestinationsConfig, next: Service) {
    this.name = next.name;
    this.#next = next;
    this.#allow = config.allow.map((text) => new HostPattern(text));
    this.#deny = config.deny.map((text) => new HostPattern(text));
    this.#ports = new Set(config.ports);
    this.#tunnelPorts = new Set(config.tunnelPorts ?? config.ports);
  }

  handle(exchange: Exchange): void {
    const { authority, scheme } = exchange.request;
    const { name, port } = splitAuthority(authority);
    const standard = scheme === "https" ? 443 : 80;
    if (this.#permits(name, port === anyPort ? standard : port, this.#ports)) this.#next.handle(exchange);
    else {
      const error = denied(authority);
      exchange.takeBody()?.cancel(error);
      exchange.fail(error);
    }
  }

  connect(tunnel: Tunnel): void {
    const { host, port } = tunnel;
    const shown = host.includes(":") ? `[${host}]` : host;
    if (this.permitsTunnel(shown, port)) this.#next.connect(tunnel);
    else tunnel.refuse(denied(`${shown}:${port}`));
  }

  /** @param host an IPv6 address has its brackets */
  permitsTunnel(host: string, port: number): boolean {
    return this.#permits(splitAuthority(host).name, port, this.#tunnelPorts);
  }

  at(): Service {
    return this;
  }

  close(): void {}

  #permits(name: string, port: number, ports: ReadonlySet<number>): boolean {
    if (ports.size > 0 && !ports.has(port)) return false;
    if (this.#deny.some((pattern) => pattern.matches(name, port))) return false;
    return this.#allow.some((pattern) => pattern.matches(name, port));
  }
}

function denied(where: string): ProxyError {
  return new ProxyError(
    "destination_denied",
    `cannot go to ${where}: the socket's destinations do not allow it`,
  );
}
