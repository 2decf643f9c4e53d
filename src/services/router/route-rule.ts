import type { RouteConfig } from "../../config/schema/router.ts";
import type { RequestHead } from "../../http/message.ts";
import { escapedOctet, pathEnd } from "../../http/path.ts";
import { TimerWheel } from "../../net/timer-wheel.ts";
import type { ServiceContext } from "../context.ts";
import { createBodyLimit } from "../middleware/body-limit.ts";
import { Chain, Placed } from "../middleware/chain.ts";
import { Refusals } from "../middleware/refusals.ts";
import type { Resolve, Service } from "../service.ts";
import { FixedResponse, Redirection } from "./fixed-answers.ts";
import { HostPattern } from "./host-pattern.ts";
import { Mirror } from "./mirror.ts";
import { PathPattern } from "./path-pattern.ts";
import { RouteTimeout } from "./route-timeout.ts";
import { Split } from "./split.ts";

/** One entry of a router, read once so that a request only compares. */
export class RouteRule {
  readonly hasPath: boolean;
  readonly hasHost: boolean;
  /** Its path names a path parameter. */
  readonly hasParameters: boolean;
  readonly #host: HostPattern | null;
  readonly #path: PathPattern | null;
  readonly #methods: readonly string[] | null;
  readonly #headers: ReadonlyArray<readonly [name: string, value: string | null]>;
  /** Octets as characters, without a slash at the end; empty when nothing is stripped. */
  readonly #strip: string;
  readonly #query: ReadonlyArray<readonly [name: string, value: string | null]>;
  /** What the path becomes, octets as characters; null when it stays. With `#takesRest` without the final slash and star. */
  readonly #rewrite: string | null;
  readonly #takesRest: boolean;
  /** The path's octets before its final slash and star. */
  readonly #prefix: string;
  readonly #config: RouteConfig;
  #service: Service | null = null;

  /** @throws Error when a pattern cannot be read. */
  constructor(config: RouteConfig) {
    this.#host = config.host === undefined ? null : new HostPattern(config.host);
    this.#path = config.path === undefined ? null : new PathPattern(config.path);
    this.#methods = config.methods === undefined ? null : readMethods(config.methods);
    this.#headers = Object.entries(config.headers ?? {});
    this.#strip = trimSlash(Buffer.from(config.stripPrefix ?? "", "utf8").toString("latin1"));
    this.#query = Object.entries(config.query ?? {});
    this.#takesRest = config.rewrite?.endsWith("/*") === true;
    this.#rewrite =
      config.rewrite === undefined ? null : this.#takesRest ? config.rewrite.slice(0, -2) : config.rewrite;
    const { path = "" } = config;
    this.#prefix = path.endsWith("/*") ? Buffer.from(path.slice(0, -2), "utf8").toString("latin1") : "";
    this.#config = config;
    this.hasPath = this.#path !== null;
    this.hasParameters = this.#path?.hasParameters === true;
    this.hasHost = this.#host !== null;
  }

  /** @param router its name. @param index of the rule in it. @param context may lack what no rule of a test needs */
  link(resolve: Resolve, router: string, index: number, context: ServiceContext): void {
    const { middleware, mirror, timeout, bodyLimit } = this.#config;
    let service = this.#action(resolve, router, index);
    if (mirror !== undefined) {
      const shadow = new Mirror(mirror, TimerWheel.of(context));
      shadow.link(resolve);
      service = new Placed(shadow, service);
    }
    if (middleware !== undefined) {
      const chain = new Chain(router, middleware, context);
      chain.link(resolve);
      service = chain.before(service);
    }
    if (timeout > 0) service = new Placed(new RouteTimeout(timeout, TimerWheel.of(context)), service);
    if (bodyLimit !== undefined) {
      const refusals = new Refusals(context.metrics, router, "bodyLimit");
      service = new Placed(createBodyLimit(bodyLimit, context, refusals), service);
    }
    this.#service = service;
  }

  #action(resolve: Resolve, router: string, index: number): Service {
    const { service, split, splitBy, redirect, respond } = this.#config;
    if (service !== undefined) return resolve(service);
    if (redirect !== undefined) return new Redirection(router, redirect, (target) => this.#restOf(target));
    if (respond !== undefined) return new FixedResponse(router, respond);
    const branches = (split ?? []).map((branch) => ({
      service: resolve(branch.service),
      weight: branch.weight,
    }));
    return new Split(router, branches, splitBy, `${router} ${index}`);
  }

  get service(): Service {
    if (this.#service === null) throw new Error("cannot route: the router is not linked");
    return this.#service;
  }

  /** @param path in one of its forms. @param name and @param port as `splitAuthority` gives them, the port filled in. */
  matches(request: RequestHead, path: string, name: string, port: number): boolean {
    if (this.#methods !== null && !this.#methods.includes(request.method)) return false;
    if (this.#host !== null && !this.#host.matches(name, port)) return false;
    if (this.#path !== null && !this.#path.matches(path)) return false;
    for (const [field, value] of this.#headers) {
      if (!matchesHeader(request, field, value)) return false;
    }
    return this.#query.length === 0 || this.#matchesQuery(request.target);
  }

  /** A name that stands several times matches with any of its values: a service may read either. */
  #matchesQuery(target: string): boolean {
    const parameters = new URLSearchParams(target.slice(pathEnd(target) + 1));
    for (const [name, value] of this.#query) {
      if (
        value === null || value === "*"
          ? parameters.has(name) !== (value === "*")
          : !parameters.has(name, value)
      ) {
        return false;
      }
    }
    return true;
  }

  /** A tunnel has a host and nothing else: a rule that asks for more does not take it, except for method CONNECT. */
  matchesTunnel(name: string, port: number): boolean {
    if (this.#path !== null || this.#headers.length + this.#query.length > 0) return false;
    if (this.#methods !== null && !this.#methods.includes("CONNECT")) return false;
    return this.#host === null || this.#host.matches(name, port);
  }

  /**
   * The target as the service sees it; the query goes on byte for byte, and so does what the final star stands for. Null
   * when the path matches only once it is decoded or cut: then it is not known where the rest begins.
   */
  rewrite(target: string): string | null {
    if (this.#rewrite === null) return this.strip(target);
    if (target === "*") return target;
    const query = target.slice(pathEnd(target));
    if (!this.#takesRest) return this.#rewrite + query;
    const rest = this.#restOf(target);
    if (rest === null) return null;
    const path = this.#rewrite + rest;
    return (path === "" ? "/" : path) + query;
  }

  /** From the slash on, or empty; null when the path does not begin with the rule's, octet for octet. */
  #restOf(target: string): string | null {
    const end = pathEnd(target);
    const at = skipOctets(target, end, this.#prefix);
    return at === end || (at !== -1 && target.charCodeAt(at) === 47) ? target.slice(at, end) : null;
  }

  /** The target without the rule's prefix; the rest goes on byte for byte, and begins with a slash. */
  strip(target: string): string {
    const strip = this.#strip;
    if (strip === "") return target;
    const end = pathEnd(target);
    const rest = skipOctets(target, end, strip);
    if (rest === end) return `/${target.slice(end)}`;
    return rest !== -1 && target.charCodeAt(rest) === 47 ? target.slice(rest) : target;
  }
}

/** `*` asks for the field with any value, null for its absence, other texts for one line with exactly that value. */
function matchesHeader(request: RequestHead, field: string, value: string | null): boolean {
  if (value === null) return !request.headers.has(field);
  if (value === "*") return request.headers.has(field);
  const first = request.headers.get(field);
  return first === value || (first !== null && request.headers.getAll(field).includes(value));
}

/** A rule for GET takes HEAD too: both ask for the same resource (RFC 9110 §9.3.2). */
function readMethods(methods: readonly string[]): readonly string[] {
  return methods.includes("GET") ? [...methods, "HEAD"] : methods;
}

function trimSlash(prefix: string): string {
  return prefix.endsWith("/") ? prefix.slice(0, -1) : prefix;
}

/** Where a path stands after the given octets, each of them plain or escaped; -1 when it does not begin with them. */
function skipOctets(path: string, end: number, octets: string): number {
  let at = 0;
  for (let i = 0; i < octets.length; i++) {
    if (at >= end) return -1;
    const escaped = path.charCodeAt(at) === 37;
    if ((escaped ? escapedOctet(path, at) : path.charCodeAt(at)) !== octets.charCodeAt(i)) return -1;
    at += escaped ? 3 : 1;
  }
  return at;
}
