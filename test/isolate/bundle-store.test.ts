import assert from "node:assert/strict";
import { readdirSync, readFileSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { bundleWorker } from "../../src/isolate/loader/bundle.ts";
import { isCurrent, takeSnapshot } from "../../src/isolate/loader/snapshot.ts";
import { TrustedStore } from "../../src/isolate/trusted-store.ts";
import { configOf, directoryOf, write } from "./files.ts";

/** Counts what is written: a bundle that came from the store is not put there again. */
class CountingStore {
  puts = 0;
  readonly store: TrustedStore;

  constructor(directory: string) {
    const store = TrustedStore.open({ directories: [directory] });
    assert(store !== null);
    this.store = store;
    const put = store.put.bind(store);
    store.put = (name, data) => {
      this.puts++;
      return put(name, data);
    };
  }
}

function project(t: TestContext, files: Record<string, string>) {
  const root = directoryOf(t, {
    "main.js": "export { default } from './part.js';",
    "part.js": "export default 1;",
    ...files,
  });
  const counting = new CountingStore(join(directoryOf(t, {}), "cache"));
  const config = configOf({ main: join(root, "main.js") });
  const code = async () => {
    const { worker, inputs } = await bundleWorker("gateway", config, { store: counting.store });
    assert.deepEqual(inputs, worker?.inputs);
    return worker?.code ?? "";
  };
  return { root, counting, code };
}

test("an unchanged Worker comes from the store", async (t) => {
  const { counting, code } = project(t, {});
  await waitUntilOlder();
  const first = await code();
  assert.equal(counting.puts, 1);
  assert.equal(await code(), first);
  assert.equal(counting.puts, 1);
});

test("a change to any input is seen, though its size and its times stay", async (t) => {
  const { root, code } = project(t, {});
  await waitUntilOlder();
  assert.match(await code(), /= 1/);
  write(join(root, "part.js"), "export default 2;");
  assert.match(await code(), /= 2/);
});

test("what changes how imports resolve makes a new bundle", async (t) => {
  const { root, code } = project(t, {
    "main.js": "export { default } from './part';",
    "tsconfig.json": `{ "extends": "./base.json" }`,
    "base.json": `{ "compilerOptions": { "jsxFactory": "one" } }`,
    "part.jsx": "const one = (x) => x, two = (x) => x + x; export default <b />;",
  });
  rmSync(join(root, "part.js"));
  await waitUntilOlder();
  assert.match(await code(), /one\("b"/);
  write(join(root, "base.json"), `{ "compilerOptions": { "jsxFactory": "two" } }`);
  assert.match(await code(), /two\("b"/);
  write(join(root, "part.ts"), "export default 'ts';");
  assert.match(await code(), /"ts"/);
});

test("another version of a package makes a new bundle", async (t) => {
  const { root, code } = project(t, {
    "main.js": "export { default } from 'dependency';",
    "node_modules/dependency/package.json": `{ "main": "./a.js" }`,
    "node_modules/dependency/a.js": "export default 'a';",
    "node_modules/dependency/b.js": "export default 'b';",
    "other/package.json": `{ "main": "./c.js" }`,
    "other/c.js": "export default 'c';",
  });
  await waitUntilOlder();
  assert.match(await code(), /"a"/);
  write(join(root, "node_modules/dependency/package.json"), `{ "main": "./b.js" }`);
  assert.match(await code(), /"b"/);
  rmSync(join(root, "node_modules/dependency"), { recursive: true });
  symlinkSync("../other", join(root, "node_modules/dependency"));
  assert.match(await code(), /"c"/);
});

test("a Worker that does not compile is not stored, nor is one that vanished found", async (t) => {
  const { root, counting, code } = project(t, {});
  await waitUntilOlder();
  write(join(root, "part.js"), "export default ;");
  const config = configOf({ main: join(root, "main.js") });
  assert.equal((await bundleWorker("gateway", config, { store: counting.store })).worker, null);
  assert.equal(counting.puts, 0);
  write(join(root, "part.js"), "export default 1;");
  await waitUntilOlder();
  await code();
  unlinkSync(join(root, "part.js"));
  assert.equal((await bundleWorker("gateway", config, { store: counting.store })).worker, null);
});

test("an entry that anyone altered is bundled anew", async (t) => {
  const { counting, code } = project(t, {});
  await waitUntilOlder();
  const first = await code();
  const { directory } = counting.store;
  for (const name of readdirSync(directory).filter((file) => file.endsWith(".bin"))) {
    const bytes = readFileSync(join(directory, name));
    writeFileSync(
      join(directory, name),
      Buffer.from(bytes.toString("latin1").replace("= 1", "= 6"), "latin1"),
    );
  }
  assert.equal(await code(), first);
  assert.equal(counting.puts, 2);
});

test("no snapshot is taken of files that changed while they were read", (t) => {
  const root = directoryOf(t, { "a.js": "1" });
  assert.equal(takeSnapshot([join(root, "a.js")], Date.now() - 60_000), null);
  const snapshot = takeSnapshot([join(root, "a.js")], Date.now() + 60_000);
  assert(snapshot !== null);
  assert(isCurrent(snapshot));
  write(join(root, "b.js"), "");
  assert(!isCurrent(snapshot));
});

/** Until files written so far count as older than a build that begins now; nothing but time makes them so. */
function waitUntilOlder(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 20));
}
