import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { collect } from "../integration/network-harness.ts";
import { WorkerBench } from "../integration/worker-harness.ts";

let bench: WorkerBench | null = null;
afterEach(() => {
  bench?.stop();
  bench = null;
});

/** Runs a body in a Worker with nodejs_compat and gives what it returns, as JSON has it. */
async function run(imports: string, body: string, bindings = {}): Promise<unknown> {
  const code = `${imports}\nexport default { async fetch() { return Response.json(await (async () => { ${body} })()); } };`;
  bench = await WorkerBench.start({ main: { code, flags: ["nodejs_compat"], bindings } });
  const answer = await collect(bench.worker(), {});
  assert.equal(answer.status, 200, `${answer.text} ${JSON.stringify(bench.logs)}`);
  return JSON.parse(answer.text);
}

test("modules are imported by name, by default, as a namespace, bare, by require and by import()", async () => {
  const seen = await run(
    `import { EventEmitter } from "node:events"; import events from "events"; import * as all from "node:events";`,
    `const required = require("node:events"); const dynamic = await import("node:events");
     return [EventEmitter === events, all.EventEmitter === events, required === events, dynamic.default === events,
       dynamic.once === events.once];`,
  );
  assert.deepEqual(seen, [true, true, true, true, true]);
});

test("Buffer encodes and decodes, and is a global", async () => {
  const seen = await run(
    `import { Buffer as Imported } from "node:buffer";`,
    `const b = Buffer.from("häß €😀");
     return [Imported === Buffer, b.toString("hex"), b.toString("base64"), b.toString("base64url"), b.toString("latin1").length,
       Buffer.from(b.toString("base64"), "base64").equals(b), Buffer.concat([b, Buffer.alloc(2, "ab")]).toString(),
       b.subarray(1, 3) instanceof Buffer, b.indexOf("€"), Buffer.from([1, 2, 3, 4]).readUInt32BE(0), JSON.stringify(Buffer.from("a"))];`,
  );
  const b = Buffer.from("häß €😀");
  assert.deepEqual(seen, [
    true,
    b.toString("hex"),
    b.toString("base64"),
    b.toString("base64url"),
    b.length,
    true,
    "häß €😀ab",
    true,
    b.indexOf("€"),
    0x01020304,
    '{"type":"Buffer","data":[97]}',
  ]);
});

test("process has the text bindings, and its output goes to the log", async () => {
  const seen = await run(
    "",
    `process.stdout.write("hello\\nwor"); process.stdout.write("ld\\n");
     const order = []; process.nextTick((x) => order.push(x), "tick"); queueMicrotask(() => order.push("micro"));
     await new Promise((resolve) => setImmediate(resolve));
     process.env.ADDED = 5;
     return [process.env.GREETING, process.env.ADDED, process.env.NONE ?? null, process.platform, order, global === globalThis];`,
    { GREETING: { text: "hello" } },
  );
  assert.deepEqual(seen, ["hello", "5", null, "linux", ["tick", "micro"], true]);
  assert.deepEqual(
    bench?.logged("worker.log").map((line) => line.message),
    ["hello", "world"],
  );
});

test("streams pipe, iterate and cross to Web streams and back", async () => {
  const seen = await run(
    `import { Readable, Transform, PassThrough, Writable } from "node:stream"; import { pipeline } from "node:stream/promises";
     import { text } from "node:stream/consumers";`,
    `const chunks = [];
     await pipeline(Readable.from(["a", "b"]), new Transform({ transform(c, e, done) { done(null, String(c).toUpperCase()); } }),
       async function* (source) { for await (const c of source) yield c; yield "!"; },
       new Writable({ write(c, e, done) { chunks.push(String(c)); done(); } }));
     const web = Readable.toWeb(Readable.from([Buffer.from("x"), Buffer.from("y")]));
     const there = await new Response(web).text();
     const back = await text(Readable.fromWeb(new Response("body").body));
     return [chunks.join(""), there, back];`,
  );
  assert.deepEqual(seen, ["AB!", "xy", "body"]);
});

test("what is absent can be imported and says so when it is used", async () => {
  const seen = await run(
    `import { readFile, writeFileSync } from "node:fs"; import { fork } from "node:child_process"; import vm from "node:vm";
     import { createRequire } from "node:module";`,
    `const said = (f) => { try { f(); return "nothing"; } catch (e) { return (e.code ?? "") + " " + e.message; } };
     return [said(() => fork("x")), said(() => vm.runInNewContext("1")), said(() => writeFileSync("a", "b")),
       await new Promise((resolve) => readFile("/x", (e) => resolve(e.code))), said(() => createRequire("/x")("y"))];`,
  );
  assert.deepEqual(seen, [
    "ERR_METHOD_NOT_IMPLEMENTED cannot use node:child_process.fork: a Worker has no such thing",
    "ERR_METHOD_NOT_IMPLEMENTED cannot use node:vm.runInNewContext: a Worker has no such thing",
    "ERR_METHOD_NOT_IMPLEMENTED cannot use node:fs.writeFileSync: a Worker has no such thing",
    "ENOENT",
    'MODULE_NOT_FOUND cannot require "y": modules are bundled before a Worker starts; import it',
  ]);
});

test("paths, URLs, query strings, assertions and utilities do what Node's do", async () => {
  const seen = await run(
    `import path from "node:path"; import url from "node:url"; import qs from "node:querystring"; import util from "node:util";
     import assert from "node:assert"; import { StringDecoder } from "node:string_decoder";`,
    `const decoder = new StringDecoder("utf8"); const euro = Buffer.from("€");
     let failure; try { assert.deepStrictEqual({ a: 1 }, { a: 2 }); } catch (e) { failure = [e.name, e.code]; }
     assert.throws(() => { throw new TypeError("x"); }, TypeError);
     return [path.join("/a", "..", "b", "./c.txt"), path.extname("x.tar.gz"), path.relative("/a/b/c", "/a/d"),
       url.parse("http://u:p@h:8/p?q=1#x").pathname, url.fileURLToPath("file:///a%20b"), qs.stringify({ a: [1, 2], b: "ü" }),
       util.format("%s %d %j %o", "s", 1, { a: 1 }, [1]), util.inspect(new Map([["a", { b: [1, 2] }]])), failure,
       decoder.write(euro.subarray(0, 2)) + decoder.write(euro.subarray(2)), util.isDeepStrictEqual(new Set([[1]]), new Set([[1]])),
       await util.promisify((x, done) => done(null, x + 1))(1)];`,
  );
  assert.deepEqual(seen, [
    "/b/c.txt",
    ".gz",
    "../../d",
    "/p",
    "/a b",
    "a=1&a=2&b=%C3%BC",
    `s 1 {"a":1} [ 1, [length]: 1 ]`,
    "Map(1) { 'a' => { b: [ 1, 2 ] } }",
    ["AssertionError", "ERR_ASSERTION"],
    "€",
    true,
    2,
  ]);
});
