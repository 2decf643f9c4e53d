import type { RouterConfig } from "../../config/schema/router.ts";
import { ProxyError } from "../../errors/proxy-error.ts";
import { Exchange } from "../../http/exchange.ts";
import type { RequestHead } from "../../http/message.ts";
import { canonicalPath, isPlainPath, pathEnd, pathForms } from "../../http/path.ts";
import type { LinkableService, ServiceContext, ServiceFactory } from "../context.ts";
import type { Resolve, Service, Tunnel } from "../service.ts";
import { anyPort, splitAuthority } from "./host-pattern.ts";
import { RouteRule } from "./route-rule.ts";

/**
 * Hands an exchange to the service of the first rule that matches. The path is compared in its canonical form, and when
 * another reading of it would find another rule the request is refused, or goes on with the canonical path (RFC 9110
 * §7.7): the service behind might read it that way. What is handed on is else the target byte for byte, but for what the
 * rule does with it.
 */
export class RouterService implements LinkableService {
  readonly name: string;
  readonly kind = "router" as const;
  readonly #rules: readonly RouteRule[];
  readonly #context: ServiceContext;
  readonly #isCanonical: boolean;
  readonly #hasPaths: boolean;
  readonly #hasHosts: boolean;
  /** Path parameters are dropped by some services; not by these, when a rule names one. */
  readonly #dropsParameters: boolean;
  /** What is being handed on right now: routers that lead back to one another meet it again. */
  #current: Exchange | Tunnel | null = null;

  /** @throws Error when a rule's pattern cannot be read. */
  constructor(name: string, config: RouterConfig, context: ServiceContext) {
    this.name = name;
    this.#context = context;
    const { rules, ambiguousPaths } =
      "rules" in config ? config : { rules: config, ambiguousPaths: "reject" };
    this.#isCanonical = ambiguousPaths === "canonical";
    this.#rules = rules.map((route) => new RouteRule(route));
    this.#hasPaths = this.#rules.some((rule) => rule.hasPath);
    this.#hasHosts = this.#rules.some((rule) => rule.hasHost);
    this.#dropsParameters = !this.#rules.some((rule) => rule.hasParameters);
  }

  link(resolve: Resolve): void {
    for (const [index, rule] of this.#rules.entries()) rule.link(resolve, this.name, index, this.#context);
  }

  handle(exchange: Exchange): void {
    const { request } = exchange;
    if (exchange.depth > Exchange.maxDepth || this.#current === exchange) {
      exchange.fail(new ProxyError("service_loop", "cannot route: the services lead back to one another"));
      return;
    }
    let index = this.#route(request);
    if (index === ambiguous && this.#isCanonical) index = this.#routeCanonical(request);
    const rule = this.#rules[index];
    if (rule === undefined) {
      exchange.fail(
        index === ambiguous
          ? new ProxyError("request_malformed", "cannot route: the path can be read in different ways")
          : new ProxyError("route_missing", "cannot route: no rule matches the request"),
      );
      return;
    }
    const target = rule.rewrite(request.target);
    if (target === null) {
      exchange.fail(
        new ProxyError("request_malformed", "cannot rewrite: the path can be read in different ways"),
      );
      return;
    }
    request.target = target;
    const outer = this.#current;
    this.#current = exchange;
    try {
      rule.service.handle(exchange);
    } finally {
      this.#current = outer;
    }
  }

  connect(tunnel: Tunnel): void {
    if (tunnel.depth > Exchange.maxDepth || this.#current === tunnel) {
      tunnel.refuse(new ProxyError("service_loop", "cannot route: the services lead back to one another"));
      return;
    }
    const { name } = splitAuthority(tunnel.host.includes(":") ? `[${tunnel.host}]` : tunnel.host);
    for (const rule of this.#rules) {
      if (!rule.matchesTunnel(name, tunnel.port)) continue;
      const outer = this.#current;
      this.#current = tunnel;
      try {
        rule.service.connect(tunnel);
      } finally {
        this.#current = outer;
      }
      return;
    }
    tunnel.refuse(new ProxyError("route_missing", "cannot route: no rule matches the tunnel"));
  }

  at(): Service {
    return this;
  }

  close(): void {}

  /** Index of the rule, or `missing` or `ambiguous`. */
  #route(request: RequestHead): number {
    let name = "";
    let port = anyPort;
    if (this.#hasHosts) {
      ({ name, port } = splitAuthority(request.authority));
      if (port === anyPort) port = request.scheme === "https" ? 443 : 80;
    }
    const { target } = request;
    const end = pathEnd(target);
    if (!this.#hasPaths || isPlainPath(target, end)) {
      return this.#find(request, end === target.length ? target : target.slice(0, end), name, port);
    }
    const forms = pathForms(target.slice(0, end), this.#dropsParameters);
    if (forms === null) return ambiguous;
    let found = ambiguous;
    for (const form of forms) {
      const index = this.#find(request, form, name, port);
      if (found !== ambiguous && index !== found) return ambiguous;
      found = index;
    }
    return found;
  }

  /** The same by the canonical path, which is also what the service sees. */
  #routeCanonical(request: RequestHead): number {
    const { target } = request;
    const end = pathEnd(target);
    const path = canonicalPath(target.slice(0, end));
    if (path === null) return ambiguous;
    request.target = path + target.slice(end);
    return this.#route(request);
  }

  #find(request: RequestHead, path: string, name: string, port: number): number {
    for (let i = 0; i < this.#rules.length; i++) {
      if (this.#rules[i]?.matches(request, path, name, port) === true) return i;
    }
    return missing;
  }
}

const missing = -1;
const ambiguous = -2;

export const createRouter: ServiceFactory<RouterConfig> = (name, config, context) =>
  new RouterService(name, config, context);
