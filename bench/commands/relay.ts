import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import type { Running, Surroundings } from "../candidates/candidate.ts";
import { startProgram } from "../candidates/program.ts";
import { cpuSeconds } from "../machine/processes.ts";
import { toolPath } from "../machine/tools.ts";
import { writeResults } from "../report/results.ts";
import { figure, formatTable } from "../report/table.ts";
import { type Bench, chooseSluice, tell } from "../session.ts";

const chunk = Buffer.alloc(64 * 1024, "s");
const question = Buffer.alloc(64, "q");

interface Relayed {
  readonly candidate: string;
  readonly work: string;
  /** MiB or connections a second. */
  readonly rate: number;
  /** CPU seconds of the candidate for a GiB, or microseconds for a connection. */
  readonly cpu: number;
}

interface Relay {
  readonly name: string;
  start(surroundings: Surroundings): Promise<Running>;
}

/** Streams of bytes through Sluice and HAProxy: CPU time of large ones, one and 32 at a time, and of short connections. */
export async function relay(bench: Bench): Promise<void> {
  const { options, cores } = bench;
  const bytes = options.mebibytes * 1024 ** 2;
  const seconds = options.isQuick ? 1 : options.seconds;
  const found: Relayed[] = [];
  const sink = await Sink.start();
  for (let round = 0; round < (options.isQuick ? 1 : options.rounds); round++) {
    for (const { name, start } of relays(bench)) {
      if (options.only.length > 0 && !options.only.includes(name)) continue;
      const running = await start({ cores, originPort: sink.port });
      try {
        await connections(running, 0.3, 4);
        for (const count of [1, 32]) {
          found.push({
            candidate: name,
            work: `stream-c${count}`,
            ...(await streams(running, sink, bytes, count)),
          });
        }
        found.push({ candidate: name, work: "connect", ...(await connections(running, seconds, 32)) });
        tell(`${name}: round ${round + 1} done`);
      } finally {
        await running.stop();
      }
    }
  }
  sink.stop();
  const keys = [...new Set(found.map(({ candidate, work }) => `${work} ${candidate}`))].sort();
  const rows = keys.map((key) => {
    const of = found.filter(({ candidate, work }) => `${work} ${candidate}` === key);
    const best = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1] ?? 0;
    return [key, figure(best(of.map(({ rate }) => rate))), figure(best(of.map(({ cpu }) => cpu)))];
  });
  const head = ["byte streams", "MiB/s, or connections/s", "CPU s/GiB, or µs each"];
  process.stdout.write(`\n${formatTable(head, rows)}\n\n`);
  writeResults("relay", found);
}

function relays({ options }: Bench): Relay[] {
  const all: Relay[] = [
    {
      name: "sluice",
      start: (surroundings) =>
        chooseSluice(options).serve(
          surroundings,
          (_place, port) => `log: { access: false }
sockets:
  raw: { address: "127.0.0.1:${port}", service: far, tcp: {} }
services:
  far: { external: { address: "127.0.0.1:${surroundings.originPort}", tcp: {} } }
`,
        ),
    },
  ];
  const haproxy = toolPath("haproxy");
  if (haproxy === null) tell("haproxy is left out: it is not installed");
  else {
    all.push({
      name: "haproxy",
      start: (surroundings) =>
        startProgram("haproxy", surroundings, (place, port) => ({
          command: haproxy,
          args: ["-db", "-f", place.write("haproxy.cfg", haproxyConfig(port, surroundings.originPort))],
        })),
    });
  }
  return all;
}

function haproxyConfig(port: number, originPort: number): string {
  return `global
  nbthread 1
  maxconn 8192
defaults
  mode tcp
  timeout connect 5s
  timeout client 1h
  timeout server 1h
listen raw
  bind 127.0.0.1:${port}
  server far 127.0.0.1:${originPort}
`;
}

/** Takes what comes; a connection that sends 64 bytes gets one back and its end. */
class Sink {
  received = 0;
  readonly port: number;
  readonly #stop: () => void;
  #told: (() => void) | null = null;
  #wanted = 0;

  private constructor(port: number, stop: () => void) {
    this.port = port;
    this.#stop = stop;
  }

  static async start(): Promise<Sink> {
    const sockets = new Set<Socket>();
    const server = createServer({ noDelay: true }, (socket) => {
      sockets.add(socket);
      socket.on("close", () => sockets.delete(socket));
      socket.on("error", () => {});
      socket.on("data", (bytes: Buffer) => {
        sink.received += bytes.length;
        if (bytes.length === question.length) socket.end("a");
        if (sink.received >= sink.#wanted) sink.#tell();
      });
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const sink = new Sink(port, () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    });
    return sink;
  }

  /** Resolves when so many bytes have come from now on. */
  wait(bytes: number): Promise<void> {
    this.received = 0;
    this.#wanted = bytes;
    return new Promise((resolve) => {
      this.#told = resolve;
    });
  }

  stop(): void {
    this.#stop();
  }

  #tell(): void {
    const told = this.#told;
    this.#told = null;
    told?.();
  }
}

async function streams(
  running: Running,
  sink: Sink,
  bytes: number,
  count: number,
): Promise<{ rate: number; cpu: number }> {
  const pids = running.pids();
  const before = cpuSeconds(pids);
  const begun = performance.now();
  const each = Math.ceil(bytes / count / chunk.length) * chunk.length;
  const all = sink.wait(each * count);
  const sending = Array.from({ length: count }, async () => {
    const socket = connect({ port: running.port, host: "127.0.0.1", noDelay: true });
    socket.on("error", () => {});
    for (let sent = 0; sent < each; sent += chunk.length) {
      if (!socket.write(chunk)) await once(socket, "drain");
    }
    return socket;
  });
  const sockets = await Promise.all(sending);
  await all;
  const seconds = (performance.now() - begun) / 1000;
  const cpu = cpuSeconds(pids) - before;
  for (const socket of sockets) socket.destroy();
  const sent = each * count;
  return { rate: sent / 1024 ** 2 / seconds, cpu: cpu / (sent / 1024 ** 3) };
}

async function connections(
  running: Running,
  seconds: number,
  count: number,
): Promise<{ rate: number; cpu: number }> {
  const pids = running.pids();
  const before = cpuSeconds(pids);
  const begun = performance.now();
  const end = begun + seconds * 1000;
  let done = 0;
  const one = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const socket = connect({ port: running.port, host: "127.0.0.1", noDelay: true });
      socket.on("error", reject);
      socket.on("close", () => resolve());
      socket.resume();
      socket.write(question);
    });
  const work = async (): Promise<void> => {
    while (performance.now() < end) {
      await one();
      done++;
    }
  };
  await Promise.all(Array.from({ length: count }, work));
  const took = (performance.now() - begun) / 1000;
  return { rate: done / took, cpu: ((cpuSeconds(pids) - before) / done) * 1e6 };
}
