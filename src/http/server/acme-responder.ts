import type { JsonValue, Service, Tunnel } from "../../services/service.ts";
import { BytesBody } from "../body.ts";
import type { Exchange } from "../exchange.ts";
import { HeaderBlock } from "../header-block.ts";
import { ResponseHead } from "../message.ts";

/** RFC 8555 §8.3, RFC 8615. */
const prefix = "/.well-known/acme-challenge/";

/**
 * Stands before a socket's service as long as an authority may ask whether a name is ours (http-01), and answers exactly
 * the tokens that are asked for; everything else goes to the service.
 */
export class AcmeResponder implements Service {
  readonly name: string;
  readonly kind: Service["kind"];
  readonly next: Service;
  readonly #tokens: Readonly<Record<string, string>>;

  private constructor(next: Service, tokens: Readonly<Record<string, string>>) {
    this.name = next.name;
    this.kind = next.kind;
    this.next = next;
    this.#tokens = tokens;
  }

  /** @param tokens the answers, by token. @returns the service itself when there are none */
  static before(service: Service, tokens: Readonly<Record<string, string>>): Service {
    const next = service instanceof AcmeResponder ? service.next : service;
    return Object.keys(tokens).length === 0 ? next : new AcmeResponder(next, tokens);
  }

  handle(exchange: Exchange): void {
    const answer = this.#answer(exchange);
    if (answer === null) {
      this.next.handle(exchange);
      return;
    }
    const headers = new HeaderBlock();
    headers.set("content-type", "application/octet-stream");
    headers.set("cache-control", "no-store");
    exchange.respond(new ResponseHead(200, headers), BytesBody.text(answer));
  }

  connect(tunnel: Tunnel): void {
    this.next.connect(tunnel);
  }

  at(entrypoint: string | null, props: JsonValue): Service {
    return this.next.at(entrypoint, props);
  }

  close(): void {}

  #answer({ request }: Exchange): string | null {
    if (request.method !== "GET" && request.method !== "HEAD") return null;
    if (!request.target.startsWith(prefix)) return null;
    const token = request.target.slice(prefix.length);
    return Object.hasOwn(this.#tokens, token) ? (this.#tokens[token] ?? null) : null;
  }
}
