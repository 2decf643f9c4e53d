import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runAll } from "./pool.ts";
import { cacheDirectory, type Suite } from "./suite.ts";
import { type FileResult, partOf, type TestFile, wholeFile } from "./test-file.ts";

export interface Figures {
  passed: number;
  failed: number;
  timedOut: number;
}

function none(): Figures {
  return { passed: 0, failed: 0, timedOut: 0 };
}

/** Adds up results by part of the suite. */
export function figuresOf(results: readonly FileResult[]): Map<string, Figures> {
  const figures = new Map<string, Figures>();
  for (const { name, subtests } of results) {
    const part = partOf(name);
    const sum = figures.get(part) ?? none();
    figures.set(part, sum);
    for (const { status, name: subtest } of subtests) {
      if (status === "pass") sum.passed++;
      else if (status === "timeout" || status === "notrun" || subtest === wholeFile) sum.timedOut++;
      else sum.failed++;
    }
  }
  return figures;
}

/**
 * Results of the same files in the Node.js that runs this, from the cache where it has them.
 * @param anew runs them though the cache has them.
 */
export async function nodeResults(
  suite: Suite,
  tests: readonly TestFile[],
  anew: boolean,
  progress: (done: number) => void,
): Promise<FileResult[]> {
  const path = join(cacheDirectory, `node-${process.versions.node}-${suite.version}.json`);
  const known = new Map<string, FileResult>();
  for (const result of readCached(path)) known.set(result.name, result);
  const missing = tests.filter((test) => anew || !known.has(test.name));
  for (const result of await runAll(suite, missing, "node", progress)) known.set(result.name, result);
  if (missing.length > 0) {
    // Messages are of no use here, and most of the size.
    const slim = [...known.values()].map(({ name, subtests }) => ({
      name,
      subtests: subtests.map((one) => ({ ...one, message: "" })),
    }));
    mkdirSync(cacheDirectory, { recursive: true });
    writeFileSync(path, JSON.stringify(slim));
  }
  return tests.flatMap((test) => known.get(test.name) ?? []);
}

function readCached(path: string): FileResult[] {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as FileResult[];
  } catch {
    return [];
  }
}

/** The table by part of the suite, as text. */
export function tableOf(ours: ReadonlyMap<string, Figures>, nodes: ReadonlyMap<string, Figures>): string {
  const rows: string[][] = [["", "passed", "failed", "timeout", "Node passed", "failed", "of Node"]];
  const total = none();
  const nodeTotal = none();
  const add = (part: string, one: Figures, other: Figures): void => {
    const share = other.passed === 0 ? "-" : `${((one.passed / other.passed) * 100).toFixed(1)} %`;
    const counts = [one.passed, one.failed, one.timedOut, other.passed, other.failed + other.timedOut];
    rows.push([part, ...counts.map(String), share]);
  };
  const sum = (into: Figures, one: Figures): void => {
    into.passed += one.passed;
    into.failed += one.failed;
    into.timedOut += one.timedOut;
  };
  for (const [part, one] of ours) {
    const other = nodes.get(part) ?? none();
    add(part, one, other);
    sum(total, one);
    sum(nodeTotal, other);
  }
  add("all", total, nodeTotal);
  const widths = (rows[0] as string[]).map((_, i) =>
    Math.max(...rows.map((row) => (row[i] as string).length)),
  );
  return rows
    .map((row) =>
      row
        .map((cell, i) => (i === 0 ? cell.padEnd(widths[i] as number) : cell.padStart(widths[i] as number)))
        .join("  "),
    )
    .join("\n");
}
