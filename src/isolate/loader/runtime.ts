import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { deserialize, serialize } from "node:v8";
import { runtimeBundle, runtimeSource } from "../../paths.ts";
import type { TrustedStore } from "../trusted-store.ts";
import { build } from "./compiler.ts";
import { optionsDigest, runtimeOptions } from "./options.ts";
import { isCurrent, type Snapshot, takeSnapshot } from "./snapshot.ts";
import { defaultStore, esbuildVersion } from "./stored.ts";

/** The guest runtime: a script whose completion value is the function `boot`, exported by src/runtime/main.ts. */
export interface RuntimeScript {
  readonly code: string;
  /** Source map (JSON text) from `code` to the runtime's files. */
  readonly sourceMap: string;
}

interface StoredRuntime {
  readonly snapshot: Snapshot;
  readonly runtime: RuntimeScript;
}

const storedFormat = 1;

/**
 * The guest runtime as isolates load it: from the published package, where it is prebuilt, or in a checkout bundled from
 * source when that has changed.
 *
 * @throws Error when the runtime does not compile, with esbuild's text.
 */
export async function loadRuntime(store: TrustedStore | null = defaultStore()): Promise<RuntimeScript> {
  if (runtimeBundle !== null) {
    const [code, sourceMap] = await Promise.all([
      readFile(runtimeBundle, "utf8"),
      readFile(`${runtimeBundle}.map`, "utf8"),
    ]);
    return { code, sourceMap };
  }
  if (runtimeSource === null) throw new Error("cannot load the runtime: it is neither built nor in source");
  const key = `runtime ${storedFormat} ${esbuildVersion()} ${optionsDigest} ${runtimeSource}`;
  const bytes = store?.get(key);
  if (bytes) {
    const stored = deserialize(bytes) as StoredRuntime;
    if (isCurrent(stored.snapshot)) return stored.runtime;
  }
  const since = Date.now();
  const { runtime, inputs } = await bundleRuntime(runtimeSource);
  const snapshot = store === null ? null : takeSnapshot(inputs, since);
  if (snapshot !== null) store?.put(key, serialize({ snapshot, runtime } satisfies StoredRuntime));
  return runtime;
}

/**
 * Bundles the guest runtime from its entry module, which exports `boot`.
 *
 * @throws Error with each of esbuild's messages and its place.
 */
export async function bundleRuntime(entry: string): Promise<{ runtime: RuntimeScript; inputs: string[] }> {
  const directory = dirname(entry);
  const outcome = await build({
    ...runtimeOptions,
    entryPoints: [entry],
    absWorkingDir: directory,
    outfile: resolve(directory, "runtime.js"),
  });
  if (!outcome.ok) {
    const reasons = outcome.errors.map(
      ({ text, location }) => `${location?.file}:${location?.line}: ${text}`,
    );
    throw new Error(`cannot bundle the runtime: ${reasons.join("; ")}`);
  }
  const { outputFiles, metafile } = outcome.result;
  const output = (end: string) => outputFiles.find((file) => file.path.endsWith(end))?.text ?? "";
  return {
    runtime: { code: output("runtime.js"), sourceMap: output("runtime.js.map") },
    inputs: Object.keys(metafile.inputs).map((input) => resolve(directory, input)),
  };
}
