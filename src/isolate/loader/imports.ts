import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { dirname, relative, resolve } from "node:path";
import type { OnLoadResult, OnResolveArgs, OnResolveResult, Plugin, PluginBuild } from "esbuild";
import type { CompiledWorker, NodeAccess } from "../environment.ts";
import { nodeModuleName, nodePrefix, nodeSpecifiers } from "./node-modules.ts";

/** What a binary import is to the Worker: `.bin` an ArrayBuffer, `.wasm` a WebAssembly.Module. */
export type Asset = CompiledWorker["assets"][number];

const assetNamespace = "sluice-asset";
const platformNamespace = "sluice-platform";
/** Node's modules as CommonJS sees them, and the ES modules inside of those. */
const nodeNamespace = "sluice-node";
const innerPrefix = "sluice:inner/";
const inner = Symbol("resolve the file behind an asset");

/**
 * Resolves what only Sluice knows about: `cloudflare:*` modules of the runtime, binary files, and specifiers that are
 * never followed. Everything else is left to esbuild, since each callback costs a round trip to its process.
 */
export class WorkerImports {
  /** Binary files by path. */
  readonly #assets = new Map<string, Asset>();
  readonly #syntax: CompiledWorker["syntax"];
  readonly #directory: string;
  readonly #node: NodeAccess;

  /** @param directory that the paths of binary files are relative to: the Worker sees them in its stacks. */
  constructor(syntax: CompiledWorker["syntax"], directory: string, node: NodeAccess) {
    this.#syntax = syntax;
    this.#directory = directory;
    this.#node = node;
  }

  get plugin(): Plugin {
    return { name: "sluice", setup: (build) => this.#setup(build) };
  }

  /**
   * The binary imports in a stable order, and `code` with their placeholders turned into indexes. The placeholders stand
   * in import declarations, which end their lines, so the source map stays right.
   */
  finish(code: string): { readonly code: string; readonly assets: Asset[] } {
    const assets: Asset[] = [];
    for (const path of [...this.#assets.keys()].sort()) {
      const asset = this.#assets.get(path);
      if (asset === undefined) continue;
      code = code.replaceAll(placeholder(path), `sluice:asset/${assets.length}`);
      assets.push(asset);
    }
    return { code, assets };
  }

  #setup(build: PluginBuild): void {
    if (this.#node !== "none") {
      build.onResolve({ filter: nodeSpecifiers }, (args) => this.#nodeModule(args));
      build.onLoad({ filter: /.*/, namespace: nodeNamespace }, ({ path }) => ({
        contents: path.startsWith(innerPrefix)
          ? `export { default } from ${JSON.stringify(nodePrefix + path.slice(innerPrefix.length))};`
          : `module.exports = require(${JSON.stringify(innerPrefix + path)}).default;`,
        loader: "js",
      }));
    }
    build.onResolve({ filter: /^cloudflare:/ }, (args) => this.#platform(args));
    build.onResolve({ filter: /^sluice:/ }, (args) => {
      if (args.namespace === nodeNamespace && args.path.startsWith(innerPrefix))
        return { path: args.path, namespace: nodeNamespace };
      return args.namespace === assetNamespace || args.namespace === nodeNamespace
        ? { path: args.path, external: true }
        : refuse(args, "the name is reserved");
    });
    build.onResolve({ filter: /^(https?:)?\/\// }, (args) =>
      refuse(args, "modules are never downloaded; install the package and import it by name"),
    );
    build.onResolve({ filter: /\.(wasm|bin)(\?module)?$/ }, (args) => this.#asset(build, args));
    build.onLoad({ filter: /.*/, namespace: assetNamespace }, (args) => this.#load(args.path));
    // isolated-vm has no import(), so a dynamic import goes to a bundled module that imports statically.
    build.onLoad({ filter: /.*/, namespace: platformNamespace }, (args) => ({
      contents: `export * from ${JSON.stringify(args.path)};`,
      loader: "js",
    }));
  }

  /** An import statement takes the names of the module that the isolate provides; `require` and `import()` take it whole. */
  #nodeModule(args: OnResolveArgs): OnResolveResult | undefined {
    const name = nodeModuleName(args.path);
    if (name === null) return refuse(args, "Node.js has no such module");
    if (this.#node === "als" && name !== "async_hooks") {
      // Without the prefix it may be a package.
      return args.path.startsWith("node:")
        ? refuse(
            args,
            "the compatibility flag nodejs_als gives node:async_hooks alone; nodejs_compat gives all",
          )
        : undefined;
    }
    if (this.#syntax === "script")
      return refuse(args, "service-worker syntax has no imports; name the file as main");
    return args.kind === "import-statement"
      ? { path: nodePrefix + name, external: true, sideEffects: false }
      : { path: name, namespace: nodeNamespace, sideEffects: false };
  }

  #platform(args: OnResolveArgs): OnResolveResult {
    if (this.#syntax === "script")
      return refuse(args, "service-worker syntax has no imports; name the file as main");
    const direct = args.kind === "import-statement" || args.namespace === platformNamespace;
    return direct
      ? { path: args.path, external: true }
      : { path: args.path, namespace: platformNamespace, sideEffects: false };
  }

  async #asset(build: PluginBuild, args: OnResolveArgs): Promise<OnResolveResult | undefined> {
    if (args.pluginData === inner || Object.keys(args.with).length > 0) return undefined;
    const found = await build.resolve(args.path.replace(/\?module$/, ""), {
      importer: args.importer,
      namespace: args.namespace,
      resolveDir: args.resolveDir,
      kind: args.kind,
      pluginData: inner,
    });
    if (found.errors.length > 0) return refuse(args, "no such file or package");
    return { path: relative(this.#directory, found.path), namespace: assetNamespace, sideEffects: false };
  }

  async #load(path: string): Promise<OnLoadResult> {
    const file = resolve(this.#directory, path);
    const kind = path.endsWith(".wasm") ? "wasm" : "data";
    if (this.#syntax === "script") {
      // A script cannot import, so the bytes stand in it.
      const value = kind === "wasm" ? "new WebAssembly.Module(bytes)" : "bytes.buffer";
      return {
        contents: `import bytes from ${JSON.stringify(file)} with { type: "bytes" }; export default ${value};`,
        resolveDir: dirname(file),
        loader: "js",
      };
    }
    const bytes = await readFile(file);
    this.#assets.set(path, { kind, bytes });
    const specifier = JSON.stringify(placeholder(path));
    return { contents: `import asset from ${specifier}; export default asset;`, loader: "js" };
  }
}

/** The file behind a name in esbuild's lists, or null for a module that is made up or disabled. */
export function fileOfInput(input: string): string | null {
  if (input.startsWith(`${assetNamespace}:`)) return input.slice(assetNamespace.length + 1);
  if (
    input.startsWith(`${platformNamespace}:`) ||
    input.startsWith(`${nodeNamespace}:`) ||
    input.startsWith("(disabled):")
  )
    return null;
  return input.startsWith("<") || input.startsWith("data:") ? null : input;
}

function placeholder(path: string): string {
  return `sluice:asset/${createHash("sha256").update(path).digest("hex")}`;
}

function refuse(args: OnResolveArgs, reason: string): OnResolveResult {
  return { errors: [{ text: `cannot import ${JSON.stringify(args.path)}: ${reason}` }] };
}
