import { link } from "../bridge/rpc-link.ts";
import { blobBytes, isBlob, makeBlob } from "../web/blob.ts";
import { DOMException } from "../web/dom-exception.ts";
import { viewBytes } from "../web/encoding.ts";
import { CloseEvent, ErrorEvent, MessageEvent } from "../web/event-kinds.ts";
import { dispatch, Event, EventTarget, getHandler, markTrusted, setHandler } from "../web/events.ts";
import { blockGet } from "../web/headers.ts";
import {
  ArrayBufferIsView,
  isArrayBuffer,
  ObjectDefineProperty,
  PromiseThen,
  promiseResolve,
  SymbolIterator,
  TypedArraySlice,
  viewBuffer,
} from "../web/primordials.ts";
import { originOf } from "../web/url-record.ts";
import { utf8Length } from "../web/utf8.ts";
import {
  defineConstants,
  defineInterface,
  internal,
  isObject,
  requireArguments,
  toUSVString,
} from "../web/webidl.ts";
import { webSocketDefaults } from "../web/websocket-defaults.ts";
import { protocolList, socketUrl } from "./opening.ts";
import { SocketCore, type SocketOwner } from "./socket-core.ts";

/** How a socket came to be: by `new WebSocket`, as an end of a pair, or from a fetch. */
type Origin = "opened" | "pair" | "fetched";

interface Made {
  readonly origin: Origin;
  readonly id: number;
  readonly protocol: string | null;
  readonly extensions: string | null;
}

const CONNECTING = 0;
const OPEN = 1;
const CLOSING = 2;
const CLOSED = 3;

export let isWebSocket: (value: unknown) => value is WebSocket;
/** The core of a socket. */
export let coreOf: (socket: WebSocket) => SocketCore;
let binaryTypeOf: (socket: WebSocket) => string;

/** Shows what happens to a core as events of its socket. */
class Face implements SocketOwner {
  readonly #socket: WebSocket;

  constructor(socket: WebSocket) {
    this.#socket = socket;
  }

  message(data: string | Uint8Array<ArrayBuffer>): void {
    const socket = this.#socket;
    let shown: unknown = data;
    if (typeof data !== "string") {
      shown = binaryTypeOf(socket) === "blob" ? makeBlob(data, "") : viewBuffer(data);
    }
    const { url } = socket;
    fire(socket, new MessageEvent("message", { data: shown, origin: url === null ? "" : originOf(url) }));
  }

  close(code: number, reason: string, wasClean: boolean): void {
    fire(this.#socket, new CloseEvent("close", { code, reason, wasClean }));
  }

  error(message: string): void {
    fire(this.#socket, new ErrorEvent("error", { message, error: new Error(message) }));
  }
}

function fire(socket: WebSocket, event: Event): void {
  markTrusted(event);
  dispatch(socket, event);
}

/** WebSockets §3.1, with what Cloudflare Workers add: a socket of a pair or of a fetch is accepted before it is used. */
export class WebSocket extends EventTarget {
  readonly #core: SocketCore = new SocketCore(new Face(this));
  readonly #origin: Origin;
  #url: string | null = null;
  #protocol: string | null;
  #extensions: string | null;
  #connecting = false;
  /** `close` was called while it was being opened. */
  #cancelled = false;
  #closeCalled = false;
  #binaryType: "blob" | "arraybuffer" = webSocketDefaults.blob ? "blob" : "arraybuffer";

  constructor(url: unknown, protocols?: unknown) {
    requireArguments(arguments.length, 1, "WebSocket constructor");
    super();
    if (url === internal) {
      const { origin, id, protocol, extensions } = protocols as Made;
      this.#origin = origin;
      this.#protocol = protocol;
      this.#extensions = extensions;
      if (id !== 0) this.#core.name(id);
      return;
    }
    this.#origin = "opened";
    this.#protocol = "";
    this.#extensions = "";
    const { shown, fetched } = socketUrl(url);
    const offer = protocolList(protocols);
    this.#url = shown;
    this.#connecting = true;
    this.#open(fetched, offer);
  }

  get url(): string | null {
    return this.#url;
  }

  get readyState(): number {
    if (this.#connecting) return this.#cancelled ? CLOSING : CONNECTING;
    const core = this.#core;
    if (core.ended) return CLOSED;
    return core.closeSent || core.closeReceived ? CLOSING : OPEN;
  }

  get bufferedAmount(): number {
    return this.#core.buffered;
  }

  get protocol(): string | null {
    return this.#protocol;
  }

  get extensions(): string | null {
    return this.#extensions;
  }

  get binaryType(): string {
    return this.#binaryType;
  }

  set binaryType(value: unknown) {
    const type = `${value as string}`;
    if (type === "blob" || type === "arraybuffer") this.#binaryType = type;
  }

  /** Events come from now on. @param options `{ allowHalfOpen }` leaves it to the Worker to answer a close. */
  accept(options?: unknown): void {
    const core = this.#core;
    if (core.given) throw new TypeError("cannot accept the WebSocket: it was used in a response");
    if (this.#origin === "opened") throw new TypeError("cannot accept the WebSocket: it was made with a URL");
    if (core.accepted) return;
    const asked = isObject(options) ? (options as { allowHalfOpen?: unknown }).allowHalfOpen : undefined;
    core.halfOpen = asked === undefined ? !webSocketDefaults.autoReply : !!asked;
    core.accept();
  }

  send(data: unknown): void {
    requireArguments(arguments.length, 1, "send");
    const core = this.#core;
    if (this.#connecting) {
      if (this.#cancelled) return;
      throw new DOMException("cannot send: the WebSocket is still connecting", "InvalidStateError");
    }
    if (core.given) throw new TypeError("cannot send: the WebSocket was used in a response");
    if (!core.accepted) throw new TypeError("cannot send: accept() must be called on the WebSocket first");
    if (this.#closeCalled && this.#origin !== "opened")
      throw new TypeError("cannot send: close() was called before");
    core.send(toMessage(data));
  }

  close(code?: unknown, reason?: unknown): void {
    const status = code === undefined ? 1005 : +(code as number) & 0xffff;
    const text = reason === undefined ? "" : toUSVString(reason);
    this.#checkClose(code === undefined, status, text);
    const core = this.#core;
    if (this.#connecting) {
      this.#cancel();
      return;
    }
    if (core.given) throw new TypeError("cannot close: the WebSocket was used in a response");
    if (!core.accepted) throw new TypeError("cannot close: accept() must be called on the WebSocket first");
    this.#closeCalled = true;
    core.close(status, text);
  }

  serializeAttachment(): never {
    throw new Error("cannot keep an attachment: Sluice has no Durable Objects whose WebSockets hibernate");
  }

  deserializeAttachment(): never {
    throw new Error("cannot give an attachment: Sluice has no Durable Objects whose WebSockets hibernate");
  }

  get onopen(): unknown {
    return getHandler(this, "open");
  }

  set onopen(value: unknown) {
    setHandler(this, "open", value);
  }

  get onmessage(): unknown {
    return getHandler(this, "message");
  }

  set onmessage(value: unknown) {
    setHandler(this, "message", value);
  }

  get onclose(): unknown {
    return getHandler(this, "close");
  }

  set onclose(value: unknown) {
    setHandler(this, "close", value);
  }

  get onerror(): unknown {
    return getHandler(this, "error");
  }

  set onerror(value: unknown) {
    setHandler(this, "error", value);
  }

  /** WebSockets §3.1 for sockets with a URL; those of Cloudflare Workers may give any code that goes over the wire. */
  #checkClose(isBare: boolean, code: number, reason: string): void {
    const opened = this.#origin === "opened";
    if (!isBare) {
      const free = code === 1000 || (code >= 3000 && code <= 4999);
      if (opened && !free) {
        throw new DOMException(
          `cannot close: code ${code} is neither 1000 nor 3000 to 4999`,
          "InvalidAccessError",
        );
      }
      const sendable =
        free || (code >= 1001 && code <= 1014 && code !== 1004 && code !== 1005 && code !== 1006);
      if (!sendable) throw new TypeError(`cannot close: ${code} is not a close code`);
    } else if (!opened && reason !== "") {
      throw new TypeError("cannot close: a reason needs a code");
    }
    const size = utf8Length(reason);
    if (size > 123)
      throw new DOMException(`cannot close: reason is ${size} bytes, more than 123`, "SyntaxError");
  }

  #open(url: string, offer: string): void {
    const { outbound } = link;
    if (!outbound.open) {
      throw new Error("cannot open a WebSocket in the global scope: only handlers may do input or output");
    }
    let headers = "Upgrade: websocket\r\n";
    if (offer !== "") headers += `Sec-WebSocket-Protocol: ${offer}\r\n`;
    const call = outbound.send(0, {
      method: "GET",
      url,
      headers,
      body: { kind: "none" },
      signal: null,
      flags: 0,
    });
    PromiseThen(
      call.promise,
      () => this.#answered(call.id, call.status, call.headers, () => call.body?.cancel()),
      (error) => this.#refused(`cannot open the WebSocket: ${(error as Error).message}`),
    );
  }

  #answered(id: number, status: number, headers: string, discard: () => void): void {
    const core = this.#core;
    if (status !== 101) {
      discard();
      this.#refused(`cannot open the WebSocket: the server answered ${status}`);
      return;
    }
    if (this.#cancelled) {
      const unused = new SocketCore(noOwner);
      unused.name(id);
      unused.accept();
      unused.close(1001, "");
      return;
    }
    this.#protocol = blockGet(headers, "sec-websocket-protocol") ?? "";
    this.#extensions = blockGet(headers, "sec-websocket-extensions") ?? "";
    this.#connecting = false;
    core.name(id);
    core.accept();
    fire(this, new Event("open"));
  }

  #refused(message: string): void {
    if (this.#cancelled) return;
    this.#connecting = false;
    this.#core.failed(1006, message);
  }

  #cancel(): void {
    if (this.#cancelled) return;
    this.#cancelled = true;
    PromiseThen(promiseResolve(undefined), () => {
      this.#connecting = false;
      this.#core.failed(1006, "cannot open the WebSocket: close() was called");
    });
  }

  static {
    isWebSocket = (value): value is WebSocket => isObject(value) && #core in value;
    coreOf = (socket) => socket.#core;
    binaryTypeOf = (socket) => socket.#binaryType;
  }
}

const noOwner: SocketOwner = { message() {}, close() {}, error() {} };

/** What `send` takes: bytes are copied, since the Worker may go on writing to them. */
function toMessage(data: unknown): string | Uint8Array<ArrayBuffer> {
  if (typeof data === "string") return toUSVString(data);
  if (isArrayBuffer(data) || ArrayBufferIsView(data)) {
    return TypedArraySlice(viewBytes(data, "data"), 0) as Uint8Array<ArrayBuffer>;
  }
  if (isBlob(data)) return blobBytes(data) as Uint8Array<ArrayBuffer>;
  return toUSVString(data);
}

function make(made: Made): WebSocket {
  return new WebSocket(internal, made);
}

/** The socket that a fetch was answered with. @param id its number on the host @param headers of the answer */
export function fetchedSocket(id: number, headers: string): WebSocket {
  const protocol = blockGet(headers, "sec-websocket-protocol") ?? "";
  return make({
    origin: "fetched",
    id,
    protocol,
    extensions: blockGet(headers, "sec-websocket-extensions") ?? "",
  });
}

/** Two sockets, each of which receives what the other sends. The iterator makes `const [client, server] = pair` work. */
export class WebSocketPair {
  declare readonly 0: WebSocket;
  declare readonly 1: WebSocket;

  constructor() {
    const first = make(end);
    const second = make(end);
    coreOf(first).other = coreOf(second);
    coreOf(second).other = coreOf(first);
    define(this, "0", first);
    define(this, "1", second);
  }

  *[SymbolIterator](): Iterator<WebSocket> {
    yield this[0];
    yield this[1];
  }
}

const end: Made = { origin: "pair", id: 0, protocol: null, extensions: null };

function define(pair: WebSocketPair, key: string, value: WebSocket): void {
  const descriptor = { __proto__: null, value, writable: true, enumerable: true, configurable: true };
  ObjectDefineProperty(pair, key, descriptor as PropertyDescriptor);
}

defineInterface(WebSocket, "WebSocket", 1);
defineConstants(WebSocket, { CONNECTING, OPEN, CLOSING, CLOSED });
defineConstants(WebSocket, {
  READY_STATE_CONNECTING: CONNECTING,
  READY_STATE_OPEN: OPEN,
  READY_STATE_CLOSING: CLOSING,
  READY_STATE_CLOSED: CLOSED,
});
defineInterface(WebSocketPair, "WebSocketPair", 0);
