import * as wire from "../../wire/ops.ts";
import { OUT_START_TLS } from "../../wire/socket-ops.ts";
import { part } from "../part.ts";
import { type AbortSignal, addAbortAlgorithm, removeAbortAlgorithm } from "../web/abort.ts";
import { frameExchange } from "../web/async-context.ts";
import { blockGet } from "../web/headers.ts";
import {
  Deferred,
  ObjectCreate,
  ObjectPrototype,
  ObjectSetPrototypeOf,
  PromiseThen,
  ProxyNative,
  ReflectGet,
  ReflectHas,
  StringIndexOf,
  StringSlice,
} from "../web/primordials.ts";
import { Request, takeRequestParts } from "../web/request.ts";
import { giveWebSocket, type Response, responseFromHost } from "../web/response.ts";
import { quote } from "../web/webidl.ts";
import { describeBody } from "./body-record.ts";
import type { Channel } from "./channel.ts";
import type { BodyReaders, HandleBody } from "./handle-body.ts";
import { fetchError } from "./host-error.ts";
import type { OutStreams } from "./out-streams.ts";
import { isHttp, isRedirect, redirected, type SentRequest } from "./redirect.ts";
import { Socket, socketEnd } from "./socket.ts";
import { addressText, hostOf, secureField, toSocketOptions } from "./socket-options.ts";
import { Table } from "./table.ts";

/** A request under way, or a socket being opened. */
interface PendingFetch {
  answered(status: number, reason: string, headers: string, body: HandleBody | null): void;
  connected(body: number): void;
  failed(code: string): void;
}

const MAX_REDIRECTS = 20;

/** A socket that is being opened, or secured. */
class PendingSocket implements PendingFetch {
  readonly #socket: Socket;
  readonly #target: string;

  constructor(socket: Socket, target: string) {
    this.#socket = socket;
    this.#target = target;
  }

  answered(): void {}

  connected(body: number): void {
    socketEnd.connected(this.#socket, body, "", this.#target);
  }

  failed(code: string): void {
    socketEnd.failed(this.#socket, fetchError(code));
  }
}

/** Everything that a Worker sends out: fetches and sockets, through its bindings or the global outbound. */
export class Outbound {
  readonly channel: Channel;
  readonly readers: BodyReaders;
  readonly outs: OutStreams;
  /** The exchange whose handler runs right now, in its synchronous part, or 0. */
  current = 0;
  /** No input or output in the global scope: there is no exchange that it could belong to. */
  open = false;
  readonly #pending: Table<PendingFetch> = new Table();
  #last = 0;

  constructor(channel: Channel, readers: BodyReaders, outs: OutStreams) {
    this.channel = channel;
    this.readers = readers;
    this.outs = outs;
  }

  /** `fetch()` through the binding of that number; 0 is the global outbound. Follows redirects as Fetch §4.4 says. */
  async fetch(binding: number, input: unknown, init: unknown): Promise<Response> {
    this.demandOpen("fetch");
    const request = new Request(input as Request, init as object);
    const given = takeRequestParts(request);
    const { redirect } = given;
    let parts: SentRequest = given;
    for (let redirects = 0; ; redirects++) {
      if (!isHttp(parts.url))
        return await part<typeof import("../parts/local-fetch.ts")>("local-fetch").localFetch(given);
      const call = this.send(binding, parts);
      await call.promise;
      const location =
        redirect !== "manual" && isRedirect(call.status) ? blockGet(call.headers, "location") : null;
      if (location === null) return call.response(redirects > 0);
      call.body?.cancel();
      if (redirect === "error") {
        throw new TypeError(
          `cannot follow the redirect to ${quote(location)}: the request's redirect mode is "error"`,
        );
      }
      if (redirects === MAX_REDIRECTS)
        throw new TypeError(`cannot follow more than ${MAX_REDIRECTS} redirects`);
      parts = redirected(parts, call.status, location);
    }
  }

  /** The exchange for which the Worker's code runs right now, or 0 when that cannot be told. */
  get currentExchange(): number {
    return this.current || frameExchange();
  }

  /** Opens a stream of bytes through a binding. */
  connect(binding: number, address: unknown, given?: unknown): Socket {
    this.demandOpen("connect");
    const target = addressText(address);
    const options = toSocketOptions(given);
    const { channel } = this;
    const id = ++this.#last;
    const upgrade = (host: string): Socket => this.#startTls(id, socket, target, host);
    const socket = new Socket(this.readers, this.outs, id, options, upgrade);
    const out = socketEnd.startWriting(socket, nothing);
    const at = channel.begin(wire.OUT_CONNECT);
    const { ints } = channel;
    ints[at] = id;
    ints[at + 1] = this.currentExchange;
    ints[at + 2] = binding;
    ints[at + 3] = out;
    ints[at + 4] = secureField(options);
    ints[at + 5] = channel.text(target);
    this.#pending.set(id, new PendingSocket(socket, target));
    return socket;
  }

  /** Asks for TLS on the connection of a socket, once what is being written to it has left. */
  #startTls(id: number, plain: Socket, target: string, host: string): Socket {
    const upgraded = ++this.#last;
    const options = { secureTransport: "on", allowHalfOpen: false } as const;
    const secured = new Socket(this.readers, this.outs, upgraded, options, null);
    this.#pending.set(upgraded, new PendingSocket(secured, target));
    const send = (): void => {
      const { channel } = this;
      const out = socketEnd.startWriting(secured, nothing);
      const at = channel.begin(OUT_START_TLS);
      channel.ints[at] = id;
      channel.ints[at + 1] = upgraded;
      channel.ints[at + 2] = out;
      channel.ints[at + 3] = channel.text(host === "" ? hostOf(target) : host);
    };
    const writing = socketEnd.writing(plain);
    if (writing === null) send();
    else void PromiseThen(writing, send, send);
    return secured;
  }

  answered(id: number, status: number, reason: string, headers: string, body: HandleBody | null): void {
    this.#pending.take(id)?.answered(status, reason, headers, body);
  }

  connected(id: number, body: number): void {
    this.#pending.take(id)?.connected(body);
  }

  failed(id: number, code: string): void {
    this.#pending.take(id)?.failed(code);
  }

  /** Sends one request; the call's promise resolves when the head of the answer has come. */
  send(binding: number, parts: SentRequest): FetchCall {
    const { signal } = parts;
    const { channel } = this;
    const id = ++this.#last;
    const call = new FetchCall(this, id, parts);
    if (signal?.aborted) {
      call.reject(signal.reason);
      return call;
    }
    const body = describeBody(parts.body, channel, this.outs, nothing);
    const at = channel.begin(wire.OUT_FETCH);
    const { ints } = channel;
    ints[at] = id;
    ints[at + 1] = this.currentExchange;
    ints[at + 2] = binding;
    ints[at + 3] = body.kind | parts.flags;
    ints[at + 4] = body.ref;
    ints[at + 5] = body.high;
    ints[at + 6] = body.low;
    ints[at + 7] = channel.text(parts.method);
    ints[at + 8] = channel.text(parts.url);
    ints[at + 9] = channel.text(parts.headers);
    ints[at + 10] = channel.text(body.text);
    this.#pending.set(id, call);
    return call;
  }

  /** Nobody waits for that answer any more. @returns false when it has come already. */
  giveUp(id: number): boolean {
    if (this.#pending.take(id) === undefined) return false;
    this.channel.one(wire.OUT_ABORT_FETCH, id);
    return true;
  }

  /** @throws Error in the global scope. */
  demandOpen(what: string): void {
    if (!this.open)
      throw new Error(`cannot ${what} in the global scope: only handlers may do input or output`);
  }
}

/** One request on its way, and then the head of its answer. */
export class FetchCall extends Deferred<undefined> implements PendingFetch {
  readonly id: number;
  status = 0;
  headers = "";
  body: HandleBody | null = null;
  #reason = "";
  readonly #url: string;
  readonly #mayHaveBody: boolean;
  readonly #signal: AbortSignal | null;
  readonly #abort: (() => void) | null = null;

  constructor(outbound: Outbound, id: number, { url, method, signal }: SentRequest) {
    super();
    this.id = id;
    this.#url = url;
    this.#mayHaveBody = method !== "HEAD";
    this.#signal = signal;
    if (signal === null) return;
    this.#abort = () => {
      if (outbound.giveUp(id)) this.reject(signal.reason);
    };
    addAbortAlgorithm(signal, this.#abort);
  }

  answered(status: number, reason: string, headers: string, body: HandleBody | null): void {
    this.#unlisten();
    this.status = status;
    this.#reason = reason;
    this.headers = headers;
    this.body = body;
    if (body !== null && this.#signal !== null) body.follow(this.#signal);
    this.resolve(undefined);
  }

  connected(): void {}

  failed(code: string): void {
    this.#unlisten();
    this.reject(fetchError(code));
  }

  response(redirected: boolean): Response {
    const url = this.#url;
    const hash = StringIndexOf(url, "#");
    const response = responseFromHost({
      status: this.status,
      statusText: this.#reason,
      headers: this.headers,
      body: this.body,
      mayHaveBody: this.#mayHaveBody,
      url: hash < 0 ? url : StringSlice(url, 0, hash),
      redirected,
    });
    if (this.status === 101) {
      const { fetchedSocket } = part<typeof import("../parts/websocket.ts")>("websocket");
      giveWebSocket(response, fetchedSocket(this.id, this.headers));
    }
    return response;
  }

  #unlisten(): void {
    if (this.#abort !== null) removeAbortAlgorithm(this.#signal as AbortSignal, this.#abort);
  }
}

function nothing(): void {}

/** The number of a service binding; 0 for what is none. */
let bindingOf: (value: unknown) => number = () => 0;

/** A service binding: `env.NAME`. Members besides these are methods of the Worker that it leads to, called over RPC. */
export class Fetcher {
  readonly #outbound: Outbound;
  readonly #binding: number;

  static {
    bindingOf = (value) =>
      typeof value === "object" && value !== null && #binding in value ? value.#binding : 0;
  }

  constructor(outbound: Outbound, binding: number) {
    this.#outbound = outbound;
    this.#binding = binding;
  }

  fetch(input: unknown, init?: unknown): Promise<Response> {
    return this.#outbound.fetch(this.#binding, input, init);
  }

  /** @param address `"host:port"` or `{ hostname, port }`; what it means is up to the service. */
  connect(address: unknown, options?: unknown): Socket {
    return this.#outbound.connect(this.#binding, address, options);
  }
}

/**
 * Behind the methods of a Fetcher, so that these stay ordinary ones. `then` and `toJSON` are none: a binding may be
 * awaited by mistake, and logged as JSON, without a call.
 */
const members = new ProxyNative(
  ObjectCreate(null) as object,
  {
    __proto__: null,
    get(_target: object, key: PropertyKey, receiver: unknown): unknown {
      if (typeof key !== "string" || ReflectHas(ObjectPrototype, key)) {
        return ReflectGet(ObjectPrototype, key, receiver);
      }
      const binding = bindingOf(receiver);
      if (binding === 0 || key === "then" || key === "toJSON") return undefined;
      return part<typeof import("../parts/rpc.ts")>("rpc").bindingMember(binding, key);
    },
  } as ProxyHandler<object>,
);

ObjectSetPrototypeOf(Fetcher.prototype, members);
