import { readFileSync } from "node:fs";
import type { Work } from "../workload.ts";

/** The Workers of a workload, the first that a request meets first; Sluice and workerd run the same. */
export function workersOf(work: Exclude<Work, "plain">): readonly string[] {
  return work === "chain" ? ["first.js", "pass.js"] : [`${work}.js`];
}

/** The source of one of bench/workers/. */
export function workerSource(file: string): string {
  return readFileSync(new URL(`../workers/${file}`, import.meta.url), "utf8");
}
