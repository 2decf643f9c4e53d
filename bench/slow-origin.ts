import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/**
 * Reads from a socket at a limited rate: as much as one interval allows, then nothing until the next. What it does not
 * read fills the kernel's buffers and then stops the sender.
 *
 * @param bytesPerSecond the limit
 * @param count told of each piece
 */
export async function readSlowly(
  socket: Socket,
  bytesPerSecond: number,
  count: (chunk: Buffer) => void,
): Promise<void> {
  const intervalMs = 20;
  const allowance = (bytesPerSecond * intervalMs) / 1000;
  let read = 0;
  socket.on("data", (chunk: Buffer) => {
    read += chunk.length;
    count(chunk);
    if (read >= allowance) socket.pause();
  });
  const ended = once(socket, "close");
  let isOpen = true;
  const over = ended.then(() => {
    isOpen = false;
  });
  while (isOpen) {
    await Promise.race([sleep(intervalMs), over]);
    read = 0;
    socket.resume();
  }
}

/** An origin that reads request bodies slowly, and answers when one has come. */
export class SlowOrigin {
  readonly port: number;
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
  }

  /** @param bodyBytes of each request, after its head */
  static async start(bytesPerSecond: number, bodyBytes: number): Promise<SlowOrigin> {
    const server = createServer((socket) => {
      let head = "";
      let left = bodyBytes;
      socket.on("error", () => {});
      void readSlowly(socket, bytesPerSecond, (chunk) => {
        let body = chunk.length;
        if (!head.includes("\r\n\r\n")) {
          const before = head.length;
          head += chunk.toString("latin1");
          const end = head.indexOf("\r\n\r\n");
          body = end < 0 ? 0 : before + chunk.length - (end + 4);
        }
        left -= body;
        if (left <= 0) socket.end("HTTP/1.1 200 OK\r\ncontent-length: 3\r\nconnection: close\r\n\r\nok\n");
      });
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return new SlowOrigin(server);
  }

  async stop(): Promise<void> {
    this.#server.close();
    await once(this.#server, "close");
  }
}
