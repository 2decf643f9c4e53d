import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { z } from "zod";
import { router as routerSchema } from "../../src/config/schema/router.ts";
import { ProxyError } from "../../src/errors/proxy-error.ts";
import { BytesBody } from "../../src/http/body.ts";
import type { Exchange } from "../../src/http/exchange.ts";
import { HeaderBlock } from "../../src/http/header-block.ts";
import { ResponseHead } from "../../src/http/message.ts";
import { RouterService } from "../../src/services/router/router.ts";
import { FunctionService, TestContextOfServices, TestProxy, until } from "./http-harness.ts";

/** A router behind a real socket, and services that answer with their name and what they were asked for. */
class Rig {
  readonly context = new TestContextOfServices();
  /** Answers of services in place of the ordinary one. */
  readonly answers: Record<string, (exchange: Exchange) => void> = {};
  /** `name method target body` of each request that came whole. */
  readonly seen: string[] = [];
  /** Requests with a body of which some has come. */
  begun = 0;
  proxy!: TestProxy;

  static async start(context: TestContext, rules: z.input<typeof routerSchema>): Promise<Rig> {
    const rig = new Rig();
    const router = new RouterService("edge", routerSchema.parse(rules), rig.context.forServices);
    router.link(({ name }) => new FunctionService((exchange) => rig.#answer(name, exchange)));
    rig.proxy = await TestProxy.start(context, { service: router });
    return rig;
  }

  ask(path: string, init: RequestInit = {}): Promise<Response> {
    return fetch(`${this.proxy.url}${path}`, { redirect: "manual", ...init });
  }

  async text(path: string, init: RequestInit = {}): Promise<string> {
    return (await this.ask(path, init)).text();
  }

  #answer(name: string, exchange: Exchange): void {
    const own = this.answers[name];
    if (own !== undefined) {
      own(exchange);
      return;
    }
    const { method, target } = exchange.request;
    const chunks: Uint8Array[] = [];
    const finish = () => {
      const body = Buffer.concat(chunks).toString();
      this.seen.push(`${name} ${method} ${target} ${body}`.trim());
      exchange.handler = null;
      const headers = HeaderBlock.from([["content-type", "text/plain"]]);
      exchange.respond(new ResponseHead(200, headers), BytesBody.text(`${name} ${target} ${body}`.trim()));
    };
    const source = exchange.takeBody();
    if (source === null) finish();
    else {
      source.pipe({
        write: (chunk) => {
          if (chunks.length === 0) this.begun++;
          return chunks.push(Uint8Array.from(chunk)) > 0;
        },
        end: finish,
        fail: (error) => exchange.fail(error),
      });
    }
  }
}

test("paths are rewritten byte for byte, and a path that another reading would rewrite otherwise is refused", async (context) => {
  const rig = await Rig.start(context, [
    { path: "/old/*", rewrite: "/new/v2/*", service: "app" },
    { path: "/one", rewrite: "/two", service: "app" },
    { path: "/*", rewrite: "/root/*", service: "app" },
  ]);
  assert.equal(await rig.text("/old/a%20b?x=/old/"), "app /new/v2/a%20b?x=/old/");
  assert.equal(await rig.text("/old?q"), "app /new/v2?q");
  assert.equal(await rig.text("/one?q"), "app /two?q");
  assert.equal(await rig.text("/three"), "app /root/three");
  assert.equal((await rig.ask("/%6fld/x")).status, 400);
});

test("rules match by the query, decoded", async (context) => {
  const rig = await Rig.start(context, [
    { query: { v: "2 a", debug: null }, service: "two" },
    { query: { debug: "*" }, service: "debug" },
    { service: "rest" },
  ]);
  assert.match(await rig.text("/?v=1&v=2%20a"), /^two/);
  assert.match(await rig.text("/?v=2+a&debug"), /^debug/);
  assert.match(await rig.text("/?v=2"), /^rest/);
});

test("redirects fill in parts of the request, and never lead to another site by a client's choice", async (context) => {
  const rig = await Rig.start(context, [
    { path: "/up/*", redirect: { to: "https://{host}{path}{query}", status: 308 } },
    { path: "/docs/*", redirect: { to: "/manual{rest}{query}" } },
    { redirect: { to: "{path}" } },
  ]);
  const location = async (path: string) => {
    const response = await rig.ask(path);
    return `${response.status} ${response.headers.get("location")}`;
  };
  assert.equal(await location("/up/a%2Fb?c=d"), "308 https://127.0.0.1/up/a%2Fb?c=d");
  assert.equal(await location("/docs/intro?x"), "302 /manual/intro?x");
  assert.equal(await location("/docs"), "302 /manual");
  const client = await rig.proxy.dial(context);
  for (const path of ["//evil.test/a", "/\\evil.test", "/\\/evil.test"]) {
    client.send(`GET ${path} HTTP/1.1\r\nHost: site\r\n\r\n`);
    const text = await client.got("\r\n\r\n");
    assert.doesNotMatch(text, /location: (\/[/\\]|\\)/i, path);
    client.received = "";
  }
});

test("a fixed response has its status, headers and body, and to HEAD no body", async (context) => {
  const rig = await Rig.start(context, [
    { path: "/healthz", respond: { status: 201, headers: { "content-type": "text/x" }, body: "fine ü\n" } },
    { respond: { status: 204 } },
  ]);
  const response = await rig.ask("/healthz", { method: "POST", body: "ignored" });
  assert.equal(response.status, 201);
  assert.equal(response.headers.get("content-type"), "text/x");
  assert.equal(await response.text(), "fine ü\n");
  const head = await rig.ask("/healthz", { method: "HEAD" });
  assert.equal(head.headers.get("content-length"), "8");
  assert.equal((await rig.ask("/")).status, 204);
});

test("a split keeps each client on its branch, and gives each branch its share", async (context) => {
  const branches = [
    { service: "stable", weight: 75 },
    { service: "canary", weight: 25 },
  ];
  const rig = await Rig.start(context, [
    { path: "/c", split: branches, splitBy: { cookie: "branch" } },
    { path: "/h", split: branches, splitBy: { header: "x-user" } },
    { split: [...branches, { service: "never", weight: 0 }] },
  ]);
  const first = await rig.ask("/c");
  const cookie = /^(branch=[\w-]{16}); Path=\/; Max-Age=2592000; HttpOnly; SameSite=Lax$/.exec(
    first.headers.get("set-cookie") ?? "",
  )?.[1];
  assert.ok(cookie !== undefined);
  const body = await first.text();
  for (let i = 0; i < 5; i++) {
    const again = await rig.ask("/c", { headers: { cookie: `a=b; ${cookie}` } });
    assert.equal(again.headers.get("set-cookie"), null);
    assert.equal(await again.text(), body);
  }
  const counts: Record<string, number> = {};
  for (let user = 0; user < 400; user++) {
    const name = (await rig.text("/h", { headers: { "x-user": `user-${user}` } })).split(" ")[0] ?? "";
    counts[name] = (counts[name] ?? 0) + 1;
  }
  assert.ok((counts.canary ?? 0) > 60 && (counts.canary ?? 0) < 140, JSON.stringify(counts));
  assert.equal(new Set([await rig.text("/"), await rig.text("/"), await rig.text("/")]).size, 1);
});

test("a mirror gets a copy of what is not too long, and its failure and silence reach nobody", async (context) => {
  const rig = await Rig.start(context, [
    {
      mirror: { service: "shadow", bodyBytes: "10B", concurrent: 2 },
      rewrite: "/in/*",
      path: "/*",
      service: "app",
    },
  ]);
  assert.equal(await rig.text("/a", { method: "POST", body: "short" }), "app /in/a short");
  assert.equal(await rig.text("/b"), "app /in/b");
  assert.equal(
    await rig.text("/c", { method: "POST", body: "longer than ten" }),
    "app /in/c longer than ten",
  );
  await until(() => rig.seen.length === 5);
  assert.deepEqual(
    rig.seen.filter((line) => line.startsWith("shadow")),
    ["shadow POST /in/a short", "shadow GET /in/b"],
  );
  rig.answers.shadow = (exchange) => exchange.fail(new ProxyError("upstream_reset", "cannot answer"));
  assert.equal(await rig.text("/d"), "app /in/d");
  const held: Exchange[] = [];
  rig.answers.shadow = (exchange) => held.push(exchange);
  for (let i = 0; i < 4; i++) assert.equal(await rig.text("/e"), "app /in/e");
  assert.equal(held.length, 2);
  for (const exchange of held) exchange.respond(new ResponseHead(200), BytesBody.text("late"));
  await until(() => rig.context.wheel.size === 0);
});

test("a rule's timeout ends what takes too long, and its body limit what is too long", async (context) => {
  const rig = await Rig.start(context, [
    { path: "/slow", timeout: "60ms", service: "slow" },
    { timeout: "5s", bodyLimit: "4B", service: "app" },
  ]);
  let code = "";
  rig.answers.slow = (exchange) => {
    exchange.handler = {
      onAbort: (error) => {
        code = error.code;
      },
    };
  };
  assert.equal((await rig.ask("/slow")).status, 504);
  assert.equal(code, "upstream_total_timeout");
  assert.equal(await rig.text("/", { method: "POST", body: "four" }), "app / four");
  assert.equal((await rig.ask("/", { method: "POST", body: "fives" })).status, 413);
  await until(() => rig.context.wheel.size === 0);
});

test("a rule has middlewares of its own", async (context) => {
  const rig = await Rig.start(context, [
    { path: "/a", middleware: [{ headers: { response: { "x-a": "1" } } }], service: "app" },
    { service: "app" },
  ]);
  assert.equal((await rig.ask("/a")).headers.get("x-a"), "1");
  assert.equal((await rig.ask("/b")).headers.get("x-a"), null);
});

test("of bodies that come slowly, no more are copied for a mirror than it takes at a time", async (context) => {
  const rig = await Rig.start(context, [
    { mirror: { service: "shadow", bodyBytes: "1KiB", concurrent: 1 }, service: "app" },
  ]);
  const streams = ["one", "two"].map((name) => {
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const writer = writable.getWriter();
    const answer = rig.text(`/${name}`, { method: "POST", body: readable, duplex: "half" } as RequestInit);
    return { writer, answer };
  });
  for (const { writer } of streams) await writer.write(Buffer.from("half "));
  await until(() => rig.begun === 2);
  for (const { writer } of streams) {
    await writer.write(Buffer.from("whole"));
    await writer.close();
  }
  assert.deepEqual(await Promise.all(streams.map(({ answer }) => answer)), [
    "app /one half whole",
    "app /two half whole",
  ]);
  await until(() => rig.seen.some((line) => line.startsWith("shadow")));
  // The place is free again.
  await rig.text("/three", { method: "POST", body: "late" });
  await until(() => rig.seen.includes("shadow POST /three late"));
  assert.equal(rig.seen.filter((line) => line.startsWith("shadow")).length, 2);
});
