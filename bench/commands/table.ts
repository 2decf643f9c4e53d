import { loadavg } from "node:os";
import { type Candidate, type Running, workOf } from "../candidates/candidate.ts";
import type { LoadTool, Traffic } from "../load/load.ts";
import { runPaced } from "../load/paced.ts";
import { check } from "../load/probe.ts";
import { chooseTool } from "../load/tool.ts";
import { Origin } from "../origin.ts";
import { barsOf, formatBars } from "../report/bars.ts";
import { chartOf, formatWorkload } from "../report/measurements.ts";
import { writeResults } from "../report/results.ts";
import { figure } from "../report/table.ts";
import { type Bench, chooseCandidates, tell } from "../session.ts";
import { type Work, type Workload, workloads } from "../workload.ts";
import { type Measurement, type Sample, summarise, takeSample } from "./measurement.ts";

/** A paced client in Node.js falls behind above this many requests a second when it shares its core with the origin. */
const fastestPace = 20_000;

/** A candidate in one workload. */
interface Runner {
  readonly candidate: Candidate;
  readonly work: Work;
  readonly running: Running;
  readonly samples: Sample[];
  rate: number | null;
}

/**
 * Measures workload by workload. All candidates of one are up at once and take turns, several rounds of them, so that
 * what else the machine does hits all alike.
 */
export async function table(bench: Bench): Promise<void> {
  const { options, cores } = bench;
  const candidates = chooseCandidates(options);
  const named = workloads.filter(({ name }) => options.only.includes(name));
  const chosen = named.length > 0 ? named : workloads.filter(({ isMain }) => isMain || !options.isQuick);
  tell(
    cores.proxy === null
      ? "one core or no taskset: nothing is pinned, figures include the load's disturbance"
      : `proxy on core ${cores.proxy}, load and origin on core ${cores.load}`,
  );
  const [busy = 0] = loadavg();
  if (busy > 0.5)
    tell(`load average ${busy.toFixed(1)}: something else runs; ratios hold better than figures, tails not`);
  const origin = await Origin.start(cores);
  const measurements: Measurement[] = [];
  try {
    for (const workload of chosen) {
      const found = await measureWorkload(bench, origin, workload, candidates);
      measurements.push(...found);
      process.stdout.write(`\n${formatWorkload(workload, found)}\n\n`);
    }
  } finally {
    await origin.stop();
  }
  const bars = barsOf(measurements);
  if (bars.length > 0) process.stdout.write(`${formatBars(bars)}\n\n`);
  writeResults("table", { measurements, bars }, chartOf(chosen, measurements));
}

async function measureWorkload(
  bench: Bench,
  origin: Origin,
  workload: Workload,
  candidates: readonly Candidate[],
): Promise<Measurement[]> {
  const { options, cores } = bench;
  const runners: Runner[] = [];
  const tool = chooseTool(cores, workload);
  try {
    for (const candidate of candidates) {
      const work = workOf(candidate, workload);
      if (work === null) continue;
      try {
        runners.push(await prepare(bench, tool, origin.port, workload, candidate, work));
      } catch (error) {
        tell(`${workload.name} without ${candidate.name}: ${(error as Error).message}`);
      }
    }
    for (let round = 1; round <= options.rounds; round++) {
      for (const runner of runners) {
        const { candidate, running, rate } = runner;
        const traffic = trafficOf(workload, running.port, options.seconds);
        const load = () => (rate === null ? tool.run(traffic) : runPaced(cores, traffic, rate));
        const sample = await takeSample(running, load, origin);
        runner.samples.push(sample);
        if (sample.bad > 0 && running.output() !== "")
          tell(`${candidate.name} said last: ${lastLine(running.output())}`);
        if (!keepsConnections(sample))
          tell(
            `${candidate.name} does not keep its connections: ${sample.opened} for ${sample.good} requests`,
          );
        const problem = sample.bad > 0 ? `, ${sample.bad} FAILED` : "";
        tell(
          `${workload.name} round ${round}/${options.rounds} ${candidate.name}: ` +
            `${figure(sample.cpuMicros)} µs, ${figure(sample.perSecond)}/s${problem}`,
        );
      }
    }
  } finally {
    await Promise.all(runners.map(({ running }) => running.stop()));
  }
  return runners.map(({ candidate, work, rate, samples }) =>
    summarise({ candidate: candidate.name, workload: workload.name, work, rate }, samples),
  );
}

/** Starts a candidate, sees that it does its work, lets its compiler do its own, and finds the rate for paced requests. */
async function prepare(
  { options, cores }: Bench,
  tool: LoadTool,
  originPort: number,
  workload: Workload,
  candidate: Candidate,
  work: Work,
): Promise<Runner> {
  const running = await candidate.start({ work, protocol: workload.protocol }, { cores, originPort });
  const runner: Runner = { candidate, work, running, samples: [], rate: null };
  try {
    await check(running.port, work, workload);
    const seconds = Math.max(1, Math.round(options.seconds / 2));
    const traffic = trafficOf(workload, running.port, seconds);
    await tool.run(traffic);
    if (workload.load === "paced") {
      const peak = await tool.run(traffic);
      const half = peak.good / peak.seconds / 2;
      runner.rate = options.rate > 0 ? options.rate : Math.round(Math.min(fastestPace, half));
    }
    return runner;
  } catch (error) {
    await running.stop();
    throw error;
  }
}

/**
 * A proxy that opens a connection for each request does other work than one that keeps them, and its figures would say
 * little. Some are opened by all: when the load begins, for one.
 */
function keepsConnections({ opened, good }: Sample): boolean {
  return opened <= 1024 || opened <= good / 100;
}

function lastLine(text: string): string {
  return text.trimEnd().split("\n").at(-1) ?? "";
}

function trafficOf(workload: Workload, port: number, seconds: number): Traffic {
  const { protocol, path, connections, upload } = workload;
  return { protocol, port, path, connections, upload, seconds };
}
