import type { Protocol } from "../workload.ts";

/** What to send. */
export interface Traffic {
  readonly protocol: Protocol;
  readonly port: number;
  readonly path: string;
  readonly connections: number;
  readonly seconds: number;
  /** Bytes of each request's body; 0 sends GET. */
  readonly upload: number;
}

/** What came back. Only answers with a status from 200 to 299 are `good`; all else is counted in `bad`. */
export interface Outcome {
  readonly good: number;
  readonly bad: number;
  readonly seconds: number;
  /** Bytes read, heads included. */
  readonly bytes: number;
  /** Microseconds, by percentile; empty where the tool does not tell. */
  readonly latency: Readonly<Partial<Record<Percentile, number>>>;
}

export const percentiles = ["p50", "p90", "p99", "p99.9", "max"] as const;
export type Percentile = (typeof percentiles)[number];

/** A program that sends as fast as answers come. */
export interface LoadTool {
  readonly name: string;
  run(traffic: Traffic): Promise<Outcome>;
}
