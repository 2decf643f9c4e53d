import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { isIP } from "node:net";
import { type Address, parseAddress } from "../net/address.ts";
import { ListenError } from "./listening-sockets.ts";
import type { MetricsPage } from "./metrics-page.ts";

// Not imported: an ES module's import of it reads all its getters, one of which loads Node.js's own undici (20 ms).
const { createServer } = process.getBuiltinModule("node:http");

/** What the admin endpoint tells about. */
export interface AdminSubject {
  readonly ready: boolean;
  metrics(): Promise<MetricsPage>;
  /** The state of externals, as JSON. */
  upstreams(): Promise<string>;
}

/** The supervisor's HTTP endpoint for operators: `/healthz`, `/readyz`, `/metrics` and `/upstreams`. Never part of the data plane. */
export class AdminServer {
  readonly #server: Server;
  readonly #subject: AdminSubject;

  private constructor(subject: AdminSubject) {
    this.#subject = subject;
    this.#server = createServer({ maxHeaderSize: 16_384, requestTimeout: 10_000 }, (request, response) => {
      this.#answer(request, response).catch((error: unknown) => {
        const reason = error instanceof Error ? error.message : String(error);
        reply(response, 500, `cannot answer: ${reason}\n`);
      });
    });
    this.#server.maxConnections = 64;
  }

  /** @throws ListenError `cannot listen on … (admin): reason` */
  static async open(address: string, subject: AdminSubject): Promise<AdminServer> {
    const admin = new AdminServer(subject);
    try {
      await listen(admin.#server, parseAddress(address));
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      const reason = code === "EADDRINUSE" ? "address already in use" : (error as Error).message;
      throw new ListenError(`cannot listen on ${address} (admin): ${reason}`, { cause: error });
    }
    return admin;
  }

  /** Where it listens, `127.0.0.1:9900`, or a unix socket's path. */
  get address(): string {
    const bound = this.#server.address();
    if (bound === null || typeof bound === "string") return bound ?? "";
    return bound.family === "IPv6" ? `[${bound.address}]:${bound.port}` : `${bound.address}:${bound.port}`;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method !== "GET" && request.method !== "HEAD") {
      response.setHeader("allow", "GET, HEAD");
      reply(response, 405, "method not allowed\n");
      return;
    }
    if (!isLocalName(request)) {
      reply(response, 403, "the Host header is no address of this machine\n");
      return;
    }
    const path = (request.url ?? "/").split("?", 1)[0];
    switch (path) {
      case "/healthz":
        reply(response, 200, "ok\n");
        return;
      case "/readyz":
        if (this.#subject.ready) reply(response, 200, "ready\n");
        else reply(response, 503, "not ready\n");
        return;
      case "/metrics": {
        const page = await this.#subject.metrics();
        reply(response, 200, page.body, page.contentType);
        return;
      }
      case "/upstreams":
        reply(response, 200, await this.#subject.upstreams(), "application/json");
        return;
      default:
        reply(response, 404, "not found: there are /healthz, /readyz, /metrics and /upstreams\n");
    }
  }
}

/**
 * A web page can make its visitor's browser ask a loopback address under the page's own name (DNS rebinding), and then
 * read the answer. Over loopback only an address or `localhost` is taken for Host.
 */
function isLocalName(request: IncomingMessage): boolean {
  const local = request.socket.localAddress ?? "";
  if (!local.startsWith("127.") && local !== "::1" && !local.startsWith("::ffff:127.")) return true;
  const host = (request.headers.host ?? "").replace(/:\d*$/, "").toLowerCase();
  return host === "localhost" || isIP(host.replace(/^\[(.*)\]$/, "$1")) !== 0;
}

function reply(
  response: ServerResponse,
  status: number,
  body: string,
  type = "text/plain; charset=utf-8",
): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  response.writeHead(status, {
    "content-type": type,
    "content-length": Buffer.byteLength(body),
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
  });
  response.end(body);
}

function listen(server: Server, address: Address): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.once("listening", () => {
      server.off("error", reject);
      resolve();
    });
    switch (address.kind) {
      case "tcp":
        server.listen(address.port, address.host === "" ? undefined : address.host);
        return;
      case "unix":
        server.listen(address.path);
        return;
      case "unix-abstract":
        server.listen(`\0${address.name}`);
        return;
      case "fd":
        server.listen({ fd: address.fd });
        return;
      case "systemd":
        reject(new Error("the admin endpoint takes no systemd socket"));
    }
  });
}
