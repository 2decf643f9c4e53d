import { ProxyError } from "../../errors/proxy-error.ts";
import type { HeaderBlock } from "../header-block.ts";

/** The Via header (RFC 9110 §7.6.3): each message tells that it came through here, and a request that did is refused. */
export class Via {
  readonly #name: string;

  /** @param name by which we go in it, a token */
  constructor(name: string) {
    this.#name = name;
  }

  /** Marks a request. @param version of HTTP in which it came. @returns why it is refused, or null */
  request(headers: HeaderBlock, version: string): ProxyError | null {
    for (const value of headers.getAll("via")) {
      for (const hop of value.split(",")) {
        if (hop.trim().split(/[ \t]+/)[1] !== this.#name) continue;
        return new ProxyError(
          "service_loop",
          `cannot forward the request: it came through "${this.#name}" before`,
        );
      }
    }
    headers.text += `Via: ${version} ${this.#name}\r\n`;
    return null;
  }

  response(headers: HeaderBlock): void {
    headers.text += `Via: 1.1 ${this.#name}\r\n`;
  }
}
