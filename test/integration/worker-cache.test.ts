import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import * as zlib from "node:zlib";
import { BytesBody } from "../../src/http/body.ts";
import { HeaderBlock } from "../../src/http/header-block.ts";
import { ResponseHead } from "../../src/http/message.ts";
import type { CachedResponse } from "../../src/storage/cache-store.ts";
import { MemoryCache } from "../../src/storage/memory-cache.ts";
import { collect } from "./network-harness.ts";
import { FakeService, to, WorkerBench } from "./worker-harness.ts";

let bench: WorkerBench | null = null;
afterEach(() => {
  bench?.stop();
  bench = null;
});

const prelude = `
  const key = "http://a/key?x=1";
  async function get(promise) {
    try { return await promise; } catch (error) { return [error.name, error.message]; }
  }
  async function show(promise) {
    const response = await promise;
    return response === undefined ? null : [response.status, await response.text()];
  }
  const made = (body, headers = {}, status = 200) => new Response(body, { status, headers });
  const kept = async (headers, status = 200) => {
    await caches.default.put("http://a/kept", made(status === 204 ? null : "x", headers, status));
    return (await caches.default.match("http://a/kept")) !== undefined && await caches.default.delete("http://a/kept");
  };`;

async function evaluate(body: string, fakes: readonly FakeService[] = []): Promise<unknown> {
  const bindings = Object.fromEntries(fakes.map((fake) => [fake.name, { service: to(fake.name) }]));
  const code = `${prelude}
    export default { async fetch(request, env) { return Response.json(await (async () => { ${body} })() ?? null); } };`;
  bench = await WorkerBench.start({ main: { code, bindings } }, fakes);
  const answer = await collect(bench.worker(), {});
  assert.equal(answer.error, null);
  return JSON.parse(answer.text);
}

test("what is put into a cache is matched until it is deleted", async () => {
  const result = await evaluate(
    `const cache = caches.default;
    const before = await cache.match(key);
    const put = await cache.put(key, new Response("stored", { status: 203, statusText: "Fine", headers: { "cache-control": "max-age=10", "x-own": "1" } }));
    const found = await cache.match(new Request(key + "#part"));
    const head = [found.status, found.statusText, found.headers.get("x-own"), found.headers.get("cf-cache-status"), found.headers.get("age"), found.url];
    return [before ?? null, put ?? null, head, await found.text(), await show(cache.match("http://a/key")), await show(cache.match(key)),
      await cache.delete(key), await cache.delete(key), await show(cache.match(key))];`,
  );
  assert.deepEqual(result, [
    null,
    null,
    [203, "Fine", "1", "HIT", "0", "http://a/key?x=1"],
    "stored",
    null,
    [203, "stored"],
    true,
    false,
    null,
  ]);
});

test("caches of other names, and of other Workers, hold other things", async () => {
  const worker = (text: string): string => `${prelude}
    export default { async fetch(request, env) {
      const mine = [await show(caches.default.match(key)), await show((await caches.open("n")).match(key)), await show((await caches.open("N %")).match(key))];
      await caches.default.put(key, made("${text} default"));
      await (await caches.open("n")).put(key, made("${text} n"));
      await (await caches.open("N %")).put(key, made("${text} N"));
      const now = [await show(caches.default.match(key)), await show((await caches.open("n")).match(key)), await show((await caches.open("N %")).match(key))];
      return Response.json([mine, now, env.OTHER ? await (await env.OTHER.fetch(request)).json() : null]);
    } };`;
  bench = await WorkerBench.start({
    main: { code: worker("first"), bindings: { OTHER: { service: to("other") } } },
    other: { code: worker("second") },
  });
  const answer = await collect(bench.worker(), {});
  const now = (text: string): unknown[] => [
    [200, `${text} default`],
    [200, `${text} n`],
    [200, `${text} N`],
  ];
  const nothing = [null, null, null];
  assert.deepEqual(JSON.parse(answer.text), [nothing, now("first"), [nothing, now("second"), null]]);
});

test("methods other than GET find nothing unless they are ignored, and nothing is put under them", async () => {
  const result = await evaluate(
    `const cache = caches.default;
    await cache.put(key, made("x"));
    const post = new Request(key, { method: "POST", body: "b" });
    return [await show(cache.match(post)), await show(cache.match(post, { ignoreMethod: true })), await cache.delete(post),
      await get(cache.put(post, made("y"))), await cache.delete(post, { ignoreMethod: true }), post.bodyUsed];`,
  );
  assert.deepEqual(result, [
    null,
    [200, "x"],
    false,
    ["TypeError", "cannot put into the cache: the method is POST, not GET"],
    true,
    false,
  ]);
});

test("what cannot be cached at all is refused with a TypeError", async () => {
  const result = await evaluate(
    `const cache = caches.default;
    const used = made("x");
    await used.text();
    return [await get(cache.put(key, made("x", {}, 206))), await get(cache.put(key, made("x", { vary: "accept , *" }))),
      await get(cache.put(key, "text")), await get(cache.put(key, used)), await get(cache.put("ftp://a/", made("x"))),
      await get(cache.put(key)), await get(cache.match("relative")), await get(caches.open()), (await get((async () => new Cache())()))[0]];`,
  );
  assert.deepEqual(result, [
    ["TypeError", "cannot put into the cache: the response has status 206"],
    ["TypeError", 'cannot put into the cache: the response has "Vary: *"'],
    ["TypeError", "cannot put into the cache: response is not a Response"],
    ["TypeError", "cannot send the body: it was used already, or is locked to a reader"],
    ["TypeError", 'cannot put into the cache: "ftp://a/" is not an http or https URL'],
    ["TypeError", "cannot call Cache.put: 2 arguments required, 1 given"],
    ["TypeError", 'cannot make a Request: "relative" is not a valid URL'],
    ["TypeError", "cannot call CacheStorage.open: 1 argument required, 0 given"],
    "TypeError",
  ]);
});

test("Cache-Control, Expires and Set-Cookie decide what is kept", async () => {
  const result = await evaluate(
    `const soon = new Date(Date.now() + 60000).toUTCString(), past = new Date(Date.now() - 60000).toUTCString();
    return [
      [await kept({}), await kept({ "cache-control": "max-age=5" }), await kept({ "cache-control": "PUBLIC, S-MaxAge=\\"5\\", max-age=0" }),
        await kept({ expires: soon }), await kept({}, 404), await kept({ "cache-control": "max-age=5" }, 500), await kept({ vary: "accept" }),
        await kept({ "cache-control": "private=Set-Cookie", "set-cookie": "a=1" }), await kept({ "cache-control": "max-age=60" }, 204)],
      [await kept({ "cache-control": "no-store" }), await kept({ "cache-control": "private" }), await kept({ "cache-control": "no-cache" }),
        await kept({ "cache-control": "max-age=0" }), await kept({ "cache-control": "max-age=5, s-maxage=0" }), await kept({ expires: past }),
        await kept({ expires: "0" }), await kept({}, 500), await kept({ "set-cookie": "a=1" }), await kept({ "cache-control": "max-age=9", age: "9" })]];`,
  );
  assert.deepEqual(result, [new Array(9).fill(true), new Array(10).fill(false)]);
});

test("private=Set-Cookie is kept without the cookie", async () => {
  const result = await evaluate(
    `await caches.default.put(key, made("x", { "cache-control": "private=Set-Cookie, max-age=9", "set-cookie": "a=1" }));
    const found = await caches.default.match(key);
    return [found.status, found.headers.getSetCookie()];`,
  );
  assert.deepEqual(result, [200, []]);
});

test("Range, If-None-Match and If-Modified-Since of the request are heeded", async () => {
  const result = await evaluate(
    `const cache = caches.default;
    const date = "Sun, 01 Nov 2026 00:00:00 GMT", later = "Mon, 02 Nov 2026 00:00:00 GMT", earlier = "Sat, 31 Oct 2026 00:00:00 GMT";
    await cache.put(key, made("0123456789", { etag: '"v1"', "last-modified": date }));
    const ask = async (headers) => {
      const response = await cache.match(new Request(key, { headers }));
      return [response.status, response.headers.get("content-range"), await response.text()];
    };
    return [await ask({ range: "bytes=2-4" }), await ask({ range: "bytes=7-" }), await ask({ range: "bytes=-3" }), await ask({ range: "bytes=5-100" }),
      await ask({ range: "bytes=10-" }), await ask({ range: "bytes=4-2" }), await ask({ range: "bytes=0-1,3-4" }), await ask({ range: "bytes=0-1", "if-range": '"v0"' }),
      await ask({ range: "bytes=0-1", "if-range": '"v1"' }), await ask({ "if-none-match": 'W/"v1"' }), await ask({ "if-none-match": '"v0", "v1"' }),
      await ask({ "if-none-match": '"v0"', "if-modified-since": later }), await ask({ "if-modified-since": later }), await ask({ "if-modified-since": date }),
      await ask({ "if-modified-since": earlier }), await ask({ "if-none-match": "*" })];`,
  );
  const whole = [200, null, "0123456789"];
  const unchanged = [304, null, ""];
  assert.deepEqual(result, [
    [206, "bytes 2-4/10", "234"],
    [206, "bytes 7-9/10", "789"],
    [206, "bytes 7-9/10", "789"],
    [206, "bytes 5-9/10", "56789"],
    [416, "bytes */10", ""],
    whole,
    whole,
    whole,
    [206, "bytes 0-1/10", "01"],
    unchanged,
    unchanged,
    whole,
    unchanged,
    unchanged,
    whole,
    unchanged,
  ]);
});

test("a fetched response is stored while it goes to the client, and matched in the coding it came in", async () => {
  const bytes = zlib.gzipSync("from the origin");
  const origin = new FakeService("ORIGIN", (exchange) => {
    const headers = HeaderBlock.from([["content-encoding", "gzip"]]);
    exchange.respond(new ResponseHead(200, headers), new BytesBody(bytes));
  });
  const result = await evaluate(
    `const response = await env.ORIGIN.fetch(key);
    const copy = response.clone();
    const stored = caches.default.put(key, copy);
    const text = await response.text();
    await stored;
    const found = await caches.default.match(key);
    await caches.default.put("http://a/own", made("own", { "content-encoding": "br" }));
    return [text, await found.clone().text(), found.headers.get("content-encoding"), await show(caches.default.match("http://a/own"))];`,
    [origin],
  );
  assert.deepEqual(result, ["from the origin", "from the origin", "gzip", [200, "own"]]);
});

test("a body that is larger than the cache takes is not stored, and put resolves", async () => {
  const result = await evaluate(
    `let left = 20;
    const body = new ReadableStream({ pull(controller) {
      if (left-- === 0) controller.close(); else controller.enqueue(new Uint8Array(1 << 20));
    } });
    await caches.default.put(key, made(body));
    return [await show(caches.default.match(key))];`,
  );
  assert.deepEqual(result, [null]);
});

test("in the global scope there is no cache to ask", async () => {
  bench = await WorkerBench.start({
    main: {
      code: `let failure = null;
        const asked = caches.default.match("http://a/").catch((error) => { failure = error.message; });
        export default { async fetch() { await asked; return new Response(failure); } };`,
    },
  });
  const answer = await collect(bench.worker(), {});
  assert.match(answer.text, /cannot use a cache in the global scope/);
});

test("the memory of a cache holds so many bytes and entries, and lets the least used go", async () => {
  let now = 0;
  const cache = new MemoryCache({ bytes: 10_000, entries: 3 }, () => now);
  const response = (size: number, expiresAt = 100): CachedResponse => ({
    status: 200,
    reason: "",
    headers: "",
    body: new Uint8Array(size),
    storedAt: 0,
    expiresAt,
    age: 0,
  });
  for (const key of ["a", "b", "c"]) assert.equal(await cache.put(key, response(10)), true);
  assert.ok(await cache.match("a"));
  await cache.put("d", response(10, 50));
  assert.deepEqual(
    await Promise.all(["a", "b", "c", "d"].map(async (key) => (await cache.match(key)) !== null)),
    [true, false, true, true],
  );
  assert.equal(await cache.put("large", response(2501)), false);
  now = 60;
  assert.equal(await cache.match("d"), null);
  assert.equal(cache.size, 2);
  for (const key of ["e", "f", "g", "h", "i"]) await cache.put(key, response(2400));
  assert.ok(cache.bytes <= 10_000);
  for (const key of ["a", "c", "e", "f", "g", "h", "i"]) await cache.delete(key);
  assert.deepEqual([cache.size, cache.bytes], [0, 0]);
});
