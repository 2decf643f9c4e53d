import type { Socket } from "node:net";
import { INVALID, MORE, type OpeningReader } from "../net/opening.ts";
import { OpeningStage, type StageContext } from "../net/opening-stage.ts";
import type { Peer } from "../net/peer.ts";
import {
  type ClientHello,
  ClientHelloReader,
  MALFORMED,
  maxClientHelloBytes,
  NEED_MORE,
} from "./client-hello.ts";

/** Reads a ClientHello and uses up nothing of it. */
class Peek implements OpeningReader {
  hello: ClientHello | null = null;
  readonly #reader = new ClientHelloReader();

  read(bytes: Buffer): number {
    const result = this.#reader.read(bytes);
    if (result === NEED_MORE) return MORE;
    if (result === MALFORMED) return INVALID;
    this.hello = result;
    return 0;
  }
}

/**
 * Takes the connection, from which nothing has been read as far as it can see.
 * @param hello null when the client says something else than a ClientHello
 */
export type HelloTaker = (socket: Socket, peer: Peer | null, hello: ClientHello | null) => void;

/** Looks at what clients ask for in their ClientHello before anybody answers it. */
export class ClientHelloStage extends OpeningStage<Peek> {
  readonly #take: HelloTaker;
  readonly #full: () => boolean;

  /**
   * @param name of the socket in the config
   * @param timeoutMs for the message; who takes longer is cut off. 0 is none
   * @param full one connection more would be too many
   */
  constructor(name: string, timeoutMs: number, context: StageContext, full: () => boolean, take: HelloTaker) {
    super(name, { what: "client_hello", timeoutMs, limit: maxClientHelloBytes, level: "debug" }, context);
    this.#take = take;
    this.#full = full;
  }

  /** Takes a connection from a `Listener`. */
  accept(socket: Socket, peer: Peer | null): void {
    if (this.#full()) this.busy(socket);
    else this.open(socket, peer, new Peek());
  }

  protected override opened(socket: Socket, peer: Peer | null, { hello }: Peek): void {
    this.#take(socket, peer, hello);
  }

  protected override malformed(socket: Socket, peer: Peer | null): void {
    this.#take(socket, peer, null);
  }
}
