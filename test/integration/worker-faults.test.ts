import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { ProxyError } from "../../src/errors/proxy-error.ts";
import type { BodySink, BodySource } from "../../src/http/body.ts";
import { ResponseHead } from "../../src/http/message.ts";
import { CollectedExchange, collect } from "./network-harness.ts";
import { FakeService, to, WorkerBench } from "./worker-harness.ts";

let bench: WorkerBench | null = null;
afterEach(() => {
  bench?.stop();
  bench = null;
});

/** A Worker with one binding, `ORIGIN`. */
async function start(code: string, origin: FakeService, limits = {}): Promise<WorkerBench> {
  const bindings = { ORIGIN: { service: to("ORIGIN") } };
  bench = await WorkerBench.start({ main: { code, bindings, limits } }, [origin]);
  return bench;
}

/** A body that gives what it is told to, and notes what becomes of it. */
class ScriptedBody implements BodySource {
  readonly length = -1;
  readonly #chunks: string[];
  readonly #failure: ProxyError | null;
  #sink: BodySink | null = null;
  cancelled: ProxyError | null = null;

  /** @param failure comes after the chunks; null lets the body stall. */
  constructor(chunks: readonly string[], failure: ProxyError | null) {
    this.#chunks = [...chunks];
    this.#failure = failure;
  }

  pipe(sink: BodySink): void {
    this.#sink = sink;
    queueMicrotask(() => this.resume());
  }

  resume(): void {
    const sink = this.#sink;
    if (sink === null) return;
    let goesOn = true;
    while (goesOn && this.#chunks.length > 0) goesOn = sink.write(Buffer.from(this.#chunks.shift() ?? ""));
    if (!goesOn || this.#failure === null) return;
    this.#sink = null;
    sink.fail(this.#failure);
  }

  cancel(error: ProxyError): void {
    this.#sink = null;
    this.cancelled ??= error;
  }
}

test("a body that breaks off while a Worker reads it is the upstream's error, and the log says why", async () => {
  const readings = ["text()", "arrayBuffer()", "json()", "bytes()"];
  for (const reading of readings) {
    const broken = new ProxyError("upstream_truncated", "cannot get a whole response from origin:80: reset");
    const origin = new FakeService("ORIGIN", (exchange) =>
      exchange.respond(new ResponseHead(200), new ScriptedBody(["half"], broken)),
    );
    const running = await start(
      `export default { async fetch(request, env) {
        const answer = await env.ORIGIN.fetch(request);
        return new Response(await answer.${reading});
      } };`,
      origin,
    );
    const { error } = await collect(running.worker(), {});
    assert.equal(error?.code, "upstream_truncated", reading);
    const [line] = running.logged("worker.failed");
    assert.match(
      line?.message ?? "",
      /Worker "main" failed: cannot get a whole response from origin:80: reset/,
    );
    assert.equal(line?.fields.id, error?.id);
    running.stop();
  }
});

test("too many subrequests have a code of their own", async () => {
  const origin = new FakeService("ORIGIN", (exchange) => exchange.respond(new ResponseHead(204), null));
  const running = await start(
    `export default { async fetch(request, env) {
      for (;;) await env.ORIGIN.fetch(request);
    } };`,
    origin,
    { subrequests: 5 },
  );
  assert.equal((await collect(running.worker(), {})).error?.code, "worker_subrequests_exceeded");
});

test("what a handler throws because its client left is no error", async () => {
  const origin = new FakeService("ORIGIN", () => {});
  const running = await start(
    "export default { fetch: (request, env) => env.ORIGIN.fetch(request) };",
    origin,
  );
  const leaving = new CollectedExchange({});
  running.worker().handle(leaving);
  while (origin.exchanges.length === 0) await new Promise((done) => setImmediate(done));
  leaving.leave();
  await leaving.done;
  while (running.logged("worker.failed").length === 0) await new Promise((done) => setImmediate(done));
  assert.deepEqual(
    running.logged("worker.failed").map(({ level }) => level),
    ["debug"],
  );
});

/** An origin whose answers never end, and the bodies that it gave. */
function endless(): { readonly origin: FakeService; readonly bodies: ScriptedBody[] } {
  const bodies: ScriptedBody[] = [];
  const origin = new FakeService("ORIGIN", (exchange) => {
    const body = new ScriptedBody(["some", "more"], null);
    bodies.push(body);
    exchange.respond(new ResponseHead(200), body);
  });
  return { origin, bodies };
}

/** Keeps the isolate from ever being without an exchange, and answers the others as `code` says. */
const busy = (code: string): string => `
  export default { async fetch(request, env, ctx) {
    if (request.url.endsWith("/busy")) return new Promise((resolve) => setTimeout(resolve, 600_000));
    ${code}
  } };`;

test("a body that was fetched and is not read is given back with its exchange, however busy the Worker is", async () => {
  const ways = {
    "is not touched": "await env.ORIGIN.fetch(request); return new Response('ok');",
    "was begun": `const answer = await env.ORIGIN.fetch(request);
      await answer.body.getReader().read();
      return new Response("ok");`,
    "was split, and one half read": `const answer = await env.ORIGIN.fetch(request);
      await answer.clone().body.getReader().read();
      return new Response("ok");`,
    "was fetched later": `await new Promise((resolve) => setTimeout(resolve, 1));
      const body = await request.text();
      await env.ORIGIN.fetch("http://x/", { method: "POST", body });
      return new Response("ok");`,
    "is fetched for the time after": `ctx.waitUntil(env.ORIGIN.fetch(request)); return new Response("ok");`,
  };
  for (const [way, code] of Object.entries(ways)) {
    const { origin, bodies } = endless();
    const running = await start(busy(code), origin);
    running.worker().handle(new CollectedExchange({ target: "/busy" }));
    for (let i = 0; i < 3; i++) {
      assert.equal((await collect(running.worker(), { method: "POST", body: "sent" })).text, "ok", way);
    }
    const end = performance.now() + 5_000;
    while (bodies.length < 3 || bodies.some(({ cancelled }) => cancelled === null)) {
      assert.ok(performance.now() < end, `it goes when it ${way}`);
      await new Promise((done) => setImmediate(done));
    }
    running.stop();
  }
});

test("a body that an exchange left to another is still read", async () => {
  const { origin, bodies } = endless();
  const running = await start(
    busy(`
      globalThis.first ??= Promise.withResolvers();
      if (request.url.endsWith("/give")) {
        const answer = await env.ORIGIN.fetch(request);
        const reader = answer.body.getReader();
        globalThis.first.resolve(reader.read());
        return new Response("given");
      }
      const { value } = await globalThis.first.promise;
      return new Response(value);`),
    origin,
  );
  running.worker().handle(new CollectedExchange({ target: "/busy" }));
  const taking = collect(running.worker(), { target: "/take" });
  assert.equal((await collect(running.worker(), { target: "/give" })).text, "given");
  assert.equal((await taking).text, "some");
  assert.equal(bodies.length, 1);
});

test("a body of which no exchange is known goes when nobody touches it for a while", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { origin, bodies } = endless();
  // Two exchanges that wake one another in one entry: nobody can tell for which of them the fetch is made.
  const running = await start(
    busy(`
      globalThis.waiting ??= [];
      if (request.url.endsWith("/wait")) {
        await new Promise((resolve) => globalThis.waiting.push(resolve));
        globalThis.kept = await env.ORIGIN.fetch("http://x/");
        return new Response("done");
      }
      setTimeout(() => { for (const wake of globalThis.waiting) wake(); }, 10);
      return new Response("ok");`),
    origin,
  );
  running.worker().handle(new CollectedExchange({ target: "/busy" }));
  const waiting = collect(running.worker(), { target: "/wait" });
  await collect(running.worker(), { target: "/wake" });
  t.mock.timers.tick(10);
  assert.equal((await waiting).text, "done");
  const codes = () => bodies.map(({ cancelled }) => cancelled?.code);
  assert.deepEqual(codes(), [undefined]);
  for (let i = 0; i < 3; i++) t.mock.timers.tick(15_000);
  assert.deepEqual(codes(), [undefined], "45 s are not yet a while");
  t.mock.timers.tick(15_000);
  assert.deepEqual(codes(), ["client_disconnected"]);
});
