import assert from "node:assert/strict";
import { symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { type Bundle, bundleWorker } from "../../src/isolate/loader/bundle.ts";
import { configOf, directoryOf } from "./files.ts";
import { runWorker } from "./guest.ts";

/** The smallest module of WebAssembly. */
const wasm = Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0);

async function bundle(
  t: TestContext,
  files: Record<string, string | Uint8Array>,
  syntax: "main" | "script" = "main",
): Promise<Bundle & { readonly root: string }> {
  const root = directoryOf(t, files);
  const entry = join(root, Object.keys(files)[0] ?? "");
  const config = configOf(syntax === "main" ? { main: entry } : { script: entry });
  return { ...(await bundleWorker("gateway", config, { store: null })), root };
}

/** Bundles, runs, and gives the value of `probe` over the namespace `worker`. */
async function run(
  t: TestContext,
  probe: string,
  files: Record<string, string | Uint8Array>,
  syntax: "main" | "script" = "main",
): Promise<unknown> {
  const { worker, problems } = await bundle(t, files, syntax);
  assert.deepEqual(problems, []);
  assert(worker !== null);
  return runWorker(t, worker, probe);
}

test("TypeScript, JSX and JSON in several modules become one module", async (t) => {
  const value = await run(t, "worker.default.view()", {
    "main.tsx": `
      import { type Named, greet } from "./greet";
      import data from "./data.json";
      const h = (name: string, props: Named) => ({ name, props });
      export default { view: () => <b name={greet(data)} /> };`,
    "greet.ts": `export interface Named { name: string }
      export function greet(of: Named): string { return "hello " + of.name; }`,
    "data.json": `{ "name": "world" }`,
    "tsconfig.json": `{ "compilerOptions": { "jsxFactory": "h" } }`,
  });
  assert.deepEqual(value, { name: "b", props: { name: "hello world" } });
});

test("JSX stands in .js files too", async (t) => {
  const value = await run(t, "worker.default", {
    "main.js": `const h = (name) => name; export default <b />;`,
    "tsconfig.json": `{ "compilerOptions": { "jsxFactory": "h" } }`,
  });
  assert.equal(value, "b");
});

test("text files are imported as strings and binary ones as buffers and modules", async (t) => {
  const value = await run(
    t,
    `({ ...worker.default, bin: [...new Uint8Array(worker.bin)], kind: worker.bin instanceof ArrayBuffer,
        wasm: worker.wasm instanceof WebAssembly.Module, same: worker.wasm === worker.again })`,
    {
      "main.js": `
        import txt from "./a.txt"; import html from "./a.html"; import sql from "./a.sql";
        import bin from "./a.bin"; import wasm from "./a.wasm"; import again from "./a.wasm?module";
        export { bin, wasm, again }; export default { txt, html, sql };`,
      "a.txt": "text",
      "a.html": "<html>",
      "a.sql": "select 1",
      "a.bin": Uint8Array.of(1, 2, 255),
      "a.wasm": wasm,
    },
  );
  const texts = { txt: "text", html: "<html>", sql: "select 1" };
  assert.deepEqual(value, { ...texts, bin: [1, 2, 255], kind: true, wasm: true, same: true });
});

test("an import attribute decides what a file is", async (t) => {
  const value = await run(
    t,
    "[worker.text, [...worker.bytes], worker.bytes.constructor.name, worker.json.a]",
    {
      "main.js": `
      import text from "./page.md" with { type: "text" };
      import bytes from "./logo.bin" with { type: "bytes" };
      import json from "./data.conf" with { type: "json" };
      export { text, bytes, json };`,
      "page.md": "# title",
      "logo.bin": Uint8Array.of(1, 2, 255),
      "data.conf": `{ "a": 1 }`,
    },
  );
  assert.deepEqual(value, ["# title", [1, 2, 255], "Uint8Array", 1]);
});

test("dynamic imports of bundled modules, binary files and the platform work without import()", async (t) => {
  const files = {
    "main.js": `export default {
      async load(name) {
        return [
          (await import("./lazy.js")).value,
          (await import("./parts/" + name + ".js")).default,
          (await import("./a.wasm")).default instanceof WebAssembly.Module,
          (await import("cloudflare:workers")).env.from,
        ];
      },
      unknown: (name) => import(name),
    };`,
    "lazy.js": "export const value = 1;",
    "parts/one.js": "export default 'one';",
    "parts/two.js": "export default 'two';",
    "a.wasm": wasm,
  };
  const { worker } = await bundle(t, files);
  assert(worker !== null);
  assert.doesNotMatch(worker.code.replace(/^\/\/.*$/gm, ""), /\bimport\(/);
  assert.deepEqual(runWorker(t, worker, "worker.default.load('two')"), [1, "two", true, "the platform"]);
  const refused = runWorker(t, worker, "worker.default.unknown('left-pad')") as { message: string };
  assert.match(refused.message, /"left-pad"/);
});

test("npm packages are resolved for Workers: workerd before worker before browser", async (t) => {
  const exports = {
    workerd: "./workerd.js",
    worker: "./worker.js",
    browser: "./browser.js",
    default: "./node.js",
  };
  const value = await run(t, "[worker.one, worker.two, worker.three]", {
    "main.js": `export { one } from "one"; export { two } from "two"; export { three } from "three";`,
    "node_modules/one/package.json": JSON.stringify({ name: "one", exports }),
    "node_modules/one/workerd.js": "export const one = 'workerd';",
    "node_modules/two/package.json": JSON.stringify({
      name: "two",
      exports: { ...exports, workerd: undefined },
    }),
    "node_modules/two/worker.js": "export const two = 'worker';",
    "node_modules/three/package.json": JSON.stringify({ name: "three", main: "./m.js", module: "./e.js" }),
    "node_modules/three/m.js": "exports.three = 'main';",
    "node_modules/three/e.js": "export const three = 'module';",
  });
  assert.deepEqual(value, ["workerd", "worker", "module"]);
});

test("import.meta.url and NODE_ENV have values that tell nothing of the machine", async (t) => {
  const value = await run(t, "[worker.url, worker.mode]", {
    "main.js": "export const url = import.meta.url; export const mode = process.env.NODE_ENV;",
  });
  assert.deepEqual(value, ["file:///worker.js", "production"]);
});

test("a script in service-worker syntax runs in the global scope", async (t) => {
  const value = await run(
    t,
    "[handlers.length, text, wasm instanceof WebAssembly.Module, [...new Uint8Array(bin)]]",
    {
      "worker.ts": `
        import { reply } from "./reply"; import bin from "./a.bin"; import wasm from "./a.wasm";
        const handlers: unknown[] = [];
        function handler(): string { return reply; }
        handlers.push(handler);
        Object.assign(globalThis, { handlers, text: handler(), bin, wasm });`,
      "reply.ts": "export const reply = 'yes';",
      "a.bin": Uint8Array.of(1, 2, 255),
      "a.wasm": wasm,
    },
    "script",
  );
  assert.deepEqual(value, [1, "yes", true, [1, 2, 255]]);
});

test("a script cannot import the platform's modules", async (t) => {
  const { problems } = await bundle(
    t,
    { "worker.js": `import { env } from "cloudflare:workers"; env;` },
    "script",
  );
  assert.deepEqual(
    problems.map((problem) => problem.text),
    ['cannot import "cloudflare:workers": service-worker syntax has no imports; name the file as main'],
  );
});

test("every mistake of a Worker is told with its place, in characters from 1", async (t) => {
  const { worker, problems, root, inputs } = await bundle(t, {
    "main.ts": [
      `/* 🦊é */ import { a } from "./missing";`,
      `import fs from "node:fs";`,
      `import { b } from "https://example.com/b.js";`,
      `import png from "./a.png";`,
      `import { c } from "./other";`,
      `import asset from "sluice:asset/0";`,
      "export default { a, fs, b, c, png, asset };",
    ].join("\n"),
    "other.ts": "export const c = ;",
    "a.png": "png",
  });
  assert.equal(worker, null);
  const main = join(root, "main.ts");
  const told = problems.map(({ severity, file, line, column, length, text }) => {
    return `${severity} ${file === main ? "main" : file} ${line}:${column}+${length} ${text}`;
  });
  assert.deepEqual(
    told.sort(),
    [
      `error ${join(root, "other.ts")} 1:18+1 cannot compile: Unexpected ";"`,
      'error main 1:29+11 cannot import "./missing": no such file or package',
      'error main 2:16+9 cannot import "node:fs": a module of Node.js needs the compatibility flag nodejs_compat',
      'error main 3:19+26 cannot import "https://example.com/b.js": modules are never downloaded; install the package and import it by name',
      'error main 4:17+9 cannot import "a.png": unknown kind of file; say `with { type: "text" }` or `with { type: "bytes" }`',
      'error main 6:19+16 cannot import "sluice:asset/0": the name is reserved',
    ].sort(),
  );
  for (const name of ["main.ts", "other.ts", "missing.ts"]) assert(inputs.includes(join(root, name)));
  assert.equal(problems.find((problem) => problem.line === 2)?.lineText, `import fs from "node:fs";`);
});

test("a main that exports nothing is told about service-worker syntax", async (t) => {
  const { worker, problems } = await bundle(t, { "main.js": "addEventListener('fetch', () => {});\n// end" });
  assert.equal(worker, null);
  assert.equal(problems.length, 1);
  assert.match(problems[0]?.text ?? "", /^cannot use "main\.js" as main: it exports nothing; .* script$/);
  assert.equal(problems[0]?.lineText, "addEventListener('fetch', () => {});");
});

test("warnings leave the Worker usable", async (t) => {
  const { worker, problems } = await bundle(t, {
    "main.js": "export default { x: typeof globalThis.x === 'fnuction' };",
  });
  assert(worker !== null);
  assert.deepEqual(
    problems.map(({ severity, line }) => [severity, line]),
    [["warning", 1]],
  );
});

test("a missing main is one problem without a place", async () => {
  const config = configOf({ main: "/nonexistent/main.ts" });
  const { worker, problems } = await bundleWorker("gateway", config, { store: null });
  assert.equal(worker, null);
  assert.deepEqual(
    problems.map(({ line, text }) => [line, text]),
    [[0, 'cannot import "/nonexistent/main.ts": no such file or package']],
  );
});

test("inputs are the files that went in, links followed", async (t) => {
  const root = directoryOf(t, {
    "main.js": `import "./a.txt"; export { x } from "linked"; export { default } from "./a.wasm";`,
    "a.txt": "text",
    "a.wasm": wasm,
    "packages/linked/index.js": "export const x = 1;",
    "node_modules/.keep": "",
    "unrelated.js": "",
  });
  symlinkSync(join(root, "packages/linked"), join(root, "node_modules/linked"));
  const { inputs } = await bundleWorker("gateway", configOf({ main: join(root, "main.js") }), {
    store: null,
  });
  assert.deepEqual(
    inputs.map((path) => path.slice(root.length + 1)),
    ["a.txt", "a.wasm", "main.js", "packages/linked/index.js"],
  );
});

test("the same sources give the same hash, others another one", async (t) => {
  const root = directoryOf(t, {
    "main.js": `import a from "./a.wasm"; import b from "./b.bin"; export default [a, b];`,
    "a.wasm": wasm,
    "b.bin": Uint8Array.of(1),
  });
  const hash = async () => {
    const { worker } = await bundleWorker("gateway", configOf({ main: join(root, "main.js") }), {
      store: null,
    });
    return worker?.hash;
  };
  const first = await hash();
  assert.match(first ?? "", /^[0-9a-f]{64}$/);
  assert.equal(await hash(), first);
  writeFileSync(join(root, "b.bin"), Uint8Array.of(2));
  assert.notEqual(await hash(), first);
});

test("several Workers bundle at once", async (t) => {
  const root = directoryOf(t, {
    "a.js": "export default 1;",
    "b.js": "export default 2;",
    "c.js": "export default 3;",
  });
  const bundles = await Promise.all(
    ["a", "b", "c"].map((name) =>
      bundleWorker(name, configOf({ main: join(root, `${name}.js`) }), { store: null }),
    ),
  );
  assert.deepEqual(
    bundles.map(({ worker }) => worker !== null && runWorker(t, worker, "worker.default")),
    [1, 2, 3],
  );
});
