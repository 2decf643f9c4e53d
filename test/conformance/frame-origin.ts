import { once } from "node:events";
import * as net from "node:net";
import type { TestContext } from "node:test";
import { ACK, FrameClient, frame, HEADERS, preface, SETTINGS } from "../support/http2-frames.ts";

/** An origin that answers requests of HTTP/2 in frames, whatever a test wants to be said. */
export class FrameOrigin {
  readonly address: string;
  /** What is sent when a request comes on a stream. */
  answer: (stream: number) => readonly Buffer[] = () => [];
  /** Connections that stand. */
  readonly connections: Set<FrameClient> = new Set();
  requests = 0;

  private constructor(address: string) {
    this.address = address;
  }

  static async start(test: TestContext): Promise<FrameOrigin> {
    const server = net.createServer({ noDelay: true });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const origin = new FrameOrigin(`127.0.0.1:${(server.address() as net.AddressInfo).port}`);
    server.on("connection", (socket) => {
      test.after(() => socket.destroy());
      socket.on("error", () => {});
      const begin = (): void => {
        if (socket.read(preface.length) === null) return;
        socket.off("readable", begin);
        origin.#serve(new FrameClient(socket));
      };
      socket.on("readable", begin);
    });
    test.after(() => server.close());
    return origin;
  }

  #serve(connection: FrameClient): void {
    this.connections.add(connection);
    connection.send(frame(SETTINGS, 0, 0));
    let read = 0;
    const look = (): void => {
      for (; read < connection.frames.length; read++) {
        const { type, stream, flags } = connection.frames[read] ?? { type: -1, stream: 0, flags: 0 };
        if (type === SETTINGS && flags !== ACK) connection.send(frame(SETTINGS, ACK, 0));
        if (type !== HEADERS) continue;
        this.requests++;
        connection.send(...this.answer(stream));
      }
    };
    connection.socket.on("data", look);
    look();
    connection.socket.on("close", () => this.connections.delete(connection));
  }
}
