import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import type { BodySink, BodySource } from "../../src/http/body.ts";
import { HeaderBlock } from "../../src/http/header-block.ts";
import { ResponseHead } from "../../src/http/message.ts";
import { type Holder, Pressure } from "../../src/isolate/bridge/pressure.ts";
import { collect } from "../integration/network-harness.ts";
import { FakeService, to, WorkerBench } from "../integration/worker-harness.ts";
import { get } from "../support/client.ts";
import { residentBytes } from "../support/shard.ts";
import { startSluice } from "../support/sluice.ts";
import { assertPlainFailure, attacker, configOf, filesOf, soleShard } from "./attack.ts";

let bench: WorkerBench | null = null;
afterEach(() => {
  bench?.stop();
  bench = null;
});

const mebibyte = 1024 * 1024;

/** A body that has always more, and counts what was taken. */
class Endless implements BodySource {
  readonly length = -1;
  static given = 0;
  static cancelled = 0;
  readonly #chunk = new Uint8Array(65_536);
  #sink: BodySink | null = null;

  pipe(sink: BodySink): void {
    this.#sink = sink;
    setImmediate(() => this.resume());
  }

  resume(): void {
    setImmediate(() => {
      if (this.#sink === null) return;
      Endless.given += this.#chunk.length;
      if (this.#sink.write(this.#chunk)) this.resume();
    });
  }

  cancel(): void {
    if (this.#sink !== null) Endless.cancelled++;
    this.#sink = null;
  }
}

function endless(): FakeService {
  Endless.given = 0;
  Endless.cancelled = 0;
  return new FakeService("ORIGIN", (exchange) => {
    exchange.takeBody();
    exchange.respond(new ResponseHead(200, HeaderBlock.from([])), new Endless());
  });
}

for (const [what, code] of [
  ["many bodies as text", 'fetch("http://o/").then((response) => response.text())'],
  [
    "one half of many clones",
    'fetch("http://o/").then(async (response) => { globalThis.kept = [globalThis.kept, response.clone()]; for await (const _ of response.body); })',
  ],
] as const) {
  test(`what the host keeps for a Worker that reads ${what} is bounded for all of them together`, async () => {
    bench = await WorkerBench.start(
      {
        main: {
          code: `export default { async fetch(request, env) {
            const all = await Promise.allSettled(Array.from({ length: 16 }, () => env.ORIGIN.${code}));
            return new Response(all.map((each) => each.reason?.message ?? "whole").join("\\n"));
          } };`,
          bindings: { ORIGIN: { service: to("ORIGIN") } },
          limits: { memoryMb: 16, wallMs: 1500 },
        },
        good: { code: 'export default { fetch() { return new Response("good"); } };' },
      },
      [endless()],
    );
    const running = bench;
    if (what === "many bodies as text") {
      const answer = await collect(running.worker(), {});
      assert.match(answer.text, /^(cannot read the body: worker_memory_exceeded\n?){16}$/);
      assert.ok(Endless.given < 64 * mebibyte, `${Endless.given} bytes were taken`);
      assert.equal(Endless.cancelled, 16);
    } else {
      await collect(running.worker(), {});
      assert.ok(process.memoryUsage.rss() < 1024 * mebibyte);
    }
    assert.equal((await collect(running.worker("good"), {})).text, "good");
  });
}

test("a Worker that keeps, entry by entry, what it is given ends for it, whatever the kind of memory", async () => {
  const kinds: Readonly<Record<string, string>> = {
    arrays: "new Array(200_000).fill(1.5)",
    buffers: "new Uint8Array(2_000_000).fill(1)",
    strings: '("x".repeat(100_000) + Math.random()).split("").join("-")',
    maps: "new Map(Array.from({ length: 20_000 }, (_, i) => [i, {}]))",
  };
  for (const [kind, made] of Object.entries(kinds)) {
    bench = await WorkerBench.start({
      main: {
        code: `const kept = []; export default { fetch() { kept.push(${made}); return new Response("ok"); } };`,
        limits: { memoryMb: 32, cpuMs: 500 },
      },
    });
    let ended = false;
    for (let i = 0; i < 800 && !ended; i++) {
      await collect(bench.worker(), {});
      ended = bench.counter('sluice_worker_limit_hits_total{worker="main",limit="memory"}') > 0;
      await new Promise((done) => setTimeout(done, 2));
    }
    assert.ok(ended, `${kind} were kept without an end`);
    bench.stop();
    bench = null;
  }
});

class Grower implements Holder {
  isOver = false;
  grown = 0;
  ended = 0;
  tooLarge(): void {
    this.isOver = true;
    this.ended++;
  }
}

test("when the process is too large, the isolate that made it grow most is ended, and another only if it grows on", () => {
  let now = 0;
  let resident = 500 * mebibyte;
  const pressure = new Pressure(
    1500 * mebibyte,
    () => now,
    () => resident,
  );
  const small = new Grower();
  const large = new Grower();
  const step = (holder: Grower, growth: number): void => {
    now += 10;
    resident += growth * mebibyte;
    pressure.look(holder, true);
  };
  step(small, 0);
  for (let i = 0; i < 9; i++) {
    step(large, 100);
    step(small, 5);
  }
  assert.equal(large.ended, 0);
  for (let i = 0; i < 5 && large.ended === 0; i++) step(small, 30);
  assert.equal(large.ended, 1, "it grew most, though another ran last");
  step(small, 0);
  assert.equal(small.ended, 0, "what the other held has yet to come back");
  step(small, 100);
  assert.equal(small.ended, 1, "the process grows on");
  const third = new Grower();
  step(third, 0);
  now += 2000;
  step(third, 0);
  assert.equal(third.ended, 0, "it did not make it grow");
});

test("memory that V8 does not count ends the Worker that takes it before it ends the shard", async (t) => {
  const workers = {
    wasm: attacker(
      "globalThis.kept ??= []; const m = new WebAssembly.Memory({ initial: 3000 }); new Uint8Array(m.buffer).fill(1); kept.push(m); return new Response(String(kept.length));",
    ),
  };
  const config = configOf(["wasm"]).replace("main: ./wasm.js", "limits: { cpuMs: 1000 }, main: ./wasm.js");
  const sluice = await startSluice(t, config, { files: filesOf(workers) });
  const shard = soleShard(sluice);
  const url = await sluice.listening("wasm");
  let largest = 0;
  const from = sluice.stderr.length;
  for (let i = 0; i < 40 && !/made the shard grow/.test(sluice.stderr.slice(from)); i++) {
    const answer = await get(`${url}/attack`);
    if (answer.status !== 200) assertPlainFailure(answer);
    largest = Math.max(largest, residentBytes(shard));
  }
  await sluice.sees(/"event":"worker\.memory".*made the shard grow.*"worker":"wasm"/);
  assert.equal((await get(await sluice.listening("good"))).body, "good");
  assert.equal(soleShard(sluice), shard);
  assert.ok(largest < 2560 * mebibyte, `the shard grew to ${Math.round(largest / mebibyte)} MB`);
});

test("huge headers, URLs, bodies and log lines are cut or refused, and the shard stays small", async (t) => {
  const workers = {
    header: attacker('return new Response("", { headers: { a: "b".repeat(2 ** 24) } });'),
    url: attacker('return fetch("http://192.0.2.1/" + "a".repeat(2 ** 20));'),
    text: attacker('return new Response("b".repeat(2 ** 26));'),
    bytes: attacker("return new Response(new Uint8Array(2 ** 26));"),
    log: attacker('console.log("y".repeat(2 ** 24)); console.log("\\n".repeat(2 ** 23));'),
    message: attacker('throw new Error("z".repeat(2 ** 28));'),
  };
  const sluice = await startSluice(t, configOf(Object.keys(workers)), { files: filesOf(workers) });
  const shard = soleShard(sluice);
  let largest = 0;
  for (const name of Object.keys(workers)) {
    const url = await sluice.listening(name);
    // A response that cannot be carried out breaks off, and a client may find a header too long.
    await get(`${url}/attack`).catch(() => {});
    largest = Math.max(largest, residentBytes(shard));
    assert.equal((await get(url)).body, "ok", `${name} serves on`);
  }
  assert.equal(soleShard(sluice), shard);
  assert.ok(largest < 1024 * mebibyte, `the shard grew to ${Math.round(largest / mebibyte)} MB`);
  assert.ok(sluice.stderr.length < 1_000_000, "the log is not flooded");
});
