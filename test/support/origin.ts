import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";

/** A real origin on a loopback port of its own, on Node's own http server; closed when the test ends. */
export class Origin {
  readonly server: Server;
  /** `127.0.0.1:port`, as an external's address. */
  readonly address: string;
  /** Requests that have come so far. */
  requests = 0;

  private constructor(server: Server, address: string) {
    this.server = server;
    this.address = address;
  }

  /** @param answer how it answers; by default 200 with the method and the URL as text */
  static async start(test: TestContext, answer: RequestListener = tell): Promise<Origin> {
    const server = createServer({ keepAliveTimeout: 60_000 });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const origin = new Origin(server, `127.0.0.1:${port}`);
    server.on("request", (request: IncomingMessage, response: ServerResponse) => {
      origin.requests++;
      answer(request, response);
    });
    test.after(() => origin.stop());
    return origin;
  }

  stop(): Promise<void> {
    return new Promise((resolve) => {
      this.server.close(() => resolve());
      this.server.closeAllConnections();
    });
  }
}

function tell(request: IncomingMessage, response: ServerResponse): void {
  response.end(`${request.method} ${request.url}`);
}
