import type { Measurement } from "../commands/measurement.ts";
import { cpuRatio } from "./measurements.ts";
import { figure, formatTable } from "./table.ts";

/** A figure that Sluice has to reach. */
export interface Bar {
  readonly title: string;
  readonly must: number;
  readonly aim: number;
  readonly value: number;
  /** What is better. */
  readonly sense: "lower" | "higher";
}

/** Which ratio of which workload has to reach what. */
const ratios = [
  {
    title: "edit headers: workerd's CPU ÷ ours",
    workload: "edit",
    against: "workerd",
    must: 5,
    aim: 10,
    sense: "higher",
  },
  {
    title: "edit headers: our CPU ÷ nginx+njs's",
    workload: "edit",
    against: "nginx+njs",
    must: 2,
    aim: 1,
    sense: "lower",
  },
  {
    title: "no Worker: our CPU ÷ nginx's",
    workload: "plain",
    against: "nginx",
    must: 2,
    aim: 1.2,
    sense: "lower",
  },
  {
    title: "1 MiB down through a Worker: our bytes a CPU second ÷ nginx's",
    workload: "down-1m",
    against: "nginx",
    must: 0.5,
    aim: 1,
    sense: "higher",
  },
] as const;

/** The bars whose candidates were all measured. */
export function barsOf(measurements: readonly Measurement[]): Bar[] {
  const bars: Bar[] = ratios.flatMap(({ title, workload, against, must, aim, sense }) => {
    const own = measurements.filter((measurement) => measurement.workload === workload);
    const ratio = cpuRatio(own, "sluice", against);
    if (ratio === undefined) return [];
    return [{ title, must, aim, sense, value: sense === "lower" ? ratio : 1 / ratio }];
  });
  for (const workload of ["plain-half", "edit-half"]) {
    const p99 = (name: string): number | undefined =>
      measurements.find((each) => each.workload === workload && each.candidate === name)?.latency.p99;
    const own = p99("sluice");
    const other = p99(workload === "edit-half" ? "nginx+njs" : "nginx");
    if (own === undefined || other === undefined) continue;
    const title = `${workload}: our 99th percentile ÷ nginx's`;
    bars.push({ title, must: 3, aim: 1, value: own / other, sense: "lower" });
  }
  return bars;
}

export function formatBars(bars: readonly Bar[]): string {
  return formatTable(
    ["bar", "measured", "must", "aim", ""],
    bars.map((bar) => [bar.title, figure(bar.value), figure(bar.must), figure(bar.aim), verdict(bar)]),
  );
}

function verdict({ value, must, aim, sense }: Bar): string {
  const reaches = (limit: number): boolean => (sense === "lower" ? value <= limit : value >= limit);
  if (reaches(aim)) return "aim reached";
  return reaches(must) ? "must reached" : "NOT REACHED";
}
