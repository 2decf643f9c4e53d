import { readFileSync } from "node:fs";
import { matches } from "../wpt/expectations.ts";
import type { Outcomes } from "./both.ts";

/** A place where the two gave something else; the path begins with the probe's name. */
export interface Difference {
  readonly path: string;
  readonly sluice: string;
  readonly workerd: string;
}

/** Why some places differ. */
export interface Reason {
  readonly why: string;
  /** Paths; `*` stands for any text. */
  readonly paths: readonly string[];
}

/** By the name of the probes' file. */
export type Expectations = Readonly<Record<string, readonly Reason[]>>;

export function readExpectations(): Expectations {
  return JSON.parse(readFileSync(new URL("./expectations.json", import.meta.url), "utf8")) as Expectations;
}

const absent = "(absent)";

/** How many places the outcomes have in all, and those that differ. */
export function compare({ sluice, workerd, onlyTheirs }: Outcomes): {
  places: number;
  differences: Difference[];
} {
  const found: Difference[] = [];
  const all = visit("", sluice, workerd, found);
  const differences = found.filter((difference) => !(onlyTheirs && difference.workerd === `"${absent}"`));
  return { places: all - found.length + differences.length, differences };
}

function visit(path: string, ours: unknown, theirs: unknown, found: Difference[]): number {
  if (isRecord(ours) && isRecord(theirs)) {
    let places = 0;
    for (const key of new Set([...Object.keys(theirs), ...Object.keys(ours)])) {
      const inner = path === "" ? key : `${path} · ${key}`;
      places += visit(
        inner,
        Object.hasOwn(ours, key) ? ours[key] : absent,
        Object.hasOwn(theirs, key) ? theirs[key] : absent,
        found,
      );
    }
    return Math.max(places, 1);
  }
  const [left, right] = [JSON.stringify(ours), JSON.stringify(theirs)];
  if (left !== right) found.push({ path, sluice: left, workerd: right });
  return 1;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Differences without a reason, and reasons without a difference. */
export function surprises(differences: readonly Difference[], reasons: readonly Reason[]): string[] {
  const said = reasons.flatMap(({ paths }) => paths);
  return [
    ...differences
      .filter(({ path }) => !said.some((pattern) => matches(pattern, path)))
      .map(({ path, sluice, workerd }) => `${path}: ${sluice}, in workerd ${workerd}`),
    ...said
      .filter((pattern) => !differences.some(({ path }) => matches(pattern, path)))
      .map((pattern) => `${pattern}: expected to differ, and does not`),
  ];
}
