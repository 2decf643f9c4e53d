import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { ProxyError } from "../../src/errors/proxy-error.ts";
import { type BodySink, type BodySource, BytesBody } from "../../src/http/body.ts";
import type { Exchange } from "../../src/http/exchange.ts";
import { HeaderBlock } from "../../src/http/header-block.ts";
import { ResponseHead } from "../../src/http/message.ts";
import { type Ask, CollectedExchange, collect } from "./network-harness.ts";
import { FakeService, to, WorkerBench } from "./worker-harness.ts";

let bench: WorkerBench | null = null;
afterEach(() => {
  bench?.stop();
  bench = null;
});

async function start(code: string, fake: FakeService): Promise<WorkerBench> {
  const bindings = { ORIGIN: { service: to("ORIGIN") } };
  bench = await WorkerBench.start({ main: { code, bindings } }, [fake]);
  return bench;
}

/** Runs the body of a handler, which has `request`, `env`, `ctx` and `get`, and gives what it returns. */
async function evaluate(body: string, fake: FakeService = echo(), ask: Ask = {}): Promise<unknown> {
  const running = await start(
    `async function get(promise) {
      try { return await promise; } catch (error) { return [error?.name ?? typeof error, error?.message ?? error]; }
    }
    export default { async fetch(request, env, ctx) { return Response.json(await (async () => { ${body} })() ?? null); } };`,
    fake,
  );
  const answer = await collect(running.worker(), ask);
  assert.equal(answer.error, null);
  return JSON.parse(answer.text);
}

/** Says what it got. */
function echo(): FakeService {
  return new FakeService("ORIGIN", (exchange) => {
    const { request } = exchange;
    const body = exchange.takeBody();
    const lines = `${request.method} ${request.url}\n${request.headers.text}`;
    if (body === null) exchange.respond(new ResponseHead(200), BytesBody.text(lines));
    else exchange.respond(new ResponseHead(200, HeaderBlock.from([["x-head", request.method]])), body);
  });
}

/** Redirects by what the path says, `/301/next…` to `/next…`; else it echoes. */
function redirecting(): FakeService {
  return new FakeService("ORIGIN", (exchange) => {
    const { request } = exchange;
    const match = /^\/(30\d)(\/[^?]*)(?:\?to=(.*))?$/.exec(request.target);
    const body = exchange.takeBody();
    body?.cancel(unread());
    if (match === null) {
      const text = `${request.method} ${request.url}\n${request.headers.text}${body === null ? "" : "body"}`;
      exchange.respond(new ResponseHead(200), BytesBody.text(text));
      return;
    }
    const location = match[3] === undefined ? (match[2] as string) : decodeURIComponent(match[3]);
    const headers = HeaderBlock.from([["Location", location]]);
    exchange.respond(new ResponseHead(Number(match[1]), headers), BytesBody.text("moved"));
  });
}

function unread(): ProxyError {
  return new ProxyError("client_disconnected", "cannot use it");
}

/** A body that gives what it is told to, and says when nobody wants more. */
class SlowBody implements BodySource {
  readonly length = -1;
  readonly cancelled: Promise<void>;
  sink: BodySink | null = null;
  #cancel: () => void;

  constructor() {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.cancelled = promise;
    this.#cancel = resolve;
  }

  pipe(sink: BodySink): void {
    this.sink = sink;
    queueMicrotask(() => sink.write(Buffer.from("first ")));
  }

  resume(): void {}

  cancel(): void {
    this.#cancel();
  }
}

test("redirects are followed with the methods and fields of the standard", async () => {
  const result = await evaluate(
    `const outcomes = [];
    for (const [method, status] of [["GET", 301], ["POST", 301], ["POST", 302], ["PUT", 302], ["POST", 303], ["HEAD", 303],
      ["PUT", 307], ["POST", 308]]) {
      const init = { method, headers: { "content-type": "text/x", authorization: "secret", "x-kept": "1" } };
      if (method !== "GET" && method !== "HEAD") init.body = "body";
      const response = await env.ORIGIN.fetch("http://a/" + status + "/next#part", init);
      const text = await response.text();
      outcomes.push([response.redirected, response.url, text.split("\\n")[0], /content-type/i.test(text),
        /authorization/i.test(text), /x-kept/i.test(text), text.endsWith("body")]);
    }
    return outcomes;`,
    redirecting(),
  );
  const got = (method: string, kept: boolean, auth = true): unknown[] => [
    true,
    "http://a/next",
    method === "HEAD" ? "" : `${method} http://a/next`,
    method === "HEAD" ? false : kept,
    method === "HEAD" ? false : auth,
    method !== "HEAD",
    ["PUT", "POST"].includes(method),
  ];
  assert.deepEqual(result, [
    got("GET", true),
    got("GET", false),
    got("GET", false),
    got("PUT", true),
    got("GET", false),
    ["HEAD http://a/next"].map(() => [
      true,
      "http://a/next",
      "HEAD http://a/next",
      true,
      true,
      true,
      false,
    ])[0],
    got("PUT", true),
    got("POST", true),
  ]);
});

test("another origin does not learn authorization and cookies", async () => {
  const result = await evaluate(
    `const ask = async (to) => {
      const response = await env.ORIGIN.fetch("http://a/302/x?to=" + encodeURIComponent(to),
        { headers: { authorization: "s", cookie: "c=1", "proxy-authorization": "p", "x-kept": "1" } });
      return [response.url, (await response.text()).split("\\r\\n").slice(0, -1).map((line) => line.split("\\n").pop())];
    };
    return [await ask("http://a/same"), await ask("http://a:81/port"), await ask("https://a/scheme"), await ask("//b/host")];`,
    redirecting(),
  );
  const kept = ["authorization: s", "cookie: c=1", "proxy-authorization: p", "x-kept: 1"];
  assert.deepEqual(result, [
    ["http://a/same", kept],
    ["http://a:81/port", ["x-kept: 1"]],
    ["https://a/scheme", ["x-kept: 1"]],
    ["http://b/host", ["x-kept: 1"]],
  ]);
});

test("redirect modes: error rejects, manual hands the redirect on, and loops and bad targets end in a TypeError", async () => {
  const result = await evaluate(
    `const ask = (path, init) => get(env.ORIGIN.fetch("http://a" + path, init).then((r) => [r.status, r.url, r.headers.get("location")]));
    const stream = new ReadableStream({ start(c) { c.enqueue(new Uint8Array(1)); c.close(); } });
    return [await ask("/301/x", { redirect: "error" }), await ask("/301/x", { redirect: "manual" }),
      await ask("/302/x?to=" + encodeURIComponent("/302/x?to=/302/x")), await ask("/302/x?to=ftp%3A%2F%2Fx%2F"),
      await ask("/302/x?to=http%3A%2F%2Fu%3Ap%40x%2F"), await ask("/307/x", { method: "POST", body: stream, duplex: "half" }),
      await ask("/304/x")];`,
    redirecting(),
  );
  assert.deepEqual(result, [
    ["TypeError", `cannot follow the redirect to "/x": the request's redirect mode is "error"`],
    [301, "http://a/301/x", "/x"],
    [200, "http://a/x", null],
    ["TypeError", 'cannot follow the redirect to "ftp://x/": not an http or https URL'],
    ["TypeError", 'cannot follow the redirect to "http://u:p@x/": the URL has credentials'],
    ["TypeError", `cannot follow the redirect to "/x": the request's body is a stream, already sent`],
    [304, "http://a/304/x", "/x"],
  ]);
});

test("more than 20 redirects are too many", async () => {
  const fake = new FakeService("ORIGIN", (exchange) => {
    exchange.respond(new ResponseHead(302, HeaderBlock.from([["location", "/again"]])), null);
  });
  const result = await evaluate(`return get(env.ORIGIN.fetch("http://a/"));`, fake);
  assert.deepEqual(result, ["TypeError", "cannot follow more than 20 redirects"]);
  assert.equal(fake.exchanges.length, 21);
});

test("a signal that has aborted before stops the fetch with its reason, and nothing is sent", async () => {
  const fake = echo();
  const result = await evaluate(
    `return [await get(env.ORIGIN.fetch("http://a/", { signal: AbortSignal.abort("why") })),
      await get(env.ORIGIN.fetch(new Request("http://a/", { signal: AbortSignal.abort() })))];`,
    fake,
  );
  assert.deepEqual(result, [
    ["string", "why"],
    ["AbortError", "This operation was aborted"],
  ]);
  assert.equal(fake.exchanges.length, 0);
});

test("a signal that aborts while the answer is awaited rejects the fetch and stops it at the origin", async () => {
  const stopped = Promise.withResolvers<void>();
  const fake = new FakeService("ORIGIN", (exchange) => {
    exchange.handler = { onAbort: () => stopped.resolve() };
  });
  const result = await evaluate(
    `const controller = new AbortController();
    setTimeout(() => controller.abort(new RangeError("enough")), 5);
    return [await get(env.ORIGIN.fetch("http://a/", { signal: controller.signal })),
      await get(env.ORIGIN.fetch("http://a/", { signal: AbortSignal.timeout(5) }).catch((e) => { throw new Error(e.name); }))];`,
    fake,
  );
  assert.deepEqual(result, [
    ["RangeError", "enough"],
    ["Error", "TimeoutError"],
  ]);
  await stopped.promise;
});

for (const [how, code] of [
  ["read whole", "response.text()"],
  ["read as bytes", "response.bytes()"],
  ["read as a stream", "(async () => { for await (const _ of response.body); })()"],
] as const) {
  test(`a signal that aborts while the body is ${how} breaks that off with its reason`, async () => {
    const body = new SlowBody();
    const fake = new FakeService("ORIGIN", (exchange) => exchange.respond(new ResponseHead(200), body));
    const result = await evaluate(
      `const controller = new AbortController();
      const response = await env.ORIGIN.fetch("http://a/", { signal: controller.signal });
      setTimeout(() => controller.abort(new RangeError("enough")), 5);
      return get(${code});`,
      fake,
    );
    assert.deepEqual(result, ["RangeError", "enough"]);
    await body.cancelled;
  });
}

test("a body that nobody reads yet is stopped by the signal too, and both halves of a clone are", async () => {
  const bodies: SlowBody[] = [];
  const fake = new FakeService("ORIGIN", (exchange) => {
    const body = new SlowBody();
    bodies.push(body);
    exchange.respond(new ResponseHead(200), body);
  });
  const result = await evaluate(
    `const controller = new AbortController();
    const ask = () => env.ORIGIN.fetch("http://a/", { signal: controller.signal });
    const unread = await ask(), split = await ask(), opened = await ask();
    const copy = split.clone();
    const { body } = opened;
    controller.abort();
    const all = [unread.text(), split.text(), copy.bytes(), body.getReader().read()];
    const names = [];
    for (const promise of all.map(async (p) => (await get(p))[0])) names.push(await promise);
    return names;`,
    fake,
  );
  assert.deepEqual(result, ["AbortError", "AbortError", "AbortError", "AbortError"]);
  await Promise.all(bodies.map((body) => body.cancelled));
});

test("a signal that aborts after the body has come changes nothing", async () => {
  const result = await evaluate(
    `const controller = new AbortController();
    const response = await env.ORIGIN.fetch("http://a/x", { signal: controller.signal });
    const text = await response.text();
    controller.abort();
    return text.split("\\n")[0];`,
  );
  assert.equal(result, "GET http://a/x");
});

test("request.signal aborts when the client leaves, also when the Worker asks for it only then", async () => {
  const left = Promise.withResolvers<Exchange>();
  const told = Promise.withResolvers<string>();
  const fake = new FakeService("ORIGIN", (exchange) => {
    if (exchange.request.target === "/told") {
      told.resolve(exchange.request.headers.get("x-what") ?? "");
      exchange.respond(new ResponseHead(204), null);
    } else left.resolve(exchange);
  });
  const running = await start(
    `export default { async fetch(request, env, ctx) {
      ctx.waitUntil((async () => {
        await new Promise((resolve) => request.signal.addEventListener("abort", resolve));
        const late = new Request(request).signal;
        await env.ORIGIN.fetch("http://a/told", { headers: { "x-what": [request.signal.reason.name, late.aborted].join() } });
      })());
      await env.ORIGIN.fetch("http://a/wait");
    } };`,
    fake,
  );
  const exchange = new CollectedExchange({});
  running.worker().handle(exchange);
  await left.promise;
  exchange.abort(new ProxyError("client_disconnected", "cannot go on: the client left"));
  assert.equal(await told.promise, "AbortError,true");
});

test("data URLs are fetched without asking anybody", async () => {
  const fake = echo();
  const result = await evaluate(
    `const ask = (url, init) => get(env.ORIGIN.fetch(url, init).then(async (r) =>
      [r.status, r.statusText, r.headers.get("content-type"), r.url, [...await r.bytes()].map((b) => String.fromCharCode(b)).join("")]));
    return [await ask("data:,Hello%2C%20World%21"), await ask("data:text/html;charset=utf-8,%3Cp%3E#frag"),
      await ask("data:text/plain;base64,SGVsbG8="), await ask("data:;base64,SGk"), await ask("data:bogus,x"),
      await ask("data:text/plain; BASE64 ,%53Gk="), await ask("data:;charset=x,a%zzb"), await ask("data:,x", { method: "HEAD" }),
      await ask("data:text/plain;base64,S"), await ask("data:text/plain"), await ask("ftp://a/")];`,
    fake,
  );
  const ok = (type: string, url: string, text: string): unknown[] => [200, "OK", type, url, text];
  assert.deepEqual(result, [
    ok("text/plain;charset=US-ASCII", "data:,Hello%2C%20World%21", "Hello, World!"),
    ok("text/html;charset=utf-8", "data:text/html;charset=utf-8,%3Cp%3E", "<p>"),
    ok("text/plain", "data:text/plain;base64,SGVsbG8=", "Hello"),
    ok("text/plain;charset=US-ASCII", "data:;base64,SGk", "Hi"),
    ok("text/plain;charset=US-ASCII", "data:bogus,x", "x"),
    ok("text/plain", "data:text/plain; BASE64 ,%53Gk=", "Hi"),
    ok("text/plain;charset=x", "data:;charset=x,a%zzb", "a%zzb"),
    ok("text/plain;charset=US-ASCII", "data:,x", ""),
    ["TypeError", 'cannot fetch "data:text/plain;base64,S": it is not a valid data URL'],
    ["TypeError", 'cannot fetch "data:text/plain": it is not a valid data URL'],
    ["TypeError", 'cannot fetch "ftp://a/": the scheme is not http, https or data'],
  ]);
  assert.equal(fake.exchanges.length, 0);
});

test("cache modes tell caches on the way, and those that need a cache of the client's are refused", async () => {
  const result = await evaluate(
    `const ask = (init) => get(env.ORIGIN.fetch("http://a/", init).then(async (r) => (await r.text()).split("\\n").slice(1).join("")));
    return [await ask({ cache: "no-store" }), await ask({ cache: "reload", headers: { "cache-control": "own" } }),
      await ask({ cache: "no-cache" }), await ask({ cache: "default" }), await ask({ cache: "force-cache" }), await ask({ cache: "x" }),
      new Request("http://a/", { cache: "no-store" }).cache, new Request(new Request("http://a/", { cache: "no-store" })).clone().cache,
      new Request("http://a/").cache];`,
  );
  assert.deepEqual(result, [
    "Pragma: no-cache\rCache-Control: no-cache\r",
    "cache-control: own\rPragma: no-cache\r",
    "Cache-Control: max-age=0\r",
    "",
    ["TypeError", 'cannot make a Request: cache mode "force-cache" is not supported'],
    ["TypeError", 'cannot make a Request: "x" is not a cache mode'],
    "no-store",
    "no-store",
    "default",
  ]);
});

test("the body of a response is a byte stream that fills the reader's own buffers", async () => {
  const result = await evaluate(
    `const response = await env.ORIGIN.fetch("http://a/", { method: "POST", body: "0123456789" });
    const reader = response.body.getReader({ mode: "byob" });
    const text = (view) => String.fromCharCode(...view);
    const first = await reader.read(new Uint8Array(4));
    const second = await reader.read(new Uint8Array(100));
    const end = await reader.read(new Uint8Array(3));
    return [text(first.value), text(second.value), end.done, end.value.length];`,
  );
  assert.deepEqual(result, ["0123", "456789", true, 0]);
});

test("a URL with credentials, another scheme's upgrade and a used body are refused before anything is sent", async () => {
  const fake = echo();
  const result = await evaluate(
    `const used = new Request("http://a/", { method: "POST", body: "x" });
    await used.text();
    return [await get(env.ORIGIN.fetch("http://u:p@a/")), await get(env.ORIGIN.fetch(used)), await get(env.ORIGIN.fetch())];`,
    fake,
  );
  assert.deepEqual(result, [
    ["TypeError", "cannot make a Request: the URL has credentials"],
    ["TypeError", "cannot make a Request: the input's body was used already, or is locked"],
    ["TypeError", 'cannot make a Request: "undefined" is not a valid URL'],
  ]);
  assert.equal(fake.exchanges.length, 0);
});

test("a Worker that patches prototypes does not hear of what fetch does inside", async () => {
  const result = await evaluate(
    `const seen = [];
    const spy = (holder, name) => {
      const own = Object.getOwnPropertyDescriptor(holder, name);
      Object.defineProperty(holder, name, { ...own, ...(own.get ? { get() { seen.push(name); return own.get.call(this); } }
        : { value(...args) { seen.push(name); return own.value.apply(this, args); } }) });
    };
    spy(Headers.prototype, "get"); spy(Headers.prototype, "delete"); spy(Response.prototype, "status");
    spy(Response.prototype, "headers"); spy(Response.prototype, "body"); spy(EventTarget.prototype, "addEventListener");
    spy(Request.prototype, "signal"); spy(Request.prototype, "redirect"); spy(URL, "parse");
    const response = await env.ORIGIN.fetch("http://a/302/x", { method: "POST", body: "x", signal: new AbortController().signal });
    await response.text();
    return seen;`,
    redirecting(),
  );
  assert.deepEqual(result, []);
});
