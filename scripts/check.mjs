// `npm run check`: format and lint, types, directions of imports, then the tests. `--static` leaves the tests out.
// Everything is looked at in one run, also after something failed.
import { spawn } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const bin = join(root, "node_modules", ".bin");

const steps = [
  ["format and lint", join(bin, "biome"), "ci", "--error-on-warnings", "."],
  ["types of the host", join(bin, "tsc"), "-p", "."],
  ["types of the guest", join(bin, "tsc"), "-p", "src/runtime"],
  ["directions of imports", process.execPath, "scripts/boundaries.mjs"],
];
if (!process.argv.includes("--static")) steps.push(["tests", process.execPath, "scripts/test.mjs"]);

const failed = [];
for (const [name, command, ...args] of steps) {
  process.stderr.write(`check: ${name}\n`);
  if ((await run(command, args)) !== 0) failed.push(name);
}
process.stderr.write(failed.length === 0 ? "check: all is well\n" : `check: failed: ${failed.join(", ")}\n`);
process.exit(failed.length === 0 ? 0 : 1);

function run(command, args) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: root, stdio: "inherit" });
    child.on("error", (error) => {
      process.stderr.write(`check: cannot run ${command}: ${error.message}\n`);
      resolve(1);
    });
    child.on("exit", (code) => resolve(code ?? 1));
  });
}
