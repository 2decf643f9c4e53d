import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { collect } from "../integration/network-harness.ts";
import { WorkerBench } from "../integration/worker-harness.ts";

let bench: WorkerBench | null = null;
afterEach(() => {
  bench?.stop();
  bench = null;
});

/** Reads every clock, works for a while, and reads them again; then waits for something from outside. */
const clocks = `
  const read = () => [
    Date.now(), new Date().getTime(), +new Date(Date()), performance.now(), new File([], "a").lastModified,
    new Intl.DateTimeFormat("en", { timeStyle: "medium", fractionalSecondDigits: undefined }).format(),
    new Intl.DateTimeFormat("en", { minute: "numeric", fractionalSecondDigits: 3 }).format(),
    new Intl.DateTimeFormat("en", { second: "numeric", fractionalSecondDigits: 3 }).formatToParts().map((p) => p.value).join(""),
    ...(globalThis.Temporal === undefined ? [] : [
      Temporal.Now.instant(), Temporal.Now.zonedDateTimeISO(), Temporal.Now.plainDateTimeISO("Asia/Tokyo"),
      Temporal.Now.plainTimeISO(), Temporal.Now.plainDateISO(),
    ]),
  ].map(String);
  export default { async fetch() {
    const before = read();
    let sum = 0;
    for (let i = 0; i < 3e6; i++) sum += i;
    const after = read();
    await new Promise((resolve) => setTimeout(resolve, 5));
    return Response.json({ before, after, later: read(), sum });
  } };`;

test("every clock stands still while a Worker's code runs, and moves on with what comes from outside", async () => {
  bench = await WorkerBench.start({ main: { code: clocks, limits: { cpuMs: 1000 } } });
  const { text } = await collect(bench.worker(), {});
  const { before, after, later } = JSON.parse(text) as Record<"before" | "after" | "later", string[]>;
  assert.deepEqual(after, before);
  assert.ok(Number(later[0]) > Number(before[0]));
  assert.equal(later[0], later[1]);
  assert.ok(Math.abs(Number(before[0]) - Date.now()) < 60_000);
});

test("with preciseTimers the clocks run", async () => {
  const code = `export default { fetch() {
    const start = performance.now();
    const date = Date.now();
    while (performance.now() < start + 3);
    return new Response(String(Date.now() - date >= 2));
  } };`;
  bench = await WorkerBench.start({ main: { code, preciseTimers: true } });
  assert.equal((await collect(bench.worker(), {})).text, "true");
});

test("the standing Date is Date: made from parts and texts, inherited from, called without new", async () => {
  const code = `export default { fetch() {
    class Day extends Date { get year() { return this.getUTCFullYear(); } }
    const day = new Day(2026, 0, 1);
    return Response.json([
      typeof Date(), new Date(0).toISOString(), new Date("2026-11-01T00:00:00Z").getTime(), Date.UTC(2026, 0),
      Date.parse("2026-11-01T00:00:00Z"), day instanceof Date, day instanceof Day, day.year, Date.length, Date.name,
      day.constructor === Day, new Date().constructor === Date, Number.isNaN(new Date(undefined).getTime()),
      new Date(new Date(5)).getTime(), Object.getOwnPropertyNames(Date).sort().join(),
    ]);
  } };`;
  bench = await WorkerBench.start({ main: { code } });
  assert.deepEqual(JSON.parse((await collect(bench.worker(), {})).text), [
    "string",
    "1970-01-01T00:00:00.000Z",
    1793491200000,
    1767225600000,
    1793491200000,
    true,
    true,
    2026,
    7,
    "Date",
    true,
    true,
    true,
    5,
    "UTC,length,name,now,parse,prototype",
  ]);
});

test("a text becomes code only where config allows it", async () => {
  const code = `export default { fetch() {
    const tries = [() => eval("1 + 1"), () => new Function("return 2")(), () => (async () => {}).constructor("return 2") && 2];
    return Response.json(tries.map((attempt) => { try { return attempt(); } catch (error) { return error.name; } }));
  } };`;
  bench = await WorkerBench.start({ main: { code }, free: { code, unsafeEval: true } });
  assert.equal((await collect(bench.worker(), {})).text, '["EvalError","EvalError","EvalError"]');
  assert.equal((await collect(bench.worker("free"), {})).text, "[2,2,2]");
});
