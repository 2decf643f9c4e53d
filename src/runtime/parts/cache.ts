import { BODY_CODED, CACHE_BINDING } from "../../wire/ops.ts";
import type { FetchCall } from "../bridge/fetcher.ts";
import { link } from "../bridge/rpc-link.ts";
import { blockGet } from "../web/headers.ts";
import {
  promiseReject,
  promiseResolve,
  StringCharCodeAt,
  StringFromCharCode,
  StringIndexOf,
  StringSlice,
  StringStartsWith,
} from "../web/primordials.ts";
import { isRequest, Request, type RequestParts, takeRequestParts } from "../web/request.ts";
import { isResponse, type Response, type ResponseParts, takeResponseParts } from "../web/response.ts";
import { encodeUtf8 } from "../web/utf8.ts";
import {
  defineInterface,
  illegalConstructor,
  internal,
  quote,
  requireArguments,
  toDictionary,
} from "../web/webidl.ts";

export interface CacheQueryOptions {
  /** Takes any method for GET. */
  ignoreMethod?: boolean;
}

const none = { kind: "none" } as const;

/** What a request says of where something is stored. Its body is not touched. */
interface Key {
  readonly method: string;
  readonly url: string;
  readonly headers: string;
}

function toKey(input: unknown, what: string): Key {
  const parts = takeRequestParts(
    isRequest(input)
      ? new Request(input.url, { method: input.method, headers: input.headers })
      : new Request(input as string),
  );
  if (!StringStartsWith(parts.url, "http:") && !StringStartsWith(parts.url, "https:")) {
    throw new TypeError(`cannot ${what}: ${quote(parts.url)} is not an http or https URL`);
  }
  return parts;
}

function ignoresMethod(options: unknown, what: string): boolean {
  const dictionary = toDictionary(options, `cannot ${what}: options`);
  return dictionary !== null && Boolean(dictionary.ignoreMethod);
}

/** The Cache API as Workers have it, over a service of the host's (src/services/worker/cache-service.ts). */
export class Cache {
  readonly #name: string;

  constructor(token?: unknown, name?: string) {
    if (token !== internal) throw illegalConstructor();
    this.#name = name as string;
  }

  /** The stored response, or undefined. Range, If-None-Match and If-Modified-Since of the request are heeded. */
  async match(
    request: Request | string | { toString(): string },
    options?: CacheQueryOptions,
  ): Promise<Response | undefined> {
    requireArguments(arguments.length, 1, "Cache.match");
    const ignoreMethod = ignoresMethod(options, "match");
    const key = toKey(request, "match");
    if (key.method !== "GET" && !ignoreMethod) return undefined;
    const call = this.#ask("match 000", "", key.url, key.headers, none, 0);
    await call.promise;
    if (blockGet(call.headers, "cf-cache-status") === "HIT") return call.response(false);
    call.body?.cancel();
    return undefined;
  }

  /**
   * Stores a response for as long as its head says. What must not be stored, or is too large, is silently not stored.
   *
   * @throws TypeError for another method than GET, for a partial response, and for `Vary: *`.
   */
  async put(request: Request | string | { toString(): string }, response: Response): Promise<undefined> {
    requireArguments(arguments.length, 2, "Cache.put");
    const key = toKey(request, "put into the cache");
    if (key.method !== "GET")
      throw new TypeError(`cannot put into the cache: the method is ${key.method}, not GET`);
    if (!isResponse(response)) throw new TypeError("cannot put into the cache: response is not a Response");
    const { status } = response;
    if (status === 206 || status === 304 || status === 101 || status === 0) {
      throw new TypeError(`cannot put into the cache: the response has status ${status}`);
    }
    const parts: ResponseParts = takeResponseParts(response);
    if (variesOnAll(parts.headers))
      throw new TypeError('cannot put into the cache: the response has "Vary: *"');
    const flags = parts.encodedByWorker ? BODY_CODED : 0;
    const call = this.#ask(
      `put ${parts.status}`,
      parts.statusText,
      key.url,
      parts.headers,
      parts.body,
      flags,
    );
    await call.promise;
    call.body?.cancel();
    return undefined;
  }

  /** True when something was stored there. */
  async delete(
    request: Request | string | { toString(): string },
    options?: CacheQueryOptions,
  ): Promise<boolean> {
    requireArguments(arguments.length, 1, "Cache.delete");
    const ignoreMethod = ignoresMethod(options, "delete from the cache");
    const key = toKey(request, "delete from the cache");
    if (key.method !== "GET" && !ignoreMethod) return false;
    const call = this.#ask("delete 000", "", key.url, "", none, 0);
    await call.promise;
    call.body?.cancel();
    return call.status === 200;
  }

  #ask(
    command: string,
    reason: string,
    url: string,
    headers: string,
    body: RequestParts["body"],
    flags: number,
  ): FetchCall {
    const { outbound } = link;
    outbound.demandOpen("use a cache");
    const block = `sluice-cache: ${command} ${this.#name} ${reason}\r\n${headers}`;
    return outbound.send(CACHE_BINDING, { method: "POST", url, headers: block, body, signal: null, flags });
  }
}

/** RFC 9110 §12.5.5. */
function variesOnAll(headers: string): boolean {
  const vary = blockGet(headers, "vary");
  return vary !== null && StringIndexOf(`,${withoutSpaces(vary)},`, ",*,") >= 0;
}

function withoutSpaces(text: string): string {
  let result = "";
  for (let i = 0; i < text.length; i++) {
    const code = StringCharCodeAt(text, i);
    if (code !== 32 && code !== 9) result += StringSlice(text, i, i + 1);
  }
  return result;
}

/** A name as text that may stand in a field value, each name another: bytes that are no letters or digits in hexadecimal. */
function encodeName(name: string): string {
  const bytes = encodeUtf8(name);
  let text = "n";
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i] as number;
    const letter = byte | 32;
    const isPlain = (letter >= 97 && letter <= 122) || (byte >= 48 && byte <= 57);
    text += isPlain
      ? StringFromCharCode(byte)
      : `%${StringSlice(digits, byte >> 4, (byte >> 4) + 1)}${StringSlice(digits, byte & 15, (byte & 15) + 1)}`;
  }
  return text;
}

const digits = "0123456789abcdef";
const MAX_NAME = 1024;

/** `caches`. */
export class CacheStorage {
  readonly #default: Cache;

  constructor(token?: unknown) {
    if (token !== internal) throw illegalConstructor();
    this.#default = new Cache(internal, "");
  }

  /** The Worker's cache without a name. */
  get default(): Cache {
    return this.#default;
  }

  /** A cache by its name, apart from the others. */
  open(name: string): Promise<Cache> {
    if (arguments.length < 1) {
      return promiseReject(new TypeError("cannot call CacheStorage.open: 1 argument required, 0 given"));
    }
    const text = `${name}`;
    if (text.length > MAX_NAME) {
      return promiseReject(
        new TypeError(`cannot open a cache: its name is longer than ${MAX_NAME} characters`),
      );
    }
    return promiseResolve(new Cache(internal, encodeName(text)));
  }
}

defineInterface(Cache, "Cache", 0, { match: 1, put: 2, delete: 1 });
defineInterface(CacheStorage, "CacheStorage", 0, { open: 1 });

export const caches: CacheStorage = new CacheStorage(internal);
