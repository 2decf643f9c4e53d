import { Buffer } from "../parts/node-buffer.ts";
import { stream } from "../parts/node-stream.ts";
import { bytesOf } from "./crypto-keys.ts";
import { invalidType, nodeError, notImplemented, outOfRange } from "./errors.ts";
import { workerConnect } from "./provisions.ts";
import { socketError } from "./socket-error.ts";

interface NodeStream {
  readonly destroyed: boolean;
  push(chunk: unknown): boolean;
  end(): this;
  destroy(error?: unknown): this;
  on(name: string, listener: (...parameters: never[]) => void): this;
  once(name: string, listener: (...parameters: never[]) => void): this;
  emit(name: string, ...parameters: unknown[]): boolean;
}

type Done = (error?: Error | null) => void;

/** A socket of `cloudflare:sockets`. */
interface WebSocketLike {
  readonly readable: { getReader(): Reader };
  readonly writable: { getWriter(): Writer };
  readonly opened: Promise<unknown>;
  readonly closed: Promise<unknown>;
  close(): Promise<void>;
  startTls(options?: { expectedServerHostname?: string }): WebSocketLike;
}

interface Reader {
  read(): Promise<{ done: boolean; value?: Uint8Array<ArrayBuffer> }>;
  cancel(reason?: unknown): Promise<void>;
  releaseLock(): void;
}

interface Writer {
  write(chunk: Uint8Array): Promise<void>;
  close(): Promise<void>;
  abort(reason?: unknown): Promise<void>;
  releaseLock(): void;
}

const Duplex = stream["Duplex"] as unknown as new (options?: object) => NodeStream;

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
  #web: WebSocketLike | null = null;
  #reader: Reader | null = null;
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
    ) as WebSocketLike;
    this.attach(web, host, port, "connect");
    return this;
  }

  /** Takes over an opened socket; `event` is emitted when it stands. */
  attach(web: WebSocketLike, host: string, port: number, event: string): void {
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
  handOn(): WebSocketLike {
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

  _write(chunk: unknown, encoding: unknown, done: Done): void {
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

  _final(done: Done): void {
    if (this.#writer === null) done();
    else
      this.#writer.close().then(
        () => done(),
        () => done(),
      );
  }

  _destroy(error: Error | null, done: Done): void {
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
    const { setTimeout, clearTimeout } = globalThis as unknown as {
      setTimeout(run: () => void, ms: number): unknown;
      clearTimeout(timer: unknown): void;
    };
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

function connect(...parameters: unknown[]): Socket {
  const { options } = connectParameters(parameters);
  return new Socket(options).connect(...parameters);
}

const v4 = /^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!$)|$)){4}$/;

function isIPv4(text: unknown): boolean {
  return typeof text === "string" && v4.test(text) && !/(^|\.)0\d/.test(text);
}

function isIPv6(value: unknown): boolean {
  if (typeof value !== "string") return false;
  const text = value.replace(/%[^%]+$/, "");
  if (!/^[0-9a-fA-F:.]+$/.test(text) || !text.includes(":")) return false;
  const URLClass = (globalThis as unknown as { URL: { canParse(text: string): boolean } }).URL;
  return URLClass.canParse(`http://[${text}]/`);
}

const isIP = (text: unknown): number => (isIPv4(text) ? 4 : isIPv6(text) ? 6 : 0);

/** A list of addresses that are not to be reached; it only answers questions. */
class BlockList {
  readonly rules: string[] = [];
  readonly #tests: ((address: bigint, family: string) => boolean)[] = [];

  addAddress(address: string, family = "ipv4"): void {
    const wanted = toNumber(address, family);
    this.rules.unshift(`Address: ${family === "ipv4" ? "IPv4" : "IPv6"} ${address}`);
    this.#tests.push((given, kind) => kind === family && given === wanted);
  }

  addRange(start: string, end: string, family = "ipv4"): void {
    const [low, high] = [toNumber(start, family), toNumber(end, family)];
    if (low > high) throw outOfRange("start", "<= end", start);
    this.rules.unshift(`Range: ${family === "ipv4" ? "IPv4" : "IPv6"} ${start}-${end}`);
    this.#tests.push((given, kind) => kind === family && given >= low && given <= high);
  }

  addSubnet(network: string, prefix: number, family = "ipv4"): void {
    const shift = BigInt((family === "ipv4" ? 32 : 128) - prefix);
    const wanted = toNumber(network, family) >> shift;
    this.rules.unshift(`Subnet: ${family === "ipv4" ? "IPv4" : "IPv6"} ${network}/${prefix}`);
    this.#tests.push((given, kind) => kind === family && given >> shift === wanted);
  }

  check(address: string, family = "ipv4"): boolean {
    const given = toNumber(address, family);
    return this.#tests.some((matches) => matches(given, family));
  }
}

function toNumber(address: string, family: string): bigint {
  if (family === "ipv4") {
    if (!isIPv4(address)) throw nodeError(Error, "ERR_INVALID_ADDRESS", "Invalid address");
    return address.split(".").reduce((sum, part) => (sum << 8n) | BigInt(part), 0n);
  }
  if (!isIPv6(address)) throw nodeError(Error, "ERR_INVALID_ADDRESS", "Invalid address");
  const URLClass = (globalThis as unknown as { URL: new (text: string) => { hostname: string } }).URL;
  const [head = "", tail] = new URLClass(`http://[${address}]/`).hostname.slice(1, -1).split("::");
  const groups = (text: string): string[] => (text === "" ? [] : text.split(":"));
  const [front, back] = [groups(head), groups(tail ?? "")];
  const all =
    tail === undefined
      ? front
      : [...front, ...Array<string>(8 - front.length - back.length).fill("0"), ...back];
  return all.reduce((sum, group) => (sum << 16n) | BigInt(`0x${group}`), 0n);
}

/** `tls.connect`: a connection of its own, or one that has been plain so far. */
export class TLSSocket extends Socket {
  authorized = false;
  authorizationError: Error | null = null;
  override encrypted = true;
  alpnProtocol: string | false = false;

  getPeerCertificate(): object {
    return {};
  }

  getCipher(): object {
    return {};
  }

  getProtocol(): string | null {
    return null;
  }

  getSession(): undefined {
    return undefined;
  }

  isSessionReused(): boolean {
    return false;
  }

  setServername(): void {}
}

function secureConnect(...parameters: unknown[]): TLSSocket {
  const { options: given, done } = connectParameters(parameters);
  const extra = parameters.find((value, index) => index > 0 && typeof value === "object" && value !== null);
  const options = { ...given, ...(extra as ConnectOptions | undefined) };
  const made = new TLSSocket(options);
  if (done !== undefined) made.once("secureConnect", done);
  made.once("secureConnect", () => {
    made.authorized = true;
  });
  const host = options.servername || options.host || options.socket?.remoteAddress || "localhost";
  const port = Number(options.port ?? options.socket?.remotePort ?? 443);
  if (options.socket === undefined) {
    const web = workerConnect(
      { hostname: options.host ?? "localhost", port },
      { secureTransport: "on", allowHalfOpen: true },
    );
    made.attach(web as WebSocketLike, options.host ?? "localhost", port, "secureConnect");
    return made;
  }
  const plain = options.socket;
  if (!(plain instanceof Socket)) throw invalidType("options.socket", "an instance of Socket", plain);
  const secure = (): void => {
    const web = plain.handOn().startTls({ expectedServerHostname: host });
    made.attach(web, host, port, "secureConnect");
  };
  if (plain.connecting) plain.once("connect", secure);
  else secure();
  return made;
}

function absentServer(): never {
  throw notImplemented("net.createServer(): connections come to the Worker's connect handler");
}

/** node:net. */
export const net = {
  BlockList,
  Server: absentServer,
  Socket: callable(Socket),
  Stream: callable(Socket),
  connect,
  createConnection: connect,
  createServer: absentServer,
  getDefaultAutoSelectFamily: (): boolean => false,
  getDefaultAutoSelectFamilyAttemptTimeout: (): number => 250,
  isIP,
  isIPv4,
  isIPv6,
  setDefaultAutoSelectFamily(): void {},
  setDefaultAutoSelectFamilyAttemptTimeout(): void {},
};

/** node:tls. */
export const tls = {
  CLIENT_RENEG_LIMIT: 3,
  CLIENT_RENEG_WINDOW: 600,
  DEFAULT_CIPHERS: "",
  DEFAULT_ECDH_CURVE: "auto",
  DEFAULT_MAX_VERSION: "TLSv1.3",
  DEFAULT_MIN_VERSION: "TLSv1.2",
  Server: absentServer,
  TLSSocket,
  checkServerIdentity: (): undefined => undefined,
  connect: secureConnect,
  createSecureContext: (options: object = {}): object => ({ context: options }),
  createServer: absentServer,
  getCiphers: (): string[] => [],
  rootCertificates: [] as string[],
};

/** Node's `net.Socket(…)` works without `new`. */
function callable<C extends new (options?: never) => object>(Class: C): C {
  return new Proxy(Class, {
    apply: (target, _self, parameters) => Reflect.construct(target, parameters) as object,
  });
}
