import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { collect } from "../integration/network-harness.ts";
import { to, WorkerBench } from "../integration/worker-harness.ts";

let bench: WorkerBench | null = null;
afterEach(() => {
  bench?.stop();
  bench = null;
});

/** Work of a few milliseconds, by the guest's own clock. */
const work =
  "const end = performance.now() + 4; while (performance.now() < end) for (let i = 0; i < 1000; i++);";

/** A Worker whose requests were cheap for long, so that it gets large batches. */
async function warmed(code: string, limits = {}): Promise<WorkerBench> {
  bench = await WorkerBench.start({ main: { code, limits, preciseTimers: true } });
  const running = bench;
  for (let round = 0; round < 8; round++) {
    await Promise.all(Array.from({ length: 200 }, () => collect(running.worker(), {})));
  }
  return running;
}

for (const [kind, wait] of [
  ["at once", ""],
  ["after an await", "await null; await null;"],
  ["when it has read the body", "await request.text();"],
] as const) {
  test(`a burst of requests that each work ${kind} is served whole, though they came as one batch`, async () => {
    const running = await warmed(`export default { async fetch(request) {
      if (request.url.endsWith("/heavy")) { ${wait} ${work} }
      return new Response("ok");
    } };`);
    const ask = { target: "/heavy", method: "POST", body: "abc" };
    const answers = await Promise.all(Array.from({ length: 100 }, () => collect(running.worker(), ask)));
    assert.deepEqual(
      answers.filter((answer) => answer.text !== "ok").map((answer) => answer.error?.code),
      [],
    );
    assert.equal(running.counter('sluice_isolate_cold_starts_total{worker="main"}'), 1);
  });
}

test("a request that loops takes along none that its batch had not begun", async () => {
  const running = await warmed(`export default { fetch(request) {
    if (request.url.endsWith("/loop")) for (;;);
    return new Response("ok");
  } };`);
  const targets = Array.from({ length: 50 }, (_, index) => (index === 5 ? "/loop" : "/"));
  const answers = await Promise.all(targets.map((target) => collect(running.worker(), { target })));
  assert.equal(answers[5]?.error?.code, "worker_cpu_exceeded");
  for (const answer of answers.slice(6)) assert.equal(answer.text, "ok");
});

test("a Worker that loops again and again leaves the other its turns", async () => {
  bench = await WorkerBench.start({
    bad: { code: "export default { fetch() { for (;;); } };", limits: { cpuMs: 5 } },
    good: { code: 'export default { fetch() { return new Response("good"); } };' },
  });
  const running = bench;
  const bad = Array.from({ length: 40 }, () => collect(running.worker("bad"), {}));
  let served = 0;
  let over = false;
  const all = Promise.all(bad).then((answers) => {
    over = true;
    return answers;
  });
  while (!over) {
    assert.equal((await collect(running.worker("good"), {})).text, "good");
    served++;
  }
  for (const answer of await all) assert.equal(answer.error?.code, "worker_cpu_exceeded");
  assert.ok(served >= 10, `only ${served} were served meanwhile`);
});

test("what one entry makes the host do is bounded", async () => {
  const flood = (what: string): string => `export default { async fetch(request, env) {
    for (let i = 0; i < 300_000; i++) { ${what} }
    return new Response("ok");
  } };`;
  bench = await WorkerBench.start({
    logs: { code: flood('console.log("x");'), limits: { cpuMs: 300 } },
    timers: { code: flood("setTimeout(() => {}, 1e6);"), limits: { cpuMs: 300 } },
    fetches: {
      code: flood('env.SELF.fetch("http://x/").catch(() => {});'),
      bindings: { SELF: { service: to("good") } },
      limits: { cpuMs: 300, subrequests: 10 },
    },
    good: { code: 'export default { fetch() { return new Response("good"); } };' },
  });
  for (const name of ["logs", "timers", "fetches"]) {
    const answer = await collect(bench.worker(name), {});
    if (answer.error !== null) assert.match(answer.error.code, /^worker_(cpu|memory)_exceeded$/);
    assert.equal((await collect(bench.worker("good"), {})).text, "good");
  }
  assert.ok(bench.logged("worker.log").length <= 300_000);
});
