// Runs the tests: `npm test`, or `npm test -- reload --test-name-pattern="zero failed"` for some of them. Arguments that
// begin with a dash go to Node's test runner; the others choose the files whose path contains one of them.
import { spawn } from "node:child_process";
import { globSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const args = process.argv.slice(2);
const flags = args.filter((arg) => arg.startsWith("-"));
const words = args.filter((arg) => !arg.startsWith("-"));
const all = globSync("test/**/*.test.ts", {
  cwd: root,
  exclude: (path) => /(^|\/)fixtures(\/|$)/.test(path),
}).sort();
const files = words.length === 0 ? all : all.filter((file) => words.some((word) => file.includes(word)));

if (files.length === 0) {
  process.stderr.write(`test: cannot run ${words.join(", ")}: no test file has such a path\n`);
  process.exit(1);
}

// Isolates cannot be made on top of Node's own snapshot. A test that hangs fails in the end, and does not hold up CI.
const runner = ["--no-node-snapshot", "--test", "--test-concurrency=2", "--test-timeout=180000"];
const child = spawn(process.execPath, [...runner, ...flags, ...files], { cwd: root, stdio: "inherit" });
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => child.kill(signal));
child.on("exit", (code) => process.exit(code ?? 1));
