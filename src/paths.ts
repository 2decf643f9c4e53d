import { fileURLToPath } from "node:url";

/**
 * Where the parts of Sluice lie that are started or read by path and not imported. A checkout runs the TypeScript in
 * src/ as it is; the published package holds dist/ alone, which has the same layout with `.js` endings.
 */
const checkout = import.meta.url.endsWith(".ts");
const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const script = (path: string) => at(`${path}${checkout ? ".ts" : ".js"}`);

/** What the supervisor starts as a shard's process. */
export const shardEntry = script("./shard/main");

/** What a shard starts as its watchdog thread. */
export const watchdogEntry = script("./isolate/watchdog-thread");

/** The prebuilt guest runtime, with its source map beside it; null in a checkout, which bundles `runtimeSource`. */
export const runtimeBundle: string | null = checkout ? null : at("./runtime.js");

/** The guest runtime's entry module; null in the published package. */
export const runtimeSource: string | null = checkout ? at("./runtime/main.ts") : null;

/** The directory that holds package.json. */
export const packageRoot = at("../");
