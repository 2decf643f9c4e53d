import type { RedirectConfig, RespondConfig } from "../../config/schema/router.ts";
import { ProxyError } from "../../errors/proxy-error.ts";
import type { Exchange } from "../../http/exchange.ts";
import { pathEnd } from "../../http/path.ts";
import { answer, type Fields } from "../middleware/answer.ts";
import type { Service, Tunnel } from "../service.ts";
import { splitAuthority } from "./host-pattern.ts";

/** What a rule answers by itself. */
abstract class FixedAnswer implements Service {
  readonly name: string;
  readonly kind = "router";

  constructor(router: string) {
    this.name = router;
  }

  abstract handle(exchange: Exchange): void;

  connect(tunnel: Tunnel): void {
    tunnel.refuse(
      new ProxyError("connect_unsupported", "cannot open a tunnel: the rule answers requests by itself"),
    );
  }

  at(): Service {
    return this;
  }

  close(): void {}
}

export class FixedResponse extends FixedAnswer {
  readonly #status: number;
  readonly #fields: Fields;
  readonly #body: Uint8Array;

  constructor(router: string, config: RespondConfig) {
    super(router);
    this.#status = config.status;
    this.#fields = Object.entries(config.headers);
    this.#body = Buffer.from(config.body);
  }

  handle(exchange: Exchange): void {
    answer(exchange, this.#status, this.#fields, this.#body);
  }
}

/** Finds what a rule's final star stood for in a target; null when it is not literally there. */
export type RestOf = (target: string) => string | null;

export class Redirection extends FixedAnswer {
  readonly #status: number;
  readonly #parts: readonly string[];
  readonly #isPath: boolean;
  readonly #rest: RestOf;

  constructor(router: string, config: RedirectConfig, rest: RestOf) {
    super(router);
    this.#status = config.status;
    this.#parts = config.to.split(/(\{[a-z]+\})/);
    this.#isPath = !/^[a-z{]+\}?:\/\//.test(config.to);
    this.#rest = rest;
  }

  handle(exchange: Exchange): void {
    const { scheme, authority, target } = exchange.request;
    const end = pathEnd(target);
    let location = "";
    for (const part of this.#parts) {
      if (part === "{scheme}") location += scheme;
      else if (part === "{host}") location += splitAuthority(authority).name;
      else if (part === "{authority}") location += authority;
      else if (part === "{path}") location += target === "*" ? "/" : target.slice(0, end);
      else if (part === "{query}") location += target.slice(end);
      else if (part === "{rest}") location += this.#rest(target) ?? "";
      else location += part;
    }
    // A browser reads //other.test and /\other.test as another site: a path of a client's choice must not become one.
    if (this.#isPath) location = location.replace(/^[/\\]+/, "/");
    answer(exchange, this.#status, [["location", location.replaceAll("\\", "%5C")]], null);
  }
}
