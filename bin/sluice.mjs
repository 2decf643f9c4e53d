#!/usr/bin/env node
// In a checkout the TypeScript source runs as it is; the published package holds only dist/.
import { existsSync } from "node:fs";
import module from "node:module";

const major = Number(process.versions.node.split(".")[0]);
if (major < 24) {
  process.stderr.write(
    `sluice: cannot start: Node.js ${process.version} is too old, 24 or later is needed (in a checkout, npm start brings its own)\n`,
  );
  process.exit(2);
}
module.enableCompileCache?.();
const source = new URL("../src/main.ts", import.meta.url);
await import(existsSync(source) ? source.href : new URL("../dist/main.js", import.meta.url).href);
