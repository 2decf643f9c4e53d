import assert from "node:assert/strict";
import { once } from "node:events";
import * as net from "node:net";
import type { TestContext } from "node:test";
import type { z } from "zod";
import { external } from "../../src/config/schema/external.ts";
import { socketHttp } from "../../src/config/schema/socket.ts";
import type { ProxyError } from "../../src/errors/proxy-error.ts";
import type { BodySource } from "../../src/http/body.ts";
import { Exchange } from "../../src/http/exchange.ts";
import { RequestHead, type ResponseHead } from "../../src/http/message.ts";
import { HttpServer } from "../../src/http/server/http-server.ts";
import { Listener } from "../../src/net/listener.ts";
import { TimerWheel } from "../../src/net/timer-wheel.ts";
import type { LogFields } from "../../src/observability/log.ts";
import { Metrics } from "../../src/observability/traffic.ts";
import type { LinkableService, ServiceContext } from "../../src/services/context.ts";
import { createExternal } from "../../src/services/external/external.ts";
import type { Service, Tunnel } from "../../src/services/service.ts";

/** What a shard lends, with a log that keeps its lines. */
export class TestContextOfServices {
  readonly metrics: Metrics = new Metrics();
  readonly secret: Uint8Array = new Uint8Array(32);
  readonly lines: Array<{ event: string; message: string; fields: LogFields | undefined }> = [];
  readonly accesses: LogFields[] = [];
  readonly log = {
    accessEnabled: true,
    log: (_level: string, event: string, message: string, fields?: LogFields): void => {
      this.lines.push({ event, message, fields });
    },
    access: (fields: LogFields): void => {
      this.accesses.push(fields);
    },
  };

  now(): number {
    return performance.now();
  }

  get wheel(): TimerWheel {
    return TimerWheel.of(this);
  }

  /** As a service takes it; none of the services here has an isolate. */
  get forServices(): ServiceContext {
    return this as unknown as ServiceContext;
  }
}

/** A service made of functions. */
export class FunctionService implements Service {
  readonly name = "function";
  readonly kind = "worker";
  readonly aborts: ProxyError[] = [];
  exchanges = 0;
  readonly #answer: (exchange: Exchange) => void;
  readonly #connect: (tunnel: Tunnel) => void;

  constructor(answer: (exchange: Exchange) => void, connect: (tunnel: Tunnel) => void = () => {}) {
    this.#answer = answer;
    this.#connect = connect;
  }

  handle(exchange: Exchange): void {
    this.exchanges++;
    exchange.handler = { onAbort: (error) => this.aborts.push(error) };
    this.#answer(exchange);
  }

  connect(tunnel: Tunnel): void {
    this.#connect(tunnel);
  }

  at(): Service {
    return this;
  }

  close(): void {}
}

export interface ProxyOptions {
  readonly http?: z.input<typeof socketHttp>;
  readonly service?: Service;
  /** In place of `service`: an external with this config. */
  readonly external?: z.input<typeof external>;
}

/** Most tests look at the very text that a server gets, in which the client's address would only be in the way. */
function untold(config: z.input<typeof external>): z.input<typeof external> {
  return { ...config, http: { forwarded: "none", ...config.http } };
}

/** A socket with its service, in this process; when the test ends, nothing of it may be left. */
export class TestProxy {
  readonly context: TestContextOfServices = new TestContextOfServices();
  readonly server: HttpServer;
  readonly service: Service;
  readonly #listener: Listener;
  /** The wheel must get its time from this context. */
  readonly #external: LinkableService | null;

  private constructor(options: ProxyOptions) {
    const context = this.context.forServices;
    this.#external =
      options.external === undefined
        ? null
        : createExternal("upstream", external.parse(untold(options.external)), context);
    this.service = options.service ?? (this.#external as Service);
    this.server = new HttpServer("public", socketHttp.parse(options.http ?? {}), this.service, context);
    this.#listener = new Listener((socket) => this.server.accept(socket));
  }

  static async start(test: TestContext, options: ProxyOptions): Promise<TestProxy> {
    const proxy = new TestProxy(options);
    await proxy.#external?.ready?.();
    await proxy.#listener.listen({ kind: "tcp", host: "127.0.0.1", port: 0 });
    test.after(() => proxy.stop());
    return proxy;
  }

  get port(): number {
    return this.#listener.port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Opens a raw connection to the socket. */
  dial(test: TestContext): Promise<RawClient> {
    return RawClient.connect(test, this.port);
  }

  upstreamConnections(): { open: number; idle: number } {
    const gauges = new Map(this.context.metrics.gauges.readGauges());
    const read = (state: string): number =>
      gauges.get(`sluice_upstream_connections{service="upstream",state="${state}"}`) ?? 0;
    return { open: read("open"), idle: read("idle") };
  }

  /** The value of a gauge or counter of the external. @param labels after `service`, as `state="up"` */
  upstreamMetric(name: string, labels = ""): number {
    const key = `sluice_upstream_${name}{service="upstream"${labels === "" ? "" : `,${labels}`}}`;
    const { counters, gauges } = this.context.metrics.snapshot();
    return new Map([...counters, ...gauges]).get(key) ?? 0;
  }

  /** Errors that the socket has counted, by code. */
  get errors(): Record<string, number> {
    return Object.fromEntries(this.server.traffic.errors);
  }

  /** Closes everything and asserts that all counts return to zero. */
  async stop(): Promise<void> {
    this.#listener.close();
    await new Promise<void>((resolve) => {
      this.server.drain(0, resolve);
      this.server.close();
    });
    await until(() => this.upstreamConnections().open === this.upstreamConnections().idle);
    this.#external?.close();
    await until(() => this.upstreamConnections().open === 0 && this.context.wheel.size === 0);
    assert.equal(this.server.connections, 0, "connections are closed");
    assert.equal(this.server.exchanges, 0, "exchanges are over");
    assert.equal(this.context.wheel.size, 0, "timers are cancelled");
    for (const traffic of this.context.metrics.snapshot().traffic) {
      assert.equal(traffic.active, 0, `nothing of ${traffic.kind} ${traffic.name} is active`);
    }
  }
}

/** A GET as a Worker's binding makes it, which keeps its answer. */
export class SubExchange extends Exchange {
  status = 0;
  body: BodySource | null = null;
  error: ProxyError | null = null;

  constructor(depth = 1) {
    const client = { address: "", port: 0, socket: "test", secure: false, httpVersion: "HTTP/1.1" };
    super(new RequestHead("GET", "http", "site", "/"), null, client, depth);
  }

  inform(): void {}

  respond(head: ResponseHead, body: BodySource | null): void {
    this.status = head.status;
    this.body = body;
  }

  upgrade(): void {}

  fail(error: ProxyError): void {
    this.error = error;
  }
}

/** Waits, a turn of the event loop at a time, for what other sockets of this process bring about. */
export async function until(condition: () => boolean, ms = 5_000): Promise<void> {
  const end = performance.now() + ms;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`cannot go on: ${condition} has not come true`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** One end of a TCP connection, as bytes. */
export class RawClient {
  readonly socket: net.Socket;
  received = "";
  ended = false;
  closed = false;
  error: NodeJS.ErrnoException | null = null;
  #changed: () => void = () => {};

  constructor(socket: net.Socket) {
    this.socket = socket;
    socket.setEncoding("latin1");
    socket.on("data", (text: string) => {
      this.received += text;
      this.#changed();
    });
    socket.on("end", () => {
      this.ended = true;
      this.#changed();
    });
    socket.on("error", (error) => {
      this.error = error;
    });
    socket.on("close", () => {
      this.closed = true;
      this.#changed();
    });
  }

  static async connect(test: TestContext, port: number): Promise<RawClient> {
    const socket = net.connect({ host: "127.0.0.1", port, allowHalfOpen: true });
    await once(socket, "connect");
    test.after(() => socket.destroy());
    return new RawClient(socket);
  }

  send(text: string): void {
    this.socket.write(text, "latin1");
  }

  /** Waits until the text received holds `part`. */
  async got(part: string): Promise<string> {
    await this.#when(() => this.received.includes(part), `"${part}"`);
    return this.received;
  }

  /** Waits for the peer's end of the connection, orderly or not. */
  async end(): Promise<string> {
    await this.#when(() => this.ended || this.closed, "the end");
    return this.received;
  }

  async #when(condition: () => boolean, what: string): Promise<void> {
    const timeout = AbortSignal.timeout(5_000);
    while (!condition()) {
      if (timeout.aborted) throw new Error(`cannot get ${what}: received ${JSON.stringify(this.received)}`);
      if (this.closed) throw new Error(`cannot get ${what}: closed after ${JSON.stringify(this.received)}`);
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
        timeout.addEventListener("abort", () => resolve(), { once: true });
      });
    }
  }
}

/** An origin that a test drives byte by byte. */
export class RawOrigin {
  readonly server: net.Server;
  readonly connections: RawClient[] = [];
  #arrived: () => void = () => {};

  private constructor(serve: (connection: RawClient, index: number) => void) {
    this.server = net.createServer({ allowHalfOpen: true }, (socket) => {
      const connection = new RawClient(socket);
      this.connections.push(connection);
      serve(connection, this.connections.length - 1);
      this.#arrived();
    });
  }

  static async start(
    test: TestContext,
    serve: (connection: RawClient, index: number) => void = () => {},
  ): Promise<RawOrigin> {
    const origin = new RawOrigin(serve);
    origin.server.listen(0, "127.0.0.1");
    await once(origin.server, "listening");
    test.after(() => {
      origin.server.close();
      for (const { socket } of origin.connections) socket.destroy();
    });
    return origin;
  }

  get address(): string {
    return `127.0.0.1:${(this.server.address() as net.AddressInfo).port}`;
  }

  /** The connection with this index, when it has come. */
  async connection(index: number): Promise<RawClient> {
    for (;;) {
      const found = this.connections[index];
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => {
        this.#arrived = resolve;
      });
    }
  }
}
