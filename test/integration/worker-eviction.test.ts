import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { ProxyError } from "../../src/errors/proxy-error.ts";
import { BytesBody } from "../../src/http/body.ts";
import { HeaderBlock } from "../../src/http/header-block.ts";
import { ResponseHead } from "../../src/http/message.ts";
import { Relay } from "../../src/isolate/bridge/relay.ts";
import type { IsolateEnvironment } from "../../src/isolate/environment.ts";
import { eventually } from "../support/shard.ts";
import { CollectedExchange, CollectedTunnel, collect } from "./network-harness.ts";
import { FakeService, to, WorkerBench, type WorkerSource } from "./worker-harness.ts";

let bench: WorkerBench | null = null;
afterEach(() => {
  bench?.stop();
  bench = null;
});

async function start(
  sources: Readonly<Record<string, WorkerSource>>,
  settings: Partial<IsolateEnvironment> = {},
  fakes: readonly FakeService[] = [],
): Promise<WorkerBench> {
  bench = await WorkerBench.start(sources, fakes, settings);
  return bench;
}

/** Counts the requests that its isolate has had. */
const counting = "let count = 0; export default { fetch() { return new Response(String(++count)); } };";

const ask = async (running: WorkerBench, name = "main"): Promise<string> =>
  (await collect(running.worker(name), {})).text;

const evictions = (running: WorkerBench, reason: string, worker = "main"): number =>
  running.counter(`sluice_isolate_evictions_total{worker="${worker}",reason="${reason}"}`);

const gauge = (running: WorkerBench, key: string): number | undefined =>
  new Map(running.metrics.snapshot().gauges).get(key);

const live = (running: WorkerBench): number =>
  (gauge(running, 'sluice_isolates{state="busy"}') ?? 0) +
  (gauge(running, 'sluice_isolates{state="idle"}') ?? 0);

/** Lets several looks for idle isolates pass. */
const looks = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 150));

test("an isolate that nobody used for its idleTimeout is ended, and the next request starts it again", async () => {
  const running = await start({ main: { code: counting, isolates: { idleTimeout: 60 } } });
  assert.equal(await ask(running), "1");
  assert.equal(await ask(running), "2");
  await eventually("the isolate is ended", () => evictions(running, "idle") === 1);
  assert.equal(live(running), 0);
  assert.equal(await ask(running), "1");
  assert.equal(live(running), 1);
  assert.equal(running.counter('sluice_isolate_cold_starts_total{worker="main"}'), 2);
  const [line] = running.logged("worker.evicted");
  assert.equal(line?.level, "debug");
  assert.equal(line?.fields.reason, "idle");
});

test("a Worker's own idleTimeout goes before the proxy's, and 0 is never", async () => {
  const sources = {
    main: { code: counting },
    kept: { code: counting, isolates: { idleTimeout: 0 } },
  };
  const running = await start(sources, { idleTimeout: 60 });
  await Promise.all([ask(running), ask(running, "kept")]);
  await eventually("the isolate is ended", () => evictions(running, "idle") === 1);
  await looks();
  assert.equal(evictions(running, "idle", "kept"), 0);
  assert.equal(await ask(running, "kept"), "2");
});

const busy: Readonly<Record<string, string>> = {
  "an exchange": `export default { async fetch(request, env) { return env.ORIGIN.fetch("http://origin/"); } };`,
  waitUntil: `export default { fetch(request, env, ctx) {
    ctx.waitUntil(env.ORIGIN.fetch("http://origin/").then((response) => response.text()));
    return new Response("early");
  } };`,
  "a timer": `export default { fetch() { setTimeout(() => {}, 3_600_000); return new Response("early"); } };`,
  "a socket": `export default { async fetch(request, env, ctx) {
    const socket = env.ORIGIN.connect("origin:1");
    await socket.opened;
    // Without it the socket would end with its request.
    ctx.waitUntil(socket.closed);
    return new Response("early");
  } };`,
};

for (const [what, code] of Object.entries(busy)) {
  test(`an isolate is not ended while ${what} lives, neither for time, number nor memory`, async () => {
    let far: Relay | null = null;
    const origin = new FakeService(
      "ORIGIN",
      () => {},
      (tunnel) => {
        far = new Relay();
        tunnel.accept({ readable: far, writable: new Relay() });
      },
    );
    const bindings = { ORIGIN: { service: to("ORIGIN") } };
    const sources = { main: { code, bindings }, other: { code: counting } };
    const settings = { idleTimeout: 20, maxIsolates: 1, softRssBytes: process.memoryUsage.rss() * 1.1 };
    const running = await start(sources, settings, [origin]);
    const exchange = new CollectedExchange({});
    running.worker().handle(exchange);
    if (what === "an exchange") await eventually("the origin is asked", () => origin.exchanges.length === 1);
    else assert.equal((await exchange.done).text, "early");
    await ask(running, "other");
    running.ahead += 60_000;
    await looks();
    await ask(running, "other");
    await looks();
    for (const reason of ["idle", "max", "memory"]) assert.equal(evictions(running, reason), 0, reason);
    assert.ok(running.worker().inHand > 0);
    for (const held of origin.exchanges) {
      held.respond(new ResponseHead(200, HeaderBlock.from([])), BytesBody.text("late"));
    }
    if (what === "an exchange") assert.equal((await exchange.done).text, "late");
    if (what === "an exchange" || what === "waitUntil") {
      await eventually("the isolate is ended", () => live(running) <= 1);
    }
  });
}

test("an isolate is not ended while a tunnel runs through it", async () => {
  const code = `export default { async connect(socket) { await socket.opened; await socket.readable.pipeTo(socket.writable); } };`;
  const running = await start({ main: { code } }, { idleTimeout: 20 });
  const tunnel = new CollectedTunnel("example.com", 443);
  running.worker().connect(tunnel);
  await tunnel.done;
  running.ahead += 60_000;
  await looks();
  assert.equal(evictions(running, "idle"), 0);
  const stream = tunnel.stream;
  assert.ok(stream);
  const failure = new ProxyError("client_disconnected", "cannot go on: the client left");
  stream.readable.cancel(failure);
  const end = BytesBody.text("");
  stream.writable.attach(end);
  end.pipe(stream.writable);
  await eventually("the isolate is ended", () => evictions(running, "idle") === 1);
});

test("an isolate is not ended while an exchange of another Worker holds an object of it", async () => {
  const origin = new FakeService("ORIGIN", () => {});
  const sources = {
    main: {
      code: `export default { async fetch(request, env) {
        const counter = await env.COUNTER.make();
        await counter.next();
        await env.ORIGIN.fetch("http://origin/");
        return new Response(String(await counter.next()));
      } };`,
      bindings: { COUNTER: { service: to("counter") }, ORIGIN: { service: to("ORIGIN") } },
    },
    counter: {
      code: `import { RpcTarget, WorkerEntrypoint } from "cloudflare:workers";
        class Counter extends RpcTarget { #count = 0; next() { return ++this.#count; } }
        export default class extends WorkerEntrypoint { make() { return new Counter(); } }`,
    },
  };
  const running = await start(sources, { idleTimeout: 20 }, [origin]);
  const exchange = new CollectedExchange({});
  running.worker().handle(exchange);
  await eventually("the origin is asked", () => origin.exchanges.length === 1);
  running.ahead += 60_000;
  await looks();
  assert.equal(evictions(running, "idle", "counter"), 0);
  origin.exchanges[0]?.respond(new ResponseHead(200, HeaderBlock.from([])), BytesBody.text(""));
  assert.equal((await exchange.done).text, "2");
  await eventually("the isolate is ended", () => evictions(running, "idle", "counter") === 1);
});

test("of more isolates than max the least recently used idle one is ended", async () => {
  const sources = { a: { code: counting }, b: { code: counting }, c: { code: counting } };
  const running = await start(sources, { maxIsolates: 2 });
  await ask(running, "a");
  await ask(running, "b");
  assert.equal(await ask(running, "a"), "2");
  await ask(running, "c");
  assert.equal(evictions(running, "max", "b"), 1);
  assert.equal(live(running), 2);
  assert.equal(await ask(running, "a"), "3");
});

test("when all isolates are busy one more is made, and the number comes down when they are not", async () => {
  const held = new FakeService("ORIGIN", () => {});
  const code = `export default { fetch(request, env) { return env.ORIGIN.fetch("http://origin/"); } };`;
  const bindings = { ORIGIN: { service: to("ORIGIN") } };
  const sources = { main: { code, bindings }, other: { code: counting } };
  const running = await start(sources, { maxIsolates: 1 }, [held]);
  const exchange = new CollectedExchange({});
  running.worker().handle(exchange);
  await eventually("the origin is asked", () => held.exchanges.length === 1);
  assert.equal(await ask(running, "other"), "1");
  assert.equal(live(running), 2);
  held.exchanges[0]?.respond(new ResponseHead(200, HeaderBlock.from([])), BytesBody.text("late"));
  assert.equal((await exchange.done).text, "late");
  await eventually("there is one isolate", () => live(running) === 1);
});

test("near the shard's memory limit idle isolates are ended, but not the one in use", async () => {
  const sources = { main: { code: counting }, other: { code: counting } };
  const settings = { softRssBytes: process.memoryUsage.rss() * 1.1 };
  const running = await start(sources, settings);
  await ask(running, "other");
  await ask(running);
  running.ahead += 60_000;
  assert.equal(await ask(running), "2");
  await eventually("the idle isolate is ended", () => evictions(running, "memory", "other") === 1);
  assert.equal(await ask(running), "3");
  assert.equal(evictions(running, "memory"), 0);
});

test("with fewer isolates allowed than Workers under load, no request is lost", async () => {
  const sources: Record<string, WorkerSource> = {};
  for (let i = 0; i < 6; i++) {
    sources[`w${i}`] = {
      code: `export default { async fetch(request) {
        await new Promise((resolve) => setTimeout(resolve, ${i % 3}));
        return new Response("${i} " + await request.text());
      } };`,
    };
  }
  const running = await start(sources, { maxIsolates: 2, idleTimeout: 5 });
  for (let round = 0; round < 20; round++) {
    const answers = await Promise.all(
      Array.from({ length: 12 }, async (_, n) => {
        const i = (n * 5 + round) % 6;
        const { text } = await collect(running.worker(`w${i}`), { method: "POST", body: `${round}.${n}` });
        return [text, `${i} ${round}.${n}`];
      }),
    );
    for (const [found, expected] of answers) assert.equal(found, expected);
  }
  let ended = 0;
  for (let i = 0; i < 6; i++) {
    ended += evictions(running, "max", `w${i}`) + evictions(running, "idle", `w${i}`);
    assert.equal(running.worker(`w${i}`).inHand, 0);
  }
  assert.ok(ended > 0);
});

test("entries are counted by how long they took, and a long one is logged with the Worker's name", async () => {
  const code = `export default { fetch(request) {
    const end = Date.now() + Number(new URL(request.url).searchParams.get("ms"));
    while (Date.now() < end);
    return new Response();
  } };`;
  const running = await start({
    main: { code, preciseTimers: true, limits: { cpuMs: 10_000 } },
  });
  await collect(running.worker(), { target: "/?ms=0" });
  const entries = (): number[] => {
    const key = 'sluice_isolate_entry_seconds{worker="main"}';
    const found = running.metrics.snapshot().histograms.find(([name]) => name === key);
    return [...(found?.[1] ?? [])];
  };
  const count = (): number => entries().reduce((sum, each) => sum + each, 0);
  assert.equal(count(), 1);
  await collect(running.worker(), { target: "/?ms=60" });
  await collect(running.worker(), { target: "/?ms=60" });
  assert.equal(count(), 3);
  const lines = running.logged("worker.long");
  assert.equal(lines.length, 1, "the second within ten seconds is not logged");
  assert.equal(lines[0]?.level, "warn");
  assert.equal(lines[0]?.fields.worker, "main");
  running.ahead += 60_000;
  await collect(running.worker(), { target: "/?ms=60" });
  assert.equal(running.logged("worker.long")[1]?.fields.unsaid, 1);
});
