import type { BodySource } from "../../http/body.ts";
import type { ByteStream, Exchange } from "../../http/exchange.ts";
import type { ResponseHead } from "../../http/message.ts";
import { PassedExchange } from "./passed-exchange.ts";

/** Changes the head of a final response. */
export interface HeadEditor {
  edit(head: ResponseHead): void;
}

/** An exchange whose answer's head is edited on its way back; its body passes untouched. */
export class HeadEdit extends PassedExchange {
  readonly #editor: HeadEditor;

  constructor(outer: Exchange, editor: HeadEditor) {
    super(outer);
    this.#editor = editor;
  }

  override respond(head: ResponseHead, body: BodySource | null): void {
    this.#editor.edit(head);
    this.outer.respond(head, body);
  }

  override upgrade(head: ResponseHead, stream: ByteStream): void {
    this.#editor.edit(head);
    this.outer.upgrade(head, stream);
  }
}
