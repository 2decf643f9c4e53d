import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { basename, dirname, resolve } from "node:path";
import { deserialize, serialize } from "node:v8";
import type { Message, Metafile } from "esbuild";
import type { WorkerConfig } from "../../config/schema/worker.ts";
import type { CompiledWorker, NodeAccess } from "../environment.ts";
import type { TrustedStore } from "../trusted-store.ts";
import { asyncHelpers, keepAsyncContext } from "./async-context.ts";
import { type BuildOutcome, build } from "./compiler.ts";
import { fileOfInput, WorkerImports } from "./imports.ts";
import { asyncContextModule, nodeAccess, nodeModuleName, nodePrefix } from "./node-modules.ts";
import { asyncContextOptions, optionsDigest, workerOptions } from "./options.ts";
import type { WorkerProblem } from "./problem.ts";
import { isCurrent, type Snapshot, takeSnapshot } from "./snapshot.ts";
import { defaultStore, esbuildVersion } from "./stored.ts";

/** What came of bundling a Worker. */
export interface Bundle {
  /** Null when there are errors among the problems. */
  readonly worker: CompiledWorker | null;
  readonly problems: readonly WorkerProblem[];
  /** Files that `--watch` looks at: those of the Worker, or those known to be involved when it did not compile. */
  readonly inputs: readonly string[];
}

export interface BundleOptions {
  /** Where bundles are kept; null bundles always. By default the user's cache directory. */
  readonly store?: TrustedStore | null;
}

/** An entry in the store. */
interface StoredBundle {
  readonly snapshot: Snapshot;
  readonly worker: CompiledWorker;
  readonly problems: readonly WorkerProblem[];
}

/** Counts up when what is stored changes its shape or its meaning. */
const storedFormat = 2;

/**
 * Turns a Worker's sources, npm packages included, into the one module or script that isolates run. Never reads a file
 * that the Worker does not import (but package.json and tsconfig.json), and never downloads. What was bundled before and
 * has not changed comes from the store, without esbuild.
 *
 * @param name of the Worker, for messages.
 * @param config with `main` or `script` as an absolute path.
 */
export async function bundleWorker(
  name: string,
  config: WorkerConfig,
  options: BundleOptions = {},
): Promise<Bundle> {
  const entry = config.main ?? config.script;
  if (entry === undefined) return failed([unplaced("cannot compile: it has no main")], []);
  const path = resolve(entry);
  const syntax = config.main === undefined ? "script" : "module";
  const store = options.store === undefined ? defaultStore() : options.store;
  const node = nodeAccess(config);
  const key = `bundle ${storedFormat} ${esbuildVersion()} ${optionsDigest} ${syntax} ${node} ${name} ${path}`;
  if (store !== null) {
    const stored = readStored(store, key);
    if (stored !== null) return { ...stored, inputs: stored.worker.inputs };
  }
  const since = Date.now();
  const bundle = await compile(name, path, syntax, node);
  if (store !== null && bundle.worker !== null) {
    try {
      const snapshot = takeSnapshot(bundle.inputs, since);
      const { worker, problems } = bundle;
      if (snapshot !== null) store.put(key, serialize({ snapshot, worker, problems } satisfies StoredBundle));
    } catch {
      // A file vanished meanwhile: the bundle is good, but there is nothing to compare it with next time.
    }
  }
  return bundle;
}

async function compile(
  name: string,
  path: string,
  syntax: CompiledWorker["syntax"],
  node: NodeAccess,
): Promise<Bundle> {
  const directory = dirname(path);
  const imports = new WorkerImports(syntax, directory, node);
  const make = (options: typeof asyncContextOptions | null): Promise<BuildOutcome> =>
    build({
      ...workerOptions,
      ...options,
      entryPoints: [path],
      absWorkingDir: directory,
      // Nothing is written: the place decides only what the source map's paths are relative to.
      outfile: resolve(directory, "bundle.js"),
      format: syntax === "module" ? "esm" : "iife",
      plugins: [imports.plugin],
    });
  let outcome = await make(null);
  // Whether the Worker reaches AsyncLocalStorage is known only now; few do.
  const asyncContext = outcome.ok && importsAsyncHooks(outcome.result.metafile);
  if (asyncContext) outcome = await make(asyncContextOptions);
  const warnings = outcome.warnings.map((message) => toProblem("warning", directory, message));
  if (!outcome.ok) {
    const errors = outcome.errors.map((message) => toProblem("error", directory, message, node));
    const awaited = outcome.errors.flatMap((message) => awaitedFiles(directory, message));
    return failed([...errors, ...warnings], [path, ...awaited]);
  }
  const { outputFiles, metafile } = outcome.result;
  const inputs: string[] = [];
  for (const input of Object.keys(metafile.inputs)) {
    const file = fileOfInput(input);
    if (file !== null) inputs.push(resolve(directory, file));
  }
  inputs.sort();
  const exported = Object.values(metafile.outputs).flatMap((output) => output.exports);
  if (syntax === "module" && exported.length === 0) {
    const text = `cannot use ${JSON.stringify(basename(path))} as main: it exports nothing; for service-worker syntax name it as script`;
    return failed([firstLine(path, text), ...warnings], inputs);
  }
  const output = (end: string) => outputFiles.find((file) => file.path.endsWith(end))?.text ?? "";
  const { code: plain, assets } = imports.finish(output("bundle.js"));
  const mapped = { code: plain, sourceMap: withAbsoluteSources(output("bundle.js.map"), directory) };
  const { code, sourceMap } = asyncContext
    ? await keepAsyncContext(mapped, `import{${asyncHelpers.join()}}from"${asyncContextModule}";`, "module")
    : mapped;
  const hash = hashOf(name, syntax, code, sourceMap, assets);
  const worker: CompiledWorker = {
    name,
    syntax,
    code,
    sourceMap,
    assets,
    hash,
    inputs,
    node,
    asyncContext,
  };
  return { worker, problems: warnings, inputs };
}

function importsAsyncHooks(metafile: Metafile): boolean {
  return Object.values(metafile.outputs).some((output) =>
    output.imports.some(({ path }) => path === `${nodePrefix}async_hooks`),
  );
}

/** Stack traces name files so that an editor or a terminal can open them from anywhere. */
function withAbsoluteSources(text: string, directory: string): string {
  const map = JSON.parse(text) as { sources: string[] };
  map.sources = map.sources.map((source) => {
    const file = fileOfInput(source);
    return file === null ? source : resolve(directory, file);
  });
  return JSON.stringify(map);
}

function hashOf(
  name: string,
  syntax: string,
  code: string,
  sourceMap: string,
  assets: CompiledWorker["assets"],
): string {
  const hash = createHash("sha256");
  for (const part of [name, syntax, code, sourceMap]) hash.update(`${Buffer.byteLength(part)}:`).update(part);
  for (const { kind, bytes } of assets) hash.update(`${kind} ${bytes.byteLength}:`).update(bytes);
  return hash.digest("hex");
}

function toProblem(
  severity: WorkerProblem["severity"],
  directory: string,
  message: Message,
  node: NodeAccess = "none",
): WorkerProblem {
  const text = explain(severity, message.text, node);
  const place = message.location;
  if (place === null) return { ...unplaced(text), severity };
  const file = fileOfInput(place.file);
  // esbuild counts bytes of UTF-8, from 0.
  const line = Buffer.from(place.lineText);
  const before = line.subarray(0, place.column).toString().length;
  const marked = line.subarray(place.column, place.column + place.length).toString().length;
  return {
    severity,
    file: file === null ? "" : resolve(directory, file),
    line: place.line,
    column: before + 1,
    length: marked,
    text,
    lineText: place.lineText,
  };
}

const unresolved = /^Could not resolve "(.*)"$/;
const noLoader = /^No loader is configured for "(.*)" files: (.*)$/;

/** The files of which one would mend a failed relative import by appearing. */
function awaitedFiles(directory: string, { text, location }: Message): string[] {
  const missing = unresolved.exec(text)?.[1];
  if (missing === undefined || location === null || !/^\.\.?\//.test(missing)) return [];
  const path = resolve(directory, dirname(location.file), missing);
  return ["", ".ts", ".tsx", ".js", ".mjs", ".json"].map((extension) => path + extension);
}

/** esbuild's text in our words, with what Sluice knows about the reason. */
function explain(severity: WorkerProblem["severity"], text: string, node: NodeAccess): string {
  if (text.startsWith("cannot ")) return text;
  const missing = unresolved.exec(text)?.[1];
  if (missing !== undefined) {
    const why =
      node !== "compat" && nodeModuleName(missing) !== null
        ? "a module of Node.js needs the compatibility flag nodejs_compat"
        : "no such file or package";
    return `cannot import ${JSON.stringify(missing)}: ${why}`;
  }
  const unknown = noLoader.exec(text);
  if (unknown !== null) {
    return `cannot import ${JSON.stringify(unknown[2])}: unknown kind of file; say \`with { type: "text" }\` or \`with { type: "bytes" }\``;
  }
  return severity === "error" ? `cannot compile: ${text}` : text;
}

function unplaced(text: string): WorkerProblem {
  return { severity: "error", file: "", line: 0, column: 0, length: 0, text, lineText: "" };
}

function firstLine(path: string, text: string): WorkerProblem {
  const lineText = readFileSync(path, "utf8").split(/\r?\n/, 1)[0] ?? "";
  return { severity: "error", file: path, line: 1, column: 1, length: lineText.length, text, lineText };
}

function failed(problems: readonly WorkerProblem[], known: readonly string[]): Bundle {
  const inputs = new Set(known);
  for (const { file } of problems) if (file !== "") inputs.add(file);
  return { worker: null, problems, inputs: [...inputs] };
}

function readStored(store: TrustedStore, key: string): StoredBundle | null {
  const bytes = store.get(key);
  if (bytes === null) return null;
  // Only this user's own processes of the same format can have written it; see TrustedStore.
  const stored = deserialize(bytes) as StoredBundle;
  return isCurrent(stored.snapshot) ? stored : null;
}
