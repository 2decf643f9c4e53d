import type { IpConfig } from "../../config/schema/middleware.ts";
import type { ClientFacts, Exchange } from "../../http/exchange.ts";
import { type AddressRule, classOf, embeddedV4, parseIp, parseRule } from "../../net/cidr.ts";
import type { Service, Tunnel } from "../service.ts";
import { answerStatus, refusal } from "./answer.ts";
import type { Middleware, MiddlewareFactory } from "./middleware.ts";
import type { Refusals } from "./refusals.ts";

/** Rules about client addresses; `deny` wins, and without any rule in `allow` everyone else may pass. */
export class AddressList {
  readonly #allow: readonly AddressRule[];
  readonly #deny: readonly AddressRule[];

  /** @throws Error `cannot read address rule "…": reason` */
  constructor(allow: readonly string[], deny: readonly string[]) {
    this.#allow = allow.map(parseRule);
    this.#deny = deny.map(parseRule);
  }

  permits(client: ClientFacts): boolean {
    if (covers(this.#deny, client.address)) return false;
    return this.#allow.length === 0 || covers(this.#allow, client.address);
  }
}

/** @param text an address; empty for the client of a unix socket */
function covers(rules: readonly AddressRule[], text: string): boolean {
  if (text === "") return rules.some((rule) => rule.kind === "unix");
  // A link-local client is written with the interface that it is on.
  const zone = text.indexOf("%");
  const address = parseIp(zone === -1 ? text : text.slice(0, zone));
  if (address === null) return false;
  const embedded = embeddedV4(address);
  const kind = classOf(address);
  return rules.some((rule) => {
    if (rule.kind === "classes") return rule.classes.includes(kind);
    if (rule.kind === "unix") return false;
    return rule.range.has(address) || (embedded !== null && rule.range.has(embedded));
  });
}

class IpFilter implements Middleware {
  readonly #list: AddressList;
  readonly #refusals: Refusals;

  constructor(config: IpConfig, refusals: Refusals) {
    this.#refusals = refusals;
    this.#list = new AddressList(config.allow, config.deny);
  }

  handle(exchange: Exchange, next: Service): void {
    if (this.#list.permits(exchange.client)) next.handle(exchange);
    else {
      this.#refusals.count();
      answerStatus(exchange, 403);
    }
  }

  connect(tunnel: Tunnel, next: Service): void {
    if (this.#list.permits(tunnel.client)) next.connect(tunnel);
    else {
      this.#refusals.count();
      tunnel.refuse(refusal("its client's address is not allowed"));
    }
  }
}

export const createIpFilter: MiddlewareFactory<IpConfig> = (config, _context, refusals) =>
  new IpFilter(config, refusals);
