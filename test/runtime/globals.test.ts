import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Guest, same } from "./harness.ts";

let guest: Guest;
before(async () => {
  guest = await Guest.create();
});
after(() => guest.dispose());

test("structuredClone copies what Node's copies", () =>
  same(guest, (t) => {
    const describe = (value: unknown): unknown => {
      if (value instanceof Map) return ["Map", [...value].map(describe)];
      if (value instanceof Set) return ["Set", [...value].map(describe)];
      if (value instanceof Date) return ["Date", value.getTime()];
      if (value instanceof RegExp) return ["RegExp", value.source, value.flags, value.lastIndex];
      if (value instanceof Error)
        return ["Error", value.name, value.message, typeof value.stack, Object.getPrototypeOf(value).name];
      if (value instanceof ArrayBuffer) return ["ArrayBuffer", t.bytes(value)];
      if (ArrayBuffer.isView(value)) return [value.constructor.name, value.byteOffset, t.bytes(value)];
      if (typeof value === "bigint") return `${value}n`;
      if (Array.isArray(value)) return [value.length, ...Object.keys(value), ...value.map(describe)];
      if (typeof value === "object" && value !== null) {
        if (!["Object"].includes(value.constructor?.name)) return [value.constructor?.name, String(value)];
        return Object.entries(value).map(([key, member]) => [key, describe(member)]);
      }
      return Object.is(value, -0) ? "-0" : String(value);
    };
    const sparse: unknown[] = [1];
    sparse[2] = 3;
    (sparse as unknown as Record<string, unknown>).extra = "x";
    class Custom {
      a = 1;
      get b(): number {
        return 2;
      }
    }
    const withGetter = {
      get a() {
        return 5;
      },
    };
    const regexp = /a+/giu;
    regexp.lastIndex = 3;
    const values: unknown[] = [
      1,
      -0,
      Number.NaN,
      "text",
      true,
      null,
      undefined,
      10n,
      Object(1),
      Object("s"),
      Object(true),
      Object(5n),
      new Date(5),
      regexp,
      sparse,
      { a: { b: [1, { c: 2 }] } },
      new Custom(),
      withGetter,
      Object.create(null),
      new Map<unknown, unknown>([
        ["k", { v: 1 }],
        [{}, 2],
      ]),
      new Set([1, "a", {}]),
      new Error("plain"),
      new TypeError("typed"),
      Object.assign(new Error("x"), { name: "Other", extra: 1 }),
      new Uint8Array([1, 2, 3]).subarray(1),
      new Float64Array([1.5]),
      new DataView(new ArrayBuffer(4), 1, 2),
      new ArrayBuffer(2),
      Symbol.iterator in [] ? [[]] : [],
    ];
    const out: unknown[] = values.map((value) => describe(structuredClone(value)));
    const bad = [
      Symbol("x"),
      () => {},
      new WeakMap(),
      new WeakSet(),
      Promise.resolve(),
      { a: () => {} },
      [Symbol("y")],
      new WeakRef({}),
      Object(Symbol("z")),
    ];
    out.push(bad.map((value) => t.error(() => structuredClone(value))));
    const circular: Record<string, unknown> = { name: "loop" };
    circular.self = circular;
    circular.list = [circular];
    const copy = structuredClone(circular) as { self: unknown; list: unknown[] };
    out.push(copy !== circular, copy.self === copy, copy.list[0] === copy);
    const shared = new Uint8Array([1, 2]);
    const pair = structuredClone([shared, new Uint8Array(shared.buffer)]) as Uint8Array[];
    out.push(pair[0]?.buffer === pair[1]?.buffer, pair[0]?.buffer !== shared.buffer);
    const moved = new Uint8Array([7, 8]);
    const result = structuredClone({ moved }, { transfer: [moved.buffer] });
    out.push(t.bytes(result.moved), moved.length, moved.buffer.byteLength);
    out.push(
      t.error(() => structuredClone(moved)),
      t.error(() => structuredClone(1, { transfer: [moved.buffer] })),
    );
    const kept = new ArrayBuffer(2);
    out.push(
      t.error(() => structuredClone([kept, () => {}], { transfer: [kept] })),
      kept.byteLength,
    );
    out.push(
      t.error(() => structuredClone(1, { transfer: [kept, kept] })),
      t.error(() => structuredClone(1, { transfer: 5 } as never)),
    );
    out.push(t.error(() => (structuredClone as unknown as () => void)()));
    let deep: unknown = null;
    for (let i = 0; i < 20_000; i++) deep = [deep];
    out.push(Array.isArray(deep));
    return out;
  }));

test("deep values, Blobs and Files clone, and other objects of the runtime do not", async () => {
  const result = await guest.run(async (t) => {
    let deep: unknown = null;
    for (let i = 0; i < 100_000; i++) deep = [deep];
    const file = structuredClone(
      new File(["abc"], "n.txt", { type: "t/t", lastModified: 3 }),
    ) as unknown as File;
    const blob = structuredClone(new Blob(["x"])) as unknown as Blob;
    const exception = structuredClone(new DOMException("m", "AbortError")) as unknown as DOMException;
    return [
      Array.isArray(structuredClone(deep)),
      file.name,
      file.lastModified,
      await file.text(),
      await blob.text(),
      blob instanceof File,
      [exception.name, exception.message, exception.code, exception instanceof DOMException],
      [
        new Headers(),
        new Response(),
        new Request("http://a/"),
        new FormData(),
        new URL("http://a/"),
        new ReadableStream(),
      ].map((value) => t.error(() => structuredClone(value))),
    ];
  });
  assert.deepEqual(result, [
    true,
    "n.txt",
    3,
    "abc",
    "x",
    false,
    ["AbortError", "m", 20, true],
    [
      "DataCloneError",
      "DataCloneError",
      "DataCloneError",
      "DataCloneError",
      "DataCloneError",
      "DataCloneError",
    ],
  ]);
});

test("DOMException has names, codes, constants and a stack as in Node", () =>
  same(guest, (t) => {
    const show = (error: DOMException): unknown => [
      error.name,
      error.message,
      error.code,
      `${error}`,
      error instanceof Error,
      typeof error.stack,
      Object.prototype.toString.call(error),
    ];
    return [
      show(new DOMException()),
      show(new DOMException("m")),
      show(new DOMException("m", "AbortError")),
      show(new DOMException("m", "Custom")),
      (new DOMException("m", { cause: 1 } as never) as unknown as { cause: unknown }).cause,
      DOMException.DATA_CLONE_ERR,
      new DOMException().NOT_FOUND_ERR,
      t.error(() => (DOMException as unknown as () => void)()),
    ];
  }));

async function logged(action: string): Promise<string[]> {
  guest.logs.length = 0;
  await guest.run(`() => { ${action} }`);
  return guest.logs.splice(0);
}

test("console levels, formats, counters, timers, groups and tables reach the log", async () => {
  assert.deepEqual(
    await logged(
      "console.log('a', 1); console.info('b'); console.warn('c'); console.error('d'); console.debug('e');",
    ),
    ["log: a 1", "info: b", "warn: c", "error: d", "debug: e"],
  );
  assert.deepEqual(
    await logged(
      "console.log('%s is %d years and %i, %f, %j %o %% %c!', 'Bo', 42.5, 42.9, '1.5', {a:1}, [1], 'css', 'rest'); console.log('100%', 5); console.log('%s');",
    ),
    ["log: Bo is 42.5 years and 42, 1.5, { a: 1 } [ 1 ] % ! rest", "log: 100% 5", "log: %s"],
  );
  assert.deepEqual(
    await logged(
      "console.count(); console.count('x'); console.count(); console.countReset(); console.count(); console.countReset('none');",
    ),
    [
      "info: default: 1",
      "info: x: 1",
      "info: default: 2",
      "info: default: 1",
      "warn: Count for 'none' does not exist",
    ],
  );
  assert.deepEqual(
    await logged(
      "console.assert(true, 'no'); console.assert(false, 'yes %d', 1); console.assert(false); console.assert(0, {a: 1});",
    ),
    ["error: Assertion failed: yes 1", "error: Assertion failed", "error: Assertion failed { a: 1 }"],
  );
  assert.deepEqual(
    await logged(
      "console.group('g'); console.log('in\\nside'); console.group(); console.log('deep'); console.groupEnd(); console.groupEnd(); console.groupEnd(); console.log('out');",
    ),
    ["log: g", "log:   in\n  side", "log:     deep", "log: out"],
  );
  const [timeLog, timeEnd, gone] = await logged(
    "console.time('t'); console.timeLog('t', 5); console.timeEnd('t'); console.timeEnd('t');",
  );
  assert.match(timeLog ?? "", /^info: t: \d+ms 5$/);
  assert.match(timeEnd ?? "", /^info: t: \d+ms$/);
  assert.equal(gone, "warn: Timer 't' does not exist");
  const [trace] = await logged("(function here() { console.trace('msg'); })();");
  assert.match(trace ?? "", /^debug: Trace: msg\n\s+at here/);
  const [table] = await logged("console.table([{ a: 1, b: 'x' }, { a: 2, c: true }]);");
  assert.equal(
    table,
    "log: │ (index) │ a │ b   │ c    │\n├─────────┼───┼─────┼──────┤\n│ 0       │ 1 │ 'x' │      │\n│ 1       │ 2 │     │ true │",
  );
});

test("console describes values of all kinds without running their getters", async () => {
  const shown = async (expression: string): Promise<string> =>
    ((await logged(`console.log(${expression})`))[0] ?? "").slice(5);
  const cases: [string, string][] = [
    ["{ a: 1, 'b-c': 'x', [Symbol('s')]: null }", "{ a: 1, 'b-c': 'x', [Symbol(s)]: null }"],
    ["[1, , 'a', [2, [3, [4, [5]]]]]", "[ 1, <empty>, 'a', [ 2, [ 3, [Array] ] ] ]"],
    ["new Map([['a', { b: 1 }]])", "Map(1) { 'a' => { b: 1 } }"],
    ["new Set([1, 'x'])", "Set(2) { 1, 'x' }"],
    ["new Uint8Array([1, 2])", "Uint8Array(2) [ 1, 2 ]"],
    ["new ArrayBuffer(3)", "ArrayBuffer { byteLength: 3 }"],
    ["new Date(0)", "1970-01-01T00:00:00.000Z"],
    ["/a/g", "/a/g"],
    ["function named() {}", "[Function: named]"],
    ["() => {}", "[Function (anonymous)]"],
    ["class Big {}", "[class Big]"],
    ["new (class Point { x = 1 })()", "Point { x: 1 }"],
    ["Object.create(null)", "[Object: null prototype] {}"],
    ["{ get a() { throw 1 }, set b(v) {} }", "{ a: [Getter], b: [Setter] }"],
    ["(() => { const o = { n: 1 }; o.self = o; return o; })()", "{ n: 1, self: [Circular] }"],
    ["undefined, null, -0, 10n, Symbol('q')", "undefined null -0 10n Symbol(q)"],
    ["['it\\'s', 'line\\n']", '[ "it\'s", "line\\n" ]'],
    ["new Headers({ a: '1' })", "Headers { a: '1' }"],
    ["new URL('http://a/')", "URL 'http://a/'"],
    ["new URLSearchParams('a=1')", "URLSearchParams { a: '1' }"],
    [
      "new Response('x', { status: 404 })",
      "Response {\n  status: 404,\n  statusText: '',\n  headers: Headers { 'Content-Type': 'text/plain;charset=UTF-8' },\n  url: ''\n}",
    ],
    ["new Blob(['abc'])", "Blob { size: 3, type: '' }"],
    ["Promise.resolve(1)", "Promise {}"],
    ["Array(200).fill(0).length, new Array(150)", ""],
    ["new Proxy({ a: 1 }, {})", "{ a: 1 }"],
  ];
  for (const [expression, expected] of cases) {
    const text = await shown(expression);
    if (expected === "") assert.match(text, /… 50 more items/);
    else assert.equal(text.replace("'content-type'", "'Content-Type'"), expected, expression);
  }
  assert.match(
    await shown("new TypeError('bad', { cause: new Error('root') })"),
    /^TypeError: bad\n\s+at [\s\S]*\[cause\]: Error: root\n/,
  );
  assert.match(await shown("Object.assign(new Error('x'), { code: 5 })"), /^Error: x\n[\s\S]*\{ code: 5 \}$/);
  assert.match(await shown("new DOMException('gone', 'AbortError')"), /^AbortError: gone/);
});

test("what console writes is bounded, however large the value", async () => {
  for (const value of [
    "'x'.repeat(1e6)",
    "Array.from({ length: 1e5 }, (_, i) => 'item ' + i)",
    "['x'.repeat(1e6)]",
    "Object.fromEntries(Array.from({ length: 1e4 }, (_, i) => ['key' + i, { a: 'y'.repeat(1000) }]))",
    "'%s', 'z'.repeat(1e6)",
  ]) {
    const [text] = await logged(`console.log(${value})`);
    assert.ok((text ?? "").length < 40_000, `${value}: ${text?.length}`);
  }
});

test("crypto gives random values within its quota, UUIDs and digests", async () => {
  const result = (await guest.run(async (t) => {
    const hex = (buffer: ArrayBuffer): string =>
      t
        .bytes(buffer)
        .map((byte) => byte.toString(16).padStart(2, "0"))
        .join("");
    const array = new Uint16Array(4);
    const wide = new Uint8Array(10).subarray(2, 6);
    return [
      crypto.getRandomValues(array) === array,
      crypto.getRandomValues(wide).length,
      t.error(() => crypto.getRandomValues(new Uint8Array(65_537))),
      t.error(() => crypto.getRandomValues(new Float32Array(1) as never)),
      t.error(() => crypto.getRandomValues(new DataView(new ArrayBuffer(1)) as never)),
      crypto.getRandomValues(new Uint8Array(0)).length,
      /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(crypto.randomUUID()),
      new Set([crypto.randomUUID(), crypto.randomUUID()]).size,
      hex(await crypto.subtle.digest("SHA-256", new TextEncoder().encode("abc"))),
      hex(await crypto.subtle.digest({ name: "sha-1" }, new TextEncoder().encode("abc"))),
      hex(await crypto.subtle.digest("MD5", new Uint8Array(0))),
      await t.rejection(crypto.subtle.digest("SHA-3", new Uint8Array(0))),
      await t.rejection(crypto.subtle.digest("SHA-256", "text" as never)),
      await t.rejection(crypto.subtle.generateKey("x" as never, false, [])),
    ];
  })) as unknown[];
  assert.deepEqual(result, [
    true,
    4,
    "QuotaExceededError",
    "TypeMismatchError",
    "TypeMismatchError",
    0,
    true,
    2,
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    "a9993e364706816aba3e25717850c26c9cd0d89d",
    "d41d8cd98f00b204e9800998ecf8427e",
    "NotSupportedError",
    "TypeError",
    "NotSupportedError",
  ]);
});

test("globals are defined as Web IDL says", async () => {
  const result = await guest.run(() => {
    const describe = (name: string): unknown => {
      const descriptor = Object.getOwnPropertyDescriptor(globalThis, name);
      return [descriptor?.writable, descriptor?.enumerable, descriptor?.configurable];
    };
    return [
      describe("Request"),
      describe("setTimeout"),
      (globalThis as unknown as { self: unknown }).self === globalThis,
      [Request, Response, Headers, URL, DOMException, AbortSignal].map((one) => [one.name, one.length]),
      Object.getOwnPropertyDescriptor(Headers.prototype, "get")?.enumerable,
      Object.keys(Response.prototype).includes("constructor"),
      [new ReadableStream(), new AbortController(), performance, crypto, navigator, console].map((value) =>
        Object.prototype.toString.call(value),
      ),
      navigator.userAgent,
      typeof performance.now(),
      performance.timeOrigin > 0,
      ["Crypto", "SubtleCrypto", "Performance", "Navigator"].map((name) => {
        try {
          Reflect.construct((globalThis as unknown as Record<string, () => void>)[name] as () => void, []);
          return "made";
        } catch (error) {
          return (error as Error).name;
        }
      }),
    ];
  });
  assert.deepEqual(result, [
    [true, false, true],
    [true, true, true],
    true,
    [
      ["Request", 1],
      ["Response", 0],
      ["Headers", 0],
      ["URL", 1],
      ["DOMException", 0],
      ["AbortSignal", 0],
    ],
    true,
    false,
    [
      "[object ReadableStream]",
      "[object AbortController]",
      "[object Performance]",
      "[object Crypto]",
      "[object Navigator]",
      "[object console]",
    ],
    "Sluice",
    "number",
    true,
    ["TypeError", "TypeError", "TypeError", "TypeError"],
  ]);
});

test("code cannot be made of text by any constructor", async () => {
  const result = await guest.run(`(t) => {
    const ways = [
      () => eval("1"), () => (0, eval)("1"), () => new Function("return 1"), () => Function("return 1"),
      () => (() => {}).constructor("return 1"), () => (async () => {}).constructor("return 1"),
      () => (function* () {}).constructor("yield 1"), () => (async function* () {}).constructor("yield 1"),
      () => Object.getPrototypeOf(async () => {}).constructor("1"), () => Reflect.construct(Function, ["1"]),
      () => class {}.constructor("1"), () => Math.max.constructor("1"), () => console.log.constructor("1"),
      () => Request.constructor("1"),
      () => { class F extends Function {} new F("1"); },
    ];
    const pinned = Object.getOwnPropertyDescriptor(Function.prototype, "constructor");
    return [ways.map((way) => t.error(way)), pinned.writable, pinned.configurable, (() => {}) instanceof Function];
  }`);
  assert.deepEqual(result, [Array.from({ length: 15 }, () => "EvalError"), false, false, true]);
});

test("memory and waiting that limits do not cover are gone", async () => {
  const result = await guest.run(`(t) => {
    const buffer = new ArrayBuffer(4, { maxByteLength: 1 << 20 });
    class Sub extends ArrayBuffer {}
    return [
      typeof SharedArrayBuffer, typeof Atomics.wait, typeof Atomics.waitAsync,
      buffer.resizable, buffer.maxByteLength, t.error(() => buffer.resize(8)), new Sub(3, { maxByteLength: 9 }).resizable,
      new Sub(3) instanceof Sub, new Sub(3) instanceof ArrayBuffer, buffer.constructor === ArrayBuffer, ArrayBuffer.name, ArrayBuffer.length,
      t.error(() => ArrayBuffer(1)), t.error(() => new ArrayBuffer(-1)), ArrayBuffer.isView(new Uint8Array(1)), buffer.slice(1).byteLength,
      ArrayBuffer[Symbol.species] === ArrayBuffer, new Uint8Array(2).buffer instanceof ArrayBuffer, Object.prototype.toString.call(buffer),
      t.error(() => new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }).buffer.constructor(8)),
    ];
  }`);
  assert.deepEqual((result as unknown[]).slice(0, 19), [
    "undefined",
    "undefined",
    "undefined",
    false,
    4,
    "TypeError",
    false,
    true,
    true,
    true,
    "ArrayBuffer",
    1,
    "TypeError",
    "RangeError",
    true,
    3,
    true,
    true,
    "[object ArrayBuffer]",
  ]);
});

test("asynchronous WebAssembly settles in synchronous entries", async () => {
  const result = await guest.run(async (t) => {
    const wasm = (
      globalThis as unknown as { WebAssembly: Record<string, (...args: unknown[]) => Promise<unknown>> }
    ).WebAssembly;
    // (module (func (export "f") (result i32) i32.const 42))
    const bytes = new Uint8Array([
      0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 127, 3, 2, 1, 0, 7, 5, 1, 1, 102, 0, 0, 10, 6, 1, 4, 0,
      65, 42, 11,
    ]);
    type Instance = { exports: { f(): number } };
    const module = await wasm.compile?.(bytes);
    const first = (await wasm.instantiate?.(module)) as Instance;
    const second = (await wasm.instantiate?.(bytes)) as { instance: Instance };
    const third = (await wasm.instantiateStreaming?.(new Response(bytes))) as { instance: Instance };
    return [
      first.exports.f(),
      second.instance.exports.f(),
      third.instance.exports.f(),
      await t.rejection(wasm.compile?.(new Uint8Array(3))),
      await t.rejection(wasm.instantiateStreaming?.(5)),
    ];
  });
  assert.deepEqual(result, [42, 42, 42, "CompileError", "TypeError"]);
});

test("a Worker that patches what it can breaks nothing but its own calls", async () => {
  const own = await Guest.create();
  const result = await own.run(`async () => {
    const bytes = new Uint8Array([104, 105]);
    const blob = new Blob(["a", "b"]);
    const seen = [];
    const note = (what) => { seen[seen.length] = what; };
    Promise.prototype.then = function () { note("then"); throw new Error("patched"); };
    Array.prototype.push = function () { note("push"); };
    Array.prototype[Symbol.iterator] = function* () { note("iterator"); };
    String.prototype.indexOf = String.prototype.slice = String.prototype.startsWith = () => { note("string"); return ""; };
    Map.prototype.get = Map.prototype.set = () => { note("map"); };
    Uint8Array.prototype.set = Uint8Array.prototype.subarray = () => { note("bytes"); };
    Function.prototype.call = Function.prototype.apply = () => { note("call"); };
    Object.defineProperty(Object.prototype, "then", { get() { note("object then"); return undefined; }, configurable: true });
    const text = await new Response(blob).text();
    const url = new URL("http://example.com/a/../b?c=d");
    url.searchParams.append("e", "f");
    const headers = new Headers({ a: "1", b: "2" });
    const stream = new ReadableStream({ start(c) { c.enqueue(bytes); c.close(); } }).pipeThrough(new TransformStream());
    const piped = await new Response(stream).text();
    const target = new EventTarget();
    let called = 0;
    target.addEventListener("x", () => { called++; });
    target.dispatchEvent(new Event("x"));
    delete Object.prototype.then;
    return [text, url.href, headers.get("b"), piped, called, seen.filter((one) => one !== "object then")];
  }`);
  own.dispose();
  assert.deepEqual(result, ["ab", "http://example.com/b?c=d&e=f", "2", "hi", 1, []]);
});
