import type { ClientHttp2Session, ClientHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { ProxyError } from "../../../errors/proxy-error.ts";
import { ENHANCE_YOUR_CALM } from "../../../http/http2/codes.ts";
import type { OutgoingFields } from "../../../http/http2/fields.ts";
import { guardEnd } from "../../../http/http2/stream-end.ts";
import { connectError, openSocket } from "../../../net/connect.ts";
import { type TimerOwner, WheelTimer } from "../../../net/timer-wheel.ts";
import type { Endpoint } from "../endpoint.ts";
import type { Http2Attempt } from "./attempt.ts";
import type { Http2Pool } from "./pool.ts";

const CONNECTING = 0;
const OPEN = 1;
/** Takes no more streams. */
const RETIRED = 2;
const CLOSED = 3;

/** Until the server says how many streams it takes. */
const initialStreams = 100;

/** SETTINGS and PING of a server that are answered without one of our streams being answered. */
const maxControls = 1_000;

/** How long a session that is over waits for a server that does not read. */
const lingerMs = 2_000;

/** Bytes of bodies that a server may have under way to us; each stream has 64 KiB of its own. */
const connectionWindow = 1_048_576;

/** One HTTP/2 connection to an endpoint. */
export class Http2Session implements TimerOwner {
  /** How many streams it takes at one time. */
  streamLimit = initialStreams;
  /** Since when it stands, by the wheel's clock; Infinity before. */
  stoodAt = Number.POSITIVE_INFINITY;
  readonly #endpoint: Endpoint;
  readonly #pool: Http2Pool;
  readonly #timer: WheelTimer = new WheelTimer(this);
  #socket: Socket | null = null;
  #session: ClientHttp2Session | null = null;
  #state: 0 | 1 | 2 | 3 = CONNECTING;
  #active = 0;
  #controls = 0;
  #served = false;
  /** A PING waits for its answer. */
  #pinging = false;
  /** Streams up to this one were processed, or may have been; those above were not. */
  #lastStream = Number.POSITIVE_INFINITY;

  constructor(endpoint: Endpoint, pool: Http2Pool) {
    this.#endpoint = endpoint;
    this.#pool = pool;
  }

  open(): void {
    const { address, tls, upstream } = this.#endpoint;
    const { connect } = upstream.config.timeouts;
    if (connect > 0) upstream.wheel.arm(this.#timer, upstream.wheel.now() + connect);
    let socket: Socket;
    try {
      socket = openSocket(address, tls);
    } catch (problem) {
      const error = problem instanceof Error ? problem : new Error(String(problem));
      queueMicrotask(() => this.#lost(connectError(error, this.#endpoint.where)));
      return;
    }
    this.#socket = socket;
    let broken: Error | null = null;
    socket.on("error", (error) => {
      broken = error;
    });
    socket.once("close", () => {
      if (this.#session === null || broken !== null) this.#lost(connectError(broken, this.#endpoint.where));
    });
    socket.once(tls === null ? "connect" : "secureConnect", () => this.#connected(socket));
  }

  get isConnecting(): boolean {
    return this.#state === CONNECTING;
  }

  get isIdle(): boolean {
    return this.#state === OPEN && this.#active === 0;
  }

  /** It takes another stream now. */
  get hasRoom(): boolean {
    return this.#state === OPEN && this.#active < this.streamLimit;
  }

  /** It was lost, after a stream or more had come to an end: the server may have let it go just as it was used again. */
  get isStale(): boolean {
    return this.#state === CLOSED && this.#served;
  }

  /** The server takes an extended CONNECT (RFC 8441 §3). */
  get takesConnect(): boolean {
    return this.#session?.remoteSettings.enableConnectProtocol === true;
  }

  /** Takes on an attempt; `ended` follows when its stream is closed. */
  begin(attempt: Http2Attempt): void {
    if (this.#active++ === 0) this.#armPing();
    attempt.onSession(this);
  }

  /** Opens a stream. @throws Error when the fields cannot be sent */
  request(fields: OutgoingFields, ended: boolean, sendsTrailers: boolean): ClientHttp2Stream {
    const session = this.#session as ClientHttp2Session;
    const stream = session.request(fields, { endStream: ended, waitForTrailers: sendsTrailers });
    guardEnd(stream);
    return stream;
  }

  /** The stream of an attempt is closed. */
  ended(): void {
    this.#active--;
    this.#controls = 0;
    this.#served = true;
    if (this.#state === OPEN) this.#pool.onRoom(this);
    if (this.#active > 0) return;
    if (this.#state === RETIRED) this.#linger();
    else if (this.#state === OPEN) this.#armIdle();
  }

  /** The server has said that it did nothing with the stream (RFC 9113 §6.8). */
  isUnprocessed(stream: ClientHttp2Stream): boolean {
    return stream.id === undefined || stream.id > this.#lastStream;
  }

  /** Takes no more streams, and ends with the last one. */
  close(): void {
    if (this.#state === CONNECTING) {
      this.#socket?.destroy();
      return;
    }
    if (this.#state !== OPEN) return;
    this.#retire();
    this.#session?.close();
  }

  /** It is not to be trusted any more: no stream follows, and its own go on. */
  distrust(): void {
    if (this.#state === OPEN) this.close();
  }

  onTimer(): void {
    const { where, upstream } = this.#endpoint;
    if (this.#state === CONNECTING) {
      const message = `cannot connect to ${where}: it took longer than ${upstream.config.timeouts.connect} ms`;
      this.#lost(new ProxyError("upstream_connect_timeout", message));
    } else if (this.#state === RETIRED) {
      this.#session?.destroy();
      this.#socket?.destroy();
    } else if (this.#active === 0) {
      this.close();
    } else {
      this.#ping();
    }
  }

  // --- inner

  #connected(socket: Socket): void {
    if (this.#state !== CONNECTING) return;
    const { tls, upstream, where } = this.#endpoint;
    if (tls !== null && (socket as TLSSocket).alpnProtocol !== "h2") {
      const message = `cannot speak HTTP/2 with ${where}: the server does not offer it (ALPN)`;
      this.#lost(new ProxyError("upstream_tls_failed", message));
      return;
    }
    const { headerBytes, headerFields } = upstream.parserLimits;
    const options = {
      createConnection: () => socket,
      settings: { enablePush: false, maxHeaderListSize: headerBytes },
      maxHeaderListPairs: headerFields,
      maxSessionMemory: 32,
      strictSingleValueFields: false,
    };
    const session = process.getBuiltinModule("node:http2").connect("http://localhost", options);
    this.#session = session;
    session.setLocalWindowSize(connectionWindow);
    session.on("remoteSettings", ({ maxConcurrentStreams }) => {
      this.streamLimit = Math.max(1, maxConcurrentStreams ?? initialStreams);
      this.#control();
      if (this.#state === CONNECTING) this.#stands();
      if (this.#state === OPEN) this.#pool.onRoom(this);
    });
    session.on("ping", () => this.#control());
    session.on("goaway", (_code, lastStream) => {
      this.#lastStream = Math.min(this.#lastStream, lastStream);
      this.#retire();
    });
    session.on("error", () => {});
    session.on("close", () => {
      const message = `cannot speak HTTP/2 with ${where}: the server does not understand it`;
      this.#lost(new ProxyError("upstream_malformed", message));
    });
    // A server that ends its side answers nothing more.
    socket.on("end", () => session.destroy());
  }

  /** The server's SETTINGS, which come first, have come (RFC 9113 §3.4). */
  #stands(): void {
    this.stoodAt = this.#endpoint.upstream.wheel.now();
    this.#state = OPEN;
    this.#armIdle();
  }

  /** A server that does nothing but ask for acknowledgements costs more than it is worth. */
  #control(): void {
    if (++this.#controls > maxControls) {
      this.#session?.destroy(new Error("the server floods the connection"), ENHANCE_YOUR_CALM);
      this.#linger();
    }
  }

  #retire(): void {
    if (this.#state !== OPEN) return;
    this.#state = RETIRED;
    this.#endpoint.upstream.wheel.cancel(this.#timer);
    this.#pool.retire(this);
    if (this.#active === 0) this.#linger();
  }

  /** @param error why it does not stand, if it never did */
  #lost(error: ProxyError): void {
    if (this.#state === CLOSED) return;
    const wasConnecting = this.#state === CONNECTING;
    this.#state = CLOSED;
    this.#endpoint.upstream.wheel.cancel(this.#timer);
    this.#socket?.destroy();
    this.#pool.forget(this, wasConnecting ? error : null);
  }

  #armIdle(): void {
    const { wheel, config } = this.#endpoint.upstream;
    const { keepAlive } = config.timeouts;
    wheel.arm(this.#timer, keepAlive > 0 ? wheel.now() + keepAlive : Number.POSITIVE_INFINITY);
  }

  #armPing(): void {
    const { wheel, config } = this.#endpoint.upstream;
    const { pingInterval } = config.http;
    this.#pinging = false;
    wheel.arm(this.#timer, pingInterval > 0 ? wheel.now() + pingInterval : Number.POSITIVE_INFINITY);
  }

  #ping(): void {
    const session = this.#session;
    if (session === null || session.destroyed) return;
    if (this.#pinging) {
      session.destroy(new Error("the server does not answer PING"));
      this.#socket?.destroy();
      return;
    }
    this.#armPing();
    this.#pinging = session.ping((error) => {
      if (error === null) this.#pinging = false;
    });
  }

  #linger(): void {
    const { wheel } = this.#endpoint.upstream;
    wheel.arm(this.#timer, wheel.now() + lingerMs);
  }
}
