import { createHmac } from "node:crypto";
import type { StickyConfig } from "../../config/schema/upstream.ts";
import type { RequestHead, ResponseHead } from "../../http/message.ts";
import { cookieValue } from "../middleware/client-key.ts";
import type { Endpoint } from "./endpoint.ts";

/** Bytes of an id. 64 bits that nobody can compute are too many to try. */
const idBytes = 8;

/**
 * Keeps clients with their endpoints by a cookie. Its value is a keyed hash of the endpoint's address: the same in all
 * shards and generations, and without the key nobody can tell from it which address it is, or make one up.
 */
export class Sticky {
  readonly #config: StickyConfig;
  readonly #key: string | Uint8Array;
  readonly #service: string;
  /** By the endpoints' ids. */
  #endpoints: ReadonlyMap<string, Endpoint> = new Map();
  readonly #ids: WeakMap<Endpoint, string> = new WeakMap();

  /** @param secret of this proxy, for when the config has none */
  constructor(config: StickyConfig, service: string, secret: Uint8Array) {
    this.#config = config;
    this.#service = service;
    this.#key = config.secret ?? secret;
  }

  /** The endpoints that there are now. */
  use(endpoints: readonly Endpoint[]): void {
    this.#endpoints = new Map(endpoints.map((endpoint) => [this.#idOf(endpoint), endpoint]));
  }

  /** The endpoint that the request's cookie names, if it may be given requests. */
  find(request: RequestHead): Endpoint | null {
    const id = cookieValue(request, this.#config.cookie);
    const endpoint = id === null ? undefined : this.#endpoints.get(id);
    return endpoint?.available === true ? endpoint : null;
  }

  /** Gives the client the cookie for an endpoint. */
  issue(head: ResponseHead, endpoint: Endpoint, isSecure: boolean): void {
    const { cookie, maxAge, sameSite, secure, httpOnly } = this.#config;
    let line = `${cookie}=${this.#idOf(endpoint)}; Path=/`;
    if (maxAge > 0) line += `; Max-Age=${Math.ceil(maxAge / 1000)}`;
    if (httpOnly) line += "; HttpOnly";
    line += `; SameSite=${sameSite}`;
    // Browsers drop a cookie with SameSite=None that is not Secure.
    if (secure ?? (isSecure || sameSite === "None")) line += "; Secure";
    head.headers.append("set-cookie", line);
    // A shared cache would give one client's endpoint to all others.
    head.headers.append("vary", "Cookie");
  }

  #idOf(endpoint: Endpoint): string {
    let id = this.#ids.get(endpoint);
    if (id === undefined) {
      const hash = createHmac("sha256", this.#key).update(`${this.#service}\n${endpoint.where}`).digest();
      id = hash.subarray(0, idBytes).toString("base64url");
      this.#ids.set(endpoint, id);
    }
    return id;
  }
}
