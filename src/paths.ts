import { fileURLToPath } from "node:url";

/**
 * Where the parts of Sluice lie that are started or read by path and not imported. A checkout runs the TypeScript in
 * src/ as it is; the published package holds dist/ alone, where scripts/build.mjs puts one file for each process side by
 * side, with the chunks that they share. Whichever of them this module ends up in, it is in dist/ itself.
 */
const checkout = import.meta.url.endsWith(".ts");
const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** What the supervisor starts as a shard's process. */
export const shardEntry = at(checkout ? "./shard/main.ts" : "./shard.js");

/** What a shard starts as its watchdog thread. */
export const watchdogEntry = at(checkout ? "./isolate/watchdog-thread.ts" : "./watchdog.js");

/** The prebuilt guest runtime as JSON; null in a checkout, which bundles `runtimeSource`. */
export const runtimeBundle: string | null = checkout ? null : at("./runtime.json");

/** The guest runtime's entry module; null in the published package. */
export const runtimeSource: string | null = checkout ? at("./runtime/main.ts") : null;

/** The directory that holds package.json. */
export const packageRoot = at("../");
