import type { HostBody } from "../host-body.ts";
import { part } from "../part.ts";
import type { Blob } from "./blob.ts";
import { type BodyInit, type BodyParts, BodyState, extractBody, extractedType, takeBody } from "./body.ts";
import { includeBody } from "./body-mixin.ts";
import type { FormData } from "./form-data.ts";
import {
  blockDefault,
  blockFrom,
  blockGet,
  fromBlock,
  type Headers,
  type HeadersInit,
  toBlock,
} from "./headers.ts";
import { JSONStringify, ObjectGetPrototypeOf, StringCharCodeAt } from "./primordials.ts";
import type { ReadableStream } from "./streams/readable-stream.ts";
import { parseUrl } from "./url-record.ts";
import { defineInterface, internal, isObject, quote, requireArguments, toUSVString } from "./webidl.ts";

export type ResponseType = "default" | "error";

export interface ResponseInit {
  status?: number;
  statusText?: string;
  headers?: HeadersInit;
  cf?: unknown;
  webSocket?: unknown;
  encodeBody?: "automatic" | "manual";
}

/** A response from a service, as the bridge has it. */
export interface HostResponseFields {
  readonly status: number;
  readonly statusText: string;
  /** Lines as in `HeaderBlock`. */
  readonly headers: string;
  readonly body: HostBody | null;
  /** False for an answer to HEAD. */
  readonly mayHaveBody: boolean;
  readonly url: string;
  readonly redirected: boolean;
}

/** A Worker's answer, as the bridge wants it. */
export interface ResponseParts {
  readonly status: number;
  readonly statusText: string;
  readonly headers: string;
  readonly body: BodyParts;
  readonly webSocket: unknown;
  /** The Worker says that the body is already in the coding that Content-Encoding names. */
  readonly encodedByWorker: boolean;
}

/** Fetch §2.2.3, null body status. */
function isNullBodyStatus(status: number): boolean {
  return status === 101 || status === 103 || status === 204 || status === 205 || status === 304;
}

let bodyOf: (self: Response) => BodyState | null;
let linesOf: (self: Response) => string;

export let isResponse: (value: unknown) => value is Response;
/** What `fetch` gives a Worker; its headers are immutable, as the standard has it. */
export let responseFromHost: (fields: HostResponseFields) => Response;
/** What `fetch` gives for something that no host was asked for. */
export let responseFromBytes: (url: string, headers: string, bytes: Uint8Array | null) => Response;
/** Makes the answer to a fetch one that opened a WebSocket. */
export let giveWebSocket: (response: Response, webSocket: unknown) => void;
/** What to answer. The body is taken out. @throws TypeError when the body was used already. */
export let takeResponseParts: (response: Response) => ResponseParts;

/** Fetch §5.5. Headers and the body's stream come into being when they are asked for. */
export class Response {
  // Members of Body, see body-mixin.ts.
  declare readonly body: ReadableStream | null;
  declare readonly bodyUsed: boolean;
  declare text: () => Promise<string>;
  declare json: () => Promise<unknown>;
  declare bytes: () => Promise<Uint8Array>;
  declare arrayBuffer: () => Promise<ArrayBuffer>;
  declare blob: () => Promise<Blob>;
  declare formData: () => Promise<FormData>;

  #status = 200;
  #statusText = "";
  #block = "";
  #headers: Headers | null = null;
  #immutable = false;
  #body: BodyState | null = null;
  #type: ResponseType = "default";
  #url = "";
  #redirected = false;
  #webSocket: unknown = null;
  #manual = false;
  #cf: unknown = undefined;

  constructor(body?: BodyInit | null, init?: ResponseInit | Response) {
    if (body === (internal as unknown)) return;
    if (init !== undefined && init !== null) {
      if (!isObject(init)) throw new TypeError("cannot make a Response: init is not an object");
      if (isResponse(init) && ObjectGetPrototypeOf(init) === ResponsePrototype) this.#copyHead(init);
      else this.#apply(init);
    }
    if (body === undefined || body === null) return;
    if (isNullBodyStatus(this.#status)) {
      // An empty text counts as none, as in workerd: Workers write it, and no byte is lost.
      if (body === "") return;
      throw new TypeError(`cannot make a Response: status ${this.#status} has no body`);
    }
    this.#body = extractBody(body);
    if (extractedType !== "") this.#block = blockDefault(this.#block, "Content-Type", extractedType);
  }

  /** `new Response(body, response)`: a copy whose headers can be changed. */
  #copyHead(from: Response): void {
    const upgrade = from.#status === 101 && from.#webSocket !== null;
    if (!upgrade && (from.#status < 200 || from.#status > 599)) throw statusRange(from.#status);
    this.#status = from.#status;
    this.#webSocket = from.#webSocket;
    this.#statusText = from.#statusText;
    this.#block = from.#lines();
    this.#cf = from.#cf;
    this.#manual = from.#manual;
  }

  #apply(init: ResponseInit): void {
    const { cf, encodeBody, headers, status, statusText, webSocket } = init;
    if (encodeBody !== undefined && encodeBody !== "automatic" && encodeBody !== "manual") {
      throw new TypeError('cannot make a Response: encodeBody is neither "automatic" nor "manual"');
    }
    this.#manual = encodeBody === "manual";
    this.#cf = cf;
    this.#webSocket = webSocket ?? null;
    if (this.#webSocket !== null) checkWebSocket(this.#webSocket, status);
    if (status !== undefined) this.#status = toStatus(status, this.#webSocket !== null);
    if (statusText !== undefined) this.#statusText = toReason(statusText);
    if (headers !== undefined) this.#block = blockFrom(headers);
  }

  static error(): Response {
    const response = new Response();
    response.#type = "error";
    response.#status = 0;
    response.#immutable = true;
    return response;
  }

  static redirect(url: string | { toString(): string }, status: number = 302): Response {
    requireArguments(arguments.length, 1, "Response.redirect");
    const text = toUSVString(url);
    const record = parseUrl(text, null);
    if (record === null) throw new TypeError(`cannot redirect: ${quote(text)} is not a valid URL`);
    const code = +status & 0xffff;
    if (code !== 301 && code !== 302 && code !== 303 && code !== 307 && code !== 308) {
      throw new RangeError(`cannot redirect: ${code} is not a redirect status`);
    }
    const response = new Response();
    response.#status = code;
    response.#block = `Location: ${record.href}\r\n`;
    response.#immutable = true;
    return response;
  }

  static json(data: unknown, init: ResponseInit | null = null): Response {
    requireArguments(arguments.length, 1, "Response.json");
    const text = JSONStringify(data) as string | undefined;
    if (text === undefined) throw new TypeError("cannot make a Response: data is not JSON");
    const response = new Response(null, init ?? undefined);
    if (isNullBodyStatus(response.#status)) {
      throw new TypeError(`cannot make a Response: status ${response.#status} has no body`);
    }
    response.#body = new BodyState("text", text, null, null, null);
    response.#block = blockDefault(response.#block, "Content-Type", "application/json");
    return response;
  }

  get type(): ResponseType {
    return this.#type;
  }

  get url(): string {
    return this.#url;
  }

  get redirected(): boolean {
    return this.#redirected;
  }

  get status(): number {
    return this.#status;
  }

  get ok(): boolean {
    return this.#status >= 200 && this.#status <= 299;
  }

  get statusText(): string {
    return this.#statusText;
  }

  get headers(): Headers {
    this.#headers ??= fromBlock(this.#block, this.#immutable ? "immutable" : "response");
    return this.#headers;
  }

  get webSocket(): unknown {
    return this.#webSocket;
  }

  get cf(): unknown {
    return this.#cf;
  }

  clone(): Response {
    if (this.#webSocket !== null) throw new TypeError("cannot clone a Response: it has a WebSocket");
    if (this.#body?.unusable) {
      throw new TypeError("cannot clone a Response: its body was used already, or is locked");
    }
    const copy = new Response(internal as never);
    copy.#status = this.#status;
    copy.#statusText = this.#statusText;
    copy.#block = this.#lines();
    copy.#immutable = this.#immutable;
    copy.#type = this.#type;
    copy.#url = this.#url;
    copy.#redirected = this.#redirected;
    copy.#manual = this.#manual;
    copy.#cf = this.#cf;
    copy.#body = this.#body === null ? null : this.#body.clone();
    return copy;
  }

  #lines(): string {
    return this.#headers === null ? this.#block : toBlock(this.#headers);
  }

  static {
    bodyOf = (self) => self.#body;
    linesOf = (self) => self.#lines();
    isResponse = (value): value is Response => isObject(value) && #status in value;
    responseFromHost = (fields) => {
      const response = new Response(internal as never);
      response.#status = fields.status;
      response.#statusText = fields.statusText;
      response.#block = fields.headers;
      response.#immutable = true;
      response.#url = fields.url;
      response.#redirected = fields.redirected;
      if (fields.body !== null) response.#body = new BodyState("host", "", null, fields.body, null);
      // An answer without content has an empty body all the same, where it may have one (Fetch §5.6).
      else if (fields.mayHaveBody && !isNullBodyStatus(fields.status))
        response.#body = new BodyState("text", "", null, null, null);
      return response;
    };
    responseFromBytes = (url, headers, bytes) => {
      const response = responseFromHost({
        status: 200,
        statusText: "OK",
        headers,
        body: null,
        mayHaveBody: bytes !== null,
        url,
        redirected: false,
      });
      if (bytes !== null) response.#body = new BodyState("bytes", "", bytes, null, null);
      return response;
    };
    giveWebSocket = (response, webSocket) => {
      response.#webSocket = webSocket;
    };
    takeResponseParts = (response) => ({
      status: response.#status,
      statusText: response.#statusText,
      headers: response.#lines(),
      body: takeBody(response.#body),
      webSocket: response.#webSocket,
      encodedByWorker: response.#manual,
    });
  }
}

const ResponsePrototype = Response.prototype;

function statusRange(status: number): RangeError {
  return new RangeError(`cannot make a Response: status ${status} is outside 200 to 599`);
}

function checkWebSocket(webSocket: unknown, status: unknown): void {
  if (!part<typeof import("../parts/websocket.ts")>("websocket").isWebSocket(webSocket)) {
    throw new TypeError("cannot make a Response: webSocket is not a WebSocket");
  }
  if (+(status as number) !== 101) {
    throw new RangeError("cannot make a Response: a response with a WebSocket has status 101");
  }
}

/** 101 goes with a WebSocket only: an upgrade cannot be made of headers (RFC 9110 §15.2.2). */
function toStatus(value: unknown, upgrade: boolean): number {
  const status = +(value as number) & 0xffff;
  if (status === 101 && upgrade) return status;
  if (status < 200 || status > 599) throw statusRange(status);
  return status;
}

/** RFC 9112 §4, reason-phrase. */
function toReason(value: unknown): string {
  const text = `${value as string}`;
  for (let i = 0; i < text.length; i++) {
    const code = StringCharCodeAt(text, i);
    if ((code < 32 && code !== 9) || code === 127 || code > 255) {
      throw new TypeError("cannot make a Response: statusText has a forbidden character");
    }
  }
  return text;
}

includeBody(Response.prototype, {
  name: "Response",
  is: isResponse,
  state: (self) => bodyOf(self),
  contentType: (self) => blockGet(linesOf(self), "content-type"),
});
defineInterface(Response, "Response");
