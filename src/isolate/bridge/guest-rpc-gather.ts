import type { ProxyError } from "../../errors/proxy-error.ts";
import * as rpc from "../../wire/rpc-ops.ts";
import { type RpcExport, RpcMessage } from "./guest-rpc-objects.ts";
import type { Session } from "./session.ts";

/** Bytes that a piece of a message takes beside what is in it. */
const PIECE = 128;
/** Bytes of a piece that is copied. */
const SMALL = 16_384;

/** Gathers the pieces and capabilities of a guest's message until the record comes that uses it. */
export class MessageGatherer {
  readonly #session: Session;
  readonly #find: (id: number) => RpcExport | undefined;
  #message = new RpcMessage();
  /** What the guest gives away: whose it is shows only when the message is used. */
  readonly #given: Array<readonly [place: number, id: number]> = [];

  /** @param find what one of the guest's imports stands for */
  constructor(session: Session, find: (id: number) => RpcExport | undefined) {
    this.#session = session;
    this.#find = find;
  }

  add(text: string, bytes: Uint8Array): void {
    const message = this.#message;
    message.size += text.length + bytes.length + PIECE;
    if (message.size > rpc.MAX_MESSAGE) {
      message.problem = `its values are more than ${rpc.MAX_MESSAGE / 1_048_576} MiB`;
      message.texts.length = 0;
      message.chunks.length = 0;
      return;
    }
    if (text !== "") message.texts.push(text);
    // What is small is copied: else it would hold all that came with it.
    if (bytes.length > 0) message.chunks.push(bytes.length < SMALL ? Uint8Array.from(bytes) : bytes);
  }

  /** @throws Error when the record is not well formed. */
  cap(kind: number, ref: number, length: number): void {
    const message = this.#message;
    const { bodies } = this.#session;
    // One more than a guest counts: what disposes of a result as a whole.
    if (message.caps.length + this.#given.length > rpc.MAX_CAPS) {
      throw new Error("a message holds too many capabilities");
    }
    switch (kind) {
      case rpc.CAP_EXPORT:
        this.#given.push([message.caps.length + this.#given.length, ref]);
        return;
      case rpc.CAP_IMPORT: {
        const target = this.#find(ref);
        if (target === undefined) message.problem ||= "a stub in it is of no use any more";
        else message.caps.push({ kind: "object", target });
        return;
      }
      case rpc.CAP_BODY: {
        const headers = bodies.get(ref)?.headers ?? null;
        const source = bodies.release(ref);
        if (source === null) message.problem ||= "a body in it was used already";
        else message.caps.push({ kind: "body", source, headers });
        return;
      }
      case rpc.CAP_OUT:
        message.caps.push({ kind: "body", source: this.#session.newOut(ref, length), headers: null });
        return;
      default:
        throw new Error(`cannot read a capability from the guest: kind ${kind}`);
    }
  }

  /** The message that has gathered. @param give makes what the guest gives away one of its exports */
  take(give: (id: number) => RpcExport): RpcMessage {
    const message = this.#message;
    this.#message = new RpcMessage();
    for (const [place, id] of this.#given) {
      message.caps.splice(place, 0, { kind: "object", target: give(id) });
    }
    this.#given.length = 0;
    return message;
  }

  discard(error: ProxyError): void {
    this.#message.discard(error);
  }
}
