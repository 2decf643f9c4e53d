import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { tell } from "./session.ts";

const directory = fileURLToPath(new URL("./", import.meta.url));
const stamp = `${directory}node_modules/.sluice-setup`;

/** Installs the peers from npm once, without install scripts. When that fails, they are left out of the run. */
export function installPeers(): void {
  const lock = readFileSync(`${directory}package-lock.json`);
  const wanted = createHash("sha256").update(lock).digest("hex");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return;
  tell("installing workerd and http-proxy into bench/node_modules, once …");
  try {
    execFileSync("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], {
      cwd: directory,
      stdio: ["ignore", "ignore", "inherit"],
    });
    writeFileSync(stamp, wanted);
  } catch (error) {
    tell(`cannot install the peers from npm: ${(error as Error).message}`);
  }
}
