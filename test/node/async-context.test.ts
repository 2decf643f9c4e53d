import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { HeaderBlock } from "../../src/http/header-block.ts";
import { ResponseHead } from "../../src/http/message.ts";
import { collect } from "../integration/network-harness.ts";
import { FakeService, WorkerBench } from "../integration/worker-harness.ts";

let bench: WorkerBench | null = null;
afterEach(() => {
  bench?.stop();
  bench = null;
});

const prelude = `import { AsyncLocalStorage, AsyncResource } from "node:async_hooks";
  const storage = new AsyncLocalStorage();
  const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
`;

async function start(body: string): Promise<WorkerBench> {
  const code = `${prelude} export default { async fetch(request) { ${body} } };`;
  bench = await WorkerBench.start({ main: { code, flags: ["nodejs_compat"] } });
  return bench;
}

async function run(body: string): Promise<unknown> {
  const answer = await collect((await start(body)).worker(), {});
  assert.equal(answer.status, 200, answer.text);
  return JSON.parse(answer.text);
}

test("a store lasts over await, and is gone outside of run", async () => {
  const seen = await run(`
    const inside = await storage.run("a", async () => {
      const seen = [storage.getStore()];
      await null; seen.push(storage.getStore());
      await sleep(1); seen.push(storage.getStore());
      try { await Promise.reject(1); } catch { seen.push(storage.getStore()); } finally { seen.push(storage.getStore()); }
      return seen;
    });
    return Response.json([...inside, storage.getStore() ?? "none"]);`);
  assert.deepEqual(seen, ["a", "a", "a", "a", "a", "none"]);
});

test("flows that run at the same time keep their own stores", async () => {
  const seen = await run(`
    const flow = (name) => storage.run(name, async () => {
      for (let i = 0; i < 5; i++) {
        await (i % 2 ? null : sleep(i));
        if (storage.getStore() !== name) return "lost " + name;
      }
      return name;
    });
    return Response.json(await Promise.all(["a", "b", "c", "d"].map(flow)));`);
  assert.deepEqual(seen, ["a", "b", "c", "d"]);
});

test("timers, microtasks, promise callbacks, streams and events are called in their frames", async () => {
  const seen = await run(`
    const seen = {};
    await storage.run("x", async () => {
      const at = (name) => (seen[name] = storage.getStore());
      await new Promise((resolve) => setTimeout(() => { at("timeout"); resolve(); }, 1));
      await new Promise((resolve) => queueMicrotask(() => { at("microtask"); resolve(); }));
      await Promise.resolve().then(() => at("then")).finally(() => at("finally"));
      await Promise.reject().catch(() => at("catch"));
      const stream = new ReadableStream({ async pull(c) { await null; at("pull"); c.enqueue("a"); c.close(); } });
      const upper = new TransformStream({ transform(chunk, c) { at("transform"); c.enqueue(chunk); } });
      storage.exit(() => {});
      for await (const chunk of stream.pipeThrough(upper)) at("for await");
      at("after for await");
      const target = new EventTarget();
      target.addEventListener("e", () => at("event"));
      await sleep(1);
      target.dispatchEvent(new Event("e"));
      async function* numbers() { yield 1; await sleep(1); at("generator"); yield 2; }
      for await (const _ of numbers()) at("in generator loop");
      { await using held = { async [Symbol.asyncDispose]() { await null; at("dispose"); } }; }
      at("after using");
    });
    return Response.json(seen);`);
  for (const [name, store] of Object.entries(seen as Record<string, unknown>)) assert.equal(store, "x", name);
  assert.equal(Object.keys(seen as object).length, 14);
});

test("a thenable that is awaited is asked in the frame of the await", async () => {
  const seen = await run(`
    const query = { then(resolve) { resolve(storage.getStore()); } };
    return Response.json(await storage.run("x", async () => { await sleep(1); return [await query, await (async () => query)(), storage.getStore()]; }));`);
  assert.deepEqual(seen, ["x", "x", "x"]);
});

test("enterWith holds for what follows, awaits of its caller included", async () => {
  const seen = await run(`
    async function enter() { storage.enterWith("entered"); }
    await enter();
    const first = storage.getStore();
    await sleep(1);
    return Response.json([first, storage.getStore()]);`);
  assert.deepEqual(seen, ["entered", "entered"]);
});

test("one request's store is never seen by another", async () => {
  const running = await start(`
    const name = new URL(request.url).searchParams.get("name");
    const before = storage.getStore();
    storage.enterWith(name);
    for (let i = 0; i < 10; i++) {
      await (i % 3 === 0 ? sleep(1) : i % 3 === 1 ? null : new Response("x").text());
      if (storage.getStore() !== name) return new Response("mixed up");
    }
    return new Response(before === undefined ? "clean" : "leaked " + before);`);
  const names = Array.from({ length: 20 }, (_, index) => `n${index}`);
  const answers = await Promise.all(
    names.map((name) => collect(running.worker(), { target: `/?name=${name}` })),
  );
  for (const { text } of answers) assert.equal(text, "clean");
});

test("bind, snapshot and AsyncResource call in the frame in which they were made", async () => {
  const seen = await run(`
    const [bound, snapshot, resource] = storage.run("then", () => [
      AsyncLocalStorage.bind(() => storage.getStore()), AsyncLocalStorage.snapshot(), new AsyncResource("x")]);
    return Response.json(storage.run("now", () => [
      bound(), snapshot(() => storage.getStore()), resource.runInAsyncScope(() => storage.getStore()),
      resource.bind(() => storage.getStore())(), storage.getStore()]));`);
  assert.deepEqual(seen, ["then", "then", "then", "then", "now"]);
});

test("positions in stacks are those of the source", async () => {
  const running = await start(`
    await null;
    const two = async () => (await sleep(1), (() => { throw new Error("here"); })());
    await two();`);
  const answer = await collect(running.worker(), {});
  assert.equal(answer.status, 500);
  const fields = JSON.stringify(bench?.logs);
  assert.match(fields, /main\.main\.ts:6:61.*main\.main\.ts:6:80.*main\.main\.ts:7:5/);
});

test("it is known of every fetch and waitUntil which request they are for", async () => {
  const origin = new FakeService("internet", (exchange) => {
    exchange.respond(new ResponseHead(200, HeaderBlock.from([])), null);
  });
  const code = `import { waitUntil } from "cloudflare:workers"; ${prelude}
    export default { async fetch() {
      await sleep(1);
      waitUntil(fetch("http://example.com/"));
      return new Response("ok");
    } };`;
  bench = await WorkerBench.start({ main: { code, flags: ["nodejs_als"] } }, [origin]);
  const answer = await collect(bench.worker(), {});
  assert.equal(answer.text, "ok");
});

test("without async_hooks the code is left as it is", async () => {
  const code =
    "export default { async fetch() { await null; return new Response(String(Promise.prototype.then)); } };";
  bench = await WorkerBench.start({ main: { code, flags: ["nodejs_compat"] } });
  assert.match((await collect(bench.worker(), {})).text, /native code/);
});
