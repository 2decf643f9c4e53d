import { once } from "node:events";
import type { AddressInfo } from "node:net";
import * as net from "node:net";
import type { TestContext } from "node:test";
import { type ClientOptions, WebSocket, WebSocketServer } from "ws";
import { external } from "../../src/config/schema/external.ts";
import { network } from "../../src/config/schema/network.ts";
import { socketHttp } from "../../src/config/schema/socket.ts";
import { HttpServer } from "../../src/http/server/http-server.ts";
import { Listener } from "../../src/net/listener.ts";
import { TimerWheel } from "../../src/net/timer-wheel.ts";
import type { LinkableService } from "../../src/services/context.ts";
import { createExternal } from "../../src/services/external/external.ts";
import { createNetwork } from "../../src/services/network/network.ts";
import type { Service } from "../../src/services/service.ts";
import { eventually } from "../support/shard.ts";
import { FakeService, WorkerBench, type WorkerSource } from "./worker-harness.ts";

/** A Worker of today, with what there is for WebSockets. */
export function today(code: string, more: Partial<WorkerSource> = {}): WorkerSource {
  return { code, date: "2026-11-01", ...more };
}

/** Sends back what it gets, and says with what code it was closed. */
export const echo = `export default { fetch(request) {
  const [client, server] = Object.values(new WebSocketPair());
  server.accept();
  server.binaryType = "arraybuffer";
  server.addEventListener("message", ({ data }) => server.send(data));
  server.addEventListener("close", ({ code, reason, wasClean }) => console.log("closed", code, reason, wasClean, server.readyState));
  server.addEventListener("error", ({ message }) => console.log("error", message));
  return new Response(null, { status: 101, webSocket: client });
} };`;

export interface StageOptions {
  readonly workers: Readonly<Record<string, WorkerSource>>;
  /** The service behind the socket; "main" unless said otherwise. */
  readonly front?: string;
  /** An origin with `ws`: the service "app" leads to it. */
  readonly origin?: boolean;
  /** Options of the origin's server. */
  readonly originOptions?: ConstructorParameters<typeof WebSocketServer>[0];
  /** The service "app" is a `network` in place of an `external`. */
  readonly network?: boolean;
  readonly http?: Parameters<typeof socketHttp.parse>[0];
}

/** Workers behind a listening socket, and an origin with `ws`, all in this process. */
export class WebSocketStage {
  readonly bench: WorkerBench;
  readonly origin: WebSocketServer | null;
  readonly url: string;
  readonly port: number;
  readonly server: HttpServer;

  private constructor(bench: WorkerBench, origin: WebSocketServer | null, port: number, server: HttpServer) {
    this.bench = bench;
    this.origin = origin;
    this.port = port;
    this.url = `ws://127.0.0.1:${port}/`;
    this.server = server;
  }

  static async start(test: TestContext, options: StageOptions): Promise<WebSocketStage> {
    let origin: WebSocketServer | null = null;
    if (options.origin) {
      origin = new WebSocketServer({ host: "127.0.0.1", port: 0, ...options.originOptions });
      await once(origin, "listening");
    }
    let app: LinkableService | null = null;
    const fake = new FakeService("app", (exchange) => app?.handle(exchange));
    const bench = await WorkerBench.start(options.workers, [fake]);
    if (origin !== null) {
      const { port } = origin.address() as AddressInfo;
      app = options.network
        ? createNetwork("app", network.parse({ allow: ["local"] }), bench.context)
        : createExternal("app", external.parse({ address: `127.0.0.1:${port}` }), bench.context);
      app.link(() => fake);
    }
    const front: Service = options.front === "app" ? fake : bench.worker(options.front ?? "main");
    const server = new HttpServer("public", socketHttp.parse(options.http ?? {}), front, bench.context);
    const listener = new Listener((socket) => server.accept(socket));
    await listener.listen({ kind: "tcp", host: "127.0.0.1", port: 0 });
    test.after(async () => {
      listener.close();
      server.close();
      bench.stop();
      app?.close();
      if (origin !== null) {
        for (const client of origin.clients) client.terminate();
        await new Promise((done) => origin.close(done));
      }
      await eventually("connections and timers are gone", () => {
        return server.connections === 0 && TimerWheel.of(bench.context).size === 0;
      });
    });
    return new WebSocketStage(bench, origin, listener.port, server);
  }

  /** A real client, once it is open. */
  async connect(path = "", protocols: string[] = [], options: ClientOptions = {}): Promise<Client> {
    const client = this.client(path, protocols, options);
    await once(client.socket, "open");
    return client;
  }

  client(path = "", protocols: string[] = [], options: ClientOptions = {}): Client {
    return new Client(new WebSocket(this.url + path, protocols, options));
  }

  /** A bare connection that has asked for a WebSocket. */
  async raw(headers = handshake): Promise<net.Socket> {
    const socket = net.connect(this.port, "127.0.0.1");
    await once(socket, "connect");
    socket.write(`GET / HTTP/1.1\r\nHost: example.com\r\n${headers}\r\n`);
    return socket;
  }

  get logs(): string[] {
    return this.bench.logged("worker.log").map((line) => line.message);
  }
}

export const handshake =
  "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/** A client of `ws` that keeps what it gets, so that nothing is missed between two waits. */
export class Client {
  readonly socket: WebSocket;
  readonly #received: Array<string | Buffer> = [];
  readonly #waiting: Array<() => void> = [];
  readonly closed: Promise<{ code: number; reason: string }>;

  constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on("error", () => {});
    socket.on("message", (data: Buffer, isBinary) => {
      this.#received.push(isBinary ? data : data.toString());
      this.#waiting.shift()?.();
    });
    this.closed = new Promise((resolve) => {
      socket.on("close", (code, reason) => resolve({ code, reason: String(reason) }));
    });
  }

  async next(): Promise<string | Buffer> {
    while (this.#received.length === 0) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    return this.#received.shift() as string | Buffer;
  }

  /** Sends a message and takes the next one. */
  async ask(message: string | Buffer): Promise<string | Buffer> {
    this.socket.send(message);
    return this.next();
  }
}
