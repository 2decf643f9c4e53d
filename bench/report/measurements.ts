import type { Measurement } from "../commands/measurement.ts";
import type { Workload } from "../workload.ts";
import { type BarGroup, barChart } from "./svg.ts";
import { figure, formatTable } from "./table.ts";

/** Whom the ratios are against. */
const references = ["nginx", "nginx+njs", "workerd"] as const;

const mebibyte = 1024 ** 2;

/** A block of text for one workload: its candidates with CPU, throughput, latency, errors, and ratios of CPU. */
export function formatWorkload(workload: Workload, measurements: readonly Measurement[]): string {
  const isPaced = workload.load === "paced";
  const body = Math.max(workload.upload, workload.download);
  const isBody = workload.plainWillDo;
  const head = [
    workload.title,
    "CPU µs/request",
    isPaced ? "sent/s" : "requests/s",
    ...(isBody ? ["MiB/CPU s"] : []),
    "p50 ms",
    "p99 ms",
    ...(isPaced ? ["p99.9 ms", "max ms"] : []),
    ...references.map((name) => `× ${name}`),
    "origin conns",
    "errors",
  ];
  const rows = measurements.map((measurement) => {
    const { candidate, work, cpuMicros, perSecond, rate, latency, bad, opened } = measurement;
    const note = work === workload.work ? "" : " (plain)";
    const ms = (micros: number | undefined): string => figure((micros ?? Number.NaN) / 1000);
    return [
      `${candidate}${note}`,
      figure(cpuMicros),
      figure(rate ?? perSecond),
      ...(isBody ? [figure(body / mebibyte / (cpuMicros / 1e6))] : []),
      ms(latency.p50),
      ms(latency.p99),
      ...(isPaced ? [ms(latency["p99.9"]), ms(latency.max)] : []),
      ...references.map((name) => figure(cpuRatio(measurements, candidate, name))),
      String(opened),
      bad === 0 ? "0" : `${bad} of ${bad + measurement.good}`,
    ];
  });
  return formatTable(head, rows);
}

/** CPU time a request of the one, divided by that of the other; undefined when either was not measured. */
export function cpuRatio(
  measurements: readonly Measurement[],
  one: string,
  other: string,
): number | undefined {
  const first = measurements.find(({ candidate }) => candidate === one);
  const second = measurements.find(({ candidate }) => candidate === other);
  return first === undefined || second === undefined ? undefined : first.cpuMicros / second.cpuMicros;
}

/** CPU time a request, as bars, workload by workload. */
export function chartOf(workloads: readonly Workload[], measurements: readonly Measurement[]): string {
  const groups = workloads.map((workload): BarGroup => {
    const own = measurements.filter((measurement) => measurement.workload === workload.name);
    return {
      title: workload.title,
      bars: own
        .filter(({ cpuMicros }) => Number.isFinite(cpuMicros))
        .map(({ candidate, cpuMicros, bad }) => ({
          label: candidate,
          value: cpuMicros,
          text: `${figure(cpuMicros)} µs${bad > 0 ? `, ${bad} errors` : ""}`,
        })),
    };
  });
  return barChart("CPU time a request", "All processes of each proxy. Shorter is better.", groups, "sluice");
}
