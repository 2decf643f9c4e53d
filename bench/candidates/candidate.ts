import type { Cores } from "../machine/cores.ts";
import type { Protocol, Work, Workload } from "../workload.ts";

/** Where a candidate runs. */
export interface Surroundings {
  readonly cores: Cores;
  readonly originPort: number;
}

/** A candidate that serves. */
export interface Running {
  /** On the loopback address. */
  readonly port: number;
  /** All of its processes, now. */
  pids(): number[];
  /** The end of what it printed, to say why it fails. */
  output(): string;
  stop(): Promise<void>;
}

/** A proxy that can be measured. Each start has a config of its own in a temporary directory. */
export interface Candidate {
  readonly name: string;
  /** What it can do with a request. */
  readonly works: ReadonlySet<Work>;
  /** What clients may speak to it, as it is set up here. */
  readonly protocols: ReadonlySet<Protocol>;
  /** Why it cannot be measured on this machine, in a word; null when it can. */
  missing(): string | null;
  /** @throws Error when it does not start */
  start(task: Task, surroundings: Surroundings): Promise<Running>;
}

/** What a candidate is started for. */
export type Task = Pick<Workload, "work" | "protocol">;

/** What a candidate does for a workload: the work itself, plain forwarding where that is the same, or nothing. */
export function workOf(candidate: Candidate, workload: Workload): Work | null {
  if (!candidate.protocols.has(workload.protocol)) return null;
  if (candidate.works.has(workload.work)) return workload.work;
  return workload.plainWillDo && candidate.works.has("plain") ? "plain" : null;
}
