import { ProxyError } from "../../errors/proxy-error.ts";
import { BytesBody } from "../../http/body.ts";
import type { ByteStream } from "../../http/exchange.ts";
import { HeaderBlock, validValue } from "../../http/header-block.ts";
import { type RequestHead, ResponseHead } from "../../http/message.ts";
import {
  acceptKey,
  checkHandshake,
  defaultOffer,
  type HandshakeRefusal,
  negotiate,
  newKey,
  type Opened,
  offeredProtocols,
} from "../../http/websocket/handshake.ts";
import { ABNORMAL, type MessageEnd } from "../../http/websocket/message-end.ts";
import { OfferedSocket } from "../../http/websocket/offered-socket.ts";
import type { Alarm, AlarmOwner, SocketSettings } from "../../http/websocket/settings.ts";
import { WireSocket } from "../../http/websocket/wire-socket.ts";
import { join } from "../../net/stream.ts";
import { TimerWheel, WheelTimer } from "../../net/timer-wheel.ts";
import * as wire from "../../wire/websocket-ops.ts";
import { cleanHeaders } from "./clean-headers.ts";
import type { GuestFetch } from "./guest-fetch.ts";
import { type FetchedSocket, GuestWebSocket } from "./guest-websocket.ts";
import type { HostBuffer } from "./host-buffer.ts";
import { IdTable } from "./id-table.ts";
import { writeResponse } from "./in-records.ts";
import type { Inbox } from "./inbox.ts";
import type { IncomingRequest } from "./incoming.ts";
import { demandNew, type OutboxReader } from "./outbox.ts";
import type { Session } from "./session.ts";

/** The rest of a body would be read as frames (RFC 6455 §4.1 has none). */
const withBody: HandshakeRefusal = { status: 400, reason: "it has a body" };

/** Fields of the opening handshake that the host writes itself. */
const ownFields = [
  "sec-websocket-accept",
  "sec-websocket-extensions",
  "sec-websocket-key",
  "sec-websocket-version",
];

/** The WebSockets of one isolate: their records, and their way between exchanges, wires and other Workers. */
export class GuestWebSockets {
  readonly #session: Session;
  readonly #sockets: IdTable<GuestWebSocket> = new IdTable();
  /** Those of fetches that nobody has accepted or passed on; few, however many sockets there are. */
  readonly #untouched: Set<GuestWebSocket> = new Set();
  /** Sockets with messages in the inbox. */
  readonly #moved: GuestWebSocket[] = [];
  /** Bytes in the inbox, of all sockets. */
  inFlight = 0;
  readonly #settings: SocketSettings;
  #draining = false;

  constructor(session: Session) {
    this.#session = session;
    const { owner } = session;
    const { maxMessageBytes, maxBacklogBytes, pingInterval, idleTimeout } = owner.webSockets;
    const wheel = TimerWheel.of(owner.context);
    this.#settings = {
      // The library counts in 32 bits; 0 is none to it, too.
      maxMessageBytes: Math.min(maxMessageBytes, 0x7fffffff),
      maxBacklogBytes: maxBacklogBytes === 0 ? Number.POSITIVE_INFINITY : maxBacklogBytes,
      pingInterval,
      idleTimeout,
      alarms: { now: () => wheel.now(), make: (alarmed) => new WheelAlarm(alarmed, wheel) },
      budget: { take: (bytes) => session.buffer.take(bytes), give: (bytes) => session.buffer.give(bytes) },
      report: (error) => {
        owner.context.log.log("debug", "websocket.failed", error.message, {
          worker: owner.name,
          code: error.code,
        });
      },
    };
  }

  get size(): number {
    return this.#sockets.size;
  }

  // --- what the guest asks for

  /** @throws Error when the record is not well formed. */
  record(op: number, reader: OutboxReader): void {
    const session = this.#session;
    switch (op) {
      case wire.OUT_WS_UPGRADE:
        this.#upgrade(reader.int(), reader.int(), reader.int(), reader.text(), reader.text());
        return;
      case wire.OUT_WS_ACCEPT: {
        const id = reader.int();
        const socket = this.#sockets.get(id);
        if (socket !== undefined) socket.accept();
        else this.#tellUnknown(id);
        return;
      }
      case wire.OUT_WS_TEXT: {
        const socket = this.#sockets.get(reader.int());
        const text = reader.text();
        session.owner.countBytes("out", text.length);
        socket?.sent(text);
        return;
      }
      case wire.OUT_WS_BYTES: {
        const socket = this.#sockets.get(reader.int());
        const form = reader.int();
        const bytes = reader.bytes(reader.int(), reader.int());
        session.owner.countBytes("out", bytes.length);
        socket?.sentBytes(form, bytes);
        return;
      }
      case wire.OUT_WS_CLOSE: {
        const socket = this.#sockets.get(reader.int());
        const code = reader.int();
        socket?.closed(isCloseCode(code) ? code : 1005, cutReason(reader.text()));
        return;
      }
      default:
        throw new Error(`cannot read a record from the guest: op ${op}`);
    }
  }

  /**
   * Makes the opening handshake of a fetch whose headers ask for one. What a client's own handshake offered goes on, so
   * that its frames may pass untouched; a fetch of the Worker's own offers compression.
   */
  prepare(head: RequestHead): void {
    if (head.method !== "GET") return;
    head.upgrade = "websocket";
    const { headers } = head;
    const forwarded = headers.has("sec-websocket-key");
    headers.set("Sec-WebSocket-Key", newKey());
    headers.set("Sec-WebSocket-Version", "13");
    if (!forwarded && !headers.has("sec-websocket-extensions")) {
      headers.set("Sec-WebSocket-Extensions", defaultOffer);
    }
  }

  get maxMessageBytes(): number {
    return this.#settings.maxMessageBytes;
  }

  get maxBacklogBytes(): number {
    return this.#settings.maxBacklogBytes;
  }

  /** A fetch was answered with a WebSocket, which waits for what the Worker does with it. */
  opened(fetch: GuestFetch, head: ResponseHead, stream: ByteStream, { deflate, extensions }: Opened): void {
    const session = this.#session;
    if (!session.fetches.delete(fetch.id) || session.isOver) {
      const error = new ProxyError(
        "client_disconnected",
        "cannot use the WebSocket: the Worker's isolate is gone",
      );
      stream.readable.cancel(error);
      stream.writable.fail(error);
      return;
    }
    demandNew(this.#sockets.has(fetch.id), "a WebSocket");
    const fetched: FetchedSocket = { stream, offered: fetch.request.headers, extensions, deflate };
    const socket = new GuestWebSocket(this, fetch.id, fetch.owner, fetched);
    this.#sockets.set(fetch.id, socket);
    this.#untouched.add(socket);
    writeResponse(session.inbox, fetch.id, fetch.owner, head, null);
    session.touch();
  }

  /** Messages of what a server sent, for an end to join with. */
  frame({ stream, deflate }: FetchedSocket): MessageEnd {
    const socket = new WireSocket(false, deflate, this.#settings);
    join(socket, stream);
    return socket;
  }

  #upgrade(exchange: number, id: number, kind: number, reason: string, block: string): void {
    const incoming = this.#session.incoming.get(exchange);
    const headers = cleanHeaders(block);
    let socket = this.#sockets.get(id);
    if (kind === wire.UPGRADE_PAIR) {
      demandNew(socket !== undefined || id >= 0, "a WebSocket");
      socket = new GuestWebSocket(this, id, 0, null);
      this.#sockets.set(id, socket);
    }
    if (socket === undefined) {
      incoming?.fail(badResponse("its WebSocket is closed"));
      return;
    }
    const refused = new ProxyError("client_disconnected", "cannot open the WebSocket: nobody waits for it");
    if (incoming === undefined || incoming.settled) {
      socket.drop(refused, ABNORMAL);
      return;
    }
    if (incoming.kind !== "request" || incoming.exchange.request.upgrade !== "websocket") {
      socket.drop(refused, ABNORMAL);
      incoming.fail(badResponse("it has a WebSocket, and the request did not ask for one"));
      return;
    }
    if (headers === null || !validValue(reason)) {
      socket.drop(refused, ABNORMAL);
      incoming.fail(badResponse("its headers are not valid"));
      return;
    }
    if (this.#draining) {
      socket.drop(refused, 1001);
      incoming.fail(new ProxyError("draining", "cannot open the WebSocket: the proxy is closing"));
      return;
    }
    const refusal = incoming.hadBody ? withBody : checkHandshake(incoming.exchange.request);
    if (refusal !== null) {
      socket.drop(refused, ABNORMAL);
      const head = new ResponseHead(refusal.status, refusal.status === 426 ? version() : new HeaderBlock());
      incoming.respond(head, BytesBody.text(`cannot open a WebSocket: ${refusal.reason}\n`));
      return;
    }
    this.#open(incoming, socket, kind, new ResponseHead(101, headers, reason));
  }

  /** Answers with a WebSocket; the request's handshake has been checked. */
  #open(incoming: IncomingRequest, socket: GuestWebSocket, kind: number, head: ResponseHead): void {
    const { headers } = head;
    const offer = incoming.exchange.request.headers;
    for (const field of ownFields) headers.delete(field);
    headers.set("Sec-WebSocket-Accept", acceptKey(offer.get("sec-websocket-key") ?? ""));
    const protocols = headers.getAll("sec-websocket-protocol");
    const known = protocols.length === 1 && offeredProtocols(offer)?.includes(protocols[0] as string);
    // A client must end a connection with a protocol that it did not offer (RFC 6455 §4.1).
    if (!known) headers.delete("sec-websocket-protocol");

    if (kind === wire.UPGRADE_PAIR) {
      incoming.upgrade(head, this.#offer(socket, offer, headers));
      return;
    }
    const fetched = socket.takeFetched();
    if (fetched === null) {
      incoming.fail(badResponse("its WebSocket was accepted"));
      return;
    }
    const { stream, extensions } = fetched;
    const given = stream instanceof OfferedSocket ? stream.take() : null;
    if (given !== null) {
      incoming.upgrade(head, this.#offer(given, offer, headers));
    } else if (extensions === "" || extensionsOf(fetched.offered) === extensionsOf(offer)) {
      // Both sides speak alike: the bytes go from one connection to the other as they are.
      if (extensions !== "") headers.set("Sec-WebSocket-Extensions", extensions);
      incoming.upgrade(head, stream);
    } else {
      incoming.upgrade(head, this.#offer(this.frame(fetched), offer, headers));
    }
  }

  #offer(end: MessageEnd, offer: HeaderBlock, headers: HeaderBlock): OfferedSocket {
    const { deflate, value } = negotiate(offer, this.#settings.maxMessageBytes);
    if (value !== "") headers.set("Sec-WebSocket-Extensions", value);
    return new OfferedSocket(end, deflate, this.#settings);
  }

  #tellUnknown(id: number): void {
    const { inbox } = this.#session;
    const at = inbox.begin(wire.IN_WS_FAILED, 3, 0);
    inbox.ints[at] = id;
    inbox.ints[at + 1] = ABNORMAL;
    inbox.ints[at + 2] = inbox.text("cannot accept the WebSocket: it is closed");
    this.#session.touch();
  }

  // --- what sockets tell

  get inbox(): Inbox {
    return this.#session.inbox;
  }

  get buffer(): HostBuffer {
    return this.#session.buffer;
  }

  /** An event of its own begins: what it fetches is counted anew when no request is there to count it for. */
  event(): void {
    if (this.#session.incoming.size === 0) this.#session.unowned = 0;
  }

  touch(bytes: number): void {
    if (bytes > 0) this.#session.countIn(bytes);
    this.#session.touch();
  }

  /** Somebody has use for it. */
  touched(socket: GuestWebSocket): void {
    this.#untouched.delete(socket);
  }

  moved(socket: GuestWebSocket): void {
    this.#moved.push(socket);
  }

  left(socket: GuestWebSocket): void {
    this.#untouched.delete(socket);
    this.#sockets.delete(socket.id);
  }

  outOfRoom(): void {
    this.#session.exceeded("memory", "worker_memory_exceeded", "it sent a message that is too large");
  }

  // --- what the session tells

  /** The guest has taken all that was in its inbox. */
  delivered(): void {
    if (this.#moved.length === 0) return;
    this.inFlight = 0;
    for (const socket of this.#moved.splice(0)) socket.delivered();
  }

  /** Of sockets that were fetched for an exchange, those that its Worker did nothing with go with it. */
  ownerDone(exchange: number): void {
    if (this.#untouched.size === 0) return;
    const idle = this.#session.incoming.size === 0;
    for (const socket of this.#untouched) {
      if (socket.owner !== exchange && !idle) continue;
      socket.drop(
        new ProxyError("client_disconnected", "cannot keep a WebSocket: the Worker did not accept it"),
        1001,
      );
    }
  }

  /** The proxy closes: both sides of each socket hear of it, with 1001 (RFC 6455 §7.4.1). */
  drain(): void {
    this.#draining = true;
    for (const socket of this.#sockets.values()) socket.shut();
  }

  /** The isolate is gone. @param code what the other sides are told */
  end(error: ProxyError, code: number): void {
    for (const socket of this.#sockets.values()) socket.drop(error, code);
    this.#sockets.clear();
    this.#moved.length = 0;
  }
}

/** A timer on the wheel that all connections of a shard share. */
class WheelAlarm extends WheelTimer implements Alarm {
  readonly #wheel: TimerWheel;

  constructor(owner: AlarmOwner, wheel: TimerWheel) {
    super(owner);
    this.#wheel = wheel;
  }

  at(deadline: number): void {
    this.#wheel.arm(this, deadline);
  }

  off(): void {
    this.#wheel.cancel(this);
  }
}

/** RFC 6455 §7.4: what an endpoint may put into a close frame. 1005 stands for none. */
function isCloseCode(code: number): boolean {
  return (code >= 1000 && code <= 1014 && code !== 1004 && code !== 1006) || (code >= 3000 && code <= 4999);
}

/** At most 123 bytes: a guest whose runtime is whole sends no more (RFC 6455 §5.5). */
function cutReason(reason: string): string {
  return Buffer.byteLength(reason) > 123 ? "" : reason;
}

function extensionsOf(headers: HeaderBlock): string {
  return headers.getAll("sec-websocket-extensions").join(", ");
}

function version(): HeaderBlock {
  return HeaderBlock.from([["Sec-WebSocket-Version", "13"]]);
}

function badResponse(reason: string): ProxyError {
  return new ProxyError("worker_bad_response", `cannot use the Worker's response: ${reason}`);
}
