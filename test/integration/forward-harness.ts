import { execFile } from "node:child_process";
import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import type { TestContext } from "node:test";
import type { Issued } from "../support/authority.ts";

/** How a program ended. */
export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end, whatever that is. */
export function run(program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ended> {
  const kept = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(https?|all|no)_proxy$/i.test(name)),
  );
  return new Promise((resolve) => {
    execFile(program, args, { env: { ...kept, ...env }, timeout: 30_000 }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : -1;
      resolve({ code, stdout, stderr });
    });
  });
}

export const curl = (...args: readonly string[]): Promise<Ended> => run("curl", ["-sS", "-m", "10", ...args]);

/** A site that speaks TLS. */
export class SecureSite {
  readonly server: ReturnType<typeof createServer>;
  readonly requests: IncomingMessage[] = [];
  readonly #sockets: Set<Socket> = new Set();

  private constructor(
    { certificate, key }: Issued,
    answer: (request: IncomingMessage, response: ServerResponse) => void,
    options: object,
  ) {
    this.server = createServer({ cert: certificate, key, ...options }, (request, response) => {
      this.requests.push(request);
      answer(request, response);
    });
    this.server.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    });
    this.server.on("tlsClientError", () => {});
  }

  static async start(
    test: TestContext,
    issued: Issued,
    answer: (request: IncomingMessage, response: ServerResponse) => void,
    options: object = {},
  ): Promise<SecureSite> {
    const site = new SecureSite(issued, answer, options);
    site.server.listen(0, "127.0.0.1");
    await once(site.server, "listening");
    test.after(() => {
      site.server.close();
      for (const socket of site.#sockets) socket.destroy();
    });
    return site;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }
}
