import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { toolPath } from "./tools.ts";

/** Which core runs the proxy, and which the load and the origin; null where processes cannot be pinned. */
export interface Cores {
  readonly proxy: number | null;
  readonly load: number | null;
}

/** Takes the first two cores that this process may use, and moves this process to the second. */
export function chooseCores(): Cores {
  const allowed = allowedCores();
  const [proxy, load] = allowed;
  if (proxy === undefined || load === undefined || toolPath("taskset") === null) {
    return { proxy: null, load: null };
  }
  execFileSync("taskset", ["-a", "-c", "-p", String(load), String(process.pid)], { stdio: "ignore" });
  return { proxy, load };
}

/** A command line that runs on that core alone. */
export function pinned(core: number | null, command: string, args: readonly string[]): readonly string[] {
  return core === null ? [command, ...args] : ["taskset", "-c", String(core), command, ...args];
}

function allowedCores(): number[] {
  const status = readFileSync("/proc/self/status", "utf8");
  const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(status)?.[1] ?? "";
  return list.split(",").flatMap((range) => {
    const [first, last] = range.split("-").map(Number);
    if (first === undefined || Number.isNaN(first)) return [];
    return Array.from({ length: (last ?? first) - first + 1 }, (_, index) => first + index);
  });
}
