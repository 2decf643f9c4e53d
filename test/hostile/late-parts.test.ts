import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { BytesBody } from "../../src/http/body.ts";
import { HeaderBlock } from "../../src/http/header-block.ts";
import { ResponseHead } from "../../src/http/message.ts";
import { collect } from "../integration/network-harness.ts";
import { FakeService, to, WorkerBench } from "../integration/worker-harness.ts";

let bench: WorkerBench | null = null;
afterEach(() => {
  bench?.stop();
  bench = null;
});

/** Each uses a part of the runtime that comes into the isolate only then. */
const uses: Readonly<Record<string, string>> = {
  crypto: `const key = await crypto.subtle.generateKey({ name: "HMAC", hash: "SHA-256" }, true, ["sign"]);
    await crypto.subtle.sign("HMAC", key, bytes);
    await crypto.subtle.exportKey("jwk", key);`,
  rpc: `const made = await env.SELF.make(3);
    if ((await made.add(4)) !== 7) throw "wrong";
    if ((await made.call(() => 5)) !== 5) throw "wrong";`,
  compression: `await new Response(blob.stream().pipeThrough(new CompressionStream("gzip")).pipeThrough(new DecompressionStream("gzip"))).text();`,
  cache: `await caches.default.put("http://a/", new Response("x", { headers: { "cache-control": "max-age=60" } }));
    await (await caches.default.match("http://a/")).text();`,
  "url-pattern": `if (!new URLPattern({ pathname: "/a/:b(\\\\d+)" }).test("http://x/a/1")) throw "wrong";`,
  encodings: `for (let i = 0; i < labels.length; i++) new TextDecoder(labels[i]).decode(bytes);`,
  html: `await new HTMLRewriter().on("a", { element(e) { e.setAttribute("x", "y"); }, text() {} }).transform(new Response("<a href=x>hi</a><!-- c -->")).text();`,
  messaging: `const { port1, port2 } = new MessageChannel();
    const got = new Promise((done) => { port2.onmessage = (event) => done(event.data); });
    port1.postMessage({ a: 1 });
    await got;
    port1.close();`,
  "event source": `const events = EventSource.from(new Response("data: a\\n\\n").body);
    await new Promise((done) => { events.onmessage = done; });
    events.close();`,
  marks: `performance.mark("a"); performance.measure("b", "a"); performance.getEntries();`,
  "data URL": `if ((await (await fetch("data:text/plain,abc")).text()) !== "abc") throw "wrong";`,
  upload: `const sent = await env.ORIGIN.fetch("http://o/", { method: "POST", body: new ReadableStream({ start(c) { c.enqueue(large); c.close(); } }) });
    await sent.arrayBuffer();`,
};

const patched = (holders: string, which: string): string =>
  `for (const holder of ${holders}) for (const key of Reflect.ownKeys(holder))
     if (key !== "constructor" && key !== "prototype" && typeof Reflect.getOwnPropertyDescriptor(holder, key).value === "function" && ${which})
       Reflect.defineProperty(holder, key, { value: () => { throw new Error("patched " + String(key)); } });`;

const patches: Readonly<Record<string, string>> = {
  "Promise.prototype.then": `Promise.prototype.then = () => { throw new Error("then"); };`,
  "Function.prototype": `Function.prototype.call = Function.prototype.apply = Function.prototype.bind = () => { throw new Error("call"); };`,
  strings: patched("[String.prototype]", 'typeof key === "string"'),
  arrays: patched("[Array.prototype, Array]", 'typeof key === "string"'),
  "regular expressions": patched("[RegExp.prototype]", "true"),
  collections: patched(
    "[Map.prototype, Set.prototype, WeakMap.prototype, WeakRef.prototype]",
    'typeof key === "string"',
  ),
  "descriptors' names": `for (const key of ["get", "set", "enumerable", "writable", "configurable"])
    Object.defineProperty(Object.prototype, key, { __proto__: null, configurable: true, get() {}, set(value) { Reflect.defineProperty(this, key, { __proto__: null, value, writable: true, configurable: true, enumerable: true }); } });`,
  globals: `for (const name of ["Array", "ArrayBuffer", "Blob", "DataView", "Date", "Error", "Event", "EventTarget", "Function", "Headers", "JSON", "Map", "Math", "Number", "Object", "Promise", "Proxy", "ReadableStream", "Reflect", "RegExp", "Request", "Set", "String", "Symbol", "TransformStream", "TypeError", "URL", "Uint8Array", "WeakMap", "WeakRef"])
    globalThis[name] = class Fake { constructor() { throw new Error("fake " + name); } };`,
};

for (const [what, patch] of Object.entries(patches)) {
  test(`parts of the runtime that come after a Worker has patched ${what} work all the same`, async () => {
    const origin = new FakeService("ORIGIN", (exchange) => {
      const head = new ResponseHead(200, HeaderBlock.from([]));
      exchange.respond(head, exchange.takeBody() ?? BytesBody.text("none"));
    });
    const cases = Object.entries(uses).map(
      ([name, use]) => `[${JSON.stringify(name)}, async (env) => { ${use} }],`,
    );
    const code = `
      import { RpcTarget, WorkerEntrypoint } from "cloudflare:workers";
      class Made extends RpcTarget { #n; constructor(n) { super(); this.#n = n; } add(x) { return x + this.#n; } async call(f) { return await f(); } }
      export class Self extends WorkerEntrypoint { make(n) { return new Made(n); } }
      const { Promise, ReadableStream, Response } = globalThis;
      const bytes = new Uint8Array([65, 0x82, 0xa0, 200, 180]), large = new Uint8Array(500_000), blob = new Blob(["x"]);
      const labels = ["shift_jis", "gbk", "big5", "euc-kr", "windows-1252", "iso-2022-jp", "gb18030", "euc-jp"];
      const cases = [${cases.join("\n")}];
      export default { async fetch(request, env) {
        ${patch}
        let failed = "";
        for (let i = 0; i < cases.length; i++) {
          const name = cases[i][0];
          try { await cases[i][1](env); } catch (error) { failed += name + ": " + error + " "; }
        }
        return new Response(failed);
      } };`;
    const bindings = { ORIGIN: { service: to("ORIGIN") }, SELF: { service: to("main", "Self") } };
    bench = await WorkerBench.start({ main: { code, bindings, limits: { cpuMs: 5000 } } }, [origin]);
    const answer = await collect(bench.worker(), {});
    assert.equal(answer.error?.message, undefined);
    assert.equal(answer.text, "");
  });
}
