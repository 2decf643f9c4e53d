import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { get } from "./client.ts";
import type { SluiceProcess } from "./sluice.ts";

/** The shards' process ids: the supervisor's children. */
export function shardsOf(sluice: SluiceProcess): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => parentOf(pid) === sluice.child.pid);
}

/** True as long as the process has not ended; a zombie has. */
export function isAlive(pid: number): boolean {
  try {
    return !/^State:\s*[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

/** What the open descriptors of a process are, one word each, as `socket` and `/dev/null`; sorted. */
export function descriptorsOf(pid: number): string[] {
  const found: string[] = [];
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    try {
      found.push(readlinkSync(`/proc/${pid}/fd/${fd}`).replace(/:\[\d+\]$/, ""));
    } catch {
      // Closed in the meantime.
    }
  }
  return found.sort();
}

/** Bytes of a process's memory that are in RAM. */
export function residentBytes(pid: number): number {
  const kilobytes = /^VmRSS:\s*(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Number(kilobytes) * 1024;
}

/** The numbers of `/metrics`, by name and labels. @param path of the unix socket where the admin endpoint listens */
export async function readMetrics(path: string): Promise<Map<string, number>> {
  const { body } = await get("http://localhost/metrics", { socketPath: path });
  const found = new Map<string, number>();
  for (const line of body.split("\n")) {
    const space = line.lastIndexOf(" ");
    if (space > 0 && !line.startsWith("#")) found.set(line.slice(0, space), Number(line.slice(space + 1)));
  }
  return found;
}

/** The sum of all numbers whose key begins with `name` and holds `label`. */
export function sumOf(metrics: ReadonlyMap<string, number>, name: string, label = ""): number {
  let sum = 0;
  for (const [key, value] of metrics) if (key.startsWith(name) && key.includes(label)) sum += value;
  return sum;
}

/** Asks again and again, until it is true. @throws Error with `what` after `ms` milliseconds */
export async function eventually(
  what: string,
  ask: () => boolean | Promise<boolean>,
  ms = 10_000,
): Promise<void> {
  const end = performance.now() + ms;
  while (!(await ask())) {
    if (performance.now() > end) throw new Error(`cannot go on: ${what} has not come true`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

function parentOf(pid: number): number {
  try {
    return Number(/^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
  } catch {
    return -1;
  }
}
