import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { collect } from "./network-harness.ts";
import { to, WorkerBench, type WorkerSource } from "./worker-harness.ts";

let bench: WorkerBench | null = null;
afterEach(() => {
  bench?.stop();
  bench = null;
});

async function json(main: WorkerSource, more: Record<string, WorkerSource> = {}): Promise<unknown> {
  bench = await WorkerBench.start({ main, ...more });
  const answer = await collect(bench.worker(), {});
  assert.equal(answer.status, 200, `${answer.text} ${JSON.stringify(bench.logs)}`);
  return JSON.parse(answer.text);
}

const handler = (body: string): string =>
  `const failure = async (promise) => { try { return ["fine", await promise]; } catch (e) { return [e.name, e.message]; } };
   export default { async fetch(request, env) { ${body} } };`;

test("scheduler.wait waits, and rejects with the reason of its signal", async () => {
  const seen = await json({
    code: handler(`
      const controller = new AbortController();
      const waiting = failure(scheduler.wait(60000, { signal: controller.signal }));
      controller.abort(new RangeError("enough"));
      const settled = new AbortController();
      await scheduler.wait(1, { signal: settled.signal });
      settled.abort();
      return Response.json([
        await waiting, await failure(scheduler.wait(1)), await failure(scheduler.wait(1, { signal: controller.signal })),
        await failure(scheduler.wait()), (await failure(scheduler.wait(1, { signal: {} })))[0], String(scheduler)]);`),
  });
  assert.deepEqual(seen, [
    ["RangeError", "enough"],
    ["fine", null],
    ["RangeError", "enough"],
    ["TypeError", (seen as string[][])[3]?.[1]],
    "TypeError",
    "[object Scheduler]",
  ]);
});

test("the global scope is that of a service worker, and tells its compatibility flags", async () => {
  const seen = await json({
    flags: ["nodejs_compat", "no_global_navigator"],
    code: handler(`return Response.json([
      self instanceof WorkerGlobalScope, self instanceof ServiceWorkerGlobalScope, String(self), origin,
      Cloudflare.compatibilityFlags.nodejs_compat, Cloudflare.compatibilityFlags.global_navigator, Object.isFrozen(Cloudflare.compatibilityFlags),
      fetch.name, addEventListener.name, eval.name, setTimeout.name, typeof FetchEvent, (() => { try { new FetchEvent("fetch"); } catch (e) { return e.name; } })()]);`),
  });
  assert.deepEqual(seen, [
    true,
    true,
    "[object ServiceWorkerGlobalScope]",
    "null",
    true,
    false,
    true,
    "fetch",
    "addEventListener",
    "eval",
    "setTimeout",
    "function",
    "TypeError",
  ]);
});

test("a script's event is a FetchEvent, whose answer stands in none of its members", async () => {
  const seen = await json({
    script: true,
    code: `addEventListener("fetch", (event) => event.respondWith(Response.json([
      event instanceof FetchEvent, event instanceof ExtendableEvent, String(event), event.request instanceof Request, Object.keys(event)])));`,
  });
  assert.deepEqual(seen, [true, true, "[object FetchEvent]", true, []]);
});

test("an answer without content has an empty body, unless it may have none", async () => {
  const peer = `export default { fetch: (request) => new Response(null, { status: Number(new URL(request.url).pathname.slice(1)) }) };`;
  const seen = await json(
    {
      bindings: { PEER: { service: to("peer") } },
      code: handler(`
      const seen = [];
      for (const [status, method] of [[200, "GET"], [404, "GET"], [204, "GET"], [304, "GET"], [200, "HEAD"]]) {
        const response = await env.PEER.fetch("http://peer/" + status, { method });
        seen.push([response.body !== null, await response.clone().text(), response.bodyUsed]);
        if (response.body !== null) for await (const chunk of response.body) seen.push(chunk.length);
      }
      return Response.json(seen);`),
    },
    { peer: { code: peer } },
  );
  const none = [false, "", false];
  assert.deepEqual(seen, [[true, "", false], [true, "", false], none, none, none]);
});

test("readAtLeast fills a view with no fewer bytes, and a source sees how many", async () => {
  const seen = await json({
    code: handler(`
      const wanted = [];
      const bytes = new TextEncoder().encode("hello");
      let at = 0;
      const stream = new ReadableStream({ type: "bytes", pull(controller) {
        const { byobRequest } = controller;
        if (at === bytes.length) { controller.close(); byobRequest?.respond(0); return; }
        if (byobRequest !== null) wanted.push(byobRequest.atLeast);
        byobRequest.view[0] = bytes[at++];
        byobRequest.respond(1);
      } });
      const reader = stream.getReader({ mode: "byob" });
      const { value } = await reader.readAtLeast(3, new Uint8Array(4));
      return Response.json([new TextDecoder().decode(value), wanted, (await failure(reader.readAtLeast(5, new Uint8Array(4))))[0]]);`),
  });
  assert.deepEqual(seen, ["hel", [3, 2, 1], "RangeError"]);
});
