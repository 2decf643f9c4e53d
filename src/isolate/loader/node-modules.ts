import { builtinModules } from "node:module";
import type { WorkerConfig } from "../../config/schema/worker.ts";
import type { NodeAccess } from "../environment.ts";
import { asyncHelpers } from "./async-context.ts";

/** From this day on Workers have Node's modules unless they say otherwise, as in workerd. */
const defaultSince = "2026-08-04";

/** What the flags and the date of a Worker say about Node's modules. */
export function nodeAccess(
  config: Pick<WorkerConfig, "compatibilityDate" | "compatibilityFlags">,
): NodeAccess {
  const flags = new Set(config.compatibilityFlags);
  if (flags.has("nodejs_compat") || flags.has("nodejs_compat_v2")) return "compat";
  if (!flags.has("no_nodejs_compat") && config.compatibilityDate >= defaultSince) return "compat";
  return flags.has("nodejs_als") ? "als" : "none";
}

const names: ReadonlySet<string> = new Set(
  builtinModules.filter((name) => !name.startsWith("_")).map((name) => name.replace(/^node:/, "")),
);
/** Modules that have no name without `node:`. */
const prefixOnly: ReadonlySet<string> = new Set([...names].filter((name) => !builtinModules.includes(name)));

/** What Node.js calls the module behind a specifier, without `node:`; null when it is none of Node's. */
export function nodeModuleName(specifier: string): string | null {
  if (specifier.startsWith("node:")) {
    const name = specifier.slice("node:".length);
    return names.has(name) ? name : null;
  }
  return names.has(specifier) && !prefixOnly.has(specifier) ? specifier : null;
}

/** Matches the specifiers that may be Node's. */
export const nodeSpecifiers: RegExp = new RegExp(
  `^(node:.*|${[...names].filter((name) => !prefixOnly.has(name)).join("|")})$`,
);

/** Specifiers of the modules that isolates provide for Node's begin so. */
export const nodePrefix = "sluice:node/";
/** Provides the functions that keep the asynchronous context; see async-context.ts. */
export const asyncContextModule = "sluice:async-context";

const identifier = /^[A-Za-z_$][\w$]*$/;

/**
 * The source of the module that an isolate provides for one of Node's. It exports every name that the Node.js which runs
 * Sluice has there, for a Worker's import of a name that is missing would keep it from starting; what the guest lacks
 * throws when it is used.
 */
function nodeModuleSource(name: string): string {
  const functions: string[] = [];
  const others: string[] = [];
  const builtin = process.getBuiltinModule(`node:${name}`) as unknown as Record<string, unknown> | undefined;
  const keys = builtin === undefined ? [] : Object.keys(Object.getOwnPropertyDescriptors(builtin));
  for (const key of keys) {
    if (!identifier.test(key) || key === "default" || key === "prototype") continue;
    const descriptor = Object.getOwnPropertyDescriptor(builtin, key);
    // What stands behind a getter may warn, and is none of a function's.
    if (typeof descriptor?.value === "function") functions.push(key);
    else others.push(key);
  }
  const exported = [...functions, ...others].filter((key) => key !== "length" && key !== "name");
  const exports = exported.map((key, index) => `const e${index} = m.${key}; export { e${index} as ${key} };`);
  return `const m = globalThis.__sluice.node(${JSON.stringify(name)}, ${JSON.stringify(functions.join())});
export default m; ${exports.join(" ")}`;
}

/** The source of a module that an isolate provides when its Worker imports it; null for others. */
export function providedSource(specifier: string): string | null {
  if (specifier === asyncContextModule)
    return `export const {${asyncHelpers.join()}} = globalThis.__sluice.asyncContext();`;
  if (specifier === "cloudflare:sockets") return "export const { connect } = globalThis.__sluice.sockets;";
  return specifier.startsWith(nodePrefix) ? nodeModuleSource(specifier.slice(nodePrefix.length)) : null;
}
