import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { ProxyError } from "../../src/errors/proxy-error.ts";
import { BytesBody } from "../../src/http/body.ts";
import type { Exchange } from "../../src/http/exchange.ts";
import { HeaderBlock } from "../../src/http/header-block.ts";
import { ResponseHead } from "../../src/http/message.ts";
import type { Service } from "../../src/services/service.ts";
import { type Ask, CollectedExchange, collect } from "./network-harness.ts";
import { FakeService, to, WorkerBench, type WorkerSource } from "./worker-harness.ts";

let bench: WorkerBench | null = null;
afterEach(() => {
  bench?.stop();
  bench = null;
});

async function start(
  sources: string | Readonly<Record<string, WorkerSource>>,
  fakes: readonly Service[] = [],
): Promise<WorkerBench> {
  bench = await WorkerBench.start(typeof sources === "string" ? { main: { code: sources } } : sources, fakes);
  return bench;
}

async function run(code: string, ask: Ask = {}, fakes: readonly Service[] = []) {
  const bindings = Object.fromEntries(fakes.map((fake) => [fake.name, { service: to(fake.name) }]));
  const running = await start({ main: { code, bindings } }, fakes);
  return collect(running.worker(), ask);
}

/** An origin that says what it got. */
function echo(): FakeService {
  return new FakeService("ORIGIN", (exchange) => {
    const { request } = exchange;
    const head = new ResponseHead(200, HeaderBlock.from([["x-origin", "yes"]]));
    const body = exchange.takeBody();
    if (body !== null) exchange.respond(head, body);
    else exchange.respond(head, BytesBody.text(`${request.method} ${request.url}\n${request.headers.text}`));
  });
}

test("a Worker answers with a string", async () => {
  const answer = await run(`export default { fetch() { return new Response("hello"); } };`);
  assert.equal(answer.status, 200);
  assert.equal(answer.text, "hello");
  assert.equal(answer.headers.get("content-type"), "text/plain;charset=UTF-8");
});

test("a Worker sees the method, URL and headers of its request, Host included", async () => {
  const answer = await run(
    `export default { async fetch(request) {
      return Response.json([request.method, request.url, request.headers.get("host"), request.headers.get("X-A"),
        request.headers.get("content-length"), await request.text()]);
    } };`,
    { method: "POST", authority: "example.com:81", target: "/p?q=1", headers: [["x-a", "b"]], body: "body" },
  );
  assert.deepEqual(JSON.parse(answer.text), [
    "POST",
    "http://example.com:81/p?q=1",
    "example.com:81",
    "b",
    "4",
    "body",
  ]);
});

test("a Worker edits headers on the way in and out", async () => {
  const answer = await run(
    `export default { async fetch(request, env) {
      const url = new URL(request.url);
      const headers = new Headers(request.headers);
      headers.set("x-path", url.pathname);
      const response = await env.ORIGIN.fetch(new Request(request, { headers }));
      const out = new Response(response.body, response);
      out.headers.set("x-edge", "1");
      return out;
    } };`,
    { target: "/a/b", headers: [["x-keep", "1"]] },
    [echo()],
  );
  assert.equal(answer.headers.get("x-origin"), "yes");
  assert.equal(answer.headers.get("x-edge"), "1");
  assert.match(answer.text, /^GET http:\/\/test\/a\/b\n/);
  assert.match(answer.text, /x-path: \/a\/b\r\n/i);
  assert.match(answer.text, /x-keep: 1\r\n/i);
});

test("bodies that a Worker does not touch never enter the isolate, in either direction", async () => {
  const size = 3_000_000;
  const answer = await run(
    `export default { fetch(request, env) { return env.ORIGIN.fetch(request); } };`,
    { method: "POST", body: "x".repeat(size) },
    [echo()],
  );
  assert.equal(answer.body.length, size);
  assert.equal(bench?.counter('sluice_bridge_body_bytes_total{worker="main",direction="in"}'), 0);
  assert.equal(bench?.counter('sluice_bridge_body_bytes_total{worker="main",direction="out"}'), 0);
});

test("a body that a Worker reads is counted as it crosses", async () => {
  await run(`export default { async fetch(request) { return new Response(await request.text()); } };`, {
    method: "POST",
    body: "x".repeat(1000),
  });
  assert.equal(bench?.counter('sluice_bridge_body_bytes_total{worker="main",direction="in"}'), 1000);
  assert.equal(bench?.counter('sluice_bridge_body_bytes_total{worker="main",direction="out"}'), 1000);
});

test("a body larger than a window is read whole as bytes", async () => {
  const answer = await run(
    `export default { async fetch(request) {
      const bytes = new Uint8Array(await request.arrayBuffer());
      let sum = 0;
      for (const byte of bytes) sum += byte;
      return Response.json([bytes.length, sum]);
    } };`,
    { method: "POST", body: "\u0001".repeat(1_000_000) },
  );
  assert.deepEqual(JSON.parse(answer.text), [1_000_000, 1_000_000]);
});

test("a Worker transforms a streamed body on the fly", async () => {
  const answer = await run(
    `export default { async fetch(request, env) {
      const response = await env.ORIGIN.fetch(request);
      const upper = new TransformStream({ transform(chunk, controller) {
        controller.enqueue(new TextEncoder().encode(new TextDecoder().decode(chunk).toUpperCase()));
      } });
      return new Response(response.body.pipeThrough(upper), response);
    } };`,
    { method: "POST", body: "abc".repeat(200_000) },
    [echo()],
  );
  assert.equal(answer.text, "ABC".repeat(200_000));
});

test("a generated stream is sent chunk by chunk with backpressure", async () => {
  const running = await start(
    `let made = 0;
     export default { fetch(request) {
      if (request.url.endsWith("/made")) return new Response(String(made));
      return new Response(new ReadableStream({ pull(controller) {
        if (made === 400) controller.close(); else { made++; controller.enqueue(new Uint8Array(65536)); }
      } }));
    } };`,
  );
  const slow = new CollectedExchange({});
  slow.sink.manual = true;
  const first = Promise.withResolvers<void>();
  slow.sink.onChunk = first.resolve;
  running.worker().handle(slow);
  await first.promise;
  const made = Number((await collect(running.worker(), { target: "/made" })).text);
  assert.ok(made < 20, `${made} chunks were made for a reader that took one`);
  slow.sink.manual = false;
  slow.sink.onChunk = null;
  slow.more();
  const answer = await slow.done;
  assert.equal(answer.body.length, 400 * 65536);
});

test("a Worker that throws gives its client an error with an id, and the log the mapped stack", async () => {
  const answer = await run(`type Nothing = null;
    function deep(): never { throw new Error("secret " + (null as Nothing)); }
    export default { fetch() { deep(); } };`);
  assert.equal(answer.status, 500);
  assert.equal(answer.error?.code, "worker_exception");
  assert.match(answer.error?.id ?? "", /^[a-z0-9]{12}$/);
  const [line] = bench?.logged("worker.failed") ?? [];
  assert.equal(line?.fields.id, answer.error?.id);
  assert.match(String(line?.fields.stack), /at deep \(.*main\.main\.ts:2:\d+\)/);
});

test("a Worker that gives no Response, or has no handler, is an error", async () => {
  const wrong = await run(`export default { fetch() { return "text"; } };`);
  assert.equal(wrong.error?.code, "worker_bad_response");
  bench?.stop();
  const none = await run(`export default { other() {} };`);
  assert.equal(none.error?.code, "worker_no_handler");
});

test("a Worker that waits for nothing is told apart from one that waits for something", async () => {
  const hung = await run(`export default { fetch() { return new Promise(() => {}); } };`);
  assert.equal(hung.error?.code, "worker_hung");
  bench?.stop();
  const waits = await run(
    `export default { async fetch() { await new Promise((done) => setTimeout(done, 20)); return new Response("late"); } };`,
  );
  assert.equal(waits.text, "late");
});

test("an endless loop is stopped, and the Worker serves on with a fresh isolate", async () => {
  const running = await start({
    main: {
      code: `let count = 0;
        export default { fetch(request) {
          count++;
          if (request.url.endsWith("/loop")) for (;;);
          return new Response(String(count));
        } };`,
      limits: { cpuMs: 20 },
    },
  });
  assert.equal((await collect(running.worker(), {})).text, "1");
  const looped = await collect(running.worker(), { target: "/loop" });
  assert.equal(looped.error?.code, "worker_cpu_exceeded");
  assert.equal((await collect(running.worker(), {})).text, "1");
  assert.equal(running.counter('sluice_isolate_cold_starts_total{worker="main"}'), 2);
  assert.equal(running.counter('sluice_worker_limit_hits_total{worker="main",limit="cpu"}'), 1);
});

test("an exchange that waits behind an endless loop in another batch is served by the next isolate", async () => {
  const running = await start({
    main: {
      code: `export default { fetch(request) {
        if (request.url.endsWith("/loop")) for (;;);
        return new Response("ok");
      } };`,
      limits: { cpuMs: 20 },
    },
  });
  const all = await Promise.all(
    ["/loop", "/1", "/2", "/3", "/4", "/5", "/6", "/7", "/8"].map((target) =>
      collect(running.worker(), { target }),
    ),
  );
  assert.equal(all[0]?.error?.code, "worker_cpu_exceeded");
  assert.equal(all.at(-1)?.text, "ok");
});

test("endless recursion is an exception of that request alone", async () => {
  const running = await start(
    `export default { fetch(request) {
      function again() { return again() + 1; }
      if (request.url.endsWith("/deep")) again();
      return new Response("ok");
    } };`,
  );
  assert.equal((await collect(running.worker(), { target: "/deep" })).error?.code, "worker_exception");
  assert.equal((await collect(running.worker(), {})).text, "ok");
  assert.equal(running.counter('sluice_isolate_cold_starts_total{worker="main"}'), 1);
});

test("a Worker that keeps too much memory is ended and made anew", async () => {
  const running = await start({
    main: {
      code: `const kept = [];
        export default { fetch() {
          for (let i = 0; i < 20; i++) kept.push(new Array(10_000).fill(kept.length + i));
          return new Response(String(kept.length));
        } };`,
      limits: { memoryMb: 16 },
    },
  });
  const seen: number[] = [];
  for (let i = 0; i < 40; i++) {
    const answer = await collect(running.worker(), {});
    if (answer.error !== null) assert.equal(answer.error.code, "worker_memory_exceeded");
    else seen.push(Number(answer.text));
    await new Promise((done) => setTimeout(done, 3));
  }
  assert.ok(running.counter('sluice_worker_limit_hits_total{worker="main",limit="memory"}') >= 1);
  assert.ok(seen.filter((length) => length === 20).length >= 2, "a fresh isolate begins anew");
});

test("garbage that V8 has not collected yet does not count against a Worker", async () => {
  const running = await start({
    main: {
      code: `export default { async fetch(request) { return Response.json((await request.json()).length); } };`,
      limits: { memoryMb: 16 },
    },
  });
  const body = JSON.stringify(new Array(20_000).fill("some text here"));
  for (let round = 0; round < 30; round++) {
    const asks = Array.from({ length: 8 }, () => collect(running.worker(), { method: "POST", body }));
    for (const answer of await Promise.all(asks)) assert.equal(answer.text, "20000");
  }
  assert.equal(running.counter('sluice_isolate_cold_starts_total{worker="main"}'), 1);
});

test("a Worker that fails to start gives each client an error, and says once why", async () => {
  const running = await start(
    `const x: string[] = []; throw new Error("at start " + x.length); export default {};`,
  );
  assert.equal((await collect(running.worker(), {})).error?.code, "worker_startup_failed");
  assert.equal((await collect(running.worker(), {})).error?.code, "worker_startup_failed");
  assert.equal(running.logged("worker.start").length, 1);
  await assert.rejects(running.worker().ready(), /at start 0/);
});

test("input and output in the global scope are refused", async () => {
  const running = await start(`const early = fetch("http://example.com/"); early.catch(() => {});
    let message = ""; try { await early; } catch (error) { message = error.message; }
    export default { fetch() { return new Response(message); } };`);
  assert.match((await collect(running.worker(), {})).text, /global scope/);
});

test("top-level await that never ends fails the start", async () => {
  const running = await start(`await new Promise(() => {}); export default { fetch() {} };`);
  assert.equal((await collect(running.worker(), {})).error?.code, "worker_startup_failed");
});

test("service-worker syntax answers through addEventListener", async () => {
  const running = await start({
    main: {
      script: true,
      code: `addEventListener("fetch", (event) => {
        event.respondWith(new Response("from a script: " + new URL(event.request.url).pathname));
      });`,
    },
  });
  assert.equal((await collect(running.worker(), { target: "/x" })).text, "from a script: /x");
});

test("named entrypoints, classes, props and env reach the Worker", async () => {
  const running = await start({
    main: {
      code: `import { WorkerEntrypoint } from "cloudflare:workers";
        export default class extends WorkerEntrypoint {
          async fetch(request) { return new Response(await (await this.env.SELF.fetch(request)).text() + " via class"); }
        }
        export class Admin extends WorkerEntrypoint {
          fetch() { return new Response("admin " + this.ctx.props.role + " " + this.env.GREETING); }
        }
        export const plain = { fetch(request, env, ctx) { return Response.json([env.FLAGS, ctx.props]); } };`,
      bindings: {
        SELF: { service: to("main", "Admin", { role: "edge" }) },
        GREETING: { text: "hi" },
        FLAGS: { json: { beta: true } },
      },
    },
  });
  assert.equal((await collect(running.worker(), {})).text, "admin edge hi via class");
  const plain = running.worker().at("plain", [1, 2]);
  assert.deepEqual(JSON.parse((await collect(plain, {})).text), [{ beta: true }, [1, 2]]);
  assert.equal((await collect(running.worker().at("missing", {}), {})).error?.code, "worker_no_handler");
});

test("Workers call one another through service bindings", async () => {
  const running = await start(
    {
      main: {
        code: `export default { async fetch(request, env) {
          const response = await env.NEXT.fetch(request);
          return new Response("1" + await response.text());
        } };`,
        bindings: { NEXT: { service: to("second") } },
      },
      second: {
        code: `export default { fetch(request, env) { return env.ORIGIN.fetch(request); } };`,
        bindings: { ORIGIN: { service: to("ORIGIN") } },
      },
    },
    [echo()],
  );
  assert.match((await collect(running.worker(), { target: "/chain" })).text, /^1GET http:\/\/test\/chain/);
});

test("services that form a loop end in an error", async () => {
  const running = await start({
    main: {
      code: `export default { fetch(request, env) { return env.SELF.fetch(request); } };`,
      bindings: { SELF: { service: to("main") } },
    },
  });
  const answer = await collect(running.worker(), {});
  assert.equal(answer.error?.code, "service_loop");
});

test("an upstream's failure that a handler lets through keeps its code", async () => {
  const failing = new FakeService("ORIGIN", (exchange) =>
    exchange.fail(new ProxyError("upstream_connect_timeout", "cannot connect: it took too long")),
  );
  const answer = await run(
    `export default { fetch(request, env) { return env.ORIGIN.fetch(request); } };`,
    {},
    [failing],
  );
  assert.equal(answer.error?.code, "upstream_connect_timeout");
  bench?.stop();
  const caught = await run(
    `export default { async fetch(request, env) {
      try { await env.ORIGIN.fetch(request); } catch (error) { return new Response(error.name, { status: 418 }); }
    } };`,
    {},
    [failing],
  );
  assert.equal(caught.status, 418);
  assert.equal(caught.text, "TypeError");
});

test("the number of subrequests is limited", async () => {
  const code = `export default { async fetch(request, env) {
      let done = 0;
      try { for (let i = 0; i < 10; i++) { await (await env.ORIGIN.fetch("http://x/")).text(); done++; } }
      catch (error) { return new Response(done + " " + error.message); }
    } };`;
  const running = await start(
    { main: { code, limits: { subrequests: 5 }, bindings: { ORIGIN: { service: to("ORIGIN") } } } },
    [echo()],
  );
  assert.match((await collect(running.worker(), {})).text, /^5 .*worker_subrequests_exceeded/);
});

test("waitUntil goes on after the response", async () => {
  const origin = echo();
  const arrived = Promise.withResolvers<void>();
  const watched = new FakeService("ORIGIN", (exchange) => {
    origin.handle(exchange);
    arrived.resolve();
  });
  const answer = await run(
    `export default { fetch(request, env, ctx) {
      ctx.waitUntil((async () => { await new Promise((done) => setTimeout(done, 10)); await env.ORIGIN.fetch("http://x/log"); })());
      return new Response("now");
    } };`,
    {},
    [watched],
  );
  assert.equal(answer.text, "now");
  await arrived.promise;
  assert.equal(origin.exchanges[0]?.request.target, "/log");
});

test("passThroughOnException hands the request, body and all, to the outbound", async () => {
  const origin = echo();
  bench = await WorkerBench.start(
    {
      main: {
        code: `export default { fetch(request, env, ctx) { ctx.passThroughOnException(); throw new Error("oops"); } };`,
      },
    },
    [new FakeService("internet", (exchange) => origin.handle(exchange))],
  );
  const answer = await collect(bench.worker(), { method: "PUT", body: "kept" });
  assert.equal(answer.status, 200);
  assert.equal(answer.text, "kept");
});

test("a client that leaves aborts the signal and the fetch made for it", async () => {
  const pending = new FakeService("ORIGIN", () => {});
  const running = await start(
    {
      main: {
        code: `const seen = [];
          export default { async fetch(request, env) {
            if (request.url.endsWith("/seen")) return Response.json(seen);
            request.signal.addEventListener("abort", () => seen.push("aborted"));
            return env.ORIGIN.fetch(request);
          } };`,
        bindings: { ORIGIN: { service: to("ORIGIN") } },
      },
    },
    [pending],
  );
  const leaving = new CollectedExchange({});
  running.worker().handle(leaving);
  while (pending.exchanges.length === 0) await new Promise((done) => setImmediate(done));
  leaving.leave();
  await leaving.done;
  assert.equal(pending.exchanges[0]?.aborted?.code, "client_disconnected");
  assert.equal((await collect(running.worker(), { target: "/seen" })).text, '["aborted"]');
});

test("what waitUntil was given goes on when the client leaves", async () => {
  const origin = echo();
  const held: Exchange[] = [];
  const waiting = new FakeService("ORIGIN", (exchange) => {
    held.push(exchange);
  });
  const running = await start(
    {
      main: {
        code: `export default { async fetch(request, env, ctx) {
            ctx.waitUntil(env.ORIGIN.fetch("http://x/log"));
            return await env.ORIGIN.fetch(request);
          } };`,
        bindings: { ORIGIN: { service: to("ORIGIN") } },
      },
    },
    [waiting],
  );
  const leaving = new CollectedExchange({});
  running.worker().handle(leaving);
  while (held.length < 2) await new Promise((done) => setImmediate(done));
  leaving.leave();
  await leaving.done;
  assert.equal(held[0]?.aborted, null);
  for (const exchange of held) origin.handle(exchange);
});

test("a promise given to waitUntil that never settles keeps nothing on the host", async () => {
  const running = await start(
    `export default { fetch(request, env, ctx) {
      ctx.waitUntil(new Promise(() => {}));
      if (request.url.endsWith("/hung")) return new Promise(() => {});
      return new Response("answered");
    } };`,
  );
  assert.equal((await collect(running.worker(), {})).text, "answered");
  assert.equal((await collect(running.worker(), { target: "/hung" })).error?.code, "worker_hung");
  assert.equal(running.worker().inHand, 0);
});

test("clone reads a body twice", async () => {
  const answer = await run(
    `export default { async fetch(request, env) {
      const response = await env.ORIGIN.fetch(request);
      const copy = response.clone();
      const text = await copy.text();
      return new Response(response.body, { headers: { "x-length": String(text.length) } });
    } };`,
    { method: "POST", body: "y".repeat(500_000) },
    [echo()],
  );
  assert.equal(answer.headers.get("x-length"), "500000");
  assert.equal(answer.body.length, 500_000);
});

test("redirects are followed by default and left alone on demand", async () => {
  const origin = new FakeService("ORIGIN", (exchange) => {
    const { target } = exchange.request;
    if (target === "/old")
      exchange.respond(new ResponseHead(302, HeaderBlock.from([["location", "/new"]])), null);
    else exchange.respond(new ResponseHead(200), BytesBody.text(`at ${target}`));
  });
  const answer = await run(
    `export default { async fetch(request, env) {
      const followed = await env.ORIGIN.fetch("http://x/old");
      const manual = await env.ORIGIN.fetch("http://x/old", { redirect: "manual" });
      return Response.json([await followed.text(), followed.redirected, followed.url, manual.status]);
    } };`,
    {},
    [origin],
  );
  assert.deepEqual(JSON.parse(answer.text), ["at /new", true, "http://x/new", 302]);
});

test("console lines reach the log with the Worker's name", async () => {
  await run(
    `export default { fetch() { console.log("seen", { a: 1 }); console.error("bad"); return new Response(""); } };`,
  );
  const lines = bench?.logged("worker.log") ?? [];
  assert.deepEqual(
    lines.map((line) => [line.level, line.message, line.fields.worker]),
    [
      ["info", "seen { a: 1 }", "main"],
      ["error", "bad", "main"],
    ],
  );
});

test("digests, random values and identifiers come from native code", async () => {
  const answer = await run(
    `export default { async fetch() {
      const small = await crypto.subtle.digest("SHA-256", new TextEncoder().encode("abc"));
      const large = await crypto.subtle.digest("SHA-1", new Uint8Array(1_000_000));
      const hex = (buffer) => Array.from(new Uint8Array(buffer), (byte) => byte.toString(16).padStart(2, "0")).join("");
      return Response.json([hex(small), hex(large), crypto.randomUUID(), crypto.getRandomValues(new Uint8Array(4)).length]);
    } };`,
  );
  const [small, large, uuid, length] = JSON.parse(answer.text);
  assert.equal(small, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  assert.equal(large, "bef3595266a65a2ff36b700a75e8ed95c68210b6");
  assert.match(uuid, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.equal(length, 4);
});

test("imports of text, data, JSON and WebAssembly work", async () => {
  const wasm = Buffer.from(
    "0061736d0100000001070160027f7f017f030201000707010361646400000a09010700200020016a0b",
    "hex",
  );
  const running = await start({
    main: {
      code: `import text from "./main.page.txt"; import data from "./main.raw.bin"; import json from "./main.some.json";
        import module from "./main.add.wasm";
        const { exports } = new WebAssembly.Instance(module);
        export default { fetch() {
          return Response.json([text, new Uint8Array(data)[1], json.a, exports.add(2, 3)]);
        } };`,
      files: {
        "page.txt": "hello",
        "raw.bin": new Uint8Array([1, 2, 3]),
        "some.json": '{"a":7}',
        "add.wasm": wasm,
      },
    },
  });
  assert.deepEqual(JSON.parse((await collect(running.worker(), {})).text), ["hello", 2, 7, 5]);
});

test("a response that breaks a rule of HTTP is refused", async () => {
  const answer = await run(`export default { fetch() {
    const headers = new Headers();
    try { headers.set("x", "a\\r\\nb: c"); } catch (error) { return new Response(error.name); }
  } };`);
  assert.equal(answer.text, "TypeError");
});
