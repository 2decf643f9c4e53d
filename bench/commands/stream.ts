import { once } from "node:events";
import { connect } from "node:net";
import { type Candidate, type Running, workOf } from "../candidates/candidate.ts";
import { ask } from "../load/probe.ts";
import { cpuSeconds, residentBytes } from "../machine/processes.ts";
import { hugeBytes, Origin } from "../origin.ts";
import { writeResults } from "../report/results.ts";
import { figure, formatTable } from "../report/table.ts";
import { type Bench, chooseCandidates, tell } from "../session.ts";
import { readSlowly, SlowOrigin } from "../slow-origin.ts";
import { type Workload, workloads } from "../workload.ts";

/** What the slow end takes. */
const bytesPerSecond = 200 * 1024 ** 2;
const chunk = Buffer.alloc(64 * 1024, "s");

interface Streamed {
  readonly candidate: string;
  readonly direction: "down" | "up";
  readonly bytes: number;
  readonly seconds: number;
  readonly cpuSeconds: number;
  /** The most resident memory during the transfer, less what was resident before. */
  readonly growth: number;
}

/** Streams through each candidate, both ways, while the end that reads is slow, and looks at resident memory. */
export async function stream(bench: Bench): Promise<void> {
  const { options, cores } = bench;
  const bytes = Math.min(hugeBytes, options.mebibytes * 1024 ** 2);
  const workload = workloads.find(({ name }) => name === "down-1m") as Workload;
  const found: Streamed[] = [];
  for (const candidate of chooseCandidates(options)) {
    const work = workOf(candidate, workload);
    if (work === null) continue;
    const origin = await Origin.start(cores);
    await attempt(candidate, async () => {
      const running = await candidate.start({ work, protocol: "http" }, { cores, originPort: origin.port });
      found.push(await watch(candidate.name, "down", bytes, running, () => download(running.port, bytes)));
    });
    await origin.stop();
    const slow = await SlowOrigin.start(bytesPerSecond, bytes);
    await attempt(candidate, async () => {
      const running = await candidate.start({ work, protocol: "http" }, { cores, originPort: slow.port });
      found.push(await watch(candidate.name, "up", bytes, running, () => upload(running.port, bytes)));
    });
    await slow.stop();
  }
  const rows = found.map(({ candidate, direction, bytes, seconds, cpuSeconds, growth }) => [
    `${candidate} ${direction}`,
    figure(bytes / 1024 ** 2 / seconds),
    figure(bytes / 1024 ** 2 / cpuSeconds),
    figure(growth / 1024 ** 2),
  ]);
  const head = [`${options.mebibytes} MiB streamed`, "MiB/s", "MiB/CPU s", "growth MiB"];
  process.stdout.write(`\n${formatTable(head, rows)}\n\nbar: must grow less than 32 MiB, aim 8 MiB\n\n`);
  writeResults("stream", found);
}

async function attempt(candidate: Candidate, run: () => Promise<void>): Promise<void> {
  try {
    await run();
  } catch (error) {
    tell(`${candidate.name} fails: ${(error as Error).message}`);
  }
}

async function watch(
  candidate: string,
  direction: "down" | "up",
  bytes: number,
  running: Running,
  transfer: () => Promise<void>,
): Promise<Streamed> {
  try {
    // A first exchange, so that what is made once does not count as growth.
    if (direction === "down") await ask(running.port, "/small");
    const pids = running.pids();
    const before = residentBytes(pids);
    const usedBefore = cpuSeconds(pids);
    let most = before;
    const timer = setInterval(() => {
      most = Math.max(most, residentBytes(pids));
    }, 50);
    const begun = performance.now();
    try {
      await transfer();
    } finally {
      clearInterval(timer);
    }
    const seconds = (performance.now() - begun) / 1000;
    const used = cpuSeconds(pids) - usedBefore;
    tell(`${candidate} ${direction}: ${figure(seconds)} s, grew ${figure((most - before) / 1024 ** 2)} MiB`);
    return { candidate, direction, bytes, seconds, cpuSeconds: used, growth: most - before };
  } finally {
    await running.stop();
  }
}

/** Reads the beginning of /huge slowly, and goes away. */
async function download(port: number, bytes: number): Promise<void> {
  const socket = connect(port, "127.0.0.1");
  let read = 0;
  let start = "";
  socket.on("error", () => {});
  socket.write("GET /huge HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n");
  await readSlowly(socket, bytesPerSecond, (chunk) => {
    if (read === 0) start = chunk.toString("latin1", 0, 12);
    read += chunk.length;
    if (read >= bytes) socket.destroy();
  });
  if (start !== "HTTP/1.1 200")
    throw new Error(`cannot download: the answer begins with ${JSON.stringify(start)}`);
  if (read < bytes) throw new Error(`cannot download: only ${read} of ${bytes} bytes came`);
}

/** Sends as fast as the candidate takes it. */
async function upload(port: number, bytes: number): Promise<void> {
  const socket = connect(port, "127.0.0.1");
  let answer = "";
  let isOpen = true;
  socket.setEncoding("latin1").on("data", (text: string) => {
    answer += text;
  });
  socket.on("error", () => {});
  const closed = once(socket, "close").then(() => {
    isOpen = false;
  });
  const answered = once(socket, "data");
  answered.catch(() => {});
  socket.write(`POST /sink HTTP/1.1\r\nhost: bench\r\ncontent-length: ${bytes}\r\n\r\n`);
  for (let sent = 0; sent < bytes && isOpen; sent += chunk.length) {
    if (!socket.write(chunk)) await Promise.race([once(socket, "drain"), closed]);
  }
  await Promise.race([answered, closed]);
  socket.destroy();
  if (!answer.startsWith("HTTP/1.1 200")) {
    throw new Error(`cannot upload: the answer is ${JSON.stringify(answer.slice(0, 200))}`);
  }
}
