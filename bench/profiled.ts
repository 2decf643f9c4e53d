import { shardEntry } from "../src/paths.ts";
import { shardFlags } from "../src/supervisor/shard-flags.ts";
import { Supervisor } from "../src/supervisor/supervisor.ts";

/**
 * `sluice serve` for `npm run bench -- profile`: `node profiled.ts serve PROXY.YAML`, with the Node.js flags in
 * BENCH_SHARD_FLAGS added to the shards'.
 */
const { env, stderr } = process;
const supervisor = new Supervisor({
  source: { path: process.argv[3] ?? "proxy.yaml", env, overrides: {} },
  watch: false,
  program: { entry: shardEntry, flags: [...shardFlags, ...(env.BENCH_SHARD_FLAGS ?? "").split(" ")], env },
  spare: null,
  logLevel: "warn",
  isTerminal: false,
  noColour: true,
  showDiagnostics: (diagnostics) => stderr.write(`${JSON.stringify(diagnostics)}\n`),
  now: () => performance.now(),
});
process.on("SIGTERM", () => void supervisor.stop("SIGTERM").then(() => process.exit(0)));
await supervisor.start();
