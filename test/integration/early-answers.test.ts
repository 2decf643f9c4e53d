import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { Transport, type TransportOwner } from "../../src/net/transport.ts";

/** Answers what comes first, and closes with the rest unread. */
const server = `
  const { parentPort } = require("node:worker_threads");
  const server = require("node:net").createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", () => {
      socket.pause();
      socket.write("answer", () => socket.destroy());
    });
  });
  server.listen(0, "127.0.0.1", () => parentPort.postMessage(server.address().port));
`;

class Owner implements TransportOwner {
  readonly closed: Promise<string>;
  readonly connected: Promise<void>;
  text = "";
  #close: (reason: string) => void;
  #connect: () => void;

  constructor() {
    const closed = Promise.withResolvers<string>();
    const connected = Promise.withResolvers<void>();
    this.closed = closed.promise;
    this.connected = connected.promise;
    this.#close = closed.resolve;
    this.#connect = connected.resolve;
  }

  onConnect(): void {
    this.#connect();
  }

  onBytes(bytes: Buffer): void {
    this.text += bytes.toString("latin1");
  }

  onEnd(): void {}

  onDrain(): void {}

  onClose(error: (Error & { code?: string }) | null): void {
    this.#close(error?.code ?? "none");
  }
}

test("an early answer is read although what is still sent meets a reset", async (context) => {
  const thread = new Worker(server, { eval: true });
  context.after(() => thread.terminate());
  const [port] = (await once(thread, "message")) as [number];
  const owner = new Owner();
  const transport = Transport.connect(owner, { host: "127.0.0.1", port });
  await owner.connected;
  // This thread is busy while the answer comes, and then the reset.
  const clock = new Int32Array(new SharedArrayBuffer(4));
  for (let i = 0; i < 3; i++) {
    transport.text(`part ${i}`);
    transport.flush();
    Atomics.wait(clock, 0, 0, 200);
  }
  assert.match(await owner.closed, /^E(PIPE|CONNRESET)$/);
  assert.equal(owner.text, "answer");
  assert.ok(transport.destroyed);
});
