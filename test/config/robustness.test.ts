import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { formatDiagnostics } from "../../src/config/format.ts";
import { loadConfig } from "../../src/config/load.ts";
import { MemoryHost } from "./memory-host.ts";

/** Numbers that look random and are the same in each run (mulberry32). */
function generator(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

const folder = join(import.meta.dirname, "fixtures");
const seeds = readdirSync(folder)
  .filter((name) => name.endsWith(".txt"))
  .map((name) => readFileSync(join(folder, name), "utf8").split(/^=== .*\n/m)[1] ?? "");
const tokens = seeds.join("\n").match(/[\w.-]+|\s+|[^\w\s]/g) ?? [];

test("no text makes loading throw, or gives a config together with an error", () => {
  const random = generator(20_261_122);
  const environment = { N: "7", ON: "true", SECRET: "topsecret" };
  for (let round = 0; round < 1500; round++) {
    let text = seeds[random(seeds.length)] ?? "";
    for (let edit = random(4); edit >= 0; edit--) {
      const at = random(text.length + 1);
      const token = random(6) === 0 ? "$".concat("{SECRET}") : (tokens[random(tokens.length)] ?? "");
      text = text.slice(0, at) + (random(2) === 0 ? token : "") + text.slice(at + random(8));
    }
    const files = new Map([
      ["/config/proxy.yaml", text],
      ["/config/w.ts", ""],
      ["/config/other.yaml", seeds[random(seeds.length)] ?? ""],
    ]);
    const { config, diagnostics } = loadConfig("/config/proxy.yaml", environment, {}, new MemoryHost(files));
    const failed = diagnostics.some(({ severity }) => severity === "error");
    assert.equal(config === null, failed, text);
    const printed = formatDiagnostics(diagnostics, { colour: false, directory: "/config" });
    assert.ok(!printed.includes("topsecret"), text);
    for (const { place, message } of diagnostics) {
      if (place === null) continue;
      assert.ok(place.line >= 1 && place.column >= 1 && place.length >= 1, message);
      assert.ok(place.column - 1 <= place.lineText.length, message);
      assert.ok(!message.includes("Invalid input"), message);
    }
  }
});
