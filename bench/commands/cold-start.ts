import { Agent } from "node:http";
import type { Running } from "../candidates/candidate.ts";
import { manyWorkers as sluiceWorkers } from "../candidates/sluice.ts";
import { Workerd, manyWorkers as workerdWorkers } from "../candidates/workerd.ts";
import { ask } from "../load/probe.ts";
import { freePort } from "../machine/port.ts";
import { writeResults } from "../report/results.ts";
import { median, percentile } from "../report/statistics.ts";
import { figure, formatTable } from "../report/table.ts";
import { type Bench, chooseSluice, tell } from "../session.ts";

const workers = 100;
/** Milliseconds between two requests, so that the proxy has an idle moment between two cold starts. */
const pause = 50;

interface ColdStart {
  readonly candidate: string;
  /** Milliseconds of each Worker's first request, one after another. */
  readonly first: readonly number[];
  /** Of a later request to the same Workers. */
  readonly later: readonly number[];
}

/**
 * Asks 100 Workers behind a front Worker, each for the first time and then again: the difference is what making one
 * more isolate costs. Sluice makes isolates ahead when it is idle; one row leaves it the time for that. A proxy that makes all isolates as it starts has no difference; it pays in `startup` and `density`.
 */
export async function coldStart(bench: Bench): Promise<void> {
  const { options, cores } = bench;
  const surroundings = { cores, originPort: 0 };
  const sluice = chooseSluice(options);
  const found: ColdStart[] = [];
  const adminPort = await freePort();
  const start = (): Promise<Running> =>
    sluice.serve(surroundings, (place, port) => sluiceWorkers(place, port, workers, adminPort));
  // The first run fills the caches of compiled code.
  await measure("sluice", await start());
  const running = await start();
  const early = await coldStarts(adminPort);
  if (early > 1) tell(`sluice has made ${early} of ${workers + 1} isolates before the first request`);
  // Those are the first of the config, with the front Worker among them; when they are all, their figures have to do.
  const skip = early < workers ? Math.max(1, early) : 1;
  found.push(await measure("sluice", running, skip));
  found.push(await measure(`sluice, ${pause} ms apart`, await start(), skip, pause));
  const workerd = new Workerd();
  const why = workerd.missing();
  if (why === null) {
    const running = await workerd.serve(surroundings, (place, port) => workerdWorkers(place, port, workers));
    found.push(await measure("workerd", running));
  } else {
    tell(`workerd is left out: ${why}`);
  }
  const rows = found.map(({ candidate, first, later }) => {
    const sorted = [...first].sort((a, b) => a - b);
    return [
      candidate,
      figure(median(first)),
      figure(percentile(sorted, 99)),
      figure(median(later)),
      figure(median(first) - median(later)),
    ];
  });
  const head = ["first request to a Worker", "median ms", "p99 ms", "later ms", "made in ms"];
  process.stdout.write(
    `\n${formatTable(head, rows)}\n\nbar: must 10 ms, aim 3 ms (first request, median)\n\n`,
  );
  writeResults("cold-start", found);
}

/** How many isolates a Sluice has made so far. */
async function coldStarts(adminPort: number): Promise<number> {
  const { body } = await ask(adminPort, "/metrics");
  const counts = body.toString().matchAll(/^sluice_isolate_cold_starts_total\{[^}]*\} (\d+)/gm);
  return counts.reduce((total, [, count]) => total + Number(count), 0);
}

/**
 * @param skip so many Workers of the first, which are asked but do not count: one warms up the front Worker
 * @param pauseMs before each request that counts
 */
async function measure(candidate: string, running: Running, skip = 1, pauseMs = 0): Promise<ColdStart> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  try {
    const passes: number[][] = [];
    for (let pass = 0; pass < 2; pass++) {
      const times: number[] = [];
      for (let index = 0; index < workers; index++) {
        if (pauseMs > 0 && index >= skip) await new Promise((resolve) => setTimeout(resolve, pauseMs));
        const begun = performance.now();
        const { status } = await ask(running.port, `/W${index}`, 0, agent);
        times.push(performance.now() - begun);
        if (status !== 200)
          throw new Error(
            `cannot measure ${candidate}: Worker ${index} answers ${status}\n${running.output()}`,
          );
      }
      passes.push(times.slice(skip));
    }
    return { candidate, first: passes[0] ?? [], later: passes[1] ?? [] };
  } finally {
    agent.destroy();
    await running.stop();
  }
}
