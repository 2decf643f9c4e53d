import { once } from "node:events";
import * as net from "node:net";
import type { TestContext } from "node:test";

/** One request as a fault origin got it, and the connection that it came on. */
export class FaultRequest {
  readonly socket: net.Socket;
  readonly line: string;
  readonly head: string;
  /** The body, as far as it has come, with its framing. */
  body = "";
  /** The body has come to its end. */
  whole = false;
  /** Nothing more will come on the connection. */
  gone = false;
  #changed: () => void = () => {};

  constructor(socket: net.Socket, head: string) {
    this.socket = socket;
    this.head = head;
    this.line = head.slice(0, head.indexOf("\r\n"));
  }

  get path(): string {
    return this.line.split(" ")[1] ?? "";
  }

  /** @returns the bytes that belong to what comes after this request */
  take(bytes: string): string {
    this.body += bytes;
    let length = Number(/^content-length: (\d+)/im.exec(this.head)?.[1] ?? 0);
    if (/^transfer-encoding: chunked/im.test(this.head)) {
      // The last chunk, its trailers and the empty line after them.
      const last = /(?:^|\r\n)0\r\n(?:[^\r\n]+\r\n)*\r\n/.exec(this.body);
      length = last === null ? Number.POSITIVE_INFINITY : last.index + last[0].length;
    }
    this.whole = this.body.length >= length;
    const rest = this.whole ? this.body.slice(length) : "";
    if (this.whole) this.body = this.body.slice(0, length);
    this.#changed();
    return rest;
  }

  end(): void {
    this.gone = true;
    this.#changed();
  }

  /** The whole body without its framing. */
  get content(): string {
    if (!/^transfer-encoding: chunked/im.test(this.head)) return this.body;
    let content = "";
    for (let at = 0; at < this.body.length; ) {
      const line = this.body.indexOf("\r\n", at);
      const size = Number.parseInt(this.body.slice(at, line), 16);
      if (size === 0) break;
      content += this.body.slice(line + 2, line + 2 + size);
      at = line + 2 + size + 2;
    }
    return content;
  }

  /** Waits until all of the body is there, or never will be. @returns whether it is */
  async read(): Promise<boolean> {
    while (!this.whole && !this.gone) await this.#next();
    return this.whole;
  }

  /** Waits until the connection is over. */
  async left(): Promise<void> {
    while (!this.gone) await this.#next();
  }

  send(text: string): void {
    this.socket.write(text, "latin1");
  }

  #next(): Promise<void> {
    return new Promise((resolve) => {
      this.#changed = resolve;
    });
  }
}

export type Fault = (request: FaultRequest) => void | Promise<void>;

/**
 * An origin on a raw socket. The first part of a request's path names what it does with the request, so that one origin
 * is good, slow and broken for different requests at the same time.
 */
export class FaultOrigin {
  readonly address: string;
  readonly port: number;
  /** Requests so far, by their whole path. */
  readonly requests: Map<string, FaultRequest[]> = new Map();
  readonly #server: net.Server;
  readonly #sockets: Set<net.Socket> = new Set();

  private constructor(server: net.Server, faults: Readonly<Record<string, Fault>>) {
    this.#server = server;
    const { address, port } = server.address() as net.AddressInfo;
    this.port = port;
    this.address = `${address}:${port}`;
    server.on("connection", (socket) => this.#serve(socket, faults));
  }

  static async start(
    test: TestContext,
    faults: Readonly<Record<string, Fault>>,
    host = "127.0.0.1",
  ): Promise<FaultOrigin> {
    const server = net.createServer({ allowHalfOpen: true, noDelay: true });
    server.listen(0, host);
    await once(server, "listening");
    const origin = new FaultOrigin(server, faults);
    test.after(() => {
      server.close();
      for (const socket of origin.#sockets) socket.destroy();
    });
    return origin;
  }

  get connections(): number {
    return this.#sockets.size;
  }

  /** The request for this path, when it has come; `nth` of several. */
  async request(path: string, nth = 0): Promise<FaultRequest> {
    for (;;) {
      const found = this.requests.get(path)?.[nth];
      if (found !== undefined) return found;
      await once(this.#server, "fault-request");
    }
  }

  #serve(socket: net.Socket, faults: Readonly<Record<string, Fault>>): void {
    this.#sockets.add(socket);
    let current: FaultRequest | null = null;
    let input = "";
    socket.setEncoding("latin1");
    socket.on("data", (text: string) => {
      input += text;
      while (input !== "") {
        if (current !== null && !current.whole) {
          input = current.take(input);
          continue;
        }
        const end = input.indexOf("\r\n\r\n");
        if (end < 0) return;
        current = new FaultRequest(socket, input.slice(0, end + 2));
        input = current.take(input.slice(end + 4));
        const { path } = current;
        this.requests.set(path, [...(this.requests.get(path) ?? []), current]);
        void faults[path.split("/")[1] ?? ""]?.(current);
        this.#server.emit("fault-request");
      }
    });
    const gone = (): void => current?.end();
    socket.on("error", () => {});
    socket.on("end", () => {
      gone();
      socket.end();
    });
    socket.on("close", () => {
      this.#sockets.delete(socket);
      gone();
    });
  }
}
