import { Buffer } from "../parts/node-buffer.ts";
import { bytesOf } from "./crypto-keys.ts";
import { nodeError } from "./errors.ts";
import { globalTimers } from "./global-timers.ts";
import { workerConnect } from "./provisions.ts";
import { socketError } from "./socket-error.ts";
import { type ByteReader, Duplex, type StreamDone } from "./stream-classes.ts";

/** A socket of `cloudflare:sockets`. */
export interface WorkerSocket {
  readonly readable: { getReader(): SocketReader };
  readonly writable: { getWriter(): Writer };
  readonly opened: Promise<unknown>;
  readonly closed: Promise<unknown>;
  close(): Promise<void>;
  startTls(options?: { expectedServerHostname?: string }): WorkerSocket;
}

interface SocketReader extends ByteReader {
  releaseLock(): void;
}

interface Writer {
  write(chunk: Uint8Array): Promise<void>;
  close(): Promise<void>;
  abort(reason?: unknown): Promise<void>;
  releaseLock(): void;
}

export interface ConnectOptions {
  host?: string;
  port?: number | string;
  path?: string;
  servername?: string;
  allowHalfOpen?: boolean;
  timeout?: number;
  socket?: Socket;
  signal?: unknown;
}

function ignore(): void {}

/** node:net.Socket: the client's end of a connection that the Worker's outbound service opens. */
export class Socket extends Duplex {
  connecting = false;
  pending = true;
  bytesRead = 0;
  bytesWritten = 0;
  remoteAddress: string | undefined;
  remotePort: number | undefined;
  remoteFamily: string | undefined;
  timeout = 0;
  encrypted = false;
  #web: WorkerSocket | null = null;
  #reader: SocketReader | null = null;
  #writer: Writer | null = null;
  #reading = false;
  #handedOn = false;
  #timer: unknown = null;

  constructor(options: { allowHalfOpen?: boolean } = {}) {
    super({ ...options, allowHalfOpen: options.allowHalfOpen ?? false, autoDestroy: true, emitClose: true });
  }

  get readyState(): string {
    if (this.connecting) return "opening";
    return this.#web === null || this.destroyed ? "closed" : "open";
  }

  connect(...parameters: unknown[]): this {
    const { options, done } = connectParameters(parameters);
    if (options.path !== undefined)
      throw nodeError(
        Error,
        "ERR_METHOD_NOT_IMPLEMENTED",
        "cannot connect: a Worker reaches no Unix sockets by path",
      );
    const port = Number(options.port);
    if (!Number.isInteger(port) || port < 0 || port > 65535)
      throw nodeError(
        RangeError,
        "ERR_SOCKET_BAD_PORT",
        `Port should be >= 0 and < 65536. Received ${String(options.port)}.`,
      );
    const host = options.host ?? "localhost";
    if (done !== undefined) this.once("connect", done);
    if (options.timeout !== undefined) this.setTimeout(options.timeout);
    this.connecting = true;
    // Whether TLS comes later is not known yet, so that it may.
    const web = workerConnect(
      { hostname: host, port },
      { secureTransport: "starttls", allowHalfOpen: true },
    ) as WorkerSocket;
    this.attach(web, host, port, "connect");
    return this;
  }

  /** Takes over an opened socket; `event` is emitted when it stands. */
  attach(web: WorkerSocket, host: string, port: number, event: string): void {
    this.#web = web;
    this.connecting = true;
    this.#reader = web.readable.getReader();
    this.#writer = web.writable.getWriter();
    web.closed.then(undefined, ignore);
    web.opened.then(
      () => {
        if (this.destroyed) return;
        this.connecting = false;
        this.pending = false;
        this.remoteAddress = host;
        this.remotePort = port;
        this.remoteFamily = host.includes(":") ? "IPv6" : "IPv4";
        this.emit(event);
        if (event === "connect") this.emit("ready");
        this.#pump();
      },
      (error: unknown) => this.destroy(socketError(error, host, port)),
    );
  }

  /** Gives up the connection, which is to be secured; what has been read is not given back. */
  handOn(): WorkerSocket {
    const web = this.#web;
    if (web === null) throw nodeError(Error, "ERR_SOCKET_CLOSED", "Socket is closed");
    this.#handedOn = true;
    this.#writer?.releaseLock();
    this.#reader?.releaseLock();
    this.#web = null;
    this.#reader = null;
    this.#writer = null;
    return web;
  }

  _read(): void {
    this.#pump();
  }

  #pump(): void {
    const reader = this.#reader;
    if (this.#reading || reader === null || this.pending) return;
    this.#reading = true;
    reader.read().then(
      ({ done, value }) => {
        this.#reading = false;
        if (this.#handedOn || this.destroyed) return;
        this.#touch();
        if (done || value === undefined) {
          this.push(null);
          return;
        }
        this.bytesRead += value.length;
        if (this.push(Buffer(value.buffer, value.byteOffset, value.byteLength))) this.#pump();
      },
      (error: unknown) => {
        this.#reading = false;
        if (!this.#handedOn) this.destroy(socketError(error, this.remoteAddress ?? "", this.remotePort ?? 0));
      },
    );
  }

  _write(chunk: unknown, encoding: unknown, done: StreamDone): void {
    const writer = this.#writer;
    if (writer === null) {
      done(nodeError(Error, "ERR_SOCKET_CLOSED", "Socket is closed"));
      return;
    }
    const bytes = bytesOf(chunk, "chunk", encoding);
    this.bytesWritten += bytes.length;
    this.#touch();
    // A copy: what is a Buffer here may be written to again once the callback has been called.
    writer.write(bytes.slice()).then(
      () => done(),
      (error: unknown) => done(socketError(error, this.remoteAddress ?? "", this.remotePort ?? 0)),
    );
  }

  _final(done: StreamDone): void {
    if (this.#writer === null) done();
    else
      this.#writer.close().then(
        () => done(),
        () => done(),
      );
  }

  _destroy(error: Error | null, done: StreamDone): void {
    this.setTimeout(0);
    this.connecting = false;
    this.#reader?.cancel().then(undefined, ignore);
    if (error !== null) this.#writer?.abort(error).then(undefined, ignore);
    this.#web?.close().then(undefined, ignore);
    this.#web = null;
    done(error);
  }

  destroySoon(): void {
    if (!this.destroyed) this.end();
    this.once("finish", () => this.destroy());
  }

  resetAndDestroy(): this {
    return this.destroy();
  }

  setTimeout(ms: number, done?: () => void): this {
    this.timeout = ms;
    if (done !== undefined) this.once("timeout", done);
    this.#touch();
    return this;
  }

  #touch(): void {
    const { setTimeout, clearTimeout } = globalTimers();
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = this.timeout > 0 ? setTimeout(() => this.emit("timeout"), this.timeout) : null;
  }

  setNoDelay(): this {
    return this;
  }

  setKeepAlive(): this {
    return this;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  address(): object {
    return {};
  }
}

/** `(options)`, `(port, host)` or `(path)`, with a listener at the end or not. */
export function connectParameters(parameters: readonly unknown[]): {
  options: ConnectOptions;
  done: (() => void) | undefined;
} {
  const last = parameters.at(-1);
  const done = typeof last === "function" ? (last as () => void) : undefined;
  const [first, second] = parameters;
  if (typeof first === "object" && first !== null) return { options: first as ConnectOptions, done };
  if (typeof first === "string" && Number.isNaN(Number(first))) return { options: { path: first }, done };
  const options: ConnectOptions = { port: first as number };
  if (typeof second === "string") options.host = second;
  return { options, done };
}
