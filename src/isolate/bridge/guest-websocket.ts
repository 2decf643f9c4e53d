import { ProxyError } from "../../errors/proxy-error.ts";
import type { ByteStream } from "../../http/exchange.ts";
import type { HeaderBlock } from "../../http/header-block.ts";
import type { Deflate } from "../../http/websocket/framing.ts";
import { ABNORMAL, joinEnds, type Message, MessageEnd } from "../../http/websocket/message-end.ts";
import { OfferedSocket } from "../../http/websocket/offered-socket.ts";
import { WINDOW } from "../../wire/ops.ts";
import * as wire from "../../wire/websocket-ops.ts";
import type { GuestWebSockets } from "./guest-websockets.ts";

/** Bytes of messages that go to the guest before it has run; then the other side holds still. */
const MAX_IN_FLIGHT = 65_536;
/** The same for all sockets of a Worker together. */
const MAX_ALL_IN_FLIGHT = 8 * 1024 * 1024;
/** What a message costs beside its bytes. */
const MESSAGE_COST = 64;

/** A WebSocket that a fetch of a Worker opened, as long as nobody has touched it. */
export interface FetchedSocket {
  /** The answer's, as it came. */
  readonly stream: ByteStream;
  /** What was offered with the request, and what the server made of it. */
  readonly offered: HeaderBlock;
  readonly extensions: string;
  readonly deflate: Deflate | null;
}

/** The end of a WebSocket towards a Worker: what reaches it becomes events, what the Worker sends goes to the other end. */
export class GuestWebSocket extends MessageEnd {
  readonly id: number;
  /** The exchange for which it was opened, as long as the Worker has not accepted it; 0 when that is not known. */
  readonly owner: number;
  /** Bytes in the inbox. */
  inFlight = 0;
  readonly #sockets: GuestWebSockets;
  #fetched: FetchedSocket | null;
  #accepted = false;
  /** The other end waits to be released. */
  #full = false;
  #queue: Message[] = [];
  #queued = 0;
  #end: { readonly op: number; readonly code: number; readonly text: string } | null = null;
  /** Pieces of a message from the guest that is not whole yet. */
  #pieces: Uint8Array[] = [];
  #piecesSize = 0;
  /** The guest has said that it closes, or cannot say anything any more. */
  #outOver = false;
  /** The guest has been told of the end. */
  #inOver = false;
  #told = 0;

  /** @param fetched null for an end of a pair */
  constructor(sockets: GuestWebSockets, id: number, owner: number, fetched: FetchedSocket | null) {
    super();
    this.#sockets = sockets;
    this.id = id;
    this.owner = owner;
    this.#fetched = fetched;
  }

  // --- what the guest asks for

  /** Events may come. */
  accept(): void {
    if (this.#accepted) return;
    this.#accepted = true;
    const fetched = this.#fetched;
    this.#fetched = null;
    if (fetched !== null) {
      this.#sockets.touched(this);
      const given = fetched.stream instanceof OfferedSocket ? fetched.stream.take() : null;
      if (given !== null) joinEnds(this, given);
      else joinEnds(this, this.#sockets.frame(fetched));
    }
    for (const message of this.#queue) this.#deliver(message);
    this.#queue = [];
    this.#sockets.buffer.give(this.#queued);
    this.#queued = 0;
    if (this.#end !== null) this.#tellEnd(this.#end.op, this.#end.code, this.#end.text);
    else if (this.inFlight < MAX_IN_FLIGHT) this.#letGo();
  }

  /** Gives the untouched socket away; null when there is none. */
  takeFetched(): FetchedSocket | null {
    const fetched = this.#fetched;
    if (fetched === null) return null;
    this.#fetched = null;
    this.#outOver = true;
    this.#inOver = true;
    this.#leaveIfOver();
    return fetched;
  }

  /** The guest sends. */
  sent(message: Message): void {
    const { peer } = this;
    if (this.#outOver || peer === null) return;
    if (peer.send(message)) return;
    this.#tellBuffered(peer);
  }

  /** The guest sends a piece. @param form see the forms in websocket-ops.ts */
  sentBytes(form: number, bytes: Uint8Array): void {
    if (this.#outOver) return;
    if ((form & wire.WS_MORE) !== 0 || this.#pieces.length > 0) {
      if (!this.#sockets.buffer.take(bytes.length)) {
        this.#dropPieces();
        this.#sockets.outOfRoom();
        return;
      }
      this.#pieces.push(new Uint8Array(bytes));
      this.#piecesSize += bytes.length;
      if ((form & wire.WS_MORE) !== 0) return;
    }
    const whole = this.#pieces.length > 0 ? Buffer.concat(this.#pieces) : bytes;
    this.#dropPieces();
    const text = (form & wire.WS_UTF8) !== 0;
    this.sent(text ? Buffer.from(whole.buffer, whole.byteOffset, whole.length).toString() : whole);
  }

  /** The guest closes. */
  closed(code: number, reason: string): void {
    if (this.#outOver) return;
    this.#outOver = true;
    const { peer } = this;
    this.#leaveIfOver();
    peer?.close(code, reason);
  }

  /** The Worker's sockets are to end while it goes on; it hears of that as of any end. */
  shut(): void {
    if (this.#fetched !== null)
      this.drop(new ProxyError("draining", "cannot keep a WebSocket: the proxy is closing"), 1001);
    else this.closed(1001, "");
  }

  // --- what the other end hands over

  get buffered(): number {
    return this.#queued + this.inFlight;
  }

  joined(): void {}

  send(message: Message): boolean {
    if (this.#inOver || this.#end !== null) return true;
    if (!this.#accepted) {
      const size = sizeOf(message);
      if (!this.#sockets.buffer.take(size)) {
        const { peer } = this;
        const error = new ProxyError(
          "websocket_failed",
          "cannot send a message: too many wait for the Worker",
        );
        this.abort(error, ABNORMAL);
        peer?.abort(error, 1013);
        return true;
      }
      this.#queue.push(typeof message === "string" ? message : new Uint8Array(message));
      this.#queued += size;
      this.#full = true;
      return false;
    }
    // A wire is held before there is so much; nothing holds another Worker.
    if (this.inFlight > this.#sockets.maxBacklogBytes && this.peer instanceof GuestWebSocket) {
      const { peer } = this;
      const error = new ProxyError("websocket_failed", "cannot send a message: too many wait for the Worker");
      this.abort(error, ABNORMAL);
      peer.abort(error, ABNORMAL);
      return true;
    }
    this.#deliver(message);
    if (this.inFlight < MAX_IN_FLIGHT && this.#sockets.inFlight < MAX_ALL_IN_FLIGHT) return true;
    this.#full = true;
    return false;
  }

  release(): void {
    if (this.#told === 0) return;
    this.#told = 0;
    this.#tell(wire.IN_WS_BUFFERED, 0);
  }

  close(code: number, reason: string): void {
    this.#finish(wire.IN_WS_CLOSE, code, reason);
  }

  abort(error: ProxyError, code: number): void {
    this.#outOver = true;
    this.#dropPieces();
    this.#finish(wire.IN_WS_FAILED, code, error.message);
  }

  /** The guest has run since messages were put into its inbox. */
  delivered(): void {
    this.inFlight = 0;
    this.#letGo();
  }

  #letGo(): void {
    if (!this.#full || !this.#accepted) return;
    this.#full = false;
    this.peer?.release();
  }

  /** The guest has nothing more to do with it, or is gone. @param code what the other side is told */
  drop(error: ProxyError, code: number): void {
    const { peer } = this;
    const fetched = this.#fetched;
    this.#fetched = null;
    this.#outOver = true;
    this.#inOver = true;
    this.#dropPieces();
    this.#leaveIfOver();
    if (fetched !== null) {
      const given = fetched.stream instanceof OfferedSocket ? fetched.stream.take() : null;
      if (given !== null) given.abort(error, code);
      else {
        fetched.stream.readable.cancel(error);
        fetched.stream.writable.fail(error);
      }
    }
    peer?.abort(error, code);
  }

  #deliver(message: Message): void {
    const { inbox } = this.#sockets;
    if (this.inFlight === 0) this.#sockets.moved(this);
    this.inFlight += sizeOf(message);
    this.#sockets.inFlight += sizeOf(message);
    this.#sockets.event();
    if (typeof message === "string") {
      const at = inbox.begin(wire.IN_WS_TEXT, 2, 0);
      inbox.ints[at] = this.id;
      inbox.ints[at + 1] = inbox.text(message);
    } else {
      let at = 0;
      for (; message.length - at > WINDOW; at += WINDOW) {
        inbox.chunk(wire.IN_WS_PIECE, this.id, message.subarray(at, at + WINDOW), 0);
      }
      inbox.chunk(wire.IN_WS_BYTES, this.id, at === 0 ? message : message.subarray(at), 0);
    }
    this.#sockets.touch(sizeOf(message) - MESSAGE_COST);
  }

  #finish(op: number, code: number, text: string): void {
    if (this.#inOver || this.#end !== null) {
      // Closed by the other side, and now gone: the Worker has heard of the end.
      if (op === wire.IN_WS_FAILED && this.#outOver) this.#leaveIfOver();
      return;
    }
    this.#end = { op, code, text };
    if (this.#accepted) this.#tellEnd(op, code, text);
    else if (op === wire.IN_WS_FAILED) {
      // Should the Worker accept it yet, it hears the same of a socket that is not known.
      this.#inOver = true;
      this.#leaveIfOver();
    }
  }

  #tellEnd(op: number, code: number, text: string): void {
    if (this.#inOver) return;
    this.#inOver = true;
    const { inbox } = this.#sockets;
    this.#sockets.event();
    const at = inbox.begin(op, 3, 0);
    inbox.ints[at] = this.id;
    inbox.ints[at + 1] = code;
    inbox.ints[at + 2] = inbox.text(text);
    this.#sockets.touch(0);
    this.#leaveIfOver();
  }

  #tellBuffered(peer: MessageEnd): void {
    const bytes = Math.max(1, peer.buffered);
    if (this.#told > 0 && bytes < this.#told * 2) return;
    this.#told = bytes;
    this.#tell(wire.IN_WS_BUFFERED, Math.min(bytes, 0x7fffffff));
  }

  #tell(op: number, value: number): void {
    if (this.#inOver || !this.#accepted) return;
    const { inbox } = this.#sockets;
    const at = inbox.begin(op, 2, 0);
    inbox.ints[at] = this.id;
    inbox.ints[at + 1] = value;
    this.#sockets.touch(0);
  }

  #dropPieces(): void {
    this.#sockets.buffer.give(this.#piecesSize);
    this.#pieces = [];
    this.#piecesSize = 0;
  }

  #leaveIfOver(): void {
    if (!this.#outOver || !this.#inOver) return;
    this.peer = null;
    this.#sockets.buffer.give(this.#queued);
    this.#queued = 0;
    this.#queue = [];
    this.#sockets.left(this);
  }
}

function sizeOf(message: Message): number {
  return MESSAGE_COST + message.length;
}
