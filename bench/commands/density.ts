import { Agent } from "node:http";
import type { Running } from "../candidates/candidate.ts";
import { manyWorkers as sluiceWorkers } from "../candidates/sluice.ts";
import { Workerd, manyWorkers as workerdWorkers } from "../candidates/workerd.ts";
import { ask } from "../load/probe.ts";
import type { Place } from "../machine/place.ts";
import { residentBytes } from "../machine/processes.ts";
import { writeResults } from "../report/results.ts";
import { figure, formatTable } from "../report/table.ts";
import { type Bench, chooseSluice, tell } from "../session.ts";

interface Density {
  readonly candidate: string;
  readonly workers: number;
  /** Bytes of all processes, after each Worker has answered one request. */
  readonly resident: number;
  /** Bytes for each Worker more than one. */
  readonly each: number | null;
  /** Until the first Worker answered, in milliseconds. */
  readonly startMs: number;
}

/** Resident memory with 1, 100 and 1,000 Workers in one process, each of which has answered once. */
export async function density(bench: Bench): Promise<void> {
  const { options, cores } = bench;
  const surroundings = { cores, originPort: 0 };
  const counts = options.isQuick ? [1, 100] : [1, 100, 1000];
  const sluice = chooseSluice(options);
  const workerd = new Workerd();
  const starts: Array<{ name: string; start: (count: number) => Promise<Running> }> = [
    {
      name: "sluice",
      start: (count) =>
        sluice.serve(surroundings, (place: Place, port: number) => sluiceWorkers(place, port, count)),
    },
  ];
  const why = workerd.missing();
  if (why === null) {
    const start = (count: number): Promise<Running> =>
      workerd.serve(surroundings, (place, port) => workerdWorkers(place, port, count));
    starts.push({ name: "workerd", start });
  } else {
    tell(`workerd is left out: ${why}`);
  }
  const found: Density[] = [];
  for (const { name, start } of starts) {
    let one = 0;
    for (const count of counts) {
      const begun = performance.now();
      const running = await start(count);
      try {
        await ask(running.port, "/W0");
        const startMs = performance.now() - begun;
        const resident = await residentAfterAll(name, running, count);
        if (count === 1) one = resident;
        const each = count === 1 ? null : (resident - one) / (count - 1);
        found.push({ candidate: name, workers: count, resident, each, startMs });
        tell(`${name} with ${count}: ${mebibytes(resident)} MiB`);
      } finally {
        await running.stop();
      }
    }
  }
  const rows = found.map(({ candidate, workers, resident, each, startMs }) => [
    candidate,
    String(workers),
    mebibytes(resident),
    each === null ? "–" : mebibytes(each),
    figure(startMs / 1000),
  ]);
  const head = ["resident memory", "Workers", "MiB", "MiB each", "s to the first answer"];
  process.stdout.write(`\n${formatTable(head, rows)}\n\nbar: must 4 MB for each idle isolate, aim 2 MB\n\n`);
  writeResults("density", found);
}

async function residentAfterAll(name: string, running: Running, count: number): Promise<number> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  for (let index = 0; index < count; index++) {
    const { status } = await ask(running.port, `/W${index}`, 0, agent);
    if (status !== 200)
      throw new Error(`cannot measure ${name}: Worker ${index} of ${count} answers ${status}`);
  }
  agent.destroy();
  return residentBytes(running.pids());
}

function mebibytes(bytes: number): string {
  return figure(bytes / 1024 ** 2);
}
