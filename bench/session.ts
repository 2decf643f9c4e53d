import type { Candidate } from "./candidates/candidate.ts";
import { candidates } from "./candidates/list.ts";
import { programs, Sluice } from "./candidates/sluice.ts";
import type { Cores } from "./machine/cores.ts";
import { type Options, UsageError } from "./options.ts";
import { workloads } from "./workload.ts";

/** One run of the benchmark. */
export interface Bench {
  readonly options: Options;
  readonly cores: Cores;
}

/** A line about what goes on. */
export function tell(text: string): void {
  process.stderr.write(`bench: ${text}\n`);
}

/** Sluice in the form that the options ask for. */
export function chooseSluice(options: Options): Sluice {
  return new Sluice(options.fromDist ? programs.dist : programs.source);
}

/**
 * The candidates that were asked for and that the machine has; says which it lacks.
 *
 * @throws UsageError when `--only` holds a name that is neither a candidate nor a workload
 */
export function chooseCandidates(options: Options): Candidate[] {
  const names = candidates.map((candidate) => candidate.name);
  const known = [...names, ...workloads.map((workload) => workload.name)];
  const stray = options.only.find((name) => !known.includes(name));
  if (stray !== undefined) {
    throw new UsageError(`cannot find ${JSON.stringify(stray)} among: ${known.join(", ")}`);
  }
  const wanted = options.only.filter((name) => names.includes(name));
  const chosen = wanted.length === 0 ? candidates : candidates.filter(({ name }) => wanted.includes(name));
  return chosen
    .filter((candidate) => {
      const why = candidate.missing();
      if (why !== null) tell(`${candidate.name} is left out: ${why}`);
      return why === null;
    })
    .map((candidate) => (candidate.name === "sluice" ? chooseSluice(options) : candidate));
}
