import { Buffer } from "../parts/node-buffer.ts";
import { process } from "../parts/node-process.ts";
import { bytesOf } from "./crypto-keys.ts";
import { invalidType, nodeError } from "./errors.ts";
import { globalTimers } from "./global-timers.ts";
import { OutgoingHeaders } from "./http-common.ts";
import { IncomingMessage, NoSocket, type ResponseLike } from "./http-message.ts";
import { socketError } from "./socket-error.ts";
import { type StreamDone, Writable } from "./stream-classes.ts";

declare const fetch: (url: string, init: object) => Promise<ResponseLike>;
declare const ReadableStream: new (source: object, strategy: object) => object;
declare const AbortController: new () => { signal: object; abort(reason?: unknown): void };

interface BodyController {
  enqueue(chunk: Uint8Array): void;
  close(): void;
}

export interface RequestOptions {
  protocol?: string | null;
  host?: string | null;
  hostname?: string | null;
  port?: number | string | null;
  path?: string | null;
  method?: string;
  headers?: Record<string, unknown> | readonly string[];
  auth?: string | null;
  timeout?: number;
  signal?: {
    readonly aborted: boolean;
    readonly reason: unknown;
    addEventListener(name: string, listener: () => void): void;
  };
  agent?: unknown;
  setHost?: boolean;
}

/** A request that `fetch` carries out: it leaves when its head is known and its body has begun. */
export class ClientRequest extends Writable {
  readonly method: string;
  readonly host: string;
  readonly protocol: string;
  path: string;
  aborted = false;
  reusedSocket = false;
  res: IncomingMessage | null = null;
  readonly socket: NoSocket;
  readonly #url: string;
  readonly #headers = new OutgoingHeaders();
  readonly #controller = new AbortController();
  readonly #early: Uint8Array[] = [];
  #body: BodyController | null = null;
  #pulled: (() => void) | null = null;
  #sent = false;
  #timer: unknown = null;

  constructor(
    scheme: "http:" | "https:",
    options: RequestOptions,
    done?: (response: IncomingMessage) => void,
  ) {
    // It is over when its answer is, not when it has been sent.
    super({ autoDestroy: false });
    const protocol = options.protocol ?? scheme;
    if (protocol !== "http:" && protocol !== "https:")
      throw nodeError(
        TypeError,
        "ERR_INVALID_PROTOCOL",
        `Protocol "${protocol}" not supported. Expected "${scheme}"`,
      );
    this.protocol = protocol;
    const host = options.hostname ?? options.host ?? "localhost";
    const secure = protocol === "https:";
    const port =
      options.port === undefined || options.port === null || options.port === "" ? "" : `:${options.port}`;
    if (options.path !== undefined && options.path !== null && /[^\u0021-\u00ff]/.test(options.path))
      throw nodeError(TypeError, "ERR_UNESCAPED_CHARACTERS", "Request path contains unescaped characters");
    this.path = options.path || "/";
    if (options.method !== undefined && typeof options.method !== "string")
      throw invalidType("options.method", "of type string", options.method);
    this.method = (options.method ?? "GET").toUpperCase();
    this.host = host;
    this.#url = `${protocol}//${host.includes(":") && !host.startsWith("[") ? `[${host}]` : host}${port}${this.path}`;
    this.socket = new NoSocket(secure);
    const { headers } = options;
    if (Array.isArray(headers))
      for (let i = 0; i < headers.length; i += 2)
        this.#headers.append(headers[i] as string, headers[i + 1] as string);
    else for (const [name, value] of Object.entries(headers ?? {})) this.setHeader(name, value);
    if (typeof options.auth === "string" && !this.#headers.has("authorization"))
      this.setHeader("authorization", `Basic ${Buffer(options.auth).toString("base64")}`);
    if (done !== undefined) this.once("response", done);
    if (options.timeout !== undefined) this.setTimeout(options.timeout);
    const { signal } = options;
    if (signal !== undefined) {
      const abort = (): void => {
        this.destroy(
          Object.assign(new Error("The operation was aborted", { cause: signal.reason } as never), {
            name: "AbortError",
            code: "ABORT_ERR",
          }),
        );
      };
      if (signal.aborted) process.nextTick(abort);
      else signal.addEventListener("abort", abort);
    }
    process.nextTick(() => {
      if (!this.destroyed) this.emit("socket", this.socket);
    });
  }

  get connection(): NoSocket {
    return this.socket;
  }

  get headersSent(): boolean {
    return this.#sent;
  }

  get finished(): boolean {
    return (this as unknown as { writableEnded: boolean }).writableEnded;
  }

  setHeader(name: unknown, value: unknown): this {
    if (this.#sent)
      throw nodeError(Error, "ERR_HTTP_HEADERS_SENT", "Cannot set headers after they are sent to the client");
    this.#headers.set(name, value);
    return this;
  }

  setHeaders(headers: Iterable<readonly [string, unknown]>): this {
    for (const [name, value] of headers) this.setHeader(name, value);
    return this;
  }

  appendHeader(name: string, value: string | readonly string[]): this {
    this.#headers.append(name, value);
    return this;
  }

  getHeader(name: string): unknown {
    return this.#headers.get(name);
  }

  getHeaders(): object {
    return this.#headers.all;
  }

  getHeaderNames(): string[] {
    return this.#headers.names;
  }

  getRawHeaderNames(): string[] {
    return this.#headers.rawNames;
  }

  hasHeader(name: string): boolean {
    return this.#headers.has(name);
  }

  removeHeader(name: string): void {
    this.#headers.remove(name);
  }

  flushHeaders(): void {
    this.#send(true);
  }

  setTimeout(ms: number, done?: () => void): this {
    if (done !== undefined) this.once("timeout", done);
    const { setTimeout, clearTimeout } = globalTimers();
    clearTimeout(this.#timer);
    this.#timer = ms > 0 ? setTimeout(() => void (this.res === null && this.emit("timeout")), ms) : null;
    return this;
  }

  setNoDelay(): this {
    return this;
  }

  setSocketKeepAlive(): this {
    return this;
  }

  abort(): void {
    if (this.aborted) return;
    this.aborted = true;
    process.nextTick(() => this.emit("abort"));
    this.destroy();
  }

  _write(chunk: unknown, encoding: unknown, done: StreamDone): void {
    const bytes = bytesOf(chunk, "chunk", encoding);
    // A small body that is all there goes as one piece, with its length; the stream begins with the second.
    if (!this.#sent && this.#early.length === 0) {
      this.#early.push(bytes);
      done();
      return;
    }
    this.#send(true);
    this.#body?.enqueue(bytes);
    this.#pulled = done;
  }

  _final(done: StreamDone): void {
    this.#send(false);
    this.#body?.close();
    done();
  }

  _destroy(error: Error | null, done: StreamDone): void {
    globalTimers().clearTimeout(this.#timer);
    const unanswered = this.res === null;
    this.#controller.abort(error ?? undefined);
    if (!unanswered && error !== null) this.res?.destroy(error);
    done(error ?? (unanswered ? Object.assign(new Error("socket hang up"), { code: "ECONNRESET" }) : null));
  }

  #send(streams: boolean): void {
    if (this.#sent) return;
    this.#sent = true;
    const bodiless = this.method === "GET" || this.method === "HEAD";
    let body: unknown;
    if (streams && !bodiless) {
      body = new ReadableStream(
        {
          start: (controller: BodyController) => {
            this.#body = controller;
            for (const chunk of this.#early) controller.enqueue(chunk);
          },
          pull: () => {
            const next = this.#pulled;
            this.#pulled = null;
            (next as (() => void) | null)?.();
          },
        },
        { highWaterMark: 1 },
      );
    } else if (this.#early.length > 0 && !bodiless) body = this.#early[0];
    const hop = new Set(["connection", "transfer-encoding", "content-length", "keep-alive", "expect"]);
    const headers = this.#headers.pairs.filter(([name]) => !hop.has(name.toLowerCase()));
    const init = {
      method: this.method,
      headers,
      body,
      redirect: "manual",
      signal: this.#controller.signal,
      // A client of Node's sees the body as it came.
      encodeResponseBody: "manual",
    };
    fetch(this.#url, init).then(
      (response) => this.#answered(response),
      (error: unknown) => {
        if (!this.destroyed) this.destroy(socketError(error, this.host));
      },
    );
  }

  #answered(response: ResponseLike): void {
    if (this.destroyed) return;
    globalTimers().clearTimeout(this.#timer);
    const message = new IncomingMessage(this.socket);
    message.fill(response);
    this.res = message;
    message.once("close", () => this.destroy());
    // Nobody reads it: it goes on nonetheless, as in Node.
    if (!this.emit("response", message)) (message as unknown as { resume(): void }).resume();
  }
}
