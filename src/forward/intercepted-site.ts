import { ProxyError } from "../errors/proxy-error.ts";
import type { ClientFacts, Exchange, TlsFacts } from "../http/exchange.ts";
import { anyPort, splitAuthority } from "../services/router/host-pattern.ts";
import type { Service, Tunnel } from "../services/service.ts";

/** What is known of a connection inside of a tunnel: its handshake, where the tunnel leads, and who opened it. */
export class InterceptedFacts implements TlsFacts {
  readonly version: string;
  readonly cipher: string;
  readonly cf: string;
  readonly clientCertificate: string;
  /** The site's host, in lower case and without brackets. */
  readonly host: string;
  /** The same as rules compare it. */
  readonly name: string;
  readonly port: number;
  readonly client: ClientFacts;
  /** See `Exchange.user`. */
  readonly user: string;

  constructor(facts: TlsFacts, host: string, { port, client, user }: Tunnel) {
    this.version = facts.version;
    this.cipher = facts.cipher;
    this.cf = facts.cf;
    this.clientCertificate = facts.clientCertificate;
    this.host = host;
    this.name = splitAuthority(host.includes(":") ? `[${host}]` : host).name;
    this.port = port;
    this.client = client;
    this.user = user ?? "";
  }
}

/**
 * Stands between an intercepted connection and the service: a request for another site than the tunnel leads to is
 * refused (RFC 9110 §15.5.20). Where a client may go was judged for the tunnel, and a Host that names another place
 * would get past that.
 */
export class InterceptedSite implements Service {
  readonly name: string;
  readonly kind = "middleware";
  readonly #next: Service;

  constructor(next: Service) {
    this.name = next.name;
    this.#next = next;
  }

  handle(exchange: Exchange): void {
    const { tls } = exchange.client;
    const { authority } = exchange.request;
    if (tls instanceof InterceptedFacts) exchange.user = tls.user;
    if (tls instanceof InterceptedFacts && isFor(authority, tls)) {
      this.#next.handle(exchange);
      return;
    }
    const error = new ProxyError("request_misdirected", "cannot go there: the tunnel leads to another site");
    exchange.takeBody()?.cancel(error);
    exchange.fail(error);
  }

  connect(tunnel: Tunnel): void {
    tunnel.refuse(new ProxyError("connect_unsupported", "cannot open a tunnel in a tunnel"));
  }

  at(): Service {
    return this;
  }

  close(): void {}
}

function isFor(authority: string, site: InterceptedFacts): boolean {
  const { name, port } = splitAuthority(authority);
  return (port === anyPort ? 443 : port) === site.port && name === site.name;
}
