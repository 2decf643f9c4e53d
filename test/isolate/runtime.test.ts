import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { test } from "node:test";
import ivm from "isolated-vm";
import { bundleRuntime, loadRuntime } from "../../src/isolate/loader/runtime.ts";
import { TrustedStore } from "../../src/isolate/trusted-store.ts";
import { directoryOf } from "./files.ts";

test("the runtime is a script whose completion value is boot, and leaves no global behind", async (t) => {
  const root = directoryOf(t, {
    "main.ts": `import { Request } from "./request.ts";
      export function boot(a: number): string {
        return [a, Request.name, this === undefined, Object.keys(globalThis).join()].join(" ");
      }`,
    "request.ts": "export class Request { readonly url: string = ''; }",
  });
  const { runtime, inputs } = await bundleRuntime(join(root, "main.ts"));
  assert.deepEqual(inputs.sort(), [join(root, "main.ts"), join(root, "request.ts")]);
  const isolate = new ivm.Isolate();
  t.after(() => isolate.dispose());
  const context = isolate.createContextSync();
  const boot = isolate.compileScriptSync(runtime.code).runSync(context, { reference: true }) as ivm.Reference<
    (a: number) => string
  >;
  assert.equal(boot.applySync(undefined, [7]), "7 Request true ");
});

test("a part shares the main bundle's modules and other parts, and loads when it is asked for", async (t) => {
  const root = directoryOf(t, {
    "main.ts": `import { count } from "./count.ts"; import { part, setPartLoader, definePart } from "./part.ts";
      export function boot(load: (name: string) => void) {
        setPartLoader(load);
        return { definePart, first: count(), run: (name: string) => part<{ text(): string }>(name).text() };
      }`,
    "count.ts": "let n = 0; export const unused = 1; export function count(): number { return ++n; }",
    "part.ts": readFileSync(new URL("../../src/runtime/part.ts", import.meta.url)),
    "own.ts": "export const own = 'own';",
    "parts/one.ts": `import { count } from "../count.ts"; import { own } from "../own.ts";
      const at = count(); export function text(): string { return [own, at].join(); }`,
    "parts/two.ts": `import { count } from "../count.ts"; import { text as one } from "./one.ts";
      const at = count(); export function text(): string { return [one(), at].join(); }`,
  });
  const { runtime, inputs } = await bundleRuntime(join(root, "main.ts"));
  assert.deepEqual(inputs.map((path) => relative(root, path)).sort(), [
    "count.ts",
    "main.ts",
    "own.ts",
    "part.ts",
    "parts/one.ts",
    "parts/two.ts",
  ]);
  const isolate = new ivm.Isolate();
  t.after(() => isolate.dispose());
  const context = isolate.createContextSync();
  const loads: string[] = [];
  context.global.setSync(
    "boot",
    isolate.compileScriptSync(runtime.code).runSync(context, { reference: true }).derefInto(),
  );
  context.evalClosureSync("globalThis.entries = boot($0);", [
    new ivm.Callback((name: string) => {
      loads.push(name);
      const script = isolate.compileScriptSync(runtime.parts[name] ?? "null");
      const factory = script.runSync(context, { reference: true }) as ivm.Reference<unknown>;
      context.evalClosureSync("entries.definePart($0)", [factory.derefInto()]);
    }),
  ]);
  assert.equal(context.evalSync("entries.first"), 1);
  assert.equal(context.evalSync("entries.run('two') + ' ' + entries.run('one')"), "own,2,3 own,2");
  assert.deepEqual(loads, ["two", "one"]);
});

test("a runtime that does not compile says where", async (t) => {
  const root = directoryOf(t, { "main.ts": "export function boot() {\n  return ;;) }" });
  await assert.rejects(
    bundleRuntime(join(root, "main.ts")),
    /^Error: cannot bundle the runtime: main\.ts:2: .*"\)"/,
  );
});

test("the project's own runtime loads, and again from the store", async (t) => {
  const store = TrustedStore.open({ directories: [join(directoryOf(t, {}), "cache")] });
  const first = await loadRuntime(store);
  assert.match(first.code, /return module\.exports\.boot\}\)\(\)\n?$/);
  assert.deepEqual(await loadRuntime(store), first);
});
