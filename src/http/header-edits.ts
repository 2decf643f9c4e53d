import type { HeaderBlock } from "./header-block.ts";
import { validName, validValue } from "./header-block.ts";

/** Fields that belong to one connection (RFC 9110 §7.6.1, RFC 9112 §6): each writer makes them from the body. */
const connectionFields: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "host",
  "keep-alive",
  "proxy-connection",
  "te",
  "transfer-encoding",
  "upgrade",
]);

/** The header fields that config sets and removes on every message, ready to be applied. */
export class HeaderEditor {
  readonly #removed: readonly string[];
  readonly #added: string;
  /** False when there is nothing to do. */
  readonly active: boolean;

  /**
   * @param edits names in any case; a text replaces the field, null removes it.
   * @throws TypeError when a name or value could break a message, or the field belongs to a connection.
   */
  constructor(edits: Readonly<Record<string, string | null>>) {
    const removed: string[] = [];
    let added = "";
    for (const [name, value] of Object.entries(edits)) {
      if (!validName(name)) throw new TypeError(`cannot edit header "${name}": it is not a valid name`);
      if (value !== null && connectionFields.has(name.toLowerCase())) {
        throw new TypeError(`cannot set header "${name}": it belongs to the connection`);
      }
      removed.push(name);
      if (value === null) continue;
      if (!validValue(value))
        throw new TypeError(`cannot set header "${name}": its value has forbidden characters`);
      added += `${name}: ${value}\r\n`;
    }
    this.#removed = removed;
    this.#added = added;
    this.active = removed.length > 0;
  }

  apply(headers: HeaderBlock): void {
    for (const name of this.#removed) headers.delete(name);
    headers.text += this.#added;
  }
}
