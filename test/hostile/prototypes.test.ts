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

function origin(): FakeService {
  return new FakeService("ORIGIN", (exchange) => {
    const { request } = exchange;
    const head = new ResponseHead(200, HeaderBlock.from([["x-origin", "yes"]]));
    exchange.respond(head, exchange.takeBody() ?? BytesBody.text(`${request.method} ${request.url}`));
  });
}

async function start(code: string): Promise<WorkerBench> {
  const fake = origin();
  const bindings = { ORIGIN: { service: to("ORIGIN") } };
  bench = await WorkerBench.start({ main: { code, bindings } }, [fake]);
  return bench;
}

/** Everything that a Worker does on a usual way: it reads a body, fetches, clones, streams, digests and waits. */
const everything = `
  const text = await request.clone().text();
  const bytes = new Uint8Array(await request.arrayBuffer());
  const fetched = await env.ORIGIN.fetch("http://origin/a?b", { method: "POST", body: bytes, headers: { "x-a": "b" } });
  const reader = fetched.body.getReader();
  let size = 0;
  for (;;) { const { done, value } = await reader.read(); if (done) break; size += value.byteLength; }
  const digest = await crypto.subtle.digest("SHA-256", bytes);
  crypto.getRandomValues(new Uint8Array(16));
  await new Promise((done) => setTimeout(done, 1));
  ctx.waitUntil(null);
  console.log(new URL("/x", request.url).href);
  return new Response(new ReadableStream({ start(c) { c.enqueue(new Uint8Array([111, 107])); c.close(); } }), { headers: { "x-size": "" + size } });
`;

/** Each notes in \`seen\` every value that a patched function, getter or setter gets to see. */
const spies: Readonly<Record<string, string>> = {
  "typed arrays": `spyOn(Object.getPrototypeOf(Uint8Array.prototype)); spyOn(Uint8Array.prototype);
    for (const name of ["Uint8Array", "Int32Array", "DataView", "ArrayBuffer"]) spyConstructor(name);`,
  species: `for (const C of [Uint8Array, Int32Array, ArrayBuffer, Promise, Array]) {
      Object.defineProperty(C, Symbol.species, { get() { note(this); return C; } });
    }
    for (const C of [Uint8Array, Int32Array]) {
      const own = C; Object.defineProperty(C.prototype, "constructor", { get() { note(this); return own; } });
    }`,
  functions: "spyOn(Function.prototype);",
  objects: `for (const C of [Object, Reflect, JSON, Math, Number, String, Array, Symbol, Promise, ArrayBuffer]) spyOn(C);
    for (const key of ["1", "then", "value", "get", "set", "body", "kind", "id", "signal", "text", "bytes", "drain"]) {
      Object.defineProperty(Object.prototype, key, { __proto__: null, configurable: true, get() { note(this); }, set(value) { note(this); note(value); define(this, key, { __proto__: null, value, writable: true, configurable: true, enumerable: true }); } });
    }`,
  collections:
    "for (const C of [Array, String, Map, Set, WeakMap, Promise, RegExp, Date, Symbol, Error]) spyOn(C.prototype);",
  platform: `for (const C of [Request, Response, Headers, URL, ReadableStream, ReadableStreamDefaultReader, EventTarget, AbortSignal, TextEncoder]) spyOn(C.prototype);
    for (const name of ["Promise", "Map", "WeakMap", "Error", "TypeError", "Proxy", "Response", "Request", "URL"]) spyConstructor(name);`,
};

const spying = `
  const seen = new Set();
  const add = Set.prototype.add, apply = Reflect.apply, names = Reflect.ownKeys, describe = Object.getOwnPropertyDescriptor;
  const define = Object.defineProperty, construct = Reflect.construct;
  let quiet = false;
  function note(value) {
    if ((typeof value === "object" && value !== null) || typeof value === "function") apply(add, seen, [value]);
  }
  function watched(f) {
    return function (...args) {
      if (!quiet) { quiet = true; note(this); for (let i = 0; i < args.length; i++) { note(args[i]); if (i > 0 && args[i] && typeof args[i] === "object") for (let j = 0; j < args[i].length; j++) note(args[i][j]); } quiet = false; }
      const result = new.target ? construct(f, args, new.target) : apply(f, this, args);
      if (!quiet) note(result);
      return result;
    };
  }
  function spyOn(holder) {
    for (const key of names(holder)) {
      const descriptor = describe(holder, key);
      if (!descriptor.configurable || key === "constructor" || key === "prototype" || key === Symbol.hasInstance) continue;
      for (const part of ["value", "get", "set"]) {
        if (typeof descriptor[part] === "function") descriptor[part] = watched(descriptor[part]);
      }
      define(holder, key, descriptor);
    }
  }
  function spyConstructor(name) {
    const real = globalThis[name];
    const spy = watched(real);
    Object.setPrototypeOf(spy, real);
    define(spy, "prototype", { value: real.prototype });
    globalThis[name] = spy;
  }
  // What nothing of a Worker may ever hold: memory that is shared with the host, or something made by the host.
  const byteLength = describe(ArrayBuffer.prototype, "byteLength").get;
  const bufferOf = describe(Object.getPrototypeOf(Uint8Array.prototype), "buffer").get;
  const isView = ArrayBuffer.isView, tag = Object.prototype.toString;
  function isShared(value) {
    if (isView(value)) { try { value = apply(bufferOf, value, []); } catch { return false; } }
    return apply(tag, value, []) === "[object SharedArrayBuffer]";
  }
  function findings() {
    const found = [];
    quiet = true;
    for (const value of seen) {
      try {
        if (isShared(value)) found.push("shared memory");
        const name = value.constructor && value.constructor.name;
        if (["Reference", "Callback", "Isolate", "Context", "ExternalCopy", "Channel", "Dispatcher", "Outbound", "Invocation"].includes(name)) found.push(name);
        if (typeof value === "function" && /^(drain|parseUrl|setUrlPart|random)$/.test(value.name) && Function.prototype.toString.call(value).includes("native code")) found.push(value.name);
      } catch {}
    }
    return found;
  }`;

for (const [what, spy] of Object.entries(spies)) {
  test(`a Worker that patches ${what} sees nothing of the bridge's memory, nor of the host`, async () => {
    const running = await start(`
      ${spying}
      export default { async fetch(request, env, ctx) {
        if (request.url.endsWith("/spy")) { ${spy} return new Response("spying"); }
        if (request.url.endsWith("/found")) return new Response(findings().join() + " of " + (seen.size > 0 ? "many" : "none"));
        ${everything}
      } };`);
    assert.equal((await collect(running.worker(), { target: "/spy" })).text, "spying");
    const ask = { method: "POST", body: "x".repeat(400_000), target: "/run" };
    for (let i = 0; i < 3; i++) await collect(running.worker(), ask);
    assert.match((await collect(running.worker(), { target: "/found" })).text, /^ of (many|none)$/);
  });
}

const breaking: Readonly<Record<string, string>> = {
  "Promise.prototype.then": "Promise.prototype.then = () => { throw 1; };",
  "Promise.prototype.constructor":
    'Object.defineProperty(Promise.prototype, "constructor", { get() { throw 1; } });',
  "Function.prototype":
    "Function.prototype.call = Function.prototype.apply = Function.prototype.bind = () => { throw 1; };",
  "every method of Array": `for (const key of Reflect.ownKeys(Array.prototype)) {
    if (typeof Array.prototype[key] === "function") Array.prototype[key] = () => { throw 1; }; }`,
  "every method of String": `for (const key of Reflect.ownKeys(String.prototype)) {
    if (typeof String.prototype[key] === "function") String.prototype[key] = () => { throw 1; }; }`,
  "every method of Map and Set": `for (const C of [Map, Set, WeakMap]) for (const key of Reflect.ownKeys(C.prototype)) {
    if (key !== "size" && typeof C.prototype[key] === "function") C.prototype[key] = () => { throw 1; }; }`,
  "the global names":
    "String = Number = Symbol = Array = Object = Uint8Array = Error = TypeError = Reflect = JSON = Math = Map = undefined;",
  instanceof: `for (const C of [Response, Request, Headers, URL, Error, Uint8Array, ReadableStream]) {
    Object.defineProperty(C, Symbol.hasInstance, { value() { throw 1; } }); }`,
};

for (const [what, code] of Object.entries(breaking)) {
  test(`a Worker that breaks ${what} still passes requests on, or fails them alone`, async () => {
    const fake = origin();
    const bindings = { ORIGIN: { service: to("ORIGIN") } };
    bench = await WorkerBench.start(
      {
        main: {
          code: `${code}\nexport default { fetch(request, env) { return env.ORIGIN.fetch(request); } };`,
          bindings,
        },
        good: { code: `export default { async fetch(request, env, ctx) { ${everything} } };`, bindings },
      },
      [fake],
    );
    const answer = await collect(bench.worker(), { target: "/a" });
    if (answer.error === null) assert.equal(answer.text, "GET http://test/a");
    else assert.match(answer.error.code, /^worker_(exception|hung)$/);
    assert.equal((await collect(bench.worker("good"), { method: "POST", body: "abc" })).text, "ok");
  });
}

test("no code is made of text, by whatever way", async () => {
  const running = await start(`export default { async fetch() {
    const ways = [
      () => eval("1"), () => (0, eval)("1"), () => Function("return 1")(), () => new Function("return 1")(),
      () => (() => {}).constructor("return 1")(), () => (async () => {}).constructor("return 1")(),
      () => (function* () {}).constructor("return 1")(), () => (async function* () {}).constructor("return 1")(),
      () => Reflect.construct(Object.getPrototypeOf(function* () {}).constructor, ["yield 1"]),
      () => setTimeout("globalThis.made = 1", 0), () => class extends Function {}.constructor("return 1")(),
      () => Reflect.construct(Function, ["return 1"], Object), () => Response.constructor("return 1")(),
      () => console.log.constructor("return 1")(), () => import("data:text/javascript,export default " + ways.length),
      () => WebAssembly.Module.constructor("return 1")(), () => setInterval("1", 1),
    ];
    const made = [];
    for (let i = 0; i < ways.length; i++) { try { const value = await ways[i](); if (value !== undefined) made.push(i); } catch {} }
    return Response.json([made, globalThis.made ?? null]);
  } };`);
  assert.deepEqual(JSON.parse((await collect(running.worker(), {})).text), [[], null]);
});

test("no memory that V8 does not count, and nothing that blocks, comes to a Worker", async () => {
  // (memory (export "m") 1 1 shared)
  const shared = [0, 97, 115, 109, 1, 0, 0, 0, 5, 4, 1, 3, 1, 1, 7, 5, 1, 1, 109, 2, 0];
  const running = await start(`export default { fetch() {
    const tries = {
      global: () => typeof SharedArrayBuffer,
      wait: () => typeof Atomics.wait + typeof Atomics.waitAsync,
      resizable: () => new ArrayBuffer(8, { maxByteLength: 1024 }).resizable,
      subclass: () => new (class extends ArrayBuffer {})(8, { maxByteLength: 1024 }).resizable,
      constructed: () => Reflect.construct(new Uint8Array(1).buffer.constructor, [8, { maxByteLength: 1024 }]).resizable,
      memory: () => new WebAssembly.Memory({ initial: 1, maximum: 2, shared: true }).buffer,
      module: () => new WebAssembly.Instance(new WebAssembly.Module(new Uint8Array(${JSON.stringify(shared)}))).exports.m.buffer,
      toResizable: () => new WebAssembly.Memory({ initial: 1, maximum: 2 }).toResizableBuffer,
      plain: () => new WebAssembly.Memory({ initial: 1 }).buffer.byteLength,
    };
    const out = {};
    for (const [name, attempt] of Object.entries(tries)) { try { out[name] = String(attempt()); } catch (e) { out[name] = e.name; } }
    return Response.json(out);
  } };`);
  assert.deepEqual(JSON.parse((await collect(running.worker(), {})).text), {
    global: "undefined",
    wait: "undefinedundefined",
    resizable: "false",
    subclass: "false",
    constructed: "false",
    memory: "TypeError",
    module: "TypeError",
    toResizable: "undefined",
    plain: "65536",
  });
});

test("neither the runtime's hook nor a path of the host is found by a Worker", async () => {
  const look = `
    const found = [];
    const paths = /\\/work\\/|node_modules|file:\\/\\/\\/(?!worker\\.js)|isolated-vm|guest-isolate|node:/;
    const globals = Object.getOwnPropertyNames(globalThis);
    for (const name of globals) if (/sluice|ivm|isolate/i.test(name)) found.push(name);
    const errors = [];
    for (const attempt of [() => new URL("::"), () => new Request(Symbol()), () => new Response(0, { status: 9 }), () => crypto.getRandomValues(1),
      () => crypto.getRandomValues(new Uint8Array(70000)), () => setTimeout(), () => structuredClone(() => {}), () => env.ORIGIN.connect({}),
      () => new Headers([["a\\n", "b"]]), () => fetch.call({}, {}), () => Response.prototype.text.call({}), () => WebAssembly.Module(1)]) {
      try { errors.push(attempt()); } catch (e) { errors.push(e); }
    }
    for (const error of errors) {
      let e = error;
      try { e = await error; } catch (reason) { e = reason; }
      const text = String(e && e.stack) + String(e && e.message) + String(e && e.cause);
      if (paths.test(text)) found.push(text);
    }
    Error.prepareStackTrace = (_, sites) => sites;
    for (const site of new Error().stack) {
      const holds = site.getThis() ?? site.getFunction();
      if (holds !== undefined && holds !== null) found.push("call site " + typeof holds);
    }`;
  const code = `export default { async fetch(request, env) { ${look} return new Response(found.join("|")); } };`;
  const running = await start(code);
  assert.equal((await collect(running.worker(), {})).text, "");
  running.stop();
  bench = await WorkerBench.start({
    main: {
      script: true,
      code: `const early = Object.getOwnPropertyNames(globalThis).filter((name) => /sluice/.test(name));
      addEventListener("fetch", (event) => event.respondWith(new Response(early.join())));`,
    },
  });
  assert.equal((await collect(bench.worker(), {})).text, "");
});

test("modules of the runtime are not for a Worker to import", async () => {
  for (const specifier of [
    "sluice:hook",
    "sluice:worker",
    "sluice:entry",
    "sluice:asset/0",
    "node:fs",
    "isolated-vm",
  ]) {
    await assert.rejects(async () => {
      const running = await WorkerBench.start({
        main: {
          code: `import * as x from "${specifier}"; export default { fetch() { return new Response(Object.keys(x).join()); } };`,
        },
      });
      bench = running;
      await running.worker().ready();
    }, /cannot (compile|resolve|import|find|start)|Could not resolve/i);
    bench?.stop();
    bench = null;
  }
});
