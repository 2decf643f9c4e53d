import assert from "node:assert/strict";
import { join } from "node:path";
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
  assert.deepEqual((JSON.parse(runtime.sourceMap) as { sources: string[] }).sources.sort(), [
    "main.ts",
    "request.ts",
  ]);
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
