import type { Expectation, Expectations, Surprise } from "./expectations.ts";
import type { FileResult } from "./test-file.ts";

/** The text of expectations.json after a run: `found` taken over, with `why` for what is new. */
export function updateExpectations(
  old: Expectations,
  suite: string,
  results: readonly FileResult[],
  found: readonly Surprise[],
  why: string,
): string {
  const files: Record<string, readonly Expectation[]> = { ...old.files };
  for (const { name } of results) {
    const mine = found.filter(({ file }) => file === name);
    const passing = mine.filter(({ kind }) => kind === "passes").map(({ subtest }) => subtest);
    const failing = mine.filter(({ kind }) => kind === "fails").map(({ subtest }) => escaped(subtest));
    const kept: Expectation[] = [];
    for (const one of files[name] ?? []) {
      const subtests = one.subtests.filter((pattern) => one.flaky || !passing.includes(pattern));
      if (one.why === why && !one.flaky) subtests.push(...failing.splice(0));
      if (subtests.length > 0) kept.push({ ...one, subtests });
    }
    if (failing.length > 0) kept.push({ why, subtests: failing });
    if (kept.length > 0) files[name] = kept;
    else delete files[name];
  }
  const sorted = Object.fromEntries(Object.entries(files).sort(([a], [b]) => (a < b ? -1 : 1)));
  return `${JSON.stringify({ suite, skip: old.skip, files: sorted }, null, 2)}\n`;
}

/** Names are long where they quote data; the beginning says enough. */
function escaped(name: string): string {
  return name.length > 120 ? `${name.slice(0, 100)}*` : name;
}
