import { mkdirSync, writeFileSync } from "node:fs";
import { cpus, release } from "node:os";
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import { tell } from "../session.ts";

const directory = fileURLToPath(new URL("../results/", import.meta.url));

/** What a figure cannot be read without. */
function machine(): Record<string, unknown> {
  const [core] = cpus();
  return { cpu: core?.model ?? "unknown", cores: cpus().length, kernel: release(), node: process.version };
}

/** Writes what a command found to bench/results/, as JSON and, where there is one, as a chart. */
export function writeResults(command: string, results: unknown, svg: string | null = null): void {
  mkdirSync(directory, { recursive: true });
  const json = `${directory}${command}.json`;
  const taken = new Date().toISOString();
  writeFileSync(json, `${JSON.stringify({ command, taken, machine: machine(), results }, null, 2)}\n`);
  const chart = `${directory}${command}.svg`;
  if (svg !== null) writeFileSync(chart, svg);
  const written = (svg === null ? [json] : [json, chart]).map((path) => relative(process.cwd(), path));
  tell(`wrote ${written.join(" and ")}`);
}
