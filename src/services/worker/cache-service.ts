import { ProxyError } from "../../errors/proxy-error.ts";
import { type BodySink, type BodySource, BytesBody } from "../../http/body.ts";
import type { Exchange } from "../../http/exchange.ts";
import { HeaderBlock } from "../../http/header-block.ts";
import { ResponseHead } from "../../http/message.ts";
import type { CachedResponse, CacheStore } from "../../storage/cache-store.ts";
import { MemoryCache } from "../../storage/memory-cache.ts";
import type { ServiceContext } from "../context.ts";
import type { Service, Tunnel } from "../service.ts";
import { isNotModified, lifetime, rangeOf } from "./cache-rules.ts";

/** What the caches of all Workers of a shard may take. */
const limits = { bytes: 64 * 1024 * 1024, entries: 10_000 };

const stores: WeakMap<ServiceContext, CacheStore> = new WeakMap();

function storeOf(context: ServiceContext): CacheStore {
  let store = stores.get(context);
  if (store === undefined) {
    store = new MemoryCache(limits, context.now);
    stores.set(context, store);
  }
  return store;
}

/** The first line of each request: operation, status of the response to be stored, name of the cache, reason phrase. */
const commandLine = /^sluice-cache: (match|put|delete) (\d{3}) ([\w.!~*'()%-]*) ?([^\r]*)\r\n/;

/**
 * What the Cache API of one Worker speaks to (src/runtime/parts/cache.ts): requests whose URL is the key, answered with
 * what is stored. No other Worker's keys can be reached.
 */
export class CacheService implements Service {
  readonly kind = "worker";
  readonly name: string;
  readonly #context: ServiceContext;
  readonly #store: CacheStore;

  constructor(worker: string, context: ServiceContext) {
    this.name = worker;
    this.#context = context;
    this.#store = storeOf(context);
  }

  handle(exchange: Exchange): void {
    const { request } = exchange;
    const command = commandLine.exec(request.headers.text);
    if (command === null) {
      exchange.fail(
        new ProxyError("request_malformed", "cannot use the cache: the request is not one of ours"),
      );
      return;
    }
    const [line, operation, status, cache, reason = ""] = command;
    const headers = new HeaderBlock(request.headers.text.slice(line.length));
    const key = `${this.name}\n${cache}\n${request.url}`;
    if (operation === "match") settle(exchange, this.#match(exchange, key, headers));
    else if (operation === "delete") settle(exchange, this.#delete(exchange, key));
    else this.#put(exchange, key, Number(status), reason, headers);
  }

  connect(tunnel: Tunnel): void {
    tunnel.refuse(new ProxyError("connect_unsupported", "cannot connect to a cache"));
  }

  at(): Service {
    return this;
  }

  close(): void {}

  async #match(exchange: Exchange, key: string, request: HeaderBlock): Promise<void> {
    const found = await this.#store.match(key);
    if (found === null) {
      exchange.respond(new ResponseHead(504, HeaderBlock.from([["CF-Cache-Status", "MISS"]])), null);
      return;
    }
    const stored = new HeaderBlock(found.headers);
    const age = Math.floor(found.age + (this.#context.now() - found.storedAt) / 1000);
    const headers = stored.clone();
    headers.set("Age", `${age}`);
    headers.append("CF-Cache-Status", "HIT");
    if (isNotModified(request, stored)) {
      exchange.respond(new ResponseHead(304, headers), null);
      return;
    }
    const { body } = found;
    const range = found.status === 200 ? rangeOf(request, stored, body.length) : null;
    if (range === "outside") {
      headers.set("Content-Range", `bytes */${body.length}`);
      exchange.respond(new ResponseHead(416, headers), null);
    } else if (range !== null) {
      headers.set("Content-Range", `bytes ${range.from}-${range.to - 1}/${body.length}`);
      exchange.respond(new ResponseHead(206, headers), new BytesBody(body.subarray(range.from, range.to)));
    } else {
      const bodiless = found.status === 204 || found.status === 205;
      exchange.respond(
        new ResponseHead(found.status, headers, found.reason),
        bodiless ? null : new BytesBody(body),
      );
    }
  }

  async #delete(exchange: Exchange, key: string): Promise<void> {
    const existed = await this.#store.delete(key);
    exchange.respond(new ResponseHead(existed ? 200 : 404), null);
  }

  #put(exchange: Exchange, key: string, status: number, reason: string, headers: HeaderBlock): void {
    const body = exchange.takeBody();
    headers.delete("cf-cache-status");
    const age = Math.max(0, Number(headers.get("age") ?? 0) || 0);
    const fresh = lifetime(status, headers, Date.now());
    if (fresh <= 0 || status === 206 || status === 304) {
      body?.cancel(refused());
      exchange.respond(new ResponseHead(413), null);
      return;
    }
    const store = (bytes: Uint8Array): void => {
      const storedAt = this.#context.now();
      const expiresAt = storedAt + fresh * 1000;
      const response = { status, reason, headers: headers.text, body: bytes, storedAt, expiresAt, age };
      settle(exchange, this.#keep(exchange, key, response));
    };
    if (body === null) store(new Uint8Array(0));
    else new Collected(exchange, body, this.#store.maxBody, store);
  }

  async #keep(exchange: Exchange, key: string, response: CachedResponse): Promise<void> {
    const kept = await this.#store.put(key, response);
    exchange.respond(new ResponseHead(kept ? 204 : 413), null);
  }
}

/** Bytes of bodies on their way into caches, of all Workers. */
let collecting = 0;

/** Collects a body that is to be stored, as long as it is not too large. */
class Collected implements BodySink {
  readonly #exchange: Exchange;
  readonly #source: BodySource;
  readonly #limit: number;
  readonly #done: (bytes: Uint8Array) => void;
  #chunks: Uint8Array[] = [];
  #size = 0;
  #isOver = false;

  constructor(exchange: Exchange, source: BodySource, limit: number, done: (bytes: Uint8Array) => void) {
    this.#exchange = exchange;
    this.#source = source;
    this.#limit = limit;
    this.#done = done;
    exchange.handler = {
      onAbort: (error) => {
        if (!this.#close()) return;
        source.cancel(error);
      },
    };
    source.pipe(this);
  }

  write(chunk: Uint8Array): boolean {
    if (this.#isOver) return false;
    this.#size += chunk.length;
    collecting += chunk.length;
    this.#chunks.push(chunk);
    if (this.#size <= this.#limit && collecting <= limits.bytes / 2) return true;
    this.#close();
    this.#source.cancel(refused());
    this.#exchange.respond(new ResponseHead(413), null);
    return false;
  }

  end(): void {
    // A copy of exactly that size: a chunk may be a view of a much larger buffer.
    const bytes = Buffer.concat(this.#chunks);
    if (this.#close()) this.#done(bytes);
  }

  fail(error: ProxyError): void {
    if (this.#close()) this.#exchange.fail(error);
  }

  #close(): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    this.#exchange.handler = null;
    collecting -= this.#size;
    this.#chunks = [];
    return true;
  }
}

/** A store that fails is a failure of the exchange. */
function settle(exchange: Exchange, work: Promise<void>): void {
  work.catch((error: unknown) => exchange.fail(ProxyError.from(error)));
}

function refused(): ProxyError {
  return new ProxyError("client_disconnected", "cannot store the body: the cache does not take it");
}
