import { randomBytes } from "node:crypto";
import type { Exchange } from "../../http/exchange.ts";
import type { ResponseHead } from "../../http/message.ts";
import { addressKey, type ClientTrait, clientKey, cookieValue } from "../middleware/client-key.ts";
import { HeadEdit, type HeadEditor } from "../middleware/head-edit.ts";
import type { Service, Tunnel } from "../service.ts";

export interface Branch {
  readonly service: Service;
  readonly weight: number;
}

/** Seconds for which a client keeps its cookie. */
const cookieAge = 30 * 24 * 60 * 60;

/**
 * Several services by weight. A client's trait is hashed to a place between 0 and the sum of the weights, so that it
 * stays with its branch on every shard and after every reload, and few clients move when a weight changes.
 */
export class Split implements Service {
  readonly name: string;
  readonly kind = "router";
  readonly #branches: readonly Branch[];
  readonly #by: ClientTrait;
  readonly #salt: string;
  readonly #sum: number;

  /** @param salt keeps the draws of different splits apart */
  constructor(router: string, branches: readonly Branch[], by: ClientTrait, salt: string) {
    this.name = router;
    this.#branches = branches;
    this.#by = by;
    this.#salt = salt;
    this.#sum = branches.reduce((sum, { weight }) => sum + weight, 0);
  }

  handle(exchange: Exchange): void {
    const by = this.#by;
    const { request, client } = exchange;
    if (by !== "client" && "cookie" in by) {
      const known = cookieValue(request, by.cookie);
      const value =
        known === null || known === "" ? randomBytes(12).toString("base64url") : known.slice(0, 256);
      const service = this.#choose(value);
      if (value === known || known?.startsWith(value) === true) service.handle(exchange);
      else service.handle(new HeadEdit(exchange, new Branded(by.cookie, value, request.scheme === "https")));
    } else this.#choose(clientKey(by, request, client)).handle(exchange);
  }

  connect(tunnel: Tunnel): void {
    this.#choose(addressKey(tunnel.client.address)).connect(tunnel);
  }

  at(): Service {
    return this;
  }

  close(): void {}

  #choose(key: string): Service {
    let place = (hash(`${this.#salt}\n${key}`) / 2 ** 32) * this.#sum;
    for (const { service, weight } of this.#branches) {
      if (place < weight) return service;
      place -= weight;
    }
    // Only by rounding.
    return (this.#branches.findLast(({ weight }) => weight > 0) as Branch).service;
  }
}

/** Gives a client the cookie that keeps it where it was drawn to. */
class Branded implements HeadEditor {
  readonly #line: string;

  constructor(name: string, value: string, secure: boolean) {
    const line = `${name}=${value}; Path=/; Max-Age=${cookieAge}; HttpOnly; SameSite=Lax`;
    this.#line = secure ? `${line}; Secure` : line;
  }

  edit(head: ResponseHead): void {
    head.headers.append("set-cookie", this.#line);
    // A shared cache would hand one client's branch to all others.
    head.headers.append("vary", "Cookie");
  }
}

/** FNV-1a over the characters, mixed as MurmurHash3 ends, so that texts that differ little lie far apart. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return (value ^ (value >>> 16)) >>> 0;
}
