import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { ProxyError } from "../../src/errors/proxy-error.ts";
import { noClient } from "../../src/isolate/bridge/guest-fetch.ts";
import type { GuestRpc } from "../../src/isolate/bridge/guest-rpc.ts";
import { RpcCall, RpcMessage } from "../../src/isolate/bridge/guest-rpc-objects.ts";
import * as rpcOps from "../../src/wire/rpc-ops.ts";
import { CollectedExchange } from "./network-harness.ts";
import { RpcBench } from "./rpc-harness.ts";
import { FakeService, to } from "./worker-harness.ts";

let bench: RpcBench | null = null;
afterEach(() => {
  bench?.bench.stop();
  bench = null;
});

async function run(caller: string, callee: string): Promise<unknown> {
  bench = await RpcBench.start(caller, callee);
  const result = await bench.json();
  await bench.idle();
  return result;
}

test("a Worker calls methods of another with arguments and gets results", async () => {
  const result = await run(
    `return Response.json([await env.X.add(1, 2), await env.X.greet("Ada"), await env.X.nothing()]);`,
    `export default class extends WorkerEntrypoint {
      add(a, b) { return a + b; }
      async greet(name) { return "Hello " + name; }
      nothing() {}
    }`,
  );
  assert.deepEqual(result, [3, "Hello Ada", null]);
});

test("a named entrypoint gets its props, env and ctx, and a fresh instance for each call", async () => {
  const result = await run(
    `return Response.json([await env.NAMED.who(), await env.NAMED.count(), await env.NAMED.count()]);`,
    `export class Named extends WorkerEntrypoint {
      #calls = 0;
      who() { return [this.ctx.props.role, typeof this.ctx.waitUntil, typeof this.env.BACK.fetch]; }
      count() { return ++this.#calls; }
    }
    export default {};`,
  );
  assert.deepEqual(result, [["edge", "function", "function"], 1, 1]);
});

test("values keep their kinds, circles and shared references", async () => {
  const result = await run(
    `const shared = { n: 1 };
    const circle = { shared, again: shared, list: [1, , "x", undefined] };
    circle.self = circle;
    const sent = [circle, new Date(5), new Map([[shared, new Set([1])]]), /a+/gi, 10n ** 20n, NaN, -0, -Infinity,
      new Uint16Array([1, 500]), new DataView(new ArrayBuffer(3), 1, 1), new ArrayBuffer(2), Object("boxed"), "\\ud800",
      new RangeError("far"), new DOMException("no", "AbortError"), new Blob(["blob"], { type: "a/b" }),
      new File(["file"], "f.txt", { lastModified: 7 }), { __proto__: Object.prototype, "__proto__x": 1 }];
    const got = await env.X.echo(sent);
    const [c, date, map, re, big, nan, zero, inf, u16, view, buffer, boxed, lone, error, dom, blob, file] = got;
    const [key, set] = [...map][0];
    return Response.json({
      circle: c.self === c && c.shared === c.again && key === c.shared && c !== circle,
      list: [c.list.length, 1 in c.list, c.list[2], c.list[3] === undefined],
      date: date instanceof Date && date.getTime(), set: [...set], re: String(re), lastIndex: re.lastIndex, big: String(big),
      nan: Number.isNaN(nan), zero: Object.is(zero, -0), inf: inf === -Infinity,
      u16: u16 instanceof Uint16Array && [...u16], view: [view.byteOffset, view.byteLength, view.buffer.byteLength],
      buffer: buffer.byteLength, boxed: typeof boxed + boxed, lone: lone.charCodeAt(0),
      error: [error instanceof RangeError, error.message], dom: [dom instanceof DOMException, dom.name, dom.message],
      blob: [blob.type, await blob.text()], file: [file.name, file.lastModified, await file.text()],
      seen: await env.X.seen(),
    });`,
    `let last = "";
    export default class extends WorkerEntrypoint {
      echo(value) { last = Object.prototype.toString.call(value[2]); return value; }
      seen() { return last; }
    }`,
  );
  assert.deepEqual(result, {
    circle: true,
    list: [4, false, "x", true],
    date: 5,
    set: [1],
    re: "/a+/gi",
    lastIndex: 0,
    big: "100000000000000000000",
    nan: true,
    zero: true,
    inf: true,
    u16: [1, 500],
    view: [1, 1, 3],
    buffer: 2,
    boxed: "objectboxed",
    lone: 0xd800,
    error: [true, "far"],
    dom: [true, "AbortError", "no"],
    blob: ["a/b", "blob"],
    file: ["f.txt", 7, "file"],
    seen: "[object Map]",
  });
});

test("functions and RpcTargets go by reference, in arguments and in results, and call back", async () => {
  const result = await run(
    `class Log extends RpcTarget { lines = []; add(line) { this.lines.push(line); return this.lines.length; } get size() { return this.lines.length; } }
    const log = new Log();
    const got = [];
    const counter = await env.X.counter(10);
    got.push(await counter.increment(2), await counter.increment(3), await counter.value);
    got.push(await env.X.apply((a, b) => a * b, 6, 7));
    got.push(await env.X.write(log), log.lines);
    const { add, nested } = await env.X.tools();
    got.push(await add(1, 2), await nested.twice(4), typeof add, counter instanceof RpcStub);
    return Response.json(got);`,
    `class Counter extends RpcTarget {
      #n; constructor(n) { super(); this.#n = n; }
      increment(by) { return this.#n += by; }
      get value() { return this.#n; }
    }
    export default class extends WorkerEntrypoint {
      counter(n) { return new Counter(n); }
      async apply(f, a, b) { return (await f(a, b)) + 1; }
      async write(log) { await log.add("one"); await log.add("two"); return await log.size; }
      tools() { return { add: (a, b) => a + b, nested: { twice: (a) => 2 * a } }; }
    }`,
  );
  assert.deepEqual(result, [12, 15, 15, 43, 2, ["one", "two"], 3, 8, "function", true]);
});

test("calls on results that are not there yet travel at once", async () => {
  const result = await run(
    `const user = env.X.user();
    const name = user.profile.name;
    const hello = user.greet("hi");
    const chained = env.X.chain().next().next().depth;
    return Response.json([await name, await hello, await chained, await env.X.user().profile.tags[1], await env.X.order()]);`,
    `const order = [];
    class Chain extends RpcTarget { constructor(depth) { super(); this.level = depth; } next() { return new Chain(this.level + 1); } get depth() { return this.level; } }
    export default class extends WorkerEntrypoint {
      async user() {
        order.push("user asked");
        await new Promise((done) => setTimeout(done, 20));
        order.push("user there");
        return { profile: { name: "Ada", tags: ["a", "b"] }, greet: (word) => { order.push("greet"); return word + " Ada"; } };
      }
      chain() { order.push("chain asked"); return new Chain(0); }
      order() { return order; }
    }`,
  );
  assert.deepEqual(result, [
    "Ada",
    "hi Ada",
    2,
    "b",
    ["user asked", "chain asked", "user there", "greet", "user asked", "user there"],
  ]);
});

test("what fails says so: thrown errors, missing and hidden members, values that cannot go", async () => {
  const result = await run(
    `const get = (promise) => failure(promise);
    const locked = new ReadableStream(); locked.getReader();
    return Response.json([
      await get(env.X.fail()), await get(env.X.failType()), await get(env.X.failOwn()), await get(env.X.failText()),
      await get(env.X.missing()), await get(env.X.hidden()), await get(env.X.toolbox.deep()), await get(env.X.number()),
      await get(env.X.constructor1), await get(env.X.classInstance()), await get(env.X.echo(Symbol("s"))),
      await get(env.X.echo(new (class Foo {})())), await get(env.X.echo(new URL("http://a/"))), await get(env.X.echo(locked)),
      await get(env.X.fail().a.b()), await get(env.X.echo(env.X.echo(1))), await get(env.X.env), await get(env.X.getter),
    ]);`,
    `class Foo { x = 1; }
    export default class extends WorkerEntrypoint {
      constructor(ctx, env) { super(ctx, env); this.hidden = () => 1; }
      fail() { throw new Error("plain"); }
      async failType() { throw new TypeError("typed"); }
      failOwn() { class OwnError extends Error { name = "OwnError"; } throw new OwnError("own"); }
      failText() { throw "only text"; }
      get number() { return 5; }
      get toolbox() { return { deep: null }; }
      classInstance() { return new Foo(); }
      echo(value) { return value; }
      get getter() { throw new RangeError("getter"); }
    }`,
  );
  const names = (result as [string, string][]).map(([name]) => name ?? "text");
  assert.deepEqual(names, [
    "Error",
    "TypeError",
    "OwnError",
    "text",
    "TypeError",
    "TypeError",
    "TypeError",
    "TypeError",
    "TypeError",
    "DataCloneError",
    "DataCloneError",
    "DataCloneError",
    "DataCloneError",
    "TypeError",
    "Error",
    "DataCloneError",
    "TypeError",
    "RangeError",
  ]);
  assert.match(JSON.stringify(result), /"Foo\\", which does not extend RpcTarget/);
});

test("a stub is of no use after it was disposed of, and the target hears of the last", async () => {
  const result = await run(
    `const got = [];
    {
      using counter = await env.X.counter();
      const copy = counter.dup();
      got.push(await counter.hit());
      counter[Symbol.dispose]();
      got.push(await failure(counter.hit()), await copy.hit(), await env.X.disposed());
      copy[Symbol.dispose]();
    }
    got.push(await env.X.disposed());
    const both = await env.X.both();
    got.push(await both.a.hit(), await both.b.hit());
    both[Symbol.dispose]();
    got.push(await failure(both.a.hit()), await env.X.disposed());
    { using pending = env.X.counter(); got.push(await pending.hit()); }
    await turns();
    got.push(await env.X.disposed());
    return Response.json(got);`,
    `let disposed = 0;
    class Counter extends RpcTarget { #n = 0; hit() { return ++this.#n; } [Symbol.dispose]() { disposed++; } }
    export default class extends WorkerEntrypoint {
      counter() { return new Counter(); }
      both() { return { a: new Counter(), b: new Counter(), [Symbol.dispose]() { disposed += 10; } }; }
      disposed() { return disposed; }
    }`,
  );
  const gone = ["Error", "cannot use the RPC stub: it was disposed of"];
  assert.deepEqual(result, [1, gone, 2, 0, 1, 1, 1, gone, 13, 1, 14]);
});

test("stubs among arguments end with the call, unless they are duplicated; a returned one lives on", async () => {
  const result = await run(
    `let disposed = 0;
    class Counter extends RpcTarget { n = 3; increment(by = 1) { return this.n += by; } [Symbol.dispose]() { disposed++; } }
    const counter = new Counter();
    const kept = await env.X.keep(counter);
    const got = [kept.count, await failure(kept.original()), await kept.duplicate(7), await kept.counter.increment(4), disposed];
    kept[Symbol.dispose]();
    await turns();
    got.push(disposed, await env.X.use(new Counter()));
    await turns();
    got.push(disposed);
    const stub = new RpcStub(new Counter());
    got.push(await env.X.use(stub), await stub.increment(10), disposed);
    stub[Symbol.dispose]();
    await turns();
    got.push(disposed);
    return Response.json(got);`,
    `export default class extends WorkerEntrypoint {
      async keep(counter) {
        const count = await counter.increment(5);
        const duplicate = counter.dup();
        return {
          count, counter,
          original: (n) => counter.increment(n),
          duplicate: (n) => duplicate.increment(n),
          [Symbol.dispose]() { duplicate[Symbol.dispose](); },
        };
      }
      use(counter) { return counter.increment(1); }
    }`,
  );
  const gone = ["Error", "cannot use the RPC stub: it was disposed of"];
  assert.deepEqual(result, [8, gone, 15, 19, 0, 1, 4, 2, 4, 14, 2, 3]);
});

test("stubs that nobody disposes of go with the request that got them", async () => {
  bench = await RpcBench.start(
    `const counter = await env.X.counter();
    globalThis.kept = counter;
    return Response.json(await counter.hit());`,
    `class Counter extends RpcTarget { #n = 0; hit() { return ++this.#n; } [Symbol.dispose]() { console.log("disposed"); } }
    export default class extends WorkerEntrypoint { counter() { return new Counter(); } }`,
  );
  assert.equal(await bench.json(), 1);
  await bench.idle();
  assert.deepEqual(
    bench.bench.logged("worker.log").map(({ message }) => message),
    ["disposed"],
  );
});

test("stubs that a long request drops without a word are let go of before it ends", async () => {
  const result = await run(
    `const maker = await env.X.maker();
    for (let i = 0; i < 3000; i++) await (await maker()).hit();
    return Response.json(await env.X.live() < 2500);`,
    `let live = 0;
    class Counter extends RpcTarget { constructor() { super(); live++; } hit() {} [Symbol.dispose]() { live--; } }
    export default class extends WorkerEntrypoint { maker() { return () => new Counter(); } live() { return live; } }`,
  );
  assert.equal(result, true);
});

test("a stub that was received goes on to a third Worker", async () => {
  bench = await RpcBench.start(
    `const counter = await env.X.counter();
    return Response.json([await env.third.use(counter), await env.third.use(counter), await counter.hit()]);`,
    `class Counter extends RpcTarget { #n = 0; hit() { return ++this.#n; } }
    export default class extends WorkerEntrypoint { counter() { return new Counter(); } }`,
    {
      third: {
        code: `import { WorkerEntrypoint } from "cloudflare:workers";
          export default class extends WorkerEntrypoint { async use(counter) { return (await counter.hit()) * 100; } }`,
      },
    },
  );
  assert.deepEqual(await bench.json(), [100, 200, 3]);
  await bench.idle();
});

test("a Worker calls itself, and is called back by whom it calls", async () => {
  const result = await run(
    `export class Self extends WorkerEntrypoint { add(a, b) { return a + b; } make() { return (x) => x + 1; } }
    export class Back extends WorkerEntrypoint { half(n) { return n / 2; } }
    export default { async fetch(request, env) {
      const plus = await env.SELF.make();
      return Response.json([await env.SELF.add(1, 2), await plus(4), await env.X.viaBack(10)]);
    } };`,
    `export default class extends WorkerEntrypoint { viaBack(n) { return this.env.BACK.half(n); } }`,
  );
  assert.deepEqual(result, [3, 5, 5]);
});

test("handlers of a plain object take one argument, env and ctx; fetch is never a call", async () => {
  const result = await run(
    `const response = await env.X.fetch("http://x/path", { method: "POST" });
    return Response.json([await env.X.one(4), (await failure(env.X.one(1, 2)))[0], (await failure(env.X.one()))[0], await response.text()]);`,
    `export default {
      one(n, env, ctx) { return [n, typeof env.BACK.fetch, typeof ctx.waitUntil]; },
      fetch(request) { return new Response(request.method + " " + new URL(request.url).pathname); },
    };`,
  );
  assert.deepEqual(result, [[4, "function", "function"], "TypeError", "TypeError", "POST /path"]);
});

test("streams, requests, responses and headers go over RPC", async () => {
  const result = await run(
    `const { readable, writable } = new TransformStream();
    const length = env.X.length(readable);
    const writer = writable.getWriter();
    await writer.write(new TextEncoder().encode("some "));
    await writer.write(new TextEncoder().encode("bytes"));
    await writer.close();
    const sink = new TransformStream();
    const wrote = env.X.write(sink.writable);
    const written = await new Response(sink.readable).text();
    await wrote;
    const stream = await env.X.stream();
    const response = await env.X.respond(new Request("http://a/b", { method: "PUT", body: "sent", headers: { "x-a": "1" } }));
    const headers = await env.X.headers();
    return Response.json([await length, written, await new Response(stream).text(), response instanceof Response, response.status,
      response.headers.get("x-b"), await response.text(), [...headers], await new Response(await env.X.pass(new Response("there and back").body)).text()]);`,
    `export default class extends WorkerEntrypoint {
      async length(stream) { return (await new Response(stream).text()).length; }
      async write(stream) {
        const writer = stream.getWriter();
        for (const word of ["foo ", "bar ", "baz"]) await writer.write(new TextEncoder().encode(word));
        await writer.close();
      }
      stream() { return new Response("from the callee").body; }
      async respond(request) {
        return new Response(request.method + " " + request.url + " " + (await request.text()) + request.headers.get("x-a"), { status: 201, headers: { "x-b": "2" } });
      }
      headers() { return new Headers([["a", "1"], ["set-cookie", "x"], ["set-cookie", "y"]]); }
      pass(stream) { return stream; }
    }`,
  );
  assert.deepEqual(result, [
    10,
    "foo bar baz",
    "from the callee",
    true,
    201,
    "2",
    "PUT http://a/b sent1",
    [
      ["a", "1"],
      ["set-cookie", "x"],
      ["set-cookie", "y"],
    ],
    "there and back",
  ]);
});

test("a value of many megabytes goes over, one of more than 32 does not", async () => {
  bench = await RpcBench.start(
    `const bytes = new Uint8Array(5_000_000).fill(7);
    const text = "é".repeat(2_000_000);
    const [a, b] = await env.X.echo([bytes, text]);
    return Response.json([a.length, a[4_999_999], b === text, (await failure(env.X.echo(new Uint8Array(34_000_000))))[1],
      (await failure(env.X.echo("x".repeat(20_000_000))))[1], (await failure(env.X.echo(Array.from({ length: 5000 }, () => () => {}))))[1], await env.X.echo(1)]);`,
    `export default class extends WorkerEntrypoint { echo(value) { return value; } }`,
    {},
    [],
    { cpuMs: 2000 },
    { cpuMs: 2000 },
  );
  assert.deepEqual(await bench.json(), [
    5_000_000,
    7,
    true,
    "cannot send over RPC: values of more than 32 MiB",
    "cannot send over RPC: values of more than 32 MiB",
    "cannot send over RPC: more than 4096 functions, objects and streams",
    1,
  ]);
  await bench.idle();
});

test("a promise pipelined on what fails fails alike, and calls in order stay in order", async () => {
  const result = await run(
    `const counter = await env.X.counter();
    const all = await Promise.all([counter.add(6), counter.add(4), counter.add(3)]);
    const failed = env.X.broken();
    return Response.json([all, await failure(failed.a()), await failure(failed.b.c), await failure(failed)]);`,
    `class Counter extends RpcTarget { #n = 2; async add(by) { return this.#n += by; } }
    export default class extends WorkerEntrypoint { counter() { return new Counter(); } async broken() { throw new RangeError("all"); } }`,
  );
  const all = ["RangeError", "all"];
  assert.deepEqual(result, [[8, 12, 15], all, all, all]);
});

test("waitUntil keeps the event of a call going after it has returned", async () => {
  bench = await RpcBench.start(
    `return Response.json(await env.X.later());`,
    `export default class extends WorkerEntrypoint {
      later() {
        this.ctx.waitUntil(new Promise((done) => setTimeout(done, 10)).then(() => console.log("done later")));
        return "now";
      }
    }`,
  );
  assert.equal(await bench.json(), "now");
  await bench.idle();
  assert.equal(bench.bench.logged("worker.log")[0]?.message, "done later");
});

test("a callee whose isolate ends breaks its calls and stubs, and the next call gets a fresh one", async () => {
  bench = await RpcBench.start(
    `const counter = await env.X.counter();
    const got = [await counter.hit()];
    const [first, second] = await Promise.all([failure(env.X.loop()), failure(counter.wait())]);
    got.push(first[1], second[1], (await failure(counter.hit()))[1], await (await env.X.counter()).hit());
    return Response.json(got);`,
    `class Counter extends RpcTarget { #n = 0; hit() { return ++this.#n; } wait() { return new Promise(() => setTimeout(() => {}, 10_000)); } }
    export default class extends WorkerEntrypoint { counter() { return new Counter(); } loop() { for (;;); } }`,
    {},
    [],
    { cpuMs: 150 },
  );
  const lost = "cannot call over RPC: worker_cpu_exceeded";
  assert.deepEqual(await bench.json(), [
    1,
    lost,
    lost,
    "cannot call over RPC: what the stub stands for is gone",
    1,
  ]);
  await bench.idle();
});

test("a caller whose isolate ends frees the callee", async () => {
  bench = await RpcBench.start(
    `const counter = await env.X.counter();
    const pending = env.X.wait(() => 1);
    await counter.hit();
    for (;;);`,
    `class Counter extends RpcTarget { hit() { return 1; } [Symbol.dispose]() { console.log("disposed"); } }
    export default class extends WorkerEntrypoint { counter() { return new Counter(); } async wait(f) { await new Promise((done) => setTimeout(done, 30)); return f(); } }`,
  );
  const answer = await bench.fetch();
  assert.equal(answer.error?.code, "worker_cpu_exceeded");
  await bench.idle();
  assert.equal(bench.bench.logged("worker.log")[0]?.message, "disposed");
});

test("a call that waits for ever fails when nothing can wake it", async () => {
  const result = await run(
    `return Response.json([(await failure(env.X.stuck()))[1], (await failure((await env.X.maker())()))[1]]);`,
    `export default class extends WorkerEntrypoint { stuck() { return new Promise(() => {}); } maker() { return () => new Promise(() => {}); } }`,
  );
  assert.deepEqual(result, [
    "cannot call over RPC: worker_hung",
    "cannot call over RPC: what the stub stands for is gone",
  ]);
});

test("a service that is no Worker has no methods", async () => {
  bench = await RpcBench.start(
    `return Response.json([(await failure(env.APP.method(1)))[1], await env.APP === env.APP, JSON.stringify(env.APP), String(env.APP)]);`,
    `export default {};`,
    {},
    [new FakeService("APP", () => {})],
  );
  assert.deepEqual(await bench.json(), [
    'cannot call over RPC: the binding leads to "APP", which is no Worker; it has fetch and connect',
    true,
    "{}",
    "[object Object]",
  ]);
});

test("Workers that call one another in a circle stop at some depth", async () => {
  const result = await run(
    `export class Back extends WorkerEntrypoint { again(n) { return this.env.X.again(n + 1); } }
    export default { async fetch(request, env) { return Response.json((await failure(env.X.again(0)))[1]); } };`,
    `export default class extends WorkerEntrypoint { again(n) { return this.env.BACK.again(n + 1); } }`,
  );
  assert.equal(result, "cannot call over RPC: service_loop");
});

test("a Worker that patches prototypes neither breaks nor sees the runtime's calls", async () => {
  const result = await run(
    `const seen = [];
    const map = new Map([[1, 2]]);
    const first = await env.X.echo(0);
    for (const [holder, name] of [[Array.prototype, "push"], [Array.prototype, "toJSON"], [Object.prototype, "toJSON"], [Array.prototype, "slice"],
      [Map.prototype, "get"], [Map.prototype, "set"], [WeakMap.prototype, "get"], [WeakMap.prototype, "set"], [Promise.prototype, "then"], [Reflect, "apply"], [JSON, "parse"], [JSON, "stringify"], [Array.prototype, Symbol.iterator]]) {
      const before = holder[name];
      Object.defineProperty(holder, name, { configurable: true, writable: true, value: function (...args) { seen[seen.length] = typeof name === "symbol" ? "iterator" : name; return before?.apply(this, args); } });
    }
    Object.defineProperty(Object.prototype, "then", { configurable: true, get() { seen[seen.length] = "then of " + typeof this; return undefined; } });
    const value = await env.X.echo({ list: [1, { a: 2 }], map });
    const f = await env.X.maker();
    const sum = await f(1, (x) => x);
    delete Object.prototype.then;
    delete Object.prototype.toJSON;
    const all = seen.filter((name) => !name.startsWith("then of"));
    return new Response('[' + (all.length === 0) + ',' + value.list[1].a + ',' + sum + ',"' + all.slice(0, 9).join() + '"]');`,
    `export default class extends WorkerEntrypoint { echo(value) { return value; } maker() { return async (n, f) => n + (await f(1)); } }`,
  );
  assert.deepEqual(result, [true, 2, 2, ""]);
});

test("when the client leaves, the call is given up, and the callee's own fetches with it", async () => {
  const asked: { aborted: unknown }[] = [];
  const origin = new FakeService("ORIGIN", (exchange) => {
    asked.push(exchange);
  });
  bench = await RpcBench.start(
    `try { await env.middle.ask(); } catch (error) { console.log(error.message); throw error; }`,
    `export default {};`,
    {
      middle: {
        code: `import { WorkerEntrypoint } from "cloudflare:workers";
          export default class extends WorkerEntrypoint { async ask() { await this.env.ORIGIN.fetch("http://o/"); } }`,
        bindings: { ORIGIN: { service: to("ORIGIN") } },
      },
    },
    [origin],
  );
  const exchange = new CollectedExchange({});
  bench.bench.worker().handle(exchange);
  while (asked.length === 0) await new Promise((done) => setImmediate(done));
  exchange.abort(new ProxyError("client_disconnected", "cannot go on: the client left"));
  await bench.idle();
  assert.notEqual(asked[0]?.aborted, null);
  assert.deepEqual(
    bench.bench.logged("worker.log").map(({ message }) => message),
    ["cannot call over RPC: the request that called is over"],
  );
});

test("calls on bindings count as subrequests, calls on stubs do not", async () => {
  bench = await RpcBench.start(
    `export default {};`,
    `export default class extends WorkerEntrypoint { one() { return 1; } maker() { return () => 2; } }`,
    {
      few: {
        code: `export default { async fetch(request, env) {
            const got = [];
            const f = await env.CALLEE.maker();
            for (let i = 0; i < 20; i++) got.push(await f());
            for (let i = 0; i < 5; i++) try { got.push(await env.CALLEE.one()); } catch (error) { got.push(error.message); }
            return Response.json(got);
          } };`,
        bindings: { CALLEE: { service: to("callee") } },
        limits: { subrequests: 3 },
      },
    },
  );
  const exchange = new CollectedExchange({});
  bench.bench.worker("few").handle(exchange);
  const got = JSON.parse((await exchange.done).text) as unknown[];
  const refused = "cannot call over RPC: worker_subrequests_exceeded";
  assert.deepEqual(got, [...Array(20).fill(2), 1, 1, refused, refused, refused]);
  await bench.idle();
});

test("stubs can be logged, and probed without a call", async () => {
  const result = await run(
    `const f = await env.X.maker();
    console.log(f, env.X, env.X.other, env);
    return Response.json([typeof f, "a" in f, Object.keys(f), f.then, String(Object.prototype.toString.call(f)), f instanceof RpcStub,
      env.X.maker() instanceof RpcPromise, env.X.maker instanceof RpcProperty, (await failure((async () => new RpcPromise())()))[0]]);`,
    `export default class extends WorkerEntrypoint { maker() { return () => 2; } }`,
  );
  assert.deepEqual(result, ["function", false, [], null, "[object RpcStub]", true, true, true, "TypeError"]);
});

test("a Worker that names Durable Objects starts; making one says that there are none", async () => {
  const result = await run(
    `const made = await env.X.make();
    return Response.json(made);`,
    `import { DurableObject, WorkflowEntrypoint } from "cloudflare:workers";
    export class Room extends DurableObject {}
    export class Flow extends WorkflowEntrypoint {}
    export default class extends WorkerEntrypoint {
      make() { return [Room, Flow].map((Class) => { try { return new Class(); } catch (error) { return error.message; } }); }
    }`,
  );
  assert.deepEqual(result, [
    "cannot make a DurableObject: Sluice has no Durable Objects",
    "cannot make a WorkflowEntrypoint: Sluice has no Workflows",
  ]);
});

/** Texts that no runtime of ours writes; the callee's must refuse each, and go on. */
const malformed = [
  "",
  "nonsense",
  "{}",
  "[]",
  "[[1]]",
  "[[1],5]",
  '[[1],["zz"]]',
  '[[-1],["a"]]',
  '[[1.5],["a"]]',
  '[[1],["v","Uint8Array",[1],0,9]]',
  '[[1],["w",[1]]]',
  '[[1],["c",0]]',
  '[[1],["c","__proto__"]]',
  '[[1],["b",0,4000000000]]',
  '[[1],["R",["c",7]]]',
  '[[1],["r","(",""]]',
  '[[1],["i","zz"]]',
  '[[1],["a",["i","zz"]]]',
  '[[1],["Q","GET","nonsense","","manual",null]]',
  '[[1],["P",999,"","",null]]',
  '[[1],["a",{"a":1}]]',
];

test("what a broken runtime sends is refused by the callee's, which goes on", async () => {
  bench = await RpcBench.start(
    `return Response.json(await env.X.count(1, 2));`,
    `export default class extends WorkerEntrypoint { count(...values) { return values.length; } }`,
  );
  const callee = bench.bench.worker("callee");
  for (const [path, text] of [
    ...malformed.map((each) => ['["count"]', each]),
    ["nonsense", '[[1],["a"]]'],
    ["{}", '[[1],["a"]]'],
    ["[5]", '[[1],["a"]]'],
  ] as [string, string][]) {
    const outcome = await new Promise<number>((resolve) => {
      const caller = {
        session: { buffer: { give() {} } },
        callReturned: (_call: unknown, given: number) => resolve(given),
        callLost: () => resolve(rpcOps.OUTCOME_LOST),
      } as unknown as GuestRpc;
      const call = new RpcCall(caller, 1, { owner: 0, epoch: 0 }, 0, noClient);
      const message = new RpcMessage();
      message.texts.push(text);
      callee.call(call, message, { path, isGet: false });
    });
    assert.equal(outcome, rpcOps.OUTCOME_THROWN, `${path} ${text}`);
  }
  assert.equal(await bench.json(), 2);
});
