import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import ivm from "isolated-vm";
import { DiskCodeCache } from "../../src/isolate/code-cache.ts";
import { TrustedStore } from "../../src/isolate/trusted-store.ts";
import { directoryOf } from "./files.ts";

const script = "(function () { return function boot() { return 40 + 2; }; })()";
const module = "export function answer() { return 40 + 2; } export default answer();";

type Compiled = {
  readonly cachedData?: ivm.ExternalCopy<ArrayBuffer>;
  readonly cachedDataRejected?: boolean;
};

function compile(
  t: TestContext,
  kind: "script" | "module",
  source: string,
  data: Uint8Array | null,
): Compiled {
  const isolate = new ivm.Isolate();
  t.after(() => isolate.dispose());
  const options =
    data === null
      ? { produceCachedData: true }
      : { cachedData: new ivm.ExternalCopy(new Uint8Array(data).buffer) };
  const compiled =
    kind === "script"
      ? isolate.compileScriptSync(source, options)
      : isolate.compileModuleSync(source, options);
  return compiled as unknown as Compiled;
}

function produce(t: TestContext, kind: "script" | "module", source: string): Uint8Array {
  const produced = compile(t, kind, source, null).cachedData?.copy();
  assert(produced !== undefined);
  return new Uint8Array(produced);
}

function storeIn(directory: string): TrustedStore {
  const store = TrustedStore.open({ directories: [directory] });
  assert(store !== null);
  return store;
}

for (const [kind, source] of [
  ["script", script],
  ["module", module],
] as const) {
  test(`V8 takes the cached data of a ${kind} that another process left on disk`, (t) => {
    const directory = join(directoryOf(t, {}), "cache");
    new DiskCodeCache(storeIn(directory)).put(source, produce(t, kind, source));
    const data = new DiskCodeCache(storeIn(directory)).get(source);
    assert(data !== null);
    assert.equal(compile(t, kind, source, data).cachedDataRejected, false);
  });
}

test("data of another script of the same length is never handed out", (t) => {
  const cache = new DiskCodeCache(storeIn(join(directoryOf(t, {}), "cache")));
  cache.put(script, produce(t, "script", script));
  assert.equal(cache.get(script.replace("40", "50")), null);
});

test("data that was altered on disk is not handed out", (t) => {
  const directory = join(directoryOf(t, {}), "cache");
  new DiskCodeCache(storeIn(directory)).put(script, produce(t, "script", script));
  for (const name of readdirSync(directory).filter((file) => file.endsWith(".bin"))) {
    const bytes = readFileSync(join(directory, name));
    bytes.writeUInt8(bytes.readUInt8(bytes.length - 9) ^ 1, bytes.length - 9);
    writeFileSync(join(directory, name), bytes);
  }
  assert.equal(new DiskCodeCache(storeIn(directory)).get(script), null);
});

test("without a store it keeps what fits in memory", () => {
  const cache = new DiskCodeCache(null, 250);
  cache.put("a", new Uint8Array(100));
  cache.put("b", new Uint8Array(100));
  cache.put("a", new Uint8Array(110));
  assert.equal(cache.get("a")?.byteLength, 110);
  cache.put("c", new Uint8Array(100));
  assert.equal(cache.get("b"), null);
  assert.equal(cache.get("a")?.byteLength, 110);
  assert.equal(cache.get("c")?.byteLength, 100);
  cache.put("d", new Uint8Array(1000));
  assert.equal(cache.get("d"), null);
  assert.equal(cache.get("c")?.byteLength, 100);
});
