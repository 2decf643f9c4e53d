import { formatDiagnostics } from "../config/format.ts";
import type { Overrides } from "../config/overrides.ts";
import { readLogLevel } from "../observability/log-level.ts";
import { chooseLogSettings } from "../observability/process-log.ts";
import { shardEntry } from "../paths.ts";
import { prepareRevision } from "../supervisor/prepare.ts";
import { shardFlags } from "../supervisor/shard-flags.ts";
import { runTests } from "../supervisor/test-run.ts";
import { exitCodes } from "./usage.ts";

export interface TestOptions {
  readonly path: string;
  readonly overrides: Overrides;
  /** Only tests whose name contains it; null runs all. */
  readonly filter: string | null;
}

/** Runs the tests that the config's Workers export. @returns the exit code: 0, or 1 when one fails */
export async function test(options: TestOptions): Promise<number> {
  const { env, stderr, stdout } = process;
  const { path, overrides, filter } = options;
  const { revision, diagnostics } = await prepareRevision({ path, env, overrides });
  const colour = stderr.isTTY === true && (env.NO_COLOR === undefined || env.NO_COLOR === "");
  stderr.write(formatDiagnostics(diagnostics, { colour }));
  if (revision === null) return exitCodes.failed;
  const program = { entry: shardEntry, flags: shardFlags, env };
  const log = chooseLogSettings(
    revision.config.log,
    readLogLevel(env.SLUICE_LOG_LEVEL),
    stderr.isTTY === true,
    !colour,
  );
  let results: Awaited<ReturnType<typeof runTests>>;
  try {
    results = await runTests(revision, program, log, filter);
  } catch (error) {
    stderr.write(`sluice: ${error instanceof Error ? error.message : String(error)}\n`);
    return exitCodes.failed;
  }
  const failed = results.filter((result) => result.problem !== "").length;
  for (const { name, ms, problem } of results) {
    stdout.write(`${problem === "" ? "ok" : "not ok"} ${name} (${ms.toFixed(1)} ms)\n`);
    if (problem !== "") stdout.write(`${problem.replace(/^/gm, "  ")}\n`);
  }
  if (results.length === 0) {
    const which = filter === null ? "exports" : `whose name contains ${JSON.stringify(filter)} exports`;
    stderr.write(`sluice: no Worker ${which} a handler test(controller, env, ctx)\n`);
  }
  stdout.write(`${results.length - failed} passed, ${failed} failed\n`);
  return failed > 0 || (results.length === 0 && filter !== null) ? exitCodes.failed : exitCodes.done;
}
