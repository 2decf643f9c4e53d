import assert from "node:assert/strict";
import { test } from "node:test";
import { keepAsyncContext } from "../../src/isolate/loader/async-context.ts";

/** Stands in for the runtime's helpers, which code imports. */
const helpers = `let frame;
  const $asyncResume = (value, before) => { frame = before; return value; };
  const $asyncKeep = (value) => value;
  const $asyncFrame = () => frame;
  const $asyncCaught = (before) => { if (before !== 0) frame = before; return 0; };`;

const sources: Readonly<Record<string, string>> = {
  "awaits within awaits":
    "export default await (async (f) => await f(await 1, await (await f(2, 3))))(async (...n) => n);",
  "arrow functions that give objects and sequences":
    "const f = async (x) => ({ a: await x }); const g = async (x) => (x++, await x); export default [await f(1), await g(2)];",
  "arrow functions within parameters":
    "async function f(a = async () => await 1, { b = async (x) => await x } = {}) { return [await a(), await b(2)]; } export default await f();",
  directives:
    'async function f() { "use strict"; "other"\n return [this === undefined, await 1]; } export default await f.call(undefined);',
  "try, catch and finally":
    "const seen = []; async function f(fails) { try { seen.push(await (fails ? Promise.reject(1) : 2)); return 3; } catch (e) { seen.push(await e); return 4; } finally { await seen.push(5); } } export default [await f(true), await f(false), seen];",
  "generators, methods, getters and private members":
    "class A { #x = 1; async #y() { return await this.#x; } async *z() { yield await this.#y(); yield* [await 2]; } static async s() { return new.target ?? (await 3); } } const out = []; const i = new A().z(); let r; while (!(r = await i.next()).done) out.push(r.value); export default [...out, await A.s()];",
  "returns of every kind":
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the template is the code's.
    "const f = [async () => { return }, async () => { return (1, 2) }, async () => { return\n3 }, async (x = 1) => x ? { a: x } : null, async () => `a${await 1}`, async () => async () => 4]; export default [...(await Promise.all(f.slice(0, 5).map((g) => g()))).map((v) => v ?? null), await (await f[5]())()];",
  precedence:
    "const p = Promise.resolve(2); export default [-await p, (await p) ** 2, typeof await p, !await p, await p + await p, (await p)?.toFixed(1), new (await Promise.resolve(Array))(3).length];",
  "loops and labels":
    "let n = 0; a: for (const x of await [1, 2, 3]) { for (;;) { if (await x === 2) continue a; n += await x; break; } } do n++; while (await (n < 6)); export default n;",
};

for (const [what, code] of Object.entries(sources)) {
  test(`code with ${what} does the same when it keeps its context`, async () => {
    const run = async (text: string): Promise<unknown> =>
      ((await import(`data:text/javascript,${encodeURIComponent(text)}`)) as { default: unknown }).default;
    const kept = await keepAsyncContext({ code, sourceMap: "" }, `${helpers}\n`, "module");
    assert.notEqual(kept.code, code);
    assert.deepEqual(await run(kept.code), await run(code));
  });
}

test("code that awaits nothing is left alone", async () => {
  const code = "export function f(x) { return x; }";
  assert.equal((await keepAsyncContext({ code, sourceMap: "" }, "prelude", "module")).code, code);
});
