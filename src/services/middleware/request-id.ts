import { randomUUID } from "node:crypto";
import type { RequestIdConfig } from "../../config/schema/middleware.ts";
import type { Exchange } from "../../http/exchange.ts";
import type { ResponseHead } from "../../http/message.ts";
import type { Service, Tunnel } from "../service.ts";
import { HeadEdit, type HeadEditor } from "./head-edit.ts";
import type { Middleware, MiddlewareFactory } from "./middleware.ts";

/** What is taken from a client that is trusted: it ends up in logs, so it must not be able to forge a line. */
const usable = /^[\w.~:+/=-]{1,128}$/;

/** Gives each request a name of its own, for the logs of every service that it comes to. */
class RequestId implements Middleware {
  readonly #config: RequestIdConfig;

  constructor(config: RequestIdConfig) {
    this.#config = config;
  }

  handle(exchange: Exchange, next: Service): void {
    const { header, trust, response } = this.#config;
    const { headers } = exchange.request;
    const given = trust ? headers.get(header) : null;
    const id = given !== null && usable.test(given) ? given : randomUUID();
    headers.set(header, id);
    next.handle(response ? new HeadEdit(exchange, new Named(header, id)) : exchange);
  }

  connect(tunnel: Tunnel, next: Service): void {
    next.connect(tunnel);
  }
}

class Named implements HeadEditor {
  readonly #header: string;
  readonly #id: string;

  constructor(header: string, id: string) {
    this.#header = header;
    this.#id = id;
  }

  edit(head: ResponseHead): void {
    head.headers.set(this.#header, this.#id);
  }
}

export const createRequestId: MiddlewareFactory<RequestIdConfig> = (config) => new RequestId(config);
