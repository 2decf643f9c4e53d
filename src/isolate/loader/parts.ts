import { existsSync, readdirSync } from "node:fs";
import { basename, join, relative, resolve, sep } from "node:path";
import type { Plugin } from "esbuild";
import { asyncHelpers, keepAsyncContext } from "./async-context.ts";
import { build } from "./compiler.ts";
import { runtimeOptions } from "./options.ts";

/** The names that each module exports, by absolute path. */
type ExportNames = ReadonlyMap<string, readonly string[]>;

const sharedNamespace = "sluice-shared";
const partNamespace = "sluice-part";
const packageNamespace = "sluice-package";

/** What npm packages in parts find when they ask for Node's modules and what stands in for its globals. */
const packages: Readonly<Record<string, string>> = {
  "abort-controller": "{ AbortController: globalThis.AbortController, AbortSignal: globalThis.AbortSignal }",
  buffer: '__load("node-buffer").buffer',
  events: '__load("node-events").EventEmitter',
  "process/": '__load("node-process").process',
  string_decoder: '__load("node-string_decoder").stringDecoder',
  "string_decoder/": '__load("node-string_decoder").stringDecoder',
};

/** Parts whose own waits keep the Worker's asynchronous context, since they call it back. */
const keepsContext = /^node-/;
const helpers = asyncHelpers.join(", ");

/**
 * Bundles `parts/*.ts` beside the runtime's entry, each as a script that evaluates to a function of what it shares (see
 * src/runtime/part.ts). A module of the main bundle is the bundle's own in every part; another part is loaded, not
 * copied; anything else that a part imports is bundled into it. The scripts hold none of esbuild's helpers that look up
 * globals when a module begins: a part comes after the Worker's code, which may have replaced them.
 */
export class PartsBundler {
  readonly #directory: string;
  readonly #parts: ReadonlyMap<string, string>;
  #names: ExportNames = new Map();
  /** Modules of the main bundle that parts import. */
  readonly #shared = new Set<string>();
  readonly #inputs = new Set<string>();

  /** @param directory of the runtime's entry. */
  constructor(directory: string) {
    this.#directory = directory;
    const folder = join(directory, "parts");
    const files = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith(".ts")) : [];
    this.#parts = new Map(files.sort().map((file) => [basename(file, ".ts"), join(folder, file)]));
  }

  get isEmpty(): boolean {
    return this.#parts.size === 0;
  }

  /** Files that went into parts. */
  get inputs(): Iterable<string> {
    return this.#inputs;
  }

  /**
   * @param main absolute paths of the main bundle's modules.
   * @returns scripts by the names of their parts.
   */
  async bundle(main: readonly string[]): Promise<Record<string, string>> {
    this.#names = await exportNames([...main, ...this.#parts.values()], this.#directory);
    const mainModules = new Set(main);
    const scripts: Record<string, string> = {};
    await Promise.all(
      [...this.#parts].map(async ([name, path]) => {
        scripts[name] = await this.#script(name, path, mainModules);
      }),
    );
    return scripts;
  }

  /** The source of the main bundle's entry: what `entry` exports as `boot`, with what parts share of the bundle. */
  entry(entry: string): string {
    const imports: string[] = [];
    const cases: string[] = [];
    for (const [index, path] of [...this.#shared].sort().entries()) {
      const names = this.#names.get(path) ?? [];
      imports.push(
        `import { ${names.map((name) => `${name} as m${index}_${name}`).join(", ")} } from ${JSON.stringify(path)};`,
      );
      const members = names.map((name) => `${name}: m${index}_${name}`).join(", ");
      cases.push(`case ${JSON.stringify(this.#id(path))}: return { __proto__: null, ${members} };`);
    }
    return `${imports.join("\n")}
      import { setShared } from "./part.ts";
      setShared((module) => { switch (module) { ${cases.join("\n")} } });
      export { boot } from ${JSON.stringify(entry)};`;
  }

  async #script(name: string, path: string, main: ReadonlySet<string>): Promise<string> {
    const names = this.#names.get(path) ?? [];
    const keeps = keepsContext.test(name);
    const outcome = await build({
      ...runtimeOptions,
      ...(keeps ? { supported: { ...runtimeOptions.supported, "for-await": false, using: false } } : null),
      format: "iife",
      banner: { js: '(function(__shared,__load){"use strict";let __exports;' },
      footer: { js: "return __exports})" },
      stdin: {
        contents: `import { ${names.join(", ")} } from ${JSON.stringify(path)};
          ${keeps ? `import { ${helpers} } from "./web/async-context.ts";` : ""}
          __exports = { __proto__: null, ${names.join(", ")}${keeps ? `, helpers: [${helpers}]` : ""} };`,
        resolveDir: this.#directory,
      },
      absWorkingDir: this.#directory,
      outfile: resolve(this.#directory, `${name}.js`),
      plugins: [this.#plugin(path, main)],
    });
    if (!outcome.ok) {
      const reasons = outcome.errors.map(
        ({ text, location }) => `${location?.file}:${location?.line}: ${text}`,
      );
      throw new Error(`cannot bundle the runtime's part ${name}: ${reasons.join("; ")}`);
    }
    for (const input of Object.keys(outcome.result.metafile.inputs)) {
      if (!/^(<|sluice-)/.test(input)) this.#inputs.add(resolve(this.#directory, input));
    }
    const code = outcome.result.outputFiles[0]?.text ?? "";
    return keeps ? (await keepAsyncContext({ code, sourceMap: "" }, "", "script")).code : code;
  }

  #plugin(own: string, main: ReadonlySet<string>): Plugin {
    const parts = new Map([...this.#parts].map(([name, path]) => [path, name]));
    return {
      name: "parts",
      setup: (build) => {
        build.onResolve({ filter: /^[./]/ }, (args) => {
          if (args.namespace !== "file" && args.namespace !== "") return undefined;
          const path = resolve(args.resolveDir, args.path);
          if (path !== own && parts.has(path)) return { path, namespace: partNamespace, sideEffects: false };
          if (!main.has(path)) return undefined;
          this.#shared.add(path);
          return { path, namespace: sharedNamespace, sideEffects: false };
        });
        build.onResolve({ filter: /^[a-z_-]+\/?$/ }, ({ path }) =>
          Object.hasOwn(packages, path) ? { path, namespace: packageNamespace } : undefined,
        );
        build.onLoad({ filter: /.*/, namespace: packageNamespace }, ({ path }) => ({
          contents: `module.exports = ${packages[path]};`,
        }));
        build.onLoad({ filter: /.*/, namespace: sharedNamespace }, ({ path }) => ({
          contents: this.#proxy(path, `__shared(${JSON.stringify(this.#id(path))})`),
        }));
        build.onLoad({ filter: /.*/, namespace: partNamespace }, ({ path }) => ({
          contents: this.#proxy(path, `__load(${JSON.stringify(parts.get(path))})`),
        }));
      },
    };
  }

  #proxy(path: string, source: string): string {
    const names = this.#names.get(path) ?? [];
    const members = names.map((name) => `export const ${name} = module.${name};`);
    return `const module = ${source};\n${members.join("\n")}`;
  }

  /** A module's name in the guest, which says nothing of this machine. */
  #id(path: string): string {
    return relative(this.#directory, path).split(sep).join("/");
  }
}

/** What esbuild finds that modules export when it reads each by itself; types are not among it. */
async function exportNames(modules: readonly string[], directory: string): Promise<ExportNames> {
  const outcome = await build({
    entryPoints: [...modules],
    absWorkingDir: directory,
    outdir: resolve(directory, "names"),
    bundle: false,
    write: false,
    metafile: true,
    format: "esm",
    logLevel: "silent",
  });
  if (!outcome.ok) throw new Error(`cannot read the runtime: ${outcome.errors[0]?.text}`);
  const names = new Map<string, readonly string[]>();
  for (const output of Object.values(outcome.result.metafile.outputs)) {
    if (output.entryPoint !== undefined) names.set(resolve(directory, output.entryPoint), output.exports);
  }
  return names;
}
