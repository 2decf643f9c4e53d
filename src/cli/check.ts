import { sortDiagnostics, workerDiagnostic } from "../config/diagnostic.ts";
import { formatDiagnostics } from "../config/format.ts";
import { loadConfig } from "../config/load.ts";
import type { Overrides } from "../config/overrides.ts";
import { bundleWorker } from "../isolate/loader/bundle.ts";
import { exitCodes } from "./usage.ts";

export interface CheckOptions {
  readonly path: string;
  readonly overrides: Overrides;
}

/**
 * Validates the config and compiles its Workers; opens nothing and runs nothing. Every diagnostic goes to standard error:
 * Workers that are right in themselves are compiled also when something else in the config is not.
 *
 * @returns the exit code: 0, or 1 when there is an error
 */
export async function check(options: CheckOptions): Promise<number> {
  const { env, stderr } = process;
  const loaded = loadConfig(options.path, env, options.overrides);
  const bundles = await Promise.all(
    loaded.workers.map(async ([name, config]) => ({ name, bundle: await bundleWorker(name, config) })),
  );
  const problems = bundles.flatMap(({ name, bundle }) =>
    bundle.problems.map((problem) => workerDiagnostic(name, problem)),
  );
  const diagnostics = sortDiagnostics([...loaded.diagnostics, ...problems], loaded.files);
  const colour = stderr.isTTY === true && (env.NO_COLOR === undefined || env.NO_COLOR === "");
  stderr.write(formatDiagnostics(diagnostics, { colour }));
  const compiled = bundles.every(({ bundle }) => bundle.worker !== null);
  return loaded.config !== null && compiled ? exitCodes.done : exitCodes.failed;
}
