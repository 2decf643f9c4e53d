import type { Socket } from "node:net";
import type { SocketProxyProtocol } from "../config/schema/proxy-protocol.ts";
import { AddressRange, parseIp, parseRange } from "./cidr.ts";
import { OpeningStage, type StageContext } from "./opening-stage.ts";
import { type Peer, remoteAddressOf } from "./peer.ts";
import { maxPreambleBytes, PreambleReader } from "./proxy-preamble.ts";

/** Whom to believe, and how long to wait for what they say. */
export type PreambleSettings = Exclude<SocketProxyProtocol, "accept">;

/**
 * Reads the preamble of the PROXY protocol from the proxies that are trusted with it, each of which must send one. What
 * anybody else sends is no preamble: it goes on as it came, and no HTTP request and no TLS record begins like one. On a
 * socket of byte streams, which could begin in any way, nobody else is let in.
 */
export class PreambleStage extends OpeningStage<PreambleReader> {
  readonly #ranges: readonly AddressRange[];
  readonly #unix: boolean;
  readonly #others: boolean;
  readonly #take: (socket: Socket, peer: Peer | null) => void;
  readonly #full: () => boolean;

  /**
   * @param name of the socket in the config
   * @param others connections of those who are not trusted are let in, without a preamble
   * @param full one connection more would be too many
   * @param take gets the connection, from which nothing but the preamble has been read as far as it can see
   */
  constructor(
    name: string,
    settings: PreambleSettings,
    others: boolean,
    context: StageContext,
    full: () => boolean,
    take: (socket: Socket, peer: Peer | null) => void,
  ) {
    const { from, timeout } = settings;
    super(name, { what: "preamble", timeoutMs: timeout, limit: maxPreambleBytes, level: "warn" }, context);
    this.#ranges = from.flatMap((text) => (text === "unix" ? [] : [rangeOf(text)]));
    this.#unix = from.includes("unix");
    this.#others = others;
    this.#take = take;
    this.#full = full;
  }

  /** Takes a connection from a `Listener`. */
  accept(socket: Socket): void {
    if (this.#trusts(socket)) {
      if (this.#full()) this.busy(socket);
      else this.open(socket, null, new PreambleReader());
    } else if (this.#others) this.#take(socket, null);
    else this.untrusted(socket);
  }

  protected override opened(socket: Socket, _: Peer | null, reader: PreambleReader): void {
    this.#take(socket, reader.peer);
  }

  #trusts(socket: Socket): boolean {
    const text = remoteAddressOf(socket);
    if (text === "") return this.#unix;
    const address = parseIp(text);
    return address !== null && this.#ranges.some((range) => range.has(address));
  }
}

function rangeOf(text: string): AddressRange {
  if (text.includes("/")) return parseRange(text);
  const address = parseIp(text);
  if (address === null) throw new Error(`cannot trust ${JSON.stringify(text)}: it is no address`);
  return new AddressRange(address, 128);
}
