import * as wire from "../../wire/ops.ts";
import type { HostBody } from "../host-body.ts";
import { type AbortSignal, createAbortSignal, followSignal, isAbortSignal, signalAbort } from "./abort.ts";
import type { Blob } from "./blob.ts";
import { type BodyInit, type BodyParts, BodyState, extractBody, extractedType, takeBody } from "./body.ts";
import { includeBody } from "./body-mixin.ts";
import { DOMException } from "./dom-exception.ts";
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
import { JSONParse, StringIndexOf, StringToUpperCase } from "./primordials.ts";
import type { ReadableStream } from "./streams/readable-stream.ts";
import { parseUrl } from "./url-record.ts";
import { defineInterface, internal, isObject, quote, requireArguments, toUSVString } from "./webidl.ts";

export type RequestRedirect = "follow" | "error" | "manual";
/** What a Worker can ask of the caches on the way; it has none of its own that `fetch` looks into. */
export type RequestCache = "default" | "no-store" | "reload" | "no-cache";

export interface RequestInit {
  method?: string;
  headers?: HeadersInit;
  body?: BodyInit | null;
  redirect?: RequestRedirect;
  signal?: AbortSignal | null;
  duplex?: "half";
  cache?: RequestCache;
  /** Kept and shown; a Worker that wants work to go on has `ctx.waitUntil`. */
  keepalive?: boolean;
  cf?: unknown;
  /** As in workerd: "manual" reads the answer's body as it comes, whatever its Content-Encoding. */
  encodeResponseBody?: "automatic" | "manual";
}

/** An incoming request, as the bridge has it. */
export interface HostRequestFields {
  readonly method: string;
  /** Absolute and valid; need not be in normal form, `url` gives it as it is. */
  readonly url: string;
  /** Lines as in `HeaderBlock`. */
  readonly headers: string;
  readonly body: HostBody | null;
  /** IP address, empty for a unix socket. */
  readonly clientAddress: string;
  readonly clientPort: number;
  /** JSON of the members of `cf` that come from TLS; empty without it. */
  readonly tls: string;
  readonly secure: boolean;
  /** 10, 11 or 20. */
  readonly httpVersion: number;
  /** Called when the Worker first asks for the signal, with what aborts it. */
  onSignal(abort: () => void): void;
}

/** What an incoming request can tell of its client, made when a Worker asks. */
class RequestContext {
  readonly #fields: HostRequestFields;
  #signal: AbortSignal | null = null;
  #cf: unknown = null;

  constructor(fields: HostRequestFields) {
    this.#fields = fields;
  }

  /** Aborts when the client leaves. */
  signal(): AbortSignal {
    if (this.#signal !== null) return this.#signal;
    const signal = createAbortSignal();
    this.#signal = signal;
    this.#fields.onSignal(() => {
      signalAbort(signal, new DOMException("The client has disconnected", "AbortError"));
    });
    return signal;
  }

  /** One object for all copies of the request, as in workerd. */
  cf(): unknown {
    if (this.#cf !== null) return this.#cf;
    const { clientAddress, clientPort, secure, httpVersion, tls } = this.#fields;
    const cf = {
      httpProtocol: httpVersion === 20 ? "HTTP/2" : httpVersion === 10 ? "HTTP/1.0" : "HTTP/1.1",
      clientAddress,
      clientPort,
      secure,
    };
    this.#cf = tls === "" ? cf : { ...cf, ...(JSONParse(tls) as object) };
    return this.#cf;
  }
}

/** An outgoing request, as the bridge wants it. */
export interface RequestParts {
  readonly method: string;
  readonly url: string;
  readonly headers: string;
  readonly redirect: RequestRedirect;
  readonly body: BodyParts;
  /** A signal that the Worker itself gave; the client's leaving ends the whole exchange anyway. */
  readonly signal: AbortSignal | null;
  /** To be added to the kind of the body; see wire/ops.ts. */
  readonly flags: number;
}

const unset = Symbol("unset");

let bodyOf: (self: Request) => BodyState | null;
let linesOf: (self: Request) => string;

export let isRequest: (value: unknown) => value is Request;
/** The Request that a Worker gets. Its `redirect` is `manual`: a proxy passes redirects on. */
export let requestFromHost: (fields: HostRequestFields) => Request;
/** What to send. The body is taken out. @throws TypeError when the body was used already. */
export let takeRequestParts: (request: Request) => RequestParts;

/** Fetch §5.4. Headers, signal, cf and the body's stream come into being when they are asked for. */
export class Request {
  // Members of Body, see body-mixin.ts.
  declare readonly body: ReadableStream | null;
  declare readonly bodyUsed: boolean;
  declare text: () => Promise<string>;
  declare json: () => Promise<unknown>;
  declare bytes: () => Promise<Uint8Array>;
  declare arrayBuffer: () => Promise<ArrayBuffer>;
  declare blob: () => Promise<Blob>;
  declare formData: () => Promise<FormData>;

  #method = "GET";
  #url = "";
  /** The header lines, as long as `headers` has not been asked for. */
  #block = "";
  #headers: Headers | null = null;
  #body: BodyState | null = null;
  #redirect: RequestRedirect = "follow";
  #signal: AbortSignal | null = null;
  /** What the signal follows, once it is made. */
  #source: AbortSignal | null = null;
  /** The client's leaving does not abort it. */
  #ownSignal = false;
  #context: RequestContext | null = null;
  #cf: unknown = unset;
  #cache: RequestCache = "default";
  #codedAnswer = false;
  #keepalive = false;

  constructor(input: Request | string | { toString(): string }, init?: RequestInit) {
    if (input === (internal as unknown)) return;
    requireArguments(arguments.length, 1, "Request constructor");
    let inputBody: BodyState | null = null;
    if (isRequest(input)) {
      this.#method = input.#method;
      this.#url = input.#url;
      this.#block = input.#headers === null ? input.#block : toBlock(input.#headers);
      this.#redirect = input.#redirect;
      this.#source = input.#signal ?? input.#source;
      this.#ownSignal = input.#ownSignal;
      this.#context = input.#context;
      this.#cf = input.#cf;
      this.#cache = input.#cache;
      this.#codedAnswer = input.#codedAnswer;
      this.#keepalive = input.#keepalive;
      inputBody = input.#body;
    } else {
      this.#url = toRequestUrl(input);
    }
    if (init !== undefined && init !== null) {
      if (!isObject(init)) throw new TypeError("cannot make a Request: init is not an object");
      this.#apply(init, inputBody);
    } else if (inputBody !== null) {
      this.#takeFrom(inputBody);
    }
  }

  #apply(init: RequestInit, inputBody: BodyState | null): void {
    // Members in the order in which Web IDL reads a dictionary.
    const { body, cache, cf, duplex, encodeResponseBody, headers, keepalive, method, redirect, signal } =
      init;
    if (duplex !== undefined && `${duplex}` !== "half") {
      throw new TypeError('cannot make a Request: duplex is not "half"');
    }
    if (method !== undefined) this.#method = toMethod(method);
    if (keepalive !== undefined) this.#keepalive = !!keepalive;
    if (redirect !== undefined) this.#redirect = toRedirect(redirect);
    if (cache !== undefined) this.#cache = toCache(cache);
    if (cf !== undefined) this.#cf = cf;
    if (encodeResponseBody !== undefined) this.#codedAnswer = toCoded(encodeResponseBody);
    if (signal !== undefined) {
      if (signal !== null && !isAbortSignal(signal)) {
        throw new TypeError("cannot make a Request: signal is not an AbortSignal");
      }
      this.#source = signal;
      this.#ownSignal = true;
    }
    if (headers !== undefined) this.#block = blockFrom(headers);
    const given = body !== undefined && body !== null;
    if ((given || inputBody !== null) && (this.#method === "GET" || this.#method === "HEAD")) {
      throw new TypeError(`cannot make a Request: ${this.#method} has no body`);
    }
    if (given) {
      this.#body = extractBody(body);
      if (extractedType !== "") this.#block = blockDefault(this.#block, "Content-Type", extractedType);
    } else if (inputBody !== null) {
      this.#takeFrom(inputBody);
    }
  }

  #takeFrom(body: BodyState): void {
    if (body.unusable) {
      throw new TypeError("cannot make a Request: the input's body was used already, or is locked");
    }
    this.#body = body.move();
  }

  get method(): string {
    return this.#method;
  }

  get url(): string {
    return this.#url;
  }

  get headers(): Headers {
    this.#headers ??= fromBlock(this.#block, "request");
    return this.#headers;
  }

  get redirect(): RequestRedirect {
    return this.#redirect;
  }

  get signal(): AbortSignal {
    if (this.#signal !== null) return this.#signal;
    const source = this.#ownSignal ? this.#source : (this.#source ?? this.#context?.signal() ?? null);
    const signal = createAbortSignal();
    if (source !== null) followSignal(signal, source);
    this.#signal = signal;
    return signal;
  }

  get cf(): unknown {
    if (this.#cf === unset) this.#cf = this.#context?.cf();
    return this.#cf;
  }

  get cache(): RequestCache {
    return this.#cache;
  }

  get integrity(): string {
    void this.#url;
    return "";
  }

  get keepalive(): boolean {
    return this.#keepalive;
  }

  get duplex(): string {
    void this.#url;
    return "half";
  }

  clone(): Request {
    if (this.#body?.unusable) {
      throw new TypeError("cannot clone a Request: its body was used already, or is locked");
    }
    const copy = new Request(internal as never);
    copy.#method = this.#method;
    copy.#url = this.#url;
    copy.#block = this.#lines();
    copy.#redirect = this.#redirect;
    copy.#source = this.#signal ?? this.#source;
    copy.#ownSignal = this.#ownSignal;
    copy.#context = this.#context;
    copy.#cf = this.#cf;
    copy.#cache = this.#cache;
    copy.#codedAnswer = this.#codedAnswer;
    copy.#keepalive = this.#keepalive;
    copy.#body = this.#body === null ? null : this.#body.clone();
    return copy;
  }

  #lines(): string {
    return this.#headers === null ? this.#block : toBlock(this.#headers);
  }

  static {
    bodyOf = (self) => self.#body;
    linesOf = (self) => self.#lines();
    isRequest = (value): value is Request => isObject(value) && #url in value;
    requestFromHost = (fields) => {
      const request = new Request(internal as never);
      request.#method = fields.method;
      request.#url = fields.url;
      request.#block = fields.headers;
      request.#redirect = "manual";
      request.#context = new RequestContext(fields);
      if (fields.body !== null) request.#body = new BodyState("host", "", null, fields.body, null);
      return request;
    };
    takeRequestParts = (request) => ({
      method: request.#method,
      url: request.#url,
      headers: request.#cache === "default" ? request.#lines() : uncached(request.#lines(), request.#cache),
      redirect: request.#redirect,
      body: takeBody(request.#body),
      signal: request.#signal ?? request.#source,
      flags: request.#codedAnswer ? wire.ANSWER_CODED : 0,
    });
  }
}

function toRequestUrl(input: unknown): string {
  const text = toUSVString(input);
  const record = parseUrl(text, null);
  if (record === null) throw new TypeError(`cannot make a Request: ${quote(text)} is not a valid URL`);
  if (record.hostStart > record.protocolEnd + 2) {
    throw new TypeError("cannot make a Request: the URL has credentials");
  }
  return record.href;
}

const tokenCharacters = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/** Fetch §2.2.1: validates, and writes the usual methods in upper case. */
function toMethod(value: unknown): string {
  const method = `${value as string}`;
  switch (method) {
    case "GET":
    case "POST":
    case "PUT":
    case "DELETE":
    case "HEAD":
    case "OPTIONS":
    case "PATCH":
      return method;
  }
  let valid = method.length > 0;
  for (let i = 0; i < method.length && valid; i++)
    valid = StringIndexOf(tokenCharacters, method[i] as string) >= 0;
  const upper = StringToUpperCase(method);
  if (!valid) throw new TypeError(`cannot make a Request: ${quote(method)} is not a valid method`);
  switch (upper) {
    case "CONNECT":
    case "TRACE":
    case "TRACK":
      throw new TypeError(`cannot make a Request: method ${upper} is forbidden`);
    case "GET":
    case "POST":
    case "PUT":
    case "DELETE":
    case "HEAD":
    case "OPTIONS":
      return upper;
    default:
      return method;
  }
}

function toRedirect(value: unknown): RequestRedirect {
  const redirect = `${value as string}`;
  if (redirect === "follow" || redirect === "error" || redirect === "manual") return redirect;
  throw new TypeError(`cannot make a Request: ${quote(redirect)} is not a redirect mode`);
}

function toCache(value: unknown): RequestCache {
  const cache = `${value as string}`;
  switch (cache) {
    case "default":
    case "no-store":
    case "reload":
    case "no-cache":
      return cache;
    case "force-cache":
    case "only-if-cached":
      throw new TypeError(`cannot make a Request: cache mode "${cache}" is not supported`);
    default:
      throw new TypeError(`cannot make a Request: ${quote(cache)} is not a cache mode`);
  }
}

/** Adds what tells caches on the way that none is to answer (Fetch §4.6, steps 8.17 and 8.18). */
function uncached(block: string, cache: RequestCache): string {
  if (cache === "no-cache") return blockDefault(block, "Cache-Control", "max-age=0");
  return blockDefault(blockDefault(block, "Pragma", "no-cache"), "Cache-Control", "no-cache");
}

function toCoded(value: unknown): boolean {
  if (value === "automatic" || value === "manual") return value === "manual";
  throw new TypeError('cannot make a Request: encodeResponseBody is neither "automatic" nor "manual"');
}

includeBody(Request.prototype, {
  name: "Request",
  is: isRequest,
  state: (self) => bodyOf(self),
  contentType: (self) => blockGet(linesOf(self), "content-type"),
});
defineInterface(Request, "Request", 1);
