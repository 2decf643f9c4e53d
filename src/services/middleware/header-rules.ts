import type { HeadersConfig } from "../../config/schema/middleware.ts";
import type { Exchange } from "../../http/exchange.ts";
import { HeaderEditor } from "../../http/header-edits.ts";
import type { ResponseHead } from "../../http/message.ts";
import type { Service, Tunnel } from "../service.ts";
import { HeadEdit, type HeadEditor } from "./head-edit.ts";
import type { Middleware, MiddlewareFactory } from "./middleware.ts";

/** Sets and removes header fields in both directions. */
class HeaderRules implements Middleware, HeadEditor {
  readonly #request: HeaderEditor;
  readonly #response: HeaderEditor;

  constructor(config: HeadersConfig) {
    this.#request = new HeaderEditor(config.request);
    this.#response = new HeaderEditor(config.response);
  }

  handle(exchange: Exchange, next: Service): void {
    if (this.#request.active) this.#request.apply(exchange.request.headers);
    next.handle(this.#response.active ? new HeadEdit(exchange, this) : exchange);
  }

  connect(tunnel: Tunnel, next: Service): void {
    next.connect(tunnel);
  }

  edit(head: ResponseHead): void {
    this.#response.apply(head.headers);
  }
}

export const createHeaderRules: MiddlewareFactory<HeadersConfig> = (config) => new HeaderRules(config);
