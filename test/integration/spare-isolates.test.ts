import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { spareIsolatesOf } from "../../src/services/worker/spare-isolates.ts";
import { get } from "../support/client.ts";
import { eventually, readMetrics } from "../support/shard.ts";
import { startSluice } from "../support/sluice.ts";
import { collect } from "./network-harness.ts";
import { WorkerBench, type WorkerSource } from "./worker-harness.ts";

let bench: WorkerBench | null = null;
afterEach(() => {
  if (bench !== null) spareIsolatesOf(bench.context).close();
  bench?.stop();
  bench = null;
});

const code = "export default { fetch() { return new Response('hello'); } };";

test("isolates are made ahead once the shard serves, at most two, and no more than Workers that lack one", async () => {
  const sources: Record<string, WorkerSource> = {};
  for (const name of ["a", "b", "c", "d"]) sources[name] = { code };
  bench = await WorkerBench.start(sources);
  const running = bench;
  const spares = spareIsolatesOf(running.context);
  assert.equal(spares.size, 0);
  spares.open();
  await eventually("there are two", () => spares.size === 2);
  for (const name of ["a", "b", "c"]) {
    assert.equal((await collect(running.worker(name), {})).text, "hello");
  }
  await eventually("there is one for the last Worker", () => spares.size === 1);
  assert.equal((await collect(running.worker("d"), {})).text, "hello");
  assert.equal(spares.size, 0);
  running.worker("d").evict("idle");
  await eventually("there is one again", () => spares.size === 1);
  spares.close();
  assert.equal(spares.size, 0);
  assert.equal((await collect(running.worker("d"), {})).text, "hello");
});

test("a Worker in an isolate that was made ahead has its bindings, imports, options and a clock that begins with it", async () => {
  bench = await WorkerBench.start({
    main: {
      code: `import bytes from "./main.logo.bin";
        const begun = performance.now();
        const made = eval("1 + 1");
        export default { fetch(request, env) {
          return Response.json([
            env.GREETING, new TextDecoder().decode(env.DATA), new TextDecoder().decode(bytes), made, begun,
            performance.timeOrigin <= Date.now(),
          ]);
        } };`,
      files: { "logo.bin": new TextEncoder().encode("imported") },
      bindings: { GREETING: { text: "hi" }, DATA: { data: Buffer.from("bound").toString("base64") } },
      unsafeEval: true,
    },
  });
  const spares = spareIsolatesOf(bench.context);
  spares.open();
  await eventually("there is one", () => spares.size === 1);
  const { text } = await collect(bench.worker(), {});
  assert.equal(spares.size, 0);
  assert.deepEqual(JSON.parse(text), ["hi", "bound", "imported", 2, 0, true]);
});

test("near the shard's memory limit none are kept or made", async () => {
  const sources = { a: { code }, b: { code }, c: { code }, d: { code } };
  bench = await WorkerBench.start(sources, [], { softRssBytes: process.memoryUsage.rss() * 1.1 });
  const spares = spareIsolatesOf(bench.context);
  spares.open();
  await eventually("there are two", () => spares.size === 2);
  await collect(bench.worker("a"), {});
  assert.equal(spares.size, 0);
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.equal(spares.size, 0);
});

test("the code cache is filled at the first start, again when requests have compiled more, and not by later isolates", async () => {
  const puts: Array<readonly [source: string, bytes: number]> = [];
  const cache = new Map<string, Uint8Array>();
  const codeCache = {
    get: (source: string) => cache.get(source) ?? null,
    put: (source: string, data: Uint8Array) => {
      puts.push([source, data.length]);
      cache.set(source, data);
    },
  };
  bench = await WorkerBench.start({ a: { code }, b: { code } }, [], { codeCache });
  for (let i = 0; i < 8; i++) await collect(bench.worker("a"), {});
  const { runtime } = bench.context.isolates;
  const ofRuntime = (): number[] =>
    puts.filter(([source]) => source === runtime.code).map(([, bytes]) => bytes);
  const sizes = ofRuntime();
  assert.equal(sizes.length, 2);
  assert.ok((sizes[1] ?? 0) > (sizes[0] ?? 0));
  for (let i = 0; i < 8; i++) assert.equal((await collect(bench.worker("b"), {})).text, "hello");
  assert.equal(ofRuntime().length, 2);
});

test("a proxy with spares shows them and its pauses in /metrics, and stops as ever", async (t) => {
  const sluice = await startSluice(
    t,
    `
sockets:
  public: { address: "127.0.0.1:0", service: main }
services:
  main:
    worker: { main: ./worker.ts, compatibilityDate: 2026-11-01, isolates: { idleTimeout: 100ms } }
isolates: { max: 10, idleTimeout: 1h }
`,
    {
      files: { "worker.ts": code },
      args: ["--admin", "unix:admin.sock"],
      env: { SLUICE_LOG_LEVEL: "debug" },
    },
  );
  const admin = `${sluice.directory.path}/admin.sock`;
  for (let round = 1; round <= 3; round++) {
    assert.equal((await get(sluice.url)).body, "hello");
    await eventually("the idle isolate is ended and a spare made", async () => {
      const metrics = await readMetrics(admin);
      return (
        metrics.get('sluice_isolate_evictions_total{worker="main",reason="idle"}') === round &&
        metrics.get('sluice_isolates{state="spare"}') === 1
      );
    });
  }
  const metrics = await readMetrics(admin);
  assert.equal(metrics.get('sluice_isolates{state="idle"}'), 0);
  assert.equal(metrics.get('sluice_isolates{state="busy"}'), 0);
  assert.ok(Number(metrics.get('sluice_isolate_cold_starts_total{worker="main"}')) >= 3);
  assert.ok(Number(metrics.get('sluice_isolate_entry_seconds_count{worker="main"}')) >= 3);
  assert.ok(metrics.has('sluice_shard_gc_pause_seconds_count{kind="minor"}'));
  await sluice.sees(/worker\.evicted/);
  const { code: exit } = await sluice.stop();
  assert.equal(exit, 0);
});
