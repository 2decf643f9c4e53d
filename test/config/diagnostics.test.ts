import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { formatDiagnostics } from "../../src/config/format.ts";
import { loadConfig } from "../../src/config/load.ts";
import type { Overrides } from "../../src/config/overrides.ts";
import { MemoryHost } from "./memory-host.ts";

// Each fixture is one case: files, then what is reported about them, literally. A line `=== name` begins a part:
// a file's path, or `environment` (NAME=value lines), `overrides` (JSON) or `diagnostics`.
// SLUICE_UPDATE_FIXTURES=1 writes the diagnostics anew; read the difference before you commit it.

const folder = join(import.meta.dirname, "fixtures");
const update = process.env.SLUICE_UPDATE_FIXTURES === "1";

describe("a config with mistakes", () => {
  for (const name of readdirSync(folder).sort()) {
    if (!name.endsWith(".txt")) continue;
    test(`reports ${name.slice(0, -4).replaceAll("-", " ")}`, () => {
      const path = join(folder, name);
      const parts = readParts(readFileSync(path, "utf8"));
      const expected = parts.get("diagnostics") ?? "";
      const actual = run(parts);
      if (update && actual !== expected) {
        parts.set("diagnostics", actual);
        writeFileSync(path, Array.from(parts, ([part, text]) => `=== ${part}\n${text}`).join(""));
        return;
      }
      assert.equal(actual, expected);
    });
  }
});

function readParts(text: string): Map<string, string> {
  const parts = new Map<string, string>();
  for (const part of text.split(/^=== /m).slice(1)) {
    const end = part.indexOf("\n");
    parts.set(part.slice(0, end), part.slice(end + 1));
  }
  return parts;
}

function run(parts: ReadonlyMap<string, string>): string {
  const files = new Map<string, string>();
  for (const [part, text] of parts) {
    if (!["environment", "overrides", "diagnostics"].includes(part)) files.set(`/config/${part}`, text);
  }
  const environment: Record<string, string> = {};
  for (const line of (parts.get("environment") ?? "").split("\n")) {
    const equals = line.indexOf("=");
    if (equals > 0) environment[line.slice(0, equals)] = line.slice(equals + 1);
  }
  const overrides = JSON.parse(parts.get("overrides") ?? "{}") as Overrides;
  const loaded = loadConfig("/config/proxy.yaml", environment, overrides, new MemoryHost(files));
  const text = formatDiagnostics(loaded.diagnostics, { colour: false, directory: "/config" });
  const failed = loaded.diagnostics.some((diagnostic) => diagnostic.severity === "error");
  assert.equal(loaded.config === null, failed, "there is a config exactly when there is no error");
  for (const [variable, value] of Object.entries(environment)) {
    if (variable.startsWith("SECRET")) assert.ok(!text.includes(value), `${variable} does not appear`);
  }
  return text;
}
