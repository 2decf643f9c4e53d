import type { SocketConfig } from "../../config/schema/socket.ts";
import { AddressRange, parseIp, parseRange } from "../../net/cidr.ts";
import type { ClientFacts, TlsFacts } from "../exchange.ts";
import { mayTellForwarding, parseForwarded, parseHop } from "../forwarded-fields.ts";
import type { RequestHead } from "../message.ts";

/** Everything that tells of a client in a header; none of it gets past a socket as it came. */
const fields = ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port", "forwarded"];

/** A list longer than this is made up. */
const maxHops = 64;

/** A client that proxies in front tell of. */
class ForwardedClient implements ClientFacts {
  readonly address: string;
  readonly port: number;
  readonly socket: string;
  readonly secure: boolean;
  readonly httpVersion: string;
  readonly tls: TlsFacts | null;
  readonly host: string;
  readonly hops: string;
  readonly #peer: ClientFacts;

  constructor(
    peer: ClientFacts,
    hop: { address: string; port: number },
    secure: boolean,
    host: string,
    hops: string,
  ) {
    this.address = hop.address;
    this.port = hop.port;
    this.socket = peer.socket;
    this.secure = secure;
    this.httpVersion = peer.httpVersion;
    this.tls = peer.tls ?? null;
    this.host = host;
    this.hops = hops;
    this.#peer = peer;
  }

  get localAddress(): string {
    return this.#peer.localAddress ?? "";
  }

  get localPort(): number {
    return this.#peer.localPort ?? 0;
  }
}

/**
 * Who a request of a socket comes from. What headers say of it is discarded, since any client can write it, unless the
 * peer is a proxy that the config trusts: then the hops that it tells are walked from right to left, to the first that is
 * not trusted (RFC 7239 §8.1).
 */
export class TrustedProxies {
  readonly #ranges: readonly AddressRange[];
  readonly #header: "x-forwarded-for" | "forwarded";
  readonly #protoHeader: string | undefined;

  /** @throws Error for a range that is none; the config is checked before */
  constructor(config: Omit<SocketConfig["http"], "style">) {
    this.#ranges = config.trustedProxies.map((text) =>
      text.includes("/") ? parseRange(text) : new AddressRange(parseIp(text) ?? noAddress(text), 128),
    );
    this.#header = config.trustedHeader;
    this.#protoHeader = config.forwardedProtoHeader;
  }

  /** The client of a request of a host-style socket. Takes what tells of it out of the request. */
  clientOf(head: RequestHead, peer: ClientFacts): ClientFacts {
    const told = mayTellForwarding(head.headers.text);
    if (!told && this.#protoHeader === undefined) return peer;
    const proto = this.#protoHeader === undefined ? null : head.headers.get(this.#protoHeader);
    const trusted = told && this.#trusts(peer.address);
    const client = trusted ? this.#read(head, peer) : peer;
    if (told) for (const name of fields) if (name !== this.#protoHeader) head.headers.delete(name);
    if (trusted) {
      // What is true of it stays to be seen, by Workers and by servers that are told of nothing else.
      const hops = client.hops === "" ? "" : `, ${client.hops}`;
      head.headers.text += `X-Forwarded-For: ${client.address}${hops}\r\nX-Forwarded-Proto: ${client.secure ? "https" : "http"}\r\n`;
      if ((client.host ?? "") !== "") head.headers.text += `X-Forwarded-Host: ${client.host}\r\n`;
    }
    if (proto === null) return client;
    const secure = isHttps(proto, client.secure);
    if (client.secure === secure) return client;
    return new ForwardedClient(client, client, secure, client.host ?? "", client.hops ?? "");
  }

  #read(head: RequestHead, peer: ClientFacts): ClientFacts {
    const { headers } = head;
    const host = validHost(headers.get("x-forwarded-host")) ?? head.authority;
    if (this.#header === "x-forwarded-for") {
      const values = headers.getAll("x-forwarded-for").join(",").split(",").slice(-maxHops);
      const found = this.#walk(peer, values);
      const protos = headers.getAll("x-forwarded-proto").join(",").split(",");
      return new ForwardedClient(peer, found.hop, isHttps(protos.at(-1), peer.secure), host, found.hops);
    }
    const elements = parseForwarded(headers.getAll("forwarded").join(",")).slice(-maxHops);
    const found = this.#walk(
      peer,
      elements.map((element) => element.get("for") ?? ""),
    );
    const element = elements[found.index];
    const elementHost = validHost(element?.get("host") ?? null) ?? head.authority;
    return new ForwardedClient(
      peer,
      found.hop,
      isHttps(element?.get("proto"), peer.secure),
      elementHost,
      found.hops,
    );
  }

  /** @returns the client, where in the list it stands, and the hops from it to the peer */
  #walk(
    peer: ClientFacts,
    values: readonly string[],
  ): { hop: { address: string; port: number }; index: number; hops: string } {
    let hop = { address: peer.address, port: peer.port };
    let hops = "";
    for (let index = values.length - 1; index >= 0; index--) {
      const next = parseHop(values[index] ?? "");
      // What is no address (RFC 7239 §6.3 allows "unknown" and names) leads no further.
      if (parseIp(next.address) === null) return { hop, index: index + 1, hops };
      hops = hops === "" ? hop.address : `${hop.address}, ${hops}`;
      hop = next;
      if (!this.#trusts(next.address)) return { hop, index, hops };
    }
    return { hop, index: 0, hops };
  }

  #trusts(text: string): boolean {
    // A unix socket has no address: whoever may open it is trusted like the address list says of nobody else.
    const address = parseIp(text);
    return address !== null && this.#ranges.some((range) => range.has(address));
  }
}

function isHttps(text: string | undefined, otherwise: boolean): boolean {
  const proto = text?.trim().toLowerCase();
  return proto === "https" ? true : proto === "http" ? false : otherwise;
}

/** A host and nothing that could be more than one. */
function validHost(text: string | null): string | null {
  return text !== null && /^[A-Za-z0-9._~:[\]-]{1,255}$/.test(text) ? text : null;
}

function noAddress(text: string): never {
  throw new Error(`cannot trust ${JSON.stringify(text)}: it is no address`);
}
