import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import type { BindingConfig } from "../../src/config/schema/worker.ts";
import { collect } from "../integration/network-harness.ts";
import { to, WorkerBench } from "../integration/worker-harness.ts";
import type { TemporaryDirectory } from "../support/temporary.ts";
import { type ProbeWorker, Workerd } from "./program.ts";

const fixtures = fileURLToPath(new URL("./fixtures/", import.meta.url));

/** A file of probes, and what its Workers need. */
export interface ProbeFile {
  readonly name: string;
  readonly node?: boolean;
  /** Other files of `fixtures/` that run as Workers beside it, bound by the names in upper case. */
  readonly beside?: readonly string[];
  /** What workerd has not at all is left out: Node's versions have more or less. */
  readonly onlyTheirs?: boolean;
}

/** What the probes gave in each program, by the probe's name. */
export interface Outcomes {
  readonly sluice: Readonly<Record<string, unknown>>;
  readonly workerd: Readonly<Record<string, unknown>>;
  readonly onlyTheirs: boolean;
}

/** Runs the probes of a file in both. */
export async function runBoth(directory: TemporaryDirectory, file: ProbeFile): Promise<Outcomes> {
  const workers: Record<string, ProbeWorker> = {
    main: {
      code: await bundle(`${fixtures}driver.js`, `${fixtures}${file.name}.js`),
      node: file.node === true,
      bindings: {
        SELF: { worker: "main" },
        ...Object.fromEntries((file.beside ?? []).map((other) => [other.toUpperCase(), { worker: other }])),
      },
    },
  };
  for (const other of file.beside ?? []) {
    workers[other] = { code: await bundle(`${fixtures}${other}.js`, null), node: false, bindings: {} };
  }
  const [sluice, workerd] = await Promise.all([inSluice(workers), inWorkerd(directory, workers)]);
  return { sluice, workerd, onlyTheirs: file.onlyTheirs === true };
}

/** One module, as both programs take it. @param probes what "probes" stands for */
async function bundle(entry: string, probes: string | null): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    write: false,
    format: "esm",
    target: "es2024",
    charset: "utf8",
    platform: "neutral",
    keepNames: true,
    conditions: ["workerd", "worker", "import"],
    external: ["cloudflare:*", "node:*"],
    ...(probes === null ? {} : { alias: { probes } }),
  });
  return outputFiles[0]?.text ?? "";
}

async function inSluice(workers: Readonly<Record<string, ProbeWorker>>): Promise<Record<string, unknown>> {
  const bench = await WorkerBench.start(
    Object.fromEntries(
      Object.entries(workers).map(([name, { code, node, bindings }]) => [
        name,
        {
          code,
          flags: node ? ["nodejs_compat"] : [],
          bindings: Object.fromEntries(
            Object.entries(bindings).map(([key, { worker, entrypoint }]): [string, BindingConfig] => [
              key,
              { service: to(worker, entrypoint ?? null) },
            ]),
          ),
          limits: { cpuMs: 30_000, wallMs: 60_000, subrequests: 10_000, startupMs: 5000 },
        },
      ]),
    ),
  );
  try {
    const { status, text, error } = await collect(bench.worker(), {});
    if (status !== 200) {
      throw new Error(`${error?.message ?? text} ${JSON.stringify(bench.logs)}`);
    }
    return JSON.parse(text) as Record<string, unknown>;
  } finally {
    bench.stop();
  }
}

async function inWorkerd(
  directory: TemporaryDirectory,
  workers: Readonly<Record<string, ProbeWorker>>,
): Promise<Record<string, unknown>> {
  const workerd = await Workerd.start(directory, workers);
  try {
    const response = await fetch(`http://127.0.0.1:${workerd.port}/`, { headers: { connection: "close" } });
    const text = await response.text();
    if (response.status !== 200) throw new Error(`workerd answered ${response.status}: ${text}`);
    return JSON.parse(text) as Record<string, unknown>;
  } finally {
    await workerd.stop();
  }
}
