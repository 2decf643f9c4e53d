import * as wire from "../../wire/ops.ts";
import { OUT_START_TLS } from "../../wire/socket-ops.ts";
import type { HostBody } from "../host-body.ts";
import { part } from "../part.ts";
import { type AbortSignal, addAbortAlgorithm, removeAbortAlgorithm } from "../web/abort.ts";
import { frameExchange } from "../web/async-context.ts";
import { blockDelete, blockGet } from "../web/headers.ts";
import {
  Deferred,
  MathFloor,
  ObjectCreate,
  ObjectPrototype,
  ObjectSetPrototypeOf,
  PromiseThen,
  ProxyNative,
  ReflectGet,
  ReflectHas,
  StringIndexOf,
  StringSlice,
  StringStartsWith,
  TypedArrayLength,
} from "../web/primordials.ts";
import { Request, takeRequestParts } from "../web/request.ts";
import { giveWebSocket, type Response, responseFromHost } from "../web/response.ts";
import type { ReadableStream } from "../web/streams.ts";
import { originOf, parseUrl } from "../web/url-record.ts";
import { encodeUtf8 } from "../web/utf8.ts";
import { quote } from "../web/webidl.ts";
import type { Channel } from "./channel.ts";
import type { BodyReaders, HandleBody } from "./handle-body.ts";
import { fetchError } from "./host-error.ts";
import type { OutStreams } from "./out-streams.ts";
import { Socket, socketEnd } from "./socket.ts";
import { addressText, hostOf, secureField, toSocketOptions } from "./socket-options.ts";
import { Table } from "./table.ts";

/** What Request and Response give up when they are sent. */
export type BodyParts =
  | { readonly kind: "none" }
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "bytes"; readonly bytes: Uint8Array }
  | { readonly kind: "handle"; readonly body: HostBody }
  | { readonly kind: "stream"; readonly stream: ReadableStream; readonly length: number };

export interface RequestParts {
  readonly method: string;
  readonly url: string;
  /** The header section in its wire form. */
  readonly headers: string;
  readonly body: BodyParts;
  readonly signal: AbortSignal | null;
  /** Added to the kind of the body; see wire/ops.ts. */
  readonly flags: number;
}

/** A request under way, or a socket being opened. */
interface PendingFetch {
  answered(status: number, reason: string, headers: string, body: HandleBody | null): void;
  connected(body: number): void;
  failed(code: string): void;
}

const MAX_REDIRECTS = 20;
/** Characters of a body that cross in one text, which is copied in a time that no limit counts: some 10 ms. */
const MAX_TEXT = 1 << 23;

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
    let parts: RequestParts = given;
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
  send(binding: number, parts: RequestParts): FetchCall {
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

  constructor(outbound: Outbound, id: number, { url, method, signal }: RequestParts) {
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

function isHttp(url: string): boolean {
  return StringStartsWith(url, "http:") || StringStartsWith(url, "https:");
}

function isRedirect(status: number): boolean {
  return status === 301 || status === 302 || status === 303 || status === 307 || status === 308;
}

/** The request that follows a redirect (Fetch §4.4 "HTTP-redirect fetch"). */
function redirected(parts: RequestParts, status: number, location: string): RequestParts {
  const to = parseUrl(location, parts.url);
  if (to === null || !isHttp(to.href)) {
    throw new TypeError(`cannot follow the redirect to ${quote(location)}: not an http or https URL`);
  }
  if (to.hostStart > to.protocolEnd + 2) {
    throw new TypeError(`cannot follow the redirect to ${quote(location)}: the URL has credentials`);
  }
  let { method, body } = parts;
  let { headers } = parts;
  const toGet =
    ((status === 301 || status === 302) && method === "POST") ||
    (status === 303 && method !== "GET" && method !== "HEAD");
  if (toGet) {
    method = "GET";
    body = { kind: "none" };
    for (let i = 0; i < bodyFields.length; i++) headers = blockDelete(headers, bodyFields[i] as string);
  } else if (body.kind === "stream" || body.kind === "handle") {
    throw new TypeError(
      `cannot follow the redirect to ${quote(location)}: the request's body is a stream, already sent`,
    );
  }
  if (originOf(to.href) !== originOf(parts.url)) {
    for (let i = 0; i < secretFields.length; i++) headers = blockDelete(headers, secretFields[i] as string);
  }
  const { href } = to;
  const hash = StringIndexOf(parts.url, "#");
  const url = hash < 0 || StringIndexOf(href, "#") >= 0 ? href : href + StringSlice(parts.url, hash);
  return { method, url, headers, body, signal: parts.signal, flags: parts.flags };
}

/** Scheme, host and port of an http or https URL in normal form. */

/** What another origin must not learn (Fetch §4.4, step 13; a cookie here is a header like any other). */
const secretFields = ["authorization", "cookie", "proxy-authorization"];

const bodyFields = [
  "content-encoding",
  "content-language",
  "content-length",
  "content-location",
  "content-type",
];

/**
 * The kind, reference, length and text of a body, for its record, which must be begun next: bytes are copied into the
 * window of the batch. @param streamDone called once, when the guest has nothing more to send.
 */
export function describeBody(
  body: BodyParts,
  channel: Channel,
  outs: OutStreams,
  streamDone: () => void,
): { kind: number; ref: number; high: number; low: number; text: string } {
  switch (body.kind) {
    case "none":
      streamDone();
      return none;
    case "text":
      if (body.text.length > MAX_TEXT) {
        const bytes = encodeUtf8(body.text);
        const low = TypedArrayLength(bytes) | 0;
        return { kind: wire.BODY_OUT, ref: outs.send(bytes, streamDone), high: 0, low, text: "" };
      }
      streamDone();
      return { kind: wire.BODY_TEXT, ref: 0, high: 0, low: 0, text: body.text };
    case "bytes": {
      const size = TypedArrayLength(body.bytes);
      if (size > wire.WINDOW) {
        return {
          kind: wire.BODY_OUT,
          ref: outs.send(body.bytes, streamDone),
          high: 0,
          low: size | 0,
          text: "",
        };
      }
      streamDone();
      return {
        kind: wire.BODY_BYTES,
        ref: channel.bytes(body.bytes, size),
        high: 0,
        low: size,
        text: "",
      };
    }
    case "handle":
      streamDone();
      return { kind: wire.BODY_HANDLE, ref: (body.body as HandleBody).id, high: 0, low: 0, text: "" };
    case "stream": {
      const known = body.length >= 0;
      return {
        kind: wire.BODY_OUT,
        ref: outs.send(body.stream, streamDone),
        high: known ? MathFloor(body.length / 4294967296) : -1,
        low: known ? body.length | 0 : -1,
        text: "",
      };
    }
  }
}

const none = { kind: wire.BODY_NONE, ref: 0, high: 0, low: 0, text: "" };

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
