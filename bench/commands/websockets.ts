import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import { workerSource } from "../candidates/scripts.ts";
import { cpuSeconds, residentBytes } from "../machine/processes.ts";
import { writeResults } from "../report/results.ts";
import { figure, formatTable } from "../report/table.ts";
import { type Bench, chooseSluice, tell } from "../session.ts";

interface Idle {
  readonly what: string;
  /** Bytes of all processes for each socket, above those without any. */
  readonly bytesEach: number;
  /** CPU seconds between two pings, one of which is in it, without a message. */
  readonly cpuSeconds: number;
}

/** As long as the pause between two pings. */
const idleSeconds = 30;

const handshake =
  "Host: bench\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
const pong = Buffer.from([0x8a, 0x80, 0, 0, 0, 0]);
const message = Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0x68, 0x69]);

/** 10,000 WebSockets on one Worker, of which nobody says anything: memory and CPU time. */
export async function websockets(bench: Bench): Promise<void> {
  const { options, cores } = bench;
  const count = options.isQuick ? 1000 : 10_000;
  const running = await chooseSluice(options).serve({ cores, originPort: 0 }, (place, port) => {
    place.write("socket.js", workerSource("socket.js"));
    return `log: { access: false }
sockets:
  public: { address: "127.0.0.1:${port}", service: echo, http: { limits: { connections: 20000 } } }
services:
  echo: { worker: { main: ./socket.js, compatibilityDate: 2026-11-01, limits: { cpuMs: 1000 } } }
`;
  });
  const sockets: Socket[] = [];
  const found: Idle[] = [];
  const measure = async (what: string, before: number): Promise<void> => {
    await wait(1000);
    const cpu = cpuSeconds(running.pids());
    await wait(idleSeconds * 1000);
    const bytesEach = (residentBytes(running.pids()) - before) / count;
    found.push({ what, bytesEach, cpuSeconds: cpuSeconds(running.pids()) - cpu });
    tell(`${what}: ${figure(bytesEach / 1024)} KiB each`);
  };
  try {
    // Everything that a first socket loads is there before the others come.
    for (let i = 0; i < 100; i++) sockets.push(await open(running.port));
    await wait(1000);
    const before = residentBytes(running.pids());
    await measure("none but 100", before);
    while (sockets.length < 100 + count) {
      sockets.push(...(await Promise.all(Array.from({ length: 50 }, () => open(running.port)))));
    }
    await measure("opened", before);
    for (const socket of sockets) socket.write(message);
    await measure("after one message", before);
  } catch (error) {
    throw new Error(`${(error as Error).message}\n${running.output().slice(-2000)}`, { cause: error });
  } finally {
    for (const socket of sockets) socket.destroy();
    await running.stop();
  }
  const rows = found.map((idle) => [
    idle.what,
    figure(idle.bytesEach / 1024),
    figure((idle.cpuSeconds / idleSeconds) * 100),
  ]);
  const head = [`${count} idle WebSockets`, "KiB each", "% of a core"];
  process.stdout.write(`\n${formatTable(head, rows)}\n\n`);
  writeResults("websockets", found);
}

/** Answers pings, as every client does. */
async function open(port: number): Promise<Socket> {
  const socket = connect({ port, host: "127.0.0.1" });
  socket.write(`GET / HTTP/1.1\r\n${handshake}`);
  const [head] = (await once(socket, "data")) as [Buffer];
  if (!head.includes("101")) throw new Error(`cannot open a WebSocket: ${head}`);
  socket.on("data", (bytes: Buffer) => {
    if (bytes[0] === 0x89) socket.write(pong);
  });
  return socket;
}
