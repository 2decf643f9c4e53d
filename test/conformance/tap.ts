import { once } from "node:events";
import * as net from "node:net";
import type { TestContext } from "node:test";

/** A relay in front of an origin that keeps what goes by, in both directions, of all connections. */
export class Tap {
  /** What the proxy has sent, connection by connection. */
  readonly asked: string[] = [];
  /** What the origin has answered, in the same order. */
  readonly answered: string[] = [];
  readonly address: string;

  private constructor(server: net.Server, port: number) {
    this.address = `127.0.0.1:${(server.address() as net.AddressInfo).port}`;
    server.on("connection", (near: net.Socket) => {
      const index = this.asked.push("") - 1;
      this.answered.push("");
      const far = net.connect({ host: "127.0.0.1", port, noDelay: true });
      for (const [from, to, told] of [
        [near, far, this.asked],
        [far, near, this.answered],
      ] as const) {
        from.on("data", (bytes) => {
          told[index] += bytes.toString("latin1");
          to.write(bytes);
        });
        from.on("error", () => to.destroy());
        from.on("close", () => to.destroy());
        from.on("end", () => to.end());
      }
    });
  }

  static async start(test: TestContext, port: number): Promise<Tap> {
    const sockets = new Set<net.Socket>();
    const server = net.createServer({ noDelay: true });
    server.on("connection", (socket) => sockets.add(socket));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    test.after(() => {
      server.close();
      for (const socket of sockets) socket.destroy();
    });
    return new Tap(server, port);
  }
}
