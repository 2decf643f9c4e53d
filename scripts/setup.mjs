// Brings a checkout to the point where `sluice`, the tests and the checks can run. Runs on Node.js 20 and later,
// because it is what installs the right Node.js; uses nothing but the standard library and npm.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const stamp = join(root, "node_modules", ".sluice-setup");
const wanted = createHash("sha256")
  .update(readFileSync(join(root, "package-lock.json")))
  .update(readFileSync(fileURLToPath(import.meta.url)))
  .digest("hex");

const isFirst = !existsSync(stamp);
if (isFirst || readFileSync(stamp, "utf8") !== wanted) {
  process.stderr.write("sluice: installing dependencies, once …\n");
  // Install scripts stay off: isolated-vm and esbuild ship their binaries inside their packages. Only `node` needs
  // its script, which puts the pinned Node.js into node_modules/.bin.
  // The first time from nothing; later only what has changed, because a proxy may be running from this folder.
  npm(
    ...(isFirst ? ["ci"] : ["install", "--no-save"]),
    "--ignore-scripts",
    "--no-audit",
    "--no-fund",
    "--loglevel=error",
  );
  npm("rebuild", "node", "--ignore-scripts=false", "--no-audit", "--no-fund", "--loglevel=error");
  const link = join(root, "node_modules", ".bin", "sluice");
  mkdirSync(dirname(link), { recursive: true });
  rmSync(link, { force: true });
  symlinkSync("../../bin/sluice.mjs", link);
  writeFileSync(stamp, wanted);
}

function npm(...args) {
  try {
    execFileSync("npm", args, { cwd: root, stdio: ["ignore", "ignore", "inherit"] });
  } catch (error) {
    process.stderr.write(`sluice: cannot install dependencies: npm ${args[0]} failed (${error.message})\n`);
    process.exit(1);
  }
}
