import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { deserialize, serialize } from "node:v8";
import { runtimeBundle, runtimeSource } from "../../paths.ts";
import type { RuntimeScript } from "../environment.ts";
import type { TrustedStore } from "../trusted-store.ts";
import { build } from "./compiler.ts";
import { optionsDigest, runtimeOptions } from "./options.ts";
import { PartsBundler } from "./parts.ts";
import { isCurrent, type Snapshot, takeSnapshot } from "./snapshot.ts";
import { defaultStore, esbuildVersion } from "./stored.ts";

interface StoredRuntime {
  readonly snapshot: Snapshot;
  readonly runtime: RuntimeScript;
}

const storedFormat = 2;

/**
 * The guest runtime as isolates load it: from the published package, where it is prebuilt, or in a checkout bundled from
 * source when that has changed.
 *
 * @throws Error when the runtime does not compile, with esbuild's text.
 */
export async function loadRuntime(store: TrustedStore | null = defaultStore()): Promise<RuntimeScript> {
  if (runtimeBundle !== null) {
    return JSON.parse(await readFile(runtimeBundle, "utf8")) as RuntimeScript;
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
 * Bundles the guest runtime from its entry module, which exports `boot`, with the parts in `parts/` beside it.
 *
 * @param directory of the runtime, when the entry is not in it.
 * @throws Error with each of esbuild's messages and its place.
 */
export async function bundleRuntime(
  entry: string,
  directory: string = dirname(entry),
): Promise<{ runtime: RuntimeScript; inputs: string[] }> {
  const alone = await bundleMain(directory, `export { boot } from ${JSON.stringify(entry)};`);
  const parts = new PartsBundler(directory);
  if (parts.isEmpty) return { runtime: { code: alone.code, parts: {} }, inputs: alone.inputs };
  const scripts = await parts.bundle(alone.inputs);
  // Once more, now that it is known what the parts share of it.
  const main = await bundleMain(directory, parts.entry(entry));
  return {
    runtime: { code: main.code, parts: scripts },
    inputs: [...new Set([...main.inputs, ...parts.inputs])],
  };
}

async function bundleMain(directory: string, contents: string): Promise<{ code: string; inputs: string[] }> {
  const outcome = await build({
    ...runtimeOptions,
    stdin: { contents, resolveDir: directory, sourcefile: "entry" },
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
  return {
    code: outputFiles[0]?.text ?? "",
    inputs: Object.keys(metafile.inputs)
      .filter((input) => input !== "entry")
      .map((input) => resolve(directory, input)),
  };
}
