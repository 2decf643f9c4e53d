import { WINDOW } from "../../wire/ops.ts";
import * as wire from "../../wire/websocket-ops.ts";
import { link } from "../bridge/rpc-link.ts";
import { Table } from "../bridge/table.ts";
import {
  PromiseThen,
  promiseResolve,
  TypedArrayLength,
  Uint8ArrayNative,
  viewBuffer,
  viewOffset,
} from "../web/primordials.ts";
import { Fifo } from "../web/streams/fifo.ts";
import { encodeUtf8, utf8Length } from "../web/utf8.ts";

/** Shows what happens to a socket as events. */
export interface SocketOwner {
  message(data: string | Uint8Array<ArrayBuffer>): void;
  close(code: number, reason: string, wasClean: boolean): void;
  error(message: string): void;
}

/** What one end of a pair does to the other, when both are in this isolate. */
type Sent =
  | { readonly kind: "message"; readonly data: string | Uint8Array<ArrayBuffer> }
  | { readonly kind: "close"; readonly code: number; readonly reason: string };

const settled = promiseResolve(undefined);

/** Sockets that the host knows, by its number for them. */
const known: Table<SocketCore> = new Table();
let lastPair = 0;

/**
 * One end of a WebSocket without its interface. The other end is on the host, under a number, or it is another core: of a
 * pair that is used within this isolate, or whose other end nobody has given away yet.
 */
export class SocketCore {
  readonly owner: SocketOwner;
  /** The host's number; 0 when there is none. */
  id = 0;
  other: SocketCore | null = null;
  accepted = false;
  /** It is the answer to some request, and nothing of this isolate any more. */
  given = false;
  /** A close frame is not answered by itself. */
  halfOpen = false;
  closeSent = false;
  closeReceived = false;
  /** No event follows. */
  ended = false;
  /** Bytes that wait on the host for the other side to read. */
  backlog = 0;
  /** Bytes that were sent in this turn. */
  #turn = 0;
  readonly #queue: Fifo<Sent> = new Fifo();
  #delivering = false;

  constructor(owner: SocketOwner) {
    this.owner = owner;
  }

  /** Puts it under the host's number. */
  name(id: number): void {
    this.id = id;
    known.set(id, this);
  }

  get buffered(): number {
    return this.backlog + this.#turn;
  }

  accept(): void {
    if (this.accepted) return;
    this.accepted = true;
    if (this.id !== 0) link.channel.one(wire.OUT_WS_ACCEPT, this.id);
    else this.#deliver();
  }

  /** @param data bytes are the core's own from here on */
  send(data: string | Uint8Array<ArrayBuffer>): void {
    const size = typeof data === "string" ? utf8Length(data) : TypedArrayLength(data);
    if (this.#turn === 0) PromiseThen(settled, this.#endTurn);
    this.#turn += size;
    if (this.closeSent || this.ended) return;
    if (this.id !== 0) sendToHost(this.id, data);
    else this.other?.take({ kind: "message", data });
  }

  /** @param code 1005 for none */
  close(code: number, reason: string): void {
    if (this.closeSent || this.ended) return;
    this.closeSent = true;
    if (this.id !== 0) closeOnHost(this.id, code, reason);
    else this.other?.take({ kind: "close", code, reason });
    if (this.closeReceived) this.#finish();
  }

  /** The other end does something; it becomes an event in a turn of its own. */
  take(sent: Sent): void {
    this.#queue.push(sent);
    this.#deliver();
  }

  message(data: string | Uint8Array<ArrayBuffer>): void {
    if (!this.ended && !this.closeReceived) this.owner.message(data);
  }

  closed(code: number, reason: string): void {
    if (this.ended || this.closeReceived) return;
    this.closeReceived = true;
    if (!this.closeSent && !this.halfOpen) this.close(code, "");
    else if (this.closeSent) this.#finish();
    this.owner.close(code, reason, true);
  }

  failed(code: number, message: string): void {
    if (this.ended) return;
    const heard = this.closeReceived;
    this.#finish();
    if (heard) return;
    this.owner.error(message);
    this.owner.close(code, "", false);
  }

  /**
   * Gives this end to the host as the answer to `exchange`, and what was sent to it so far after the answer.
   * @returns false when it is not to be had.
   */
  give(exchange: number, statusText: string, headers: string): boolean {
    if (this.accepted || this.given || this.ended || this.closeSent) return false;
    const near = this.other;
    if (near === null) {
      if (this.id <= 0) return false;
      this.given = true;
      known.take(this.id);
      upgrade(exchange, this.id, wire.UPGRADE_FETCHED, statusText, headers);
      return true;
    }
    if (near.given) return false;
    this.given = true;
    near.other = null;
    near.name(--lastPair);
    upgrade(exchange, near.id, wire.UPGRADE_PAIR, statusText, headers);
    if (near.accepted) link.channel.one(wire.OUT_WS_ACCEPT, near.id);
    while (this.#queue.length > 0) {
      const sent = this.#queue.shift();
      if (sent.kind === "message") sendToHost(near.id, sent.data);
      else closeOnHost(near.id, sent.code, sent.reason);
    }
    return true;
  }

  #finish(): void {
    this.ended = true;
    this.#queue.clear();
    if (this.id !== 0) known.take(this.id);
  }

  #deliver(): void {
    if (this.#delivering || !this.accepted || this.#queue.length === 0) return;
    this.#delivering = true;
    PromiseThen(settled, this.#next);
  }

  readonly #next = (): void => {
    this.#delivering = false;
    if (this.ended || this.#queue.length === 0) return;
    const sent = this.#queue.shift();
    this.#deliver();
    if (sent.kind === "message") this.message(sent.data);
    else this.closed(sent.code, sent.reason);
  };

  readonly #endTurn = (): void => {
    this.#turn = 0;
  };
}

/** The socket that the host has under that number. */
export function knownSocket(id: number): SocketCore | undefined {
  return known.get(id);
}

function upgrade(exchange: number, id: number, kind: number, statusText: string, headers: string): void {
  const { channel } = link;
  const at = channel.begin(wire.OUT_WS_UPGRADE);
  const { ints } = channel;
  ints[at] = exchange;
  ints[at + 1] = id;
  ints[at + 2] = kind;
  ints[at + 3] = channel.text(statusText);
  ints[at + 4] = channel.text(headers);
}

function sendToHost(id: number, data: string | Uint8Array<ArrayBuffer>): void {
  const { channel } = link;
  if (typeof data === "string" && data.length <= wire.WS_MAX_TEXT) {
    const at = channel.begin(wire.OUT_WS_TEXT);
    channel.ints[at] = id;
    channel.ints[at + 1] = channel.text(data);
    return;
  }
  const bytes = typeof data === "string" ? encodeUtf8(data) : data;
  const form = typeof data === "string" ? wire.WS_UTF8 : 0;
  const size = TypedArrayLength(bytes);
  let from = 0;
  do {
    const length = size - from > WINDOW ? WINDOW : size - from;
    const piece = new Uint8ArrayNative(viewBuffer(bytes), viewOffset(bytes) + from, length);
    const offset = channel.bytes(piece, length);
    from += length;
    const at = channel.begin(wire.OUT_WS_BYTES);
    channel.ints[at] = id;
    channel.ints[at + 1] = from < size ? form | wire.WS_MORE : form;
    channel.ints[at + 2] = offset;
    channel.ints[at + 3] = length;
  } while (from < size);
}

function closeOnHost(id: number, code: number, reason: string): void {
  const { channel } = link;
  const at = channel.begin(wire.OUT_WS_CLOSE);
  channel.ints[at] = id;
  channel.ints[at + 1] = code;
  channel.ints[at + 2] = channel.text(reason);
}
