import type { CorsConfig } from "../../config/schema/middleware.ts";
import type { Exchange } from "../../http/exchange.ts";
import type { HeaderBlock } from "../../http/header-block.ts";
import type { ResponseHead } from "../../http/message.ts";
import type { Service, Tunnel } from "../service.ts";
import { answer } from "./answer.ts";
import { HeadEdit, type HeadEditor } from "./head-edit.ts";
import type { Middleware, MiddlewareFactory } from "./middleware.ts";
import { addVary } from "./vary.ts";

/**
 * Cross-origin resource sharing (the Fetch standard, §3.2): answers preflights, and tells browsers which other sites'
 * scripts may read the answers. What the service behind says about it is replaced.
 */
class Cors implements Middleware {
  readonly #config: CorsConfig;
  readonly #origins: OriginList;
  readonly #exposed: string;

  constructor(config: CorsConfig) {
    this.#config = config;
    this.#origins = new OriginList(config.origins);
    this.#exposed = config.exposeHeaders.join(", ");
  }

  handle(exchange: Exchange, next: Service): void {
    const { method, headers } = exchange.request;
    const origin = headers.get("origin");
    const isPreflight =
      method === "OPTIONS" && origin !== null && headers.has("access-control-request-method");
    if (isPreflight) this.#preflight(exchange, this.#origins.has(origin));
    else {
      const allowed = origin !== null && this.#origins.has(origin) ? origin : null;
      next.handle(new HeadEdit(exchange, new Shared(this, allowed)));
    }
  }

  connect(tunnel: Tunnel, next: Service): void {
    next.connect(tunnel);
  }

  /** @param origin that may read the answer; null when none asked, or it may not */
  share(headers: HeaderBlock, origin: string | null): void {
    for (const name of answered) headers.delete(name);
    this.#vary(headers, "Origin");
    if (origin === null) return;
    this.#name(headers, origin);
    if (this.#exposed !== "") headers.append("access-control-expose-headers", this.#exposed);
  }

  #preflight(exchange: Exchange, allowed: boolean): void {
    const { headers } = exchange.request;
    const { methods, headers: names, maxAge } = this.#config;
    const fields: Array<readonly [string, string]> = [
      ["vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"],
    ];
    if (allowed) {
      fields.push(["access-control-allow-origin", this.#shown(headers.get("origin") ?? "")]);
      if (this.#config.credentials) fields.push(["access-control-allow-credentials", "true"]);
      fields.push(["access-control-allow-methods", methods.join(", ")]);
      // The wildcard does not cover Authorization, nor anything with credentials: the names asked for are echoed.
      const asked = headers.get("access-control-request-headers") ?? "";
      const listed = names.includes("*") ? asked : names.join(", ");
      if (listed !== "") fields.push(["access-control-allow-headers", listed]);
      fields.push(["access-control-max-age", `${Math.floor(maxAge / 1000)}`]);
    }
    answer(exchange, 204, fields, null);
  }

  #name(headers: HeaderBlock, origin: string): void {
    headers.append("access-control-allow-origin", this.#shown(origin));
    if (this.#config.credentials) headers.append("access-control-allow-credentials", "true");
  }

  #shown(origin: string): string {
    return this.#origins.any && !this.#config.credentials ? "*" : origin;
  }

  /** A cache must not give one site's answer to another. */
  #vary(headers: HeaderBlock, name: string): void {
    if (this.#origins.any && !this.#config.credentials) return;
    addVary(headers, name);
  }
}

const answered = [
  "access-control-allow-origin",
  "access-control-allow-credentials",
  "access-control-expose-headers",
];

class Shared implements HeadEditor {
  readonly #cors: Cors;
  readonly #origin: string | null;

  constructor(cors: Cors, origin: string | null) {
    this.#cors = cors;
    this.#origin = origin;
  }

  edit(head: ResponseHead): void {
    this.#cors.share(head.headers, this.#origin);
  }
}

/** Origins as config writes them: whole, `*`, or with `*.` for every name below one. */
class OriginList {
  readonly any: boolean;
  readonly #whole: ReadonlySet<string>;
  readonly #below: ReadonlyArray<{ readonly start: string; readonly end: string }>;

  constructor(origins: readonly string[]) {
    this.any = origins.includes("*");
    this.#whole = new Set(origins.map((origin) => origin.toLowerCase()));
    this.#below = origins
      .filter((origin) => origin.includes("://*."))
      .map((origin) => {
        const [start = "", end = ""] = origin.toLowerCase().split("*");
        return { start, end };
      });
  }

  has(text: string): boolean {
    if (this.any) return true;
    const origin = text.toLowerCase();
    if (this.#whole.has(origin)) return true;
    return this.#below.some(
      ({ start, end }) =>
        origin.length > start.length + end.length &&
        origin.startsWith(start) &&
        origin.endsWith(end) &&
        // What the star stands for is labels of a host name, and no other URL's punctuation.
        /^[\w.-]+$/.test(origin.slice(start.length, origin.length - end.length)),
    );
  }
}

export const createCors: MiddlewareFactory<CorsConfig> = (config) => new Cors(config);
