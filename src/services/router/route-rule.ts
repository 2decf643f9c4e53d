import type { RouteConfig } from "../../config/schema/services.ts";
import type { RequestHead } from "../../http/message.ts";
import { escapedOctet, pathEnd } from "../../http/path.ts";
import type { Designator, Resolve, Service } from "../service.ts";
import { HostPattern } from "./host-pattern.ts";
import { PathPattern } from "./path-pattern.ts";

/** One entry of a router, read once so that a request only compares. */
export class RouteRule {
  readonly hasPath: boolean;
  readonly hasHost: boolean;
  readonly #host: HostPattern | null;
  readonly #path: PathPattern | null;
  readonly #methods: readonly string[] | null;
  readonly #headers: ReadonlyArray<readonly [name: string, value: string | null]>;
  /** Octets as characters, without a slash at the end; empty when nothing is stripped. */
  readonly #strip: string;
  readonly #designator: Designator;
  #service: Service | null = null;

  /** @throws Error when a pattern cannot be read. */
  constructor(config: RouteConfig) {
    this.#host = config.host === undefined ? null : new HostPattern(config.host);
    this.#path = config.path === undefined ? null : new PathPattern(config.path);
    this.#methods = config.methods === undefined ? null : readMethods(config.methods);
    this.#headers = Object.entries(config.headers ?? {});
    this.#strip = trimSlash(Buffer.from(config.stripPrefix ?? "", "utf8").toString("latin1"));
    this.#designator = config.service;
    this.hasPath = this.#path !== null;
    this.hasHost = this.#host !== null;
  }

  link(resolve: Resolve): void {
    this.#service = resolve(this.#designator);
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
    return true;
  }

  /** A tunnel has a host and nothing else: a rule that asks for more does not take it, except for method CONNECT. */
  matchesTunnel(name: string, port: number): boolean {
    if (this.#path !== null || this.#headers.length > 0) return false;
    if (this.#methods !== null && !this.#methods.includes("CONNECT")) return false;
    return this.#host === null || this.#host.matches(name, port);
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
