import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import type { DiskConfig } from "../../src/config/schema/services.ts";
import { ProxyError } from "../../src/errors/proxy-error.ts";
import type { BodySink, BodySource } from "../../src/http/body.ts";
import { Metrics } from "../../src/observability/traffic.ts";
import type { ServiceContext } from "../../src/services/context.ts";
import { DiskService } from "../../src/services/disk/disk.ts";
import { type Ask, CollectedExchange, CollectedTunnel, collect } from "./network-harness.ts";

interface Fixture {
  readonly disk: DiskService;
  /** The served directory. */
  readonly root: string;
  /** A directory beside it, with `secret.txt`. */
  readonly outside: string;
  /** Waits until no exchange holds anything. */
  readonly idle: () => Promise<void>;
}

/** Descriptors of regular files, directories and the like; sockets and pipes of the test runner come and go. */
function openFiles(below: string): string[] {
  const places: string[] = [];
  for (const fd of fs.readdirSync("/proc/self/fd")) {
    try {
      const place = fs.readlinkSync(`/proc/self/fd/${fd}`);
      if (place.startsWith(below)) places.push(place);
    } catch {}
  }
  return places;
}

function makeDisk(t: TestContext, config: Partial<DiskConfig> = {}): Fixture {
  const base = fs.mkdtempSync(join(fs.realpathSync(tmpdir()), "sluice-disk-"));
  const root = join(base, "root");
  const outside = join(base, "outside");
  fs.mkdirSync(root);
  fs.mkdirSync(outside);
  fs.writeFileSync(join(outside, "secret.txt"), "secret");
  const context = { metrics: new Metrics(), now: () => performance.now() } as unknown as ServiceContext;
  const disk = new DiskService(
    "files",
    { path: root, writable: false, allowDotfiles: false, index: ["index.html"], ...config },
    context,
  );
  const traffic = context.metrics.traffic("service", "files");
  const idle = async () => {
    const busy = () => openFiles(base).length > 0 || traffic.active > 0;
    for (let i = 0; i < 10_000 && busy(); i++) await setImmediate();
  };
  t.after(async () => {
    await idle();
    assert.deepEqual(openFiles(base), [], "every file is closed");
    assert.equal(traffic.active, 0, "every exchange is finished");
    fs.rmSync(base, { recursive: true });
  });
  return { disk, root, outside, idle };
}

const get = (disk: DiskService, target: string, headers: Ask["headers"] = [], method = "GET") =>
  collect(disk, { target, headers, method });

/** A body that is pushed by hand. */
class PushedBody implements BodySource {
  readonly length = -1;
  sink: BodySink | null = null;
  cancelled: ProxyError | null = null;
  onPiped: ((sink: BodySink) => void) | null = null;
  onResume: ((sink: BodySink) => void) | null = null;

  pipe(sink: BodySink): void {
    this.sink = sink;
    queueMicrotask(() => this.onPiped?.(sink));
  }

  resume(): void {
    if (this.sink !== null) this.onResume?.(this.sink);
  }

  cancel(error: ProxyError): void {
    this.cancelled ??= error;
  }
}

test("a file is answered with its content, type and validators", async (t) => {
  const { disk, root } = makeDisk(t);
  fs.writeFileSync(join(root, "a b\u00e9.HTML"), "<p>hello");
  const answer = await get(disk, "/a%20b%C3%A9.HTML?v=1");
  assert.equal(answer.status, 200);
  assert.equal(answer.text, "<p>hello");
  assert.equal(answer.length, 8);
  assert.equal(answer.headers.get("content-type"), "text/html; charset=utf-8");
  assert.equal(answer.headers.get("x-content-type-options"), "nosniff");
  assert.equal(answer.headers.get("accept-ranges"), "bytes");
  assert.match(answer.headers.get("etag") ?? "", /^"[0-9a-z-]+"$/);
  const modified = Math.floor(fs.statSync(join(root, "a b\u00e9.HTML")).mtimeMs / 1000);
  assert.equal(answer.headers.get("last-modified"), new Date(modified * 1000).toUTCString());
});

test("HEAD tells what GET would send", async (t) => {
  const { disk, root } = makeDisk(t);
  fs.writeFileSync(join(root, "a.css"), "x".repeat(100_000));
  const full = await get(disk, "/a.css");
  const head = await get(disk, "/a.css", [["range", "bytes=0-1"]], "HEAD");
  assert.equal(head.status, 200);
  assert.equal(head.head?.announcedLength, 100_000);
  assert.equal(head.length, -2);
  assert.equal(head.headers.text, full.headers.text);
});

test("types are told by the extension, and unknown bytes are not guessed at", async (t) => {
  const { disk, root } = makeDisk(t);
  const cases = [
    ["a.js", "text/javascript; charset=utf-8"],
    ["a.json", "application/json"],
    ["a.svg", "image/svg+xml"],
    ["a.wasm", "application/wasm"],
    ["a.tar.gz", "application/gzip"],
    ["html", "application/octet-stream"],
    ["a.unknown", "application/octet-stream"],
    ["a.constructor", "application/octet-stream"],
  ] as const;
  for (const [name, type] of cases) {
    fs.writeFileSync(join(root, name), "x");
    assert.equal((await get(disk, `/${name}`)).headers.get("content-type"), type, name);
  }
});

test("an empty file is a whole answer", async (t) => {
  const { disk, root } = makeDisk(t);
  fs.writeFileSync(join(root, "empty.txt"), "");
  const answer = await get(disk, "/empty.txt");
  assert.deepEqual([answer.status, answer.length, answer.text], [200, 0, ""]);
});

test("a directory shows its index file, and redirects to its slash", async (t) => {
  const { disk, root } = makeDisk(t, { index: ["index.html", "index.htm"] });
  fs.mkdirSync(join(root, "a b/c:d"), { recursive: true });
  fs.mkdirSync(join(root, "a b/index.html"));
  fs.writeFileSync(join(root, "index.html"), "root");
  fs.writeFileSync(join(root, "a b/index.htm"), "index");
  assert.equal((await get(disk, "/")).text, "root");
  const index = await get(disk, "/a%20b/");
  assert.equal(index.text, "index");
  assert.equal(index.headers.get("content-type"), "text/html; charset=utf-8");
  const redirect = await get(disk, "/a%20b?x=/y");
  assert.equal(redirect.status, 308);
  assert.equal(redirect.headers.get("location"), "./a%20b/?x=/y");
  assert.equal((await get(disk, "/a%20b/c:d")).headers.get("location"), "./c:d/");
  assert.equal((await get(disk, "/a%20b/c:d/")).status, 404);
  assert.equal((await get(disk, "/index.html/")).status, 404);
});

test("no spelling of a path leaves the directory", async (t) => {
  const { disk, outside } = makeDisk(t, { writable: true, allowDotfiles: true });
  const ways = [
    ...[
      "/../outside/secret.txt",
      "/..",
      "/.",
      "/./",
      "/a/../../outside/secret.txt",
      "/%2e%2e/outside/secret.txt",
    ],
    ...[
      "/%2E./outside/secret.txt",
      "/.%2e/outside/secret.txt",
      "/..%2foutside/secret.txt",
      "/..%2Foutside%2Fsecret.txt",
    ],
    ...[
      "/%2e%2e%2foutside%2fsecret.txt",
      "/..\\outside\\secret.txt",
      "/..%5coutside%5csecret.txt",
      "/\\..\\outside",
    ],
    ...[
      "/%5c..%5coutside",
      "/a\\..\\..",
      "/x%00",
      "/x%00.txt",
      "/%00/../outside",
      "/%c0%ae%c0%ae/outside/secret.txt",
    ],
    ...[
      "/%c0%2e%c0%2e/x",
      "/%e0%80%ae%e0%80%ae/x",
      "/%f0%80%80%ae/x",
      "/..%c0%af..%c0%afoutside",
      "/%c0%afetc",
    ],
    ...["/%", "/%2", "/%zz", "/%e9", "/\u00e9", "/x#y", "", "*", "http://a.test/x", "outside/secret.txt"],
    ...["/..//outside/secret.txt", "/%2e%2e/%2e%2e/etc/passwd", `/%2f${outside}/secret.txt`],
  ];
  for (const target of ways) {
    assert.equal((await get(disk, target)).status, 400, target);
    const put = await collect(disk, { target, method: "PUT", body: "overwritten" });
    assert.equal(put.status, 400, `PUT ${target}`);
  }
  const names = [
    "//etc/passwd",
    `/${outside}/secret.txt`,
    "/%252e%252e/outside/secret.txt",
    "/...",
    "/....//outside",
  ];
  for (const target of names) assert.equal((await get(disk, target)).status, 404, target);
  assert.equal(fs.readFileSync(join(outside, "secret.txt"), "utf8"), "secret");
});

test("an escape is decoded once", async (t) => {
  const { disk, root } = makeDisk(t);
  fs.writeFileSync(join(root, "%2e%2e"), "literal");
  fs.writeFileSync(join(root, "100%"), "percent");
  assert.equal((await get(disk, "/%252e%252e")).text, "literal");
  assert.equal((await get(disk, "/100%25")).text, "percent");
});

test("a name that begins with a dot is there only when it is allowed", async (t) => {
  const hidden = makeDisk(t);
  const shown = makeDisk(t, { allowDotfiles: true });
  for (const { root } of [hidden, shown]) {
    fs.mkdirSync(join(root, ".well-known"));
    fs.writeFileSync(join(root, ".well-known/a"), "a");
    fs.writeFileSync(join(root, ".env"), "env");
    fs.writeFileSync(join(root, ".sluice-put-1"), "partial");
  }
  for (const target of ["/.env", "/%2eenv", "/.well-known/a", "/.well-known/", "/.missing"]) {
    assert.equal((await get(hidden.disk, target)).status, 404, target);
  }
  assert.equal((await get(shown.disk, "/.env")).text, "env");
  assert.equal((await get(shown.disk, "/.well-known/a")).text, "a");
  assert.equal((await get(shown.disk, "/.sluice-put-1")).status, 404);
});

test("a link leads anywhere inside, and nowhere outside", async (t) => {
  const { disk, root, outside } = makeDisk(t, { writable: true });
  fs.mkdirSync(join(root, "real"));
  fs.writeFileSync(join(root, "real/a.txt"), "inside");
  fs.symlinkSync("real", join(root, "link"));
  fs.symlinkSync("real/a.txt", join(root, "file.txt"));
  fs.symlinkSync(outside, join(root, "out"));
  fs.symlinkSync(join(outside, "secret.txt"), join(root, "secret.txt"));
  fs.symlinkSync("../outside", join(root, "relative"));
  fs.symlinkSync("loop", join(root, "loop"));
  fs.symlinkSync("missing", join(root, "dangling"));
  fs.symlinkSync("/", join(root, "slash"));
  fs.symlinkSync(`${root}-sibling`, join(root, "sibling"));
  fs.mkdirSync(`${root}-sibling`);
  fs.writeFileSync(join(`${root}-sibling`, "x"), "x");
  assert.equal((await get(disk, "/link/a.txt")).text, "inside");
  assert.equal((await get(disk, "/file.txt")).text, "inside");
  const ways = [
    "/out/secret.txt",
    "/out",
    "/out/",
    "/secret.txt",
    "/relative/secret.txt",
    "/loop",
    "/dangling",
  ];
  for (const target of [...ways, "/slash/etc/passwd", "/slash", "/sibling/x", "/loop/x"]) {
    assert.equal((await get(disk, target)).status, 404, target);
  }
  for (const target of [
    "/out/new.txt",
    "/relative/new.txt",
    "/slash/tmp/sluice-escape",
    "/out/deep/new.txt",
  ]) {
    const put = await collect(disk, { target, method: "PUT", body: "x" });
    assert.equal(put.status, 404, target);
  }
  assert.deepEqual(fs.readdirSync(outside), ["secret.txt"]);
  const replaced = await collect(disk, { target: "/secret.txt", method: "PUT", body: "new" });
  assert.equal(replaced.status, 204);
  assert.equal(fs.readFileSync(join(outside, "secret.txt"), "utf8"), "secret");
  assert.equal((await get(disk, "/secret.txt")).text, "new");
});

test("a root that is a link is followed to where it points now", async (t) => {
  const { root, outside } = makeDisk(t);
  const current = join(outside, "current");
  for (const name of ["one", "two"]) {
    fs.mkdirSync(join(root, name));
    fs.writeFileSync(join(root, name, "a"), name);
  }
  fs.symlinkSync(join(root, "one"), current);
  const { disk } = makeDisk(t, { path: current });
  assert.equal((await get(disk, "/a")).text, "one");
  fs.rmSync(current);
  fs.symlinkSync(join(root, "two"), current);
  assert.equal((await get(disk, "/a")).text, "two");
});

test("what is no regular file is not served, and waits for nobody", async (t) => {
  const { disk, root } = makeDisk(t, { writable: true });
  execFileSync("mkfifo", [join(root, "fifo")]);
  fs.symlinkSync("/dev/zero", join(root, "zero"));
  assert.equal((await get(disk, "/fifo")).status, 404);
  assert.equal((await get(disk, "/zero")).status, 404);
  assert.equal((await collect(disk, { target: "/fifo", method: "PUT", body: "x" })).status, 409);
  assert.ok(fs.statSync(join(root, "fifo")).isFIFO());
});

test("missing files, and paths through files, are not there", async (t) => {
  const { disk, root } = makeDisk(t);
  fs.writeFileSync(join(root, "a"), "a");
  for (const target of ["/missing", "/a/b", "/a/", `/${"x".repeat(300)}`, "/missing/deep/x"]) {
    const answer = await get(disk, target);
    assert.equal(answer.status, 404, target);
    assert.equal(answer.text, "Not Found\n");
  }
  const head = await get(disk, "/missing", [], "HEAD");
  assert.deepEqual([head.status, head.length, head.head?.announcedLength], [404, -2, 10]);
  const gone = makeDisk(t, { path: join(root, "nowhere") });
  assert.equal((await get(gone.disk, "/a")).status, 404);
});

test("other methods are told which ones there are", async (t) => {
  const reading = makeDisk(t);
  const writing = makeDisk(t, { writable: true });
  for (const method of ["POST", "DELETE", "PUT", "OPTIONS", "get"]) {
    const answer = await get(reading.disk, "/a", [], method);
    assert.deepEqual([answer.status, answer.headers.get("allow")], [405, "GET, HEAD"], method);
  }
  assert.equal((await get(writing.disk, "/a", [], "DELETE")).headers.get("allow"), "GET, HEAD, PUT");
  const tunnel = new CollectedTunnel("a.test", 1);
  reading.disk.connect(tunnel);
  assert.equal(tunnel.refused?.code, "connect_unsupported");
});

test("conditions are taken in the order of the standard", async (t) => {
  const { disk, root } = makeDisk(t);
  fs.writeFileSync(join(root, "a.txt"), "content");
  fs.utimesSync(join(root, "a.txt"), 784_111_777, 784_111_777);
  const etag = (await get(disk, "/a.txt")).headers.get("etag") ?? "";
  const same = "Sun, 06 Nov 1994 08:49:37 GMT";
  const before = "Sun, 06 Nov 1994 08:49:36 GMT";
  const cases: ReadonlyArray<readonly [fields: ReadonlyArray<readonly [string, string]>, status: number]> = [
    [[["if-none-match", etag]], 304],
    [[["if-none-match", `W/${etag}`]], 304],
    [[["if-none-match", `"x", ${etag}`]], 304],
    [
      [
        ["if-none-match", '"x"'],
        ["if-none-match", etag],
      ],
      304,
    ],
    [[["if-none-match", "*"]], 304],
    [[["if-none-match", '"x"']], 200],
    [[["if-none-match", etag.slice(1, -1)]], 200],
    [
      [
        ["if-none-match", '"x"'],
        ["if-modified-since", same],
      ],
      200,
    ],
    [
      [
        ["if-none-match", etag],
        ["if-modified-since", before],
      ],
      304,
    ],
    [[["if-modified-since", same]], 304],
    [[["if-modified-since", "Sunday, 06-Nov-94 08:49:37 GMT"]], 304],
    [[["if-modified-since", "Sun Nov  6 08:49:37 1994"]], 304],
    [[["if-modified-since", before]], 200],
    [[["if-modified-since", "yesterday"]], 200],
    [[["if-modified-since", "1994-11-06T08:49:37Z"]], 200],
    [
      [
        ["if-modified-since", same],
        ["if-modified-since", same],
      ],
      200,
    ],
    [[["if-match", etag]], 200],
    [[["if-match", "*"]], 200],
    [[["if-match", '"x"']], 412],
    [[["if-match", `W/${etag}`]], 412],
    [
      [
        ["if-match", etag],
        ["if-unmodified-since", before],
      ],
      200,
    ],
    [[["if-unmodified-since", same]], 200],
    [[["if-unmodified-since", before]], 412],
    [
      [
        ["if-match", '"x"'],
        ["if-none-match", etag],
      ],
      412,
    ],
    [
      [
        ["if-match", etag],
        ["if-none-match", etag],
      ],
      304,
    ],
    [
      [
        ["if-unmodified-since", before],
        ["if-none-match", etag],
      ],
      412,
    ],
  ];
  for (const [fields, status] of cases) {
    for (const method of ["GET", "HEAD"]) {
      assert.equal((await get(disk, "/a.txt", fields, method)).status, status, JSON.stringify(fields));
    }
  }
  const unchanged = await get(disk, "/a.txt", [["if-none-match", etag]]);
  assert.deepEqual([unchanged.headers.get("etag"), unchanged.length], [etag, -2]);
  fs.writeFileSync(join(root, "a.txt"), "changed");
  assert.equal((await get(disk, "/a.txt", [["if-none-match", etag]])).status, 200);
});

test("a range is answered in part", async (t) => {
  const { disk, root } = makeDisk(t);
  fs.writeFileSync(join(root, "a.txt"), "0123456789");
  const cases: ReadonlyArray<readonly [range: string, status: number, text: string, place: string | null]> = [
    ["bytes=0-3", 206, "0123", "bytes 0-3/10"],
    ["bytes=4-", 206, "456789", "bytes 4-9/10"],
    ["bytes=-3", 206, "789", "bytes 7-9/10"],
    ["bytes=-99", 206, "0123456789", "bytes 0-9/10"],
    ["bytes=9-99999999999999999999999", 206, "9", "bytes 9-9/10"],
    ["BYTES = 0-0 ", 206, "0", "bytes 0-0/10"],
    ["bytes=0-0,20-30", 206, "0", "bytes 0-0/10"],
    ["bytes=10-", 416, "Range Not Satisfiable\n", "bytes */10"],
    ["bytes=-0", 416, "Range Not Satisfiable\n", "bytes */10"],
    ["bytes=20-30,40-", 416, "Range Not Satisfiable\n", "bytes */10"],
    ["bytes=3-1", 200, "0123456789", null],
    ["bytes=", 200, "0123456789", null],
    ["bytes=,", 200, "0123456789", null],
    ["bytes=a-b", 200, "0123456789", null],
    ["bytes=1", 200, "0123456789", null],
    ["bytes=--1", 200, "0123456789", null],
    ["bytes=+1-2", 200, "0123456789", null],
    ["lines=0-1", 200, "0123456789", null],
    ["bytes=0-5,3-9", 200, "0123456789", null],
    [`bytes=${Array.from({ length: 17 }, (_, i) => `${i}-${i}`).join(",")}`, 200, "0123456789", null],
  ];
  for (const [range, status, text, place] of cases) {
    const answer = await get(disk, "/a.txt", [["range", range]]);
    assert.deepEqual(
      [answer.status, answer.text, answer.headers.get("content-range")],
      [status, text, place],
      range,
    );
  }
  const twice = await get(disk, "/a.txt", [
    ["range", "bytes=0-1"],
    ["range", "bytes=2-3"],
  ]);
  assert.equal(twice.status, 200);
});

test("several ranges come in one multipart answer of the announced length", async (t) => {
  const { disk, root } = makeDisk(t);
  fs.writeFileSync(join(root, "a.txt"), "0123456789");
  const answer = await get(disk, "/a.txt", [["range", "bytes=8-, 0-1,20-"]]);
  assert.equal(answer.status, 206);
  const type = answer.headers.get("content-type") ?? "";
  const boundary = type.slice(type.indexOf("=") + 1);
  assert.match(type, /^multipart\/byteranges; boundary=[0-9a-f]{36}$/);
  const part = (place: string, text: string) =>
    `\r\n--${boundary}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Range: bytes ${place}/10\r\n\r\n${text}`;
  assert.equal(answer.text, `${part("8-9", "89")}${part("0-1", "01")}\r\n--${boundary}--\r\n`);
  assert.equal(answer.length, answer.body.length);
  assert.equal(answer.headers.has("content-range"), false);
});

test("a range counts only while its condition holds", async (t) => {
  const { disk, root } = makeDisk(t);
  fs.writeFileSync(join(root, "a.txt"), "0123456789");
  const full = await get(disk, "/a.txt");
  const etag = full.headers.get("etag") ?? "";
  const modified = full.headers.get("last-modified") ?? "";
  const cases = [
    [etag, 206],
    [modified, 206],
    [`W/${etag}`, 200],
    ['"x"', 200],
    ["Sun, 06 Nov 1994 08:49:37 GMT", 200],
    ["nonsense", 200],
  ] as const;
  for (const [value, status] of cases) {
    const answer = await get(disk, "/a.txt", [
      ["range", "bytes=0-0"],
      ["if-range", value],
    ]);
    assert.equal(answer.status, status, value);
  }
});

test("a large file is read no faster than it is taken", async (t) => {
  const { disk, root } = makeDisk(t);
  const content = Buffer.alloc(3_000_001, "0123456789");
  fs.writeFileSync(join(root, "large"), content);
  const exchange = new CollectedExchange({ target: "/large", headers: [["range", "bytes=1-"]] });
  exchange.sink.manual = true;
  const first = Promise.withResolvers<void>();
  exchange.sink.onChunk = () => first.resolve();
  disk.handle(exchange);
  await first.promise;
  for (let i = 0; i < 50; i++) await setImmediate();
  assert.equal(exchange.sink.chunks, 1);
  exchange.sink.onChunk = () => exchange.more();
  exchange.more();
  const answer = await exchange.done;
  assert.equal(answer.length, content.length - 1);
  assert.ok(answer.body.equals(content.subarray(1)));
});

test("a client that leaves has its file closed, at every point", async (t) => {
  const { disk, root } = makeDisk(t);
  fs.writeFileSync(join(root, "large"), Buffer.alloc(1_000_000));
  fs.mkdirSync(join(root, "dir"));
  for (const target of ["/large", "/dir", "/dir/", "/missing"]) {
    const early = new CollectedExchange({ target });
    disk.handle(early);
    early.leave();
  }
  const unread = new CollectedExchange({ target: "/large" });
  unread.hold = true;
  disk.handle(unread);
  await unread.begun;
  unread.leave();
  const reading = new CollectedExchange({ target: "/large" });
  const chunk = Promise.withResolvers<void>();
  reading.sink.onChunk = () => chunk.resolve();
  disk.handle(reading);
  await chunk.promise;
  reading.leave();
});

test("a file that is cut short while it is sent breaks its answer off", async (t) => {
  const { disk, root } = makeDisk(t);
  fs.writeFileSync(join(root, "large"), Buffer.alloc(1_000_000));
  const exchange = new CollectedExchange({ target: "/large" });
  exchange.sink.manual = true;
  exchange.sink.onChunk = () => {
    fs.truncateSync(join(root, "large"), 200_000);
    exchange.more();
  };
  disk.handle(exchange);
  const answer = await exchange.done;
  assert.equal(answer.length, 1_000_000);
  assert.equal(answer.broken?.code, "disk_failed");
});

test("PUT makes a file, its directories, and replaces it in one step", async (t) => {
  const { disk, root } = makeDisk(t, { writable: true });
  const made = await collect(disk, { method: "PUT", target: "/a/b/new%20file.txt", body: "first" });
  assert.equal(made.status, 201);
  const path = join(root, "a/b/new file.txt");
  assert.equal(fs.readFileSync(path, "utf8"), "first");
  const read = await get(disk, "/a/b/new%20file.txt");
  assert.equal(read.headers.get("etag"), made.headers.get("etag"));
  fs.chmodSync(path, 0o640);
  const held = new CollectedExchange({ target: "/a/b/new%20file.txt" });
  disk.handle(held);
  const replaced = await collect(disk, { method: "PUT", target: "/a/b/new%20file.txt", body: null });
  assert.equal(replaced.status, 204);
  assert.notEqual(replaced.headers.get("etag"), made.headers.get("etag"));
  assert.equal(fs.readFileSync(path, "utf8"), "");
  assert.equal(fs.statSync(path).mode & 0o777, 0o640);
  assert.equal((await held.done).text, "first");
  assert.deepEqual(fs.readdirSync(join(root, "a/b")), ["new file.txt"]);
  assert.deepEqual(fs.readdirSync(root), ["a"]);
});

test("PUT takes a large body with backpressure", async (t) => {
  const { disk, root } = makeDisk(t, { writable: true });
  const body = new PushedBody();
  let left = 64;
  let refusals = 0;
  const push = (sink: BodySink) => {
    while (left > 0) {
      left--;
      if (!sink.write(Buffer.alloc(100_000, left))) {
        refusals++;
        return;
      }
    }
    sink.end(null);
  };
  body.onPiped = push;
  body.onResume = (sink) => globalThis.setImmediate(push, sink);
  const answer = await collect(disk, { method: "PUT", target: "/large", body });
  assert.equal(answer.status, 201);
  assert.ok(refusals > 0);
  const written = fs.readFileSync(join(root, "large"));
  assert.equal(written.length, 6_400_000);
  for (let i = 0; i < 64; i++) assert.equal(written[i * 100_000 + 99_999], 63 - i);
});

test("a PUT that does not come to its end leaves nothing behind", async (t) => {
  const { disk, root, idle } = makeDisk(t, { writable: true });
  fs.writeFileSync(join(root, "old"), "old");
  for (const target of ["/old", "/new", "/deep/er/new"]) {
    const body = new PushedBody();
    body.onPiped = (sink) => {
      sink.write(Buffer.from("half"));
      sink.fail(new ProxyError("request_body_incomplete", "cannot read the body: it broke off"));
    };
    const answer = await collect(disk, { method: "PUT", target, body });
    assert.equal(answer.error?.code, "request_body_incomplete", target);
    const left = new PushedBody();
    const piped = Promise.withResolvers<void>();
    left.onPiped = (sink) => {
      sink.write(Buffer.from("half"));
      piped.resolve();
    };
    const exchange = new CollectedExchange({ method: "PUT", target, body: left });
    disk.handle(exchange);
    await piped.promise;
    exchange.leave();
    assert.equal(left.cancelled?.code, "client_disconnected");
    const early = new CollectedExchange({ method: "PUT", target, body: new PushedBody() });
    disk.handle(early);
    early.leave();
  }
  await idle();
  assert.deepEqual(fs.readdirSync(root), ["old"]);
  assert.equal(fs.readFileSync(join(root, "old"), "utf8"), "old");
});

test("PUT is refused where it cannot be carried out", async (t) => {
  const { disk, root } = makeDisk(t, { writable: true });
  fs.mkdirSync(join(root, "dir"));
  fs.writeFileSync(join(root, "file"), "file");
  const cases: ReadonlyArray<readonly [target: string, status: number, headers?: Ask["headers"]]> = [
    ["/", 409],
    ["/dir", 409],
    ["/dir/", 409],
    ["/file/below", 409],
    ["/file/below/deep", 409],
    ["/.hidden", 404],
    ["/a/.sluice-put-x", 404],
    [`/${"x".repeat(300)}`, 400],
    [`/${"d/".repeat(70)}x`, 400],
    ["/file", 400, [["content-range", "bytes 0-1/4"]]],
    ["/file", 412, [["if-none-match", "*"]]],
    ["/file", 412, [["if-match", '"x"']]],
    ["/new", 412, [["if-match", "*"]]],
    ["/deep/new", 412, [["if-match", "*"]]],
    ["/new", 412, [["if-unmodified-since", "Sun, 06 Nov 1994 08:49:37 GMT"]]],
  ];
  for (const [target, status, headers] of cases) {
    const answer = await collect(disk, { method: "PUT", target, body: "x", headers: headers ?? [] });
    assert.equal(answer.status, status, target);
  }
  assert.deepEqual(fs.readdirSync(root).sort(), ["dir", "file"]);
  const etag = (await get(disk, "/file")).headers.get("etag") ?? "";
  const changed = await collect(disk, {
    method: "PUT",
    target: "/file",
    body: "x",
    headers: [["if-match", etag]],
  });
  assert.equal(changed.status, 204);
  const made = await collect(disk, {
    method: "PUT",
    target: "/new",
    body: "x",
    headers: [["if-none-match", "*"]],
  });
  assert.equal(made.status, 201);
});
