import { formatDiagnostics } from "../config/format.ts";
import type { Overrides } from "../config/overrides.ts";
import { prepareRevision } from "../supervisor/prepare.ts";
import { exitCodes } from "./usage.ts";

export interface TestOptions {
  readonly path: string;
  readonly overrides: Overrides;
  /** Only tests whose name contains it; null runs all. */
  readonly filter: string | null;
}

/** Runs the tests that the config's Workers export. @returns the exit code: 0, or 1 when one fails */
export async function test(options: TestOptions): Promise<number> {
  const { env, stderr } = process;
  const { path, overrides } = options;
  const { revision, diagnostics } = await prepareRevision({ path, env, overrides });
  const colour = stderr.isTTY === true && (env.NO_COLOR === undefined || env.NO_COLOR === "");
  stderr.write(formatDiagnostics(diagnostics, { colour }));
  if (revision === null) return exitCodes.failed;
  stderr.write("sluice: cannot run tests: Workers do not offer them yet\n");
  return exitCodes.failed;
}
