import assert from "node:assert/strict";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { bundleWorker } from "../../src/isolate/loader/bundle.ts";
import { guestScript, mapStack } from "../../src/isolate/stack.ts";
import { StackMap } from "../../src/isolate/stack-map.ts";
import { configOf, directoryOf } from "./files.ts";
import { runWorker } from "./guest.ts";

/** The stack that `probe` fails with, mapped. */
async function failure(
  t: TestContext,
  files: Record<string, string>,
  probe: string,
  syntax: "main" | "script" = "main",
): Promise<{ raw: string; mapped: string[]; root: string }> {
  const root = directoryOf(t, files);
  const entry = join(root, Object.keys(files)[0] ?? "");
  const config = configOf(syntax === "main" ? { main: entry } : { script: entry });
  const { worker } = await bundleWorker("my worker (1)", config, { store: null });
  assert(worker !== null);
  const { stack } = runWorker(t, worker, probe) as { stack: string };
  return {
    raw: stack,
    mapped: mapStack(stack, guestScript(worker.name, worker.sourceMap)).split("\n"),
    root,
  };
}

test("frames lead to the lines and columns of the user's files", async (t) => {
  const { mapped, root } = await failure(
    t,
    {
      "main.ts": `import { Broken } from "./lib/broken.ts";
interface Unused { readonly a: string }

export default {
  async fetch(): Promise<void> {
    await Promise.all([1].map(async () => new Broken("💥").run()));
  },
};`,
      "lib/broken.ts": `type T = string;
export class Broken {
  readonly #text: T;
  constructor(text: T) { this.#text = text; }
  run(): never {
    throw new TypeError("cannot go on: " + this.#text);
  }
}`,
    },
    "worker.default.fetch()",
  );
  assert.equal(mapped[0], "TypeError: cannot go on: 💥");
  assert.equal(mapped[1], `    at Broken.run (${root}/lib/broken.ts:6:11)`);
  assert.equal(mapped[2], `    at ${root}/main.ts:6:60`);
  assert.equal(mapped[3], "    at Array.map (<anonymous>)");
  assert.equal(mapped[4], `    at Object.fetch (${root}/main.ts:6:27)`);
});

test("frames of scripts are mapped as well", async (t) => {
  const { mapped, root } = await failure(
    t,
    {
      "worker.ts":
        "const fail = (): never => {\n  throw new Error('no');\n};\nObject.assign(globalThis, { fail });",
    },
    "fail()",
    "script",
  );
  assert.equal(mapped[1], `    at fail (${root}/worker.ts:2:9)`);
});

test("frames of the runtime and of the host are left out", () => {
  const stack = [
    "Error: no",
    "    at handler (gateway:1:2)",
    "    at dispatch (sluice:runtime:10:20)",
    "    at sluice:runtime:3:4",
    "    at run (/opt/sluice/dist/isolate/guest-isolate.js:10:5)",
    "    at Promise.all (index 0)",
    "    at eval (eval at x (gateway:1:2), <anonymous>:1:1)",
    "    at other (not-gateway:1:2)",
    "    at async gateway:5:6",
  ].join("\n");
  assert.equal(
    mapStack(stack, guestScript("gateway", "")),
    "Error: no\n    at handler (gateway:1:2)\n    at Promise.all (index 0)\n    at async gateway:5:6",
  );
});

test("whatever a guest calls a stack is taken and bounded", () => {
  const script = guestScript("gateway", "{");
  for (const stack of [
    "",
    "\n",
    "at",
    "    at ",
    "    at (",
    "    at )",
    "    at :::",
    "   at gateway:",
    "x at gateway:1:2",
  ]) {
    assert.equal(typeof mapStack(stack, script), "string");
  }
  assert.equal(mapStack("    at f (gateway:99999999999999999999:1)", script), "");
  assert(mapStack(`x\n${"    at f (gateway:1:2)\n".repeat(100_000)}`, script).length < 64 * 1024);
  assert(mapStack("x".repeat(1e6), script).length < 2000);
  assert(mapStack("\n".repeat(1e6), script).length <= 64 * 1024);
  assert(mapStack(`    at ${"(".repeat(1e6)}`, script).length < 2000);
});

test("a damaged source map finds nothing and does no harm", () => {
  const place = { file: "a", line: 1, column: 1 };
  const map = (sources: unknown, mappings: unknown) => new StackMap(JSON.stringify({ sources, mappings }));
  assert.deepEqual(map(["a"], "AAAA").find(1, 7), place);
  assert.deepEqual(map(["a"], ";;AAAA,CAACA").find(3, 2), { file: "a", line: 1, column: 2 });
  assert.equal(map(["a"], ";;AAAA").find(2, 1), null);
  assert.equal(map(["a"], ";;AAAA").find(4, 1), null);
  assert.deepEqual(map(["a"], "AAAA,~~~~").find(1, 1), place);
  for (const mappings of [
    "~",
    "AAA",
    "A",
    "gggggggggggggggggggg",
    "é",
    "AAAAAAAAAAAAA",
    "AAgB",
    7,
    null,
    {},
  ]) {
    map(["a"], mappings).find(1, 1);
  }
  for (const sources of [null, 7, {}, [], [null], [{}]]) assert.equal(map(sources, "AAAA").find(1, 1), null);
  for (const text of ["", "null", "[]", "7", "{", "{}"]) assert.equal(new StackMap(text).find(1, 1), null);
  for (const [line, column] of [
    [0, 0],
    [-1, -1],
    [Number.NaN, 1],
    [1, Number.POSITIVE_INFINITY],
  ] as const) {
    map(["a"], "AAAA").find(line, column);
  }
});
