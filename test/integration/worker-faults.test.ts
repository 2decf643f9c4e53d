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
