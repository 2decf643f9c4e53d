import type { Running } from "../candidates/candidate.ts";
import type { Outcome, Percentile } from "../load/load.ts";
import { cpuSeconds } from "../machine/processes.ts";
import { median } from "../report/statistics.ts";
import type { Work } from "../workload.ts";

/** One measurement of one candidate. */
export interface Sample {
  /** CPU time of all of its processes, divided by good answers. */
  readonly cpuMicros: number;
  readonly perSecond: number;
  readonly good: number;
  readonly bad: number;
  readonly latency: Outcome["latency"];
  /** Connections to the origin that were opened meanwhile. */
  readonly opened: number;
}

/** What the rounds of one candidate with one workload came to. */
export interface Measurement {
  readonly candidate: string;
  readonly workload: string;
  /** What it did: candidates without scripts forward plainly where that is the same. */
  readonly work: Work;
  /** Medians over the rounds. */
  readonly cpuMicros: number;
  readonly perSecond: number;
  readonly latency: Outcome["latency"];
  /** Requests a second that were sent, of a paced workload. */
  readonly rate: number | null;
  /** Sums over the rounds. */
  readonly good: number;
  readonly bad: number;
  readonly opened: number;
  readonly samples: readonly Sample[];
}

/** Reads the kernel's accounting, and the origin's, before and after. */
export async function takeSample(
  running: Running,
  load: () => Promise<Outcome>,
  origin: { accepts(): Promise<number> } | null = null,
): Promise<Sample> {
  const accepted = (await origin?.accepts()) ?? 0;
  const before = cpuSeconds(running.pids());
  const { good, bad, seconds, latency } = await load();
  const used = cpuSeconds(running.pids()) - before;
  const opened = ((await origin?.accepts()) ?? 0) - accepted;
  return { cpuMicros: (used / good) * 1e6, perSecond: good / seconds, good, bad, latency, opened };
}

export function summarise(
  facts: Pick<Measurement, "candidate" | "workload" | "work" | "rate">,
  samples: readonly Sample[],
): Measurement {
  const middle = (read: (sample: Sample) => number): number => median(samples.map(read));
  const sum = (read: (sample: Sample) => number): number =>
    samples.reduce((total, sample) => total + read(sample), 0);
  const names = Object.keys(samples[0]?.latency ?? {}) as Percentile[];
  return {
    ...facts,
    cpuMicros: middle((sample) => sample.cpuMicros),
    perSecond: middle((sample) => sample.perSecond),
    latency: Object.fromEntries(
      names.map((name) => [name, middle((sample) => sample.latency[name] ?? Number.NaN)]),
    ),
    good: sum((sample) => sample.good),
    bad: sum((sample) => sample.bad),
    opened: sum((sample) => sample.opened),
    samples,
  };
}
