// Makes dist/, which is what the published package runs: one file for each process, the chunks that they share, and the
// guest runtime. Dependencies stay outside; npm installs them.
import { mkdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";
import { bundleRuntime } from "../src/isolate/loader/runtime.ts";
import { runtimeSource } from "../src/paths.ts";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = join(root, "dist");

await rm(dist, { recursive: true, force: true });
await mkdir(dist);
const { metafile } = await esbuild.build({
  absWorkingDir: root,
  // The names, and that the chunks lie beside them, are what src/paths.ts relies on.
  entryPoints: {
    main: "src/main.ts",
    shard: "src/shard/main.ts",
    watchdog: "src/isolate/watchdog-thread.ts",
  },
  outdir: dist,
  bundle: true,
  splitting: true,
  format: "esm",
  platform: "node",
  target: "node24",
  packages: "external",
  charset: "utf8",
  metafile: true,
  logLevel: "warning",
});
const { runtime } = await bundleRuntime(runtimeSource);
const runtimeText = JSON.stringify(runtime);
await writeFile(join(dist, "runtime.json"), runtimeText);

const bytes = Object.values(metafile.outputs).reduce((sum, output) => sum + output.bytes, runtimeText.length);
process.stderr.write(
  `dist: ${Object.keys(metafile.outputs).length + 1} files, ${Math.round(bytes / 1024)} KiB\n`,
);
