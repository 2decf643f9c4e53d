import { mkdirSync, mkdtempSync, realpathSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { TestContext } from "node:test";
import { type WorkerConfig, worker } from "../../src/config/schema/worker.ts";

/** A directory of the given files, removed after the test. The files look as if written a minute ago. */
export function directoryOf(t: TestContext, files: Record<string, string | Uint8Array>): string {
  const root = realpathSync(mkdtempSync(join(tmpdir(), "sluice-test-")));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  for (const [name, contents] of Object.entries(files)) write(join(root, name), contents);
  return root;
}

export function write(path: string, contents: string | Uint8Array): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, contents);
  const past = Date.now() / 1000 - 60;
  utimesSync(path, past, past);
}

/** A Worker's config with everything but its source at its default. */
export function configOf(source: { main: string } | { script: string }): WorkerConfig {
  return worker.parse({
    ...source,
    compatibilityDate: "2026-11-01",
    compatibilityFlags: ["no_nodejs_compat"],
  });
}
