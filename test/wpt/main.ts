// `npm run wpt [-- words and flags]`: runs the web-platform-tests in Workers and compares them to expectations.json.
// Words choose the files whose path contains one of them. Flags:
//   --node         takes Node's own figures anew
//   --no-node      leaves Node's figures out
//   --failures     prints every subtest that does not pass, expected or not
//   --behind       prints the subtests that Node passes and Workers do not
//   --json=PATH    writes all results there
//   --expect=WHY   writes what fails and is not expected into expectations.json, with that reason, and takes out of the
//                  files that were run what passes now
import { writeFileSync } from "node:fs";
import { expectationsPath, readExpectations, type Surprise, surprises } from "./expectations.ts";
import { type Figures, figuresOf, nodeResults, tableOf } from "./figures.ts";
import { runAll } from "./pool.ts";
import { installSuite, type Suite } from "./suite.ts";
import { type FileResult, listTests } from "./test-file.ts";
import { updateExpectations } from "./update.ts";

const args = process.argv.slice(2);
const words = args.filter((arg) => !arg.startsWith("--"));
const has = (flag: string): boolean => args.includes(flag);
const option = (flag: string): string | null =>
  args.find((arg) => arg.startsWith(`${flag}=`))?.slice(flag.length + 1) ?? null;

const suite = install();
const expectations = readExpectations();
const tests = listTests(suite, words).filter((test) => expectations.skip[test.path] === undefined);
if (tests.length === 0) {
  process.stderr.write(`wpt: cannot run ${words.join(", ")}: no test file has such a path\n`);
  process.exit(1);
}
const progress = (what: string) => (done: number) => {
  if (process.stderr.isTTY) process.stderr.write(`\r${what} ${done}/${tests.length} `);
};

const results = await runAll(suite, tests, "worker", progress("Workers"));
const nodes = has("--no-node") ? [] : await nodeResults(suite, tests, has("--node"), progress("Node"));
if (process.stderr.isTTY) process.stderr.write("\r\n");

const found: Surprise[] = results.flatMap((result) =>
  surprises(result, expectations.files[result.name] ?? []),
);

if (has("--failures")) {
  for (const { name, subtests } of results) {
    for (const one of subtests) {
      if (one.status !== "pass") say(`${name} | ${one.name} | ${one.status}: ${one.message}`);
    }
  }
}
if (has("--behind")) printBehind(results, nodes);
const why = option("--expect");
if (why !== null) {
  writeFileSync(expectationsPath, updateExpectations(expectations, suite.version, results, found, why));
  process.stdout.write(`wpt: ${found.length} changes to expectations.json\n`);
} else if (!has("--failures")) {
  for (const { kind, file, subtest, message } of found.slice(0, 200)) {
    say(`unexpectedly ${kind}: ${file} | ${subtest} | ${message}`);
  }
}
const ours: Map<string, Figures> = figuresOf(results);
process.stdout.write(`${tableOf(ours, figuresOf(nodes))}\n`);
const json = option("--json");
if (json !== null) {
  const byPart = Object.fromEntries(
    [...ours].map(([part, one]) => [part, { sluice: one, node: figuresOf(nodes).get(part) }]),
  );
  writeFileSync(
    json,
    `${JSON.stringify({ suite: suite.version, node: process.versions.node, parts: byPart, results }, null, 1)}\n`,
  );
}
if (suite.version !== expectations.suite) {
  process.stdout.write(
    `wpt: expectations are for suite ${expectations.suite}, this is ${suite.version}: not compared\n`,
  );
} else if (found.length > 0 && why === null) {
  process.stdout.write(`wpt: ${found.length} results are not as expectations.json says\n`);
  process.exitCode = 1;
}

function install(): Suite {
  try {
    return installSuite();
  } catch (error) {
    process.stderr.write(`wpt: ${(error as Error).message}\n`);
    process.exit(1);
  }
}

/** Names of subtests hold whatever they test with. */
function say(line: string): void {
  process.stdout.write(`${JSON.stringify(line).slice(1, -1).replaceAll('\\"', '"')}\n`);
}

function printBehind(all: readonly FileResult[], others: readonly FileResult[]): void {
  const byName = new Map(others.map((result) => [result.name, result]));
  for (const { name, subtests } of all) {
    const mine = new Map(subtests.map((one) => [one.name, one]));
    for (const other of byName.get(name)?.subtests ?? []) {
      const one = mine.get(other.name);
      if (other.status !== "pass" || one?.status === "pass") continue;
      say(
        `behind Node: ${name} | ${other.name} | ${one === undefined ? "missing" : `${one.status}: ${one.message}`}`,
      );
    }
  }
}
