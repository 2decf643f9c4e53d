import type { BuildFailure, BuildOptions, BuildResult, Message } from "esbuild";

/** What esbuild made of one entry, or why it did not. */
export type BuildOutcome =
  | {
      readonly ok: true;
      readonly result: BuildResult<{ write: false; metafile: true }>;
      readonly warnings: Message[];
    }
  | { readonly ok: false; readonly errors: Message[]; readonly warnings: Message[] };

let running = 0;

/**
 * Runs esbuild once. Its service process starts with the first of several builds and is stopped with the last, so that
 * nothing of it is left while the proxy serves; it is not even imported until a bundle has to be made.
 */
export async function build(options: BuildOptions & { write: false; metafile: true }): Promise<BuildOutcome> {
  const esbuild = await import("esbuild");
  running++;
  try {
    const result = await esbuild.build(options);
    return { ok: true, result, warnings: result.warnings };
  } catch (error) {
    if (isBuildFailure(error)) return { ok: false, errors: error.errors, warnings: error.warnings };
    throw error;
  } finally {
    running--;
    if (running === 0) await esbuild.stop();
  }
}

function isBuildFailure(error: unknown): error is BuildFailure {
  return error instanceof Error && "errors" in error && Array.isArray(error.errors);
}
