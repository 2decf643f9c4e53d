import { createHash } from "node:crypto";
import type { BuildOptions } from "esbuild";

/**
 * V8 of Node.js 24, the oldest that Sluice runs on, is that of Chrome 136. Syntax that it has is left alone.
 */
export const target = "chrome136";

/** Where `import.meta.url` points. A Worker has no place in the file system, so it learns nothing of the host's. */
const moduleUrl = "file:///worker.js";

/**
 * How a Worker is bundled, but for its entry and the plugin. `keepNames` stays off: it makes each closure cost about
 * 290 ns in place of 5 ns. `dynamic-import` counts as unsupported since isolated-vm has none; imports of bundled
 * modules work all the same, others are refused with their name.
 */
export const workerOptions = {
  bundle: true,
  write: false,
  metafile: true,
  logLevel: "silent",
  platform: "browser",
  target,
  conditions: ["workerd", "worker", "browser"],
  mainFields: ["browser", "module", "main"],
  nodePaths: [],
  charset: "utf8",
  legalComments: "none",
  sourcemap: "external",
  sourcesContent: false,
  supported: { "dynamic-import": false },
  define: {
    "import.meta.url": JSON.stringify(moduleUrl),
    "process.env.NODE_ENV": '"production"',
    "global.process.env.NODE_ENV": '"production"',
    "globalThis.process.env.NODE_ENV": '"production"',
  },
  loader: {
    ".js": "jsx",
    ".mjs": "jsx",
    ".cjs": "jsx",
    ".txt": "text",
    ".html": "text",
    ".sql": "text",
    ".css": "text",
  },
} as const satisfies BuildOptions;

/** What changes for a Worker whose code is to keep its asynchronous context: every wait becomes a plain `await`. */
export const asyncContextOptions = {
  supported: { ...workerOptions.supported, "for-await": false, using: false },
} as const satisfies BuildOptions;

/**
 * How the guest runtime is bundled. Whitespace goes, because each isolate holds the source text once; identifiers stay,
 * because the names of classes and functions are visible to Workers; and a text with a character beyond Latin-1 would take
 * two bytes for each of its characters. The wrapper makes `boot` the script's completion
 * value without leaving a global behind.
 */
export const runtimeOptions = {
  bundle: true,
  write: false,
  metafile: true,
  logLevel: "silent",
  platform: "neutral",
  target,
  format: "cjs",
  conditions: ["workerd", "worker"],
  mainFields: ["module", "main"],
  nodePaths: [],
  charset: "ascii",
  legalComments: "none",
  minifyWhitespace: true,
  minifySyntax: true,
  supported: { "dynamic-import": false },
  define: { "process.env.NODE_ENV": '"production"' },
  banner: { js: '(function(){"use strict";const module={exports:{}};' },
  footer: { js: "return module.exports.boot})()" },
} as const satisfies BuildOptions;

/** Stands for everything that decides what a bundle looks like besides the files in it. */
export const optionsDigest = createHash("sha256")
  .update(JSON.stringify([workerOptions, runtimeOptions]))
  .digest("hex");
