import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Candidate, Running } from "../candidates/candidate.ts";
import { ask } from "../load/probe.ts";
import { freePort } from "../machine/port.ts";
import { Origin } from "../origin.ts";
import { writeResults } from "../report/results.ts";
import { median } from "../report/statistics.ts";
import { figure, formatTable } from "../report/table.ts";
import { type Bench, chooseCandidates, chooseSluice, tell } from "../session.ts";

const checkout = fileURLToPath(new URL("../../", import.meta.url));

interface Startup {
  readonly what: string;
  /** Milliseconds; the first of Sluice's found its caches of compiled code as the machine had them. */
  readonly times: readonly number[];
}

/** From the start of the process to its first response, for each candidate with the most that it can do. */
export async function startup(bench: Bench): Promise<void> {
  const { options, cores } = bench;
  const origin = await Origin.start(cores);
  const surroundings = { cores, originPort: origin.port };
  const found: Startup[] = [];
  try {
    const sluice = chooseSluice(options);
    const tour = await freePort();
    found.push(
      await measure(options.rounds, "sluice, the repository's proxy.yaml", "/", () =>
        sluice.serve(surroundings, (_place, port) => ownConfig(port, tour)),
      ),
    );
    for (const candidate of chooseCandidates(options)) {
      const work = candidate.works.has("edit") ? "edit" : "plain";
      found.push(
        await measure(options.rounds, `${candidate.name}, ${work}`, "/small", start(candidate, work)),
      );
    }
  } finally {
    await origin.stop();
  }
  function start(candidate: Candidate, work: "edit" | "plain"): () => Promise<Running> {
    return () => candidate.start({ work, protocol: "http" }, surroundings);
  }
  const rows = found.map(({ what, times }) => [what, figure(median(times)), figure(Math.min(...times))]);
  const head = ["start to first response", "median ms", "best ms"];
  process.stdout.write(
    `\n${formatTable(head, rows)}\n\nbar: must 600 ms, aim 250 ms (the repository's proxy.yaml)\n\n`,
  );
  writeResults("startup", found);
}

async function measure(
  rounds: number,
  what: string,
  path: string,
  start: () => Promise<Running>,
): Promise<Startup> {
  const times: number[] = [];
  // One more than asked for: the first fills caches and is not counted.
  for (let round = 0; round <= rounds; round++) {
    const begun = performance.now();
    const running = await start();
    try {
      const { status } = await ask(running.port, path);
      const ms = performance.now() - begun;
      if (status !== 200) throw new Error(`cannot measure ${what}: ${path} answers ${status}`);
      if (round > 0) times.push(ms);
    } finally {
      await running.stop();
    }
  }
  tell(`${what}: ${figure(median(times))} ms`);
  return { what, times };
}

/** The repository's own config on free ports; its paths are relative to the checkout. */
function ownConfig(port: number, originPort: number): string {
  return readFileSync(`${checkout}proxy.yaml`, "utf8")
    .replaceAll("127.0.0.1:8080", `127.0.0.1:${port}`)
    .replaceAll("127.0.0.1:9000", `127.0.0.1:${originPort}`)
    .replace("127.0.0.1:9900", "127.0.0.1:0")
    .replaceAll("main: ./", `main: ${checkout}`);
}
