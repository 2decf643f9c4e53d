import assert from "node:assert/strict";
import { test } from "node:test";
import { get } from "../support/client.ts";
import { startSluice } from "../support/sluice.ts";
import { assertPlainFailure, attacker, configOf, filesOf, keepAsking, soleShard } from "./attack.ts";

/** Each ends as an error of its own exchange. Those that run on are cut off, the others throw. */
const attacks: Readonly<Record<string, string>> = {
  loop: attacker("spin(); function spin() { for (;;); }"),
  arrays: attacker("let a; for (;;) a = new Array(1000);"),
  backtracking: attacker('/^(a+)+$/.test("a".repeat(40) + "!");'),
  microtasks: attacker("const f = () => Promise.resolve().then(f); f(); await new Promise(() => {});"),
  "microtasks-after": attacker("const f = () => queueMicrotask(f); f(); return new Response();"),
  "then-getter": attacker("return { get then() { for (;;); } };"),
  "then-itself": attacker("const p = { then(done) { done(p); } }; return p;"),
  "to-string": attacker("return new Response({ toString() { for (;;); } });"),
  "message-getter": attacker(
    'const e = new Error(); Object.defineProperty(e, "message", { get() { for (;;); } }); throw e;',
  ),
  "stack-getter": attacker(
    'const e = new Error(); Object.defineProperty(e, "stack", { get() { for (;;); } }); throw e;',
  ),
  "prepare-stack": attacker('Error.prepareStackTrace = () => { for (;;); }; throw new Error("x");'),
  "proxy-thrown": attacker("throw new Proxy({}, { get() { for (;;); }, has() { for (;;); } });"),
  iterator: attacker(
    'new Headers({ [Symbol.iterator]: () => ({ next: () => ({ value: ["a", "b"], done: false }) }) });',
  ),
  "proxy-init": attacker('return new Response("", { headers: new Proxy({}, { ownKeys() { for (;;); } }) });'),
  comparator: attacker("[...Array(1e5).keys()].sort(() => { for (;;); });"),
  clone: attacker("structuredClone({ get a() { for (;;); } });"),
  "to-json": attacker("return Response.json({ toJSON() { for (;;); } });"),
  console: attacker(
    "console.log({ get a() { for (;;); } }, new Proxy({}, { ownKeys() { for (;;); } })); for (;;);",
  ),
  recursion: attacker("const f = () => f() + 1; f();"),
  "recursion-caught": attacker("function f() { try { f(); } catch { f(); } } f();"),
  urls: attacker('const s = "http://h/" + "é".repeat(1e5); for (;;) URL.canParse(s);'),
  random: attacker("const b = new Uint8Array(65536); for (;;) crypto.getRandomValues(b);"),
  hoard: attacker("const k = []; for (;;) k.push(new Array(10_000).fill(1.5));"),
  buffers: attacker("const k = []; for (;;) k.push(new Uint8Array(1e6).fill(1));"),
  strings: attacker('const k = []; for (;;) k.push(("x".repeat(1e5) + k.length).split(""));'),
  promises: attacker("const k = []; for (;;) k.push(new Promise(() => {}));"),
  fetches: attacker('for (;;) fetch("http://192.0.2.1/").catch(() => {});'),
  timers: attacker("for (;;) setTimeout(() => {}, 1e6);"),
  logs: attacker('for (;;) console.log("x");'),
  "huge-message": attacker('const e = new Error(); e.message = "x".repeat(2 ** 28); throw e;'),
  "null-thrown": attacker("throw null;"),
  "not-a-response": attacker("return { status: 200 };"),
};

test("whatever a Worker does on one turn, its client gets a 500, the log its name, and the others an answer", async (t) => {
  const names = Object.keys(attacks);
  const sluice = await startSluice(t, configOf(names), { files: filesOf(attacks) });
  const shard = soleShard(sluice);
  const others = keepAsking(await sluice.listening("good"));
  for (const name of names) {
    const url = await sluice.listening(name);
    const from = sluice.stderr.length;
    const answer = await get(`${url}/attack`).catch((error) => {
      throw new Error(`${name}: no answer\n${sluice.stderr.slice(from)}`, { cause: error });
    });
    const id = assertPlainFailure(answer);
    await sluice.sees(new RegExp(`"id":"${id}"`), from);
    assert.match(sluice.stderr.slice(from), new RegExp(`"worker":"${name}"`), name);
    assert.equal((await get(url)).body, "ok", `${name} serves on`);
  }
  assert.ok((await others.stop()) > names.length);
  assert.equal(soleShard(sluice), shard, "no attack ended the shard");
});

test("the log says where a Worker looped, or recursed, in its own files", async (t) => {
  const sluice = await startSluice(t, configOf(["bad"]), {
    files: {
      ...filesOf({}),
      "bad.js": `import { spin, deep } from "./lib.js";
        export default { fetch(request) { request.url.endsWith("/spin") ? spin() : deep(); } };`,
      "lib.js": "export function spin() {\n  for (;;);\n}\nexport function deep() {\n  deep();\n}",
    },
  });
  const url = await sluice.listening("bad");
  assertPlainFailure(await get(`${url}/spin`));
  await sluice.sees(/"event":"worker\.cpu".*at spin \([^)]*lib\.js:2:\d+\).*at fetch \([^)]*bad\.js:2:\d+\)/);
  assertPlainFailure(await get(`${url}/deep`));
  await sluice.sees(/"event":"worker\.failed".*Maximum call stack.*at deep \([^)]*lib\.js:5:\d+\)/);
});

test("what goes on after the response is cut off and told like everything else", async (t) => {
  const late = "new Promise((done) => setTimeout(done, 5))";
  const workers = {
    "wait-until": attacker(`ctx.waitUntil((async () => { await ${late}; for (;;); })());`),
    "wait-throws": attacker(`ctx.waitUntil((async () => { await ${late}; throw new Error("late"); })());`),
    timer: attacker("setTimeout(() => { for (;;); }, 5);"),
    "timer-throws": attacker('setTimeout(() => { throw new Error("late"); }, 5);'),
    listener: attacker(
      'const target = new EventTarget(); target.addEventListener("x", () => { throw new Error("late"); }); target.dispatchEvent(new Event("x"));',
    ),
    rejection: attacker('Promise.reject(new Error("late"));'),
  };
  const sluice = await startSluice(t, configOf(Object.keys(workers)), { files: filesOf(workers) });
  const shard = soleShard(sluice);
  for (const name of Object.keys(workers)) {
    const url = await sluice.listening(name);
    const from = sluice.stderr.length;
    assert.equal((await get(`${url}/attack`)).body, "done");
    await sluice.sees(new RegExp(`"level":"error".*(late|more than 50 ms).*"worker":"${name}"`), from);
    assert.equal((await get(url)).body, "ok");
  }
  assert.equal(soleShard(sluice), shard);
});

test("a stream that a Worker makes badly breaks off the response, not the Worker", async (t) => {
  const head =
    "let n = 0; return new Response(new ReadableStream({ pull(c) { if (n++ < 3) c.enqueue(new Uint8Array(9)); else";
  const workers = {
    throws: attacker(`${head} throw new Error("stream"); } }));`),
    loops: attacker(`${head} for (;;); } }));`),
    "not-bytes": attacker(`${head} c.enqueue({}); } }));`),
    stalls: attacker(`${head} return new Promise(() => {}); } }));`),
    long: attacker(
      "const s = new FixedLengthStream(10); const w = s.writable.getWriter(); w.write(new Uint8Array(20)).catch(() => {}); return new Response(s.readable);",
    ),
    short: attacker(
      "const s = new FixedLengthStream(10); const w = s.writable.getWriter(); w.write(new Uint8Array(5)); w.close().catch(() => {}); return new Response(s.readable);",
    ),
  };
  const sluice = await startSluice(t, configOf(Object.keys(workers)), { files: filesOf(workers) });
  const shard = soleShard(sluice);
  for (const name of Object.keys(workers)) {
    const url = await sluice.listening(name);
    // Either nothing was sent yet, then it is a 500, or what was sent must not pass for a whole response.
    const outcome = await get(`${url}/attack`).catch((error: NodeJS.ErrnoException) => error.code);
    if (typeof outcome === "object" && outcome !== undefined) assertPlainFailure(outcome);
    else assert.equal(outcome, "ECONNRESET", name);
    assert.equal((await get(url)).body, "ok", `${name} serves on`);
  }
  assert.equal(soleShard(sluice), shard);
});

test("a global scope that does not end, grows or throws keeps the proxy from starting, and says why", async (t) => {
  const { runSluice } = await import("../support/sluice.ts");
  const { TemporaryDirectory } = await import("../support/temporary.ts");
  const tops: Readonly<Record<string, readonly [code: string, reason: RegExp]>> = {
    loop: ["for (;;);", /ran for more than 1000 ms/],
    grow: ["const k = []; for (;;) k.push(new Array(1e5).fill(1));", /ran for more than|memory/],
    getter: [
      'const e = new Error(); Object.defineProperty(e, "name", { get() { throw 1; } }); throw e;',
      /cannot start Worker "bad"/,
    ],
    timer: ["setTimeout(() => {}, 1);", /global scope/],
  };
  for (const [top, reason] of Object.values(tops)) {
    const directory = new TemporaryDirectory(t);
    directory.write("proxy.yaml", configOf(["bad"]));
    for (const [file, text] of Object.entries(filesOf({ bad: attacker("", top) })))
      directory.write(file, text);
    const { code, stderr } = await runSluice(t, ["serve"], { cwd: directory.path });
    assert.equal(code, 1);
    assert.match(stderr, reason);
  }
});
