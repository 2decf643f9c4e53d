import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { formatDiagnostics } from "../config/format.ts";
import { fileReason } from "../config/host.ts";
import { readWorkerBindings, type WrittenWorker } from "../config/worker-bindings.ts";
import { envTypes } from "./env-types.ts";
import { runtimeTypes } from "./runtime-types.ts";
import { exitCodes } from "./usage.ts";

/** The file that is written beside the config. */
export const typesFile = "worker-configuration.d.ts";

export interface TypesOptions {
  /** Of the config. */
  readonly path: string;
  /** Where the types go; undefined is beside the config. */
  readonly out: string | undefined;
  /** Writes nothing, and fails when the file is not what it would be. */
  readonly check: boolean;
}

const foreignTypes = "@cloudflare/workers-types";

/**
 * Writes the types of what the Workers of a config find in `env`, so that an editor knows them. The environment need not
 * have the variables that the config names.
 *
 * @returns the exit code: 0, or 1 when the config cannot be read, or `check` finds other types
 */
export async function types({ path, out, check }: TypesOptions): Promise<number> {
  const { env, stderr, stdout } = process;
  const { workers, diagnostics } = readWorkerBindings(path);
  const colour = stderr.isTTY === true && (env.NO_COLOR === undefined || env.NO_COLOR === "");
  stderr.write(formatDiagnostics(diagnostics, { colour }));
  if (workers === null) return exitCodes.failed;
  const file = resolve(out ?? join(dirname(path), typesFile));
  const text = declarations(workers, file, usesForeignTypes(dirname(resolve(path))));
  const shown = relative(process.cwd(), file);
  let present: string | null = null;
  try {
    present = existsSync(file) ? readFileSync(file, "utf8") : null;
    if (present === text) {
      stdout.write(`${shown} is up to date\n`);
      return exitCodes.done;
    }
    if (check) {
      const state = present === null ? "is not there" : "is not what the config says";
      stderr.write(`sluice: cannot accept the types: ${shown} ${state}; sluice types writes it\n`);
      return exitCodes.failed;
    }
    writeFileSync(file, text);
  } catch (error) {
    stderr.write(`sluice: cannot write "${shown}": ${fileReason(error)}\n`);
    return exitCodes.failed;
  }
  stdout.write(`wrote ${shown}\n`);
  return exitCodes.done;
}

/** The whole file. @param foreign Cloudflare's package declares the platform. */
export function declarations(workers: readonly WrittenWorker[], file: string, foreign: boolean): string {
  const head = "// Written by `sluice types` from the config: run it again when bindings change.\n";
  return foreign
    ? `${head}\n${envTypes(workers, file)}`
    : `${head}// What a Worker gets beside the Web platform is declared below.\n\n${envTypes(workers, file)}\n${runtimeTypes}`;
}

/** True when the nearest package.json above has Cloudflare's types among what it needs. */
function usesForeignTypes(directory: string): boolean {
  for (let at = directory; ; at = dirname(at)) {
    try {
      const text = readFileSync(join(at, "package.json"), "utf8");
      const { dependencies, devDependencies } = JSON.parse(text) as Record<string, object | undefined>;
      return foreignTypes in { ...dependencies, ...devDependencies };
    } catch {
      // None here, or none that can be read.
    }
    if (dirname(at) === at) return false;
  }
}
