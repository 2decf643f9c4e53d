import assert from "node:assert/strict";
import { scryptSync } from "node:crypto";
import { test } from "node:test";
import { startSluice } from "../support/sluice.ts";
import { type Echo, Edge, origin, status } from "./middleware-harness.ts";

test("a rate limit lets so many requests through, tells the rest when to come again, and counts clients apart", async (context) => {
  const edge = await Edge.start(
    context,
    "[{ rateLimit: { requests: 2, per: 1h, by: { header: x-api-key } } }]",
  );
  const ask = (key: string) => edge.ask("/", { headers: { "x-api-key": key } });
  const first = await ask("a");
  assert.equal(first.status, 200);
  assert.equal(first.headers.get("ratelimit-policy"), '"default";q=2;w=3600');
  assert.match(first.headers.get("ratelimit") ?? "", /^"default";r=1;t=\d+$/);
  assert.equal(await status(ask("a")), 200);
  const third = await ask("a");
  assert.equal(third.status, 429);
  assert.equal(third.headers.get("retry-after"), "1800");
  assert.equal(await status(ask("b")), 200);
});

test("basic authentication takes hashes and plain passwords, and hides the credentials", async (context) => {
  const salt = Buffer.from("0123456789abcdef");
  const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64").replaceAll("=", "");
  const hash = `$scrypt$ln=12,r=8,p=1$${base64(salt)}$${base64(scryptSync("geheim: ü", salt, 32, { N: 4096 }))}`;
  const edge = await Edge.start(
    context,
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the config's own substitution
    '[{ basicAuth: { users: { ada: "${HASH}", bob: "${PLAIN}" }, realm: staging, userHeader: x-user } }]',
    "",
    {},
    { HASH: hash, PLAIN: "swordfish" },
  );
  const as = (user: string, password: string): RequestInit => ({
    headers: {
      authorization: `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`,
      "x-user": "root",
    },
  });
  for (let i = 0; i < 2; i++) {
    const { headers } = await edge.echo("/", as("ada", "geheim: ü"));
    assert.equal(headers["x-user"], "ada");
    assert.equal(headers.authorization, undefined);
  }
  assert.equal((await edge.echo("/", as("bob", "swordfish"))).headers["x-user"], "bob");
  const anonymous = await edge.ask();
  assert.equal(anonymous.status, 401);
  assert.equal(anonymous.headers.get("www-authenticate"), 'Basic realm="staging", charset="UTF-8"');
  for (const [user, password] of [
    ["ada", "geheim"],
    ["ada", hash],
    ["eve", "swordfish"],
    ["bob", ""],
  ] as const) {
    assert.equal(await status(edge.ask("/", as(user, password))), 401, user);
  }
  assert.equal(await status(edge.ask("/", { headers: { authorization: "Basic !!" } })), 401);
});

test("addresses are denied first and then allowed", async (context) => {
  const edge = await Edge.start(
    context,
    "[one]",
    `  one: { middleware: [{ ip: { allow: [127.0.0.0/8] } }] }`,
  );
  assert.equal(await status(edge.ask()), 200);
  const denied = await Edge.start(context, "[{ ip: { allow: [local], deny: [127.0.0.1] } }]");
  assert.equal(await status(denied.ask()), 403);
});

test("headers are edited in both directions, and a request gets an id of its own", async (context) => {
  const edge = await Edge.start(
    context,
    "[{ requestId: {} }, { headers: { request: { x-a: '1', accept-language: null }, response: { x-origin: null, x-b: '2' } } }]",
  );
  const response = await edge.ask("/", {
    headers: { "accept-language": "de", "x-request-id": "forged", "x-a": "0" },
  });
  const { headers } = (await response.json()) as Echo;
  assert.equal(headers["x-a"], "1");
  assert.equal(headers["accept-language"], undefined);
  assert.equal(response.headers.get("x-origin"), null);
  assert.equal(response.headers.get("x-b"), "2");
  assert.match(headers["x-request-id"] ?? "", /^[0-9a-f-]{36}$/);
  assert.equal(response.headers.get("x-request-id"), headers["x-request-id"]);
});

test("a body above the limit is refused, whether its length was told or not", async (context) => {
  const edge = await Edge.start(context, "[{ bodyLimit: 10B }]");
  const streamed = (text: string): RequestInit => ({
    method: "POST",
    body: new Blob([text]).stream(),
    duplex: "half",
  });
  assert.equal((await edge.echo("/", { method: "POST", body: "0123456789" })).body, "0123456789");
  assert.equal((await edge.echo("/", streamed("0123456789"))).body, "0123456789");
  assert.equal(await status(edge.ask("/", { method: "POST", body: "0123456789a" })), 413);
  assert.equal(await status(edge.ask("/", streamed("0123456789a"))), 413);
});

test("a maintenance page answers everyone but those who may pass", async (context) => {
  const page = "{ enabled: true, retryAfter: 10m, body: back soon, contentType: text/plain";
  const closed = await Edge.start(context, `[{ maintenance: ${page} } }]`);
  const response = await closed.ask("/", { method: "POST", body: "x" });
  assert.equal(response.status, 503);
  assert.equal(response.headers.get("retry-after"), "600");
  assert.equal(await response.text(), "back soon");
  const open = await Edge.start(context, `[{ maintenance: ${page}, pass: [local] } }]`);
  assert.equal(await status(open.ask()), 200);
});

test("preflights are answered, and only allowed origins may read", async (context) => {
  const edge = await Edge.start(
    context,
    `[{ cors: { origins: ["https://app.test", "https://*.site.test"], methods: [PUT], headers: [x-a], credentials: true } }]`,
  );
  const preflight = (origin: string) =>
    edge.ask("/", {
      method: "OPTIONS",
      headers: { origin, "access-control-request-method": "PUT", "access-control-request-headers": "x-a" },
    });
  const allowed = await preflight("https://app.test");
  assert.equal(allowed.status, 204);
  assert.equal(allowed.headers.get("access-control-allow-origin"), "https://app.test");
  assert.equal(allowed.headers.get("access-control-allow-methods"), "PUT");
  assert.equal(allowed.headers.get("access-control-allow-headers"), "x-a");
  assert.equal(allowed.headers.get("access-control-allow-credentials"), "true");
  for (const origin of ["https://evil.test", "https://site.test", "https://a/.site.test", "null"]) {
    assert.equal((await preflight(origin)).headers.get("access-control-allow-origin"), null, origin);
  }
  const answer = await edge.ask("/", { headers: { origin: "https://a.site.test" } });
  assert.equal(answer.headers.get("access-control-allow-origin"), "https://a.site.test");
  assert.equal(answer.headers.get("vary"), "Origin");
  assert.equal((await edge.ask()).headers.get("access-control-allow-origin"), null);
});

const guard = `
import { WorkerEntrypoint } from "cloudflare:workers";
export default {
  async fetch(request, env, ctx) {
    if (new URL(request.url).pathname === "/own") return new Response("from " + (ctx.props.place ?? "guard"));
    const asked = new Request(request);
    asked.headers.append("x-passed", ctx.props.place ?? "guard");
    const answer = await env.next.fetch(asked);
    const edited = new Response(answer.body, answer);
    edited.headers.append("x-seen-by", env.NAME + " " + Object.keys(env).sort());
    return edited;
  },
};
export class Inner extends WorkerEntrypoint {
  async fetch(request) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    return this.env.next.fetch(request);
  }
}
export class Failing extends WorkerEntrypoint {
  fetch() { this.ctx.passThroughOnException(); throw new Error("no"); }
}`;

test("a Worker is a middleware wherever it is named, and each place leads on to what follows there", async (context) => {
  const { address } = await origin(context);
  const worker = "compatibilityDate: 2026-11-01, bindings: { NAME: { text: guard } }";
  const sluice = await startSluice(
    context,
    `
sockets:
  one: { address: "127.0.0.1:0", service: first }
  two: { address: "127.0.0.1:0", service: second }
  three: { address: "127.0.0.1:0", service: third }
services:
  guard: { worker: { main: ./guard.js, ${worker} } }
  both: { middleware: [{ name: guard, props: { place: a } }, { name: guard, entrypoint: Inner }] }
  first: { external: { address: "${address}" }, middleware: [guard, both] }
  second: { worker: { main: ./second.js, ${worker} }, middleware: [{ name: guard, entrypoint: Inner }] }
  third: { external: { address: "${address}" }, middleware: [{ name: guard, entrypoint: Failing }, guard] }
log: { access: false }
`,
    {
      files: {
        "guard.js": guard,
        "second.js":
          "export default { fetch: (request) => new Response('second ' + new URL(request.url).pathname) };",
      },
    },
  );
  const ask = async (socket: string, path: string) => fetch(`${await sluice.listening(socket)}${path}`);
  const answers = await Promise.all(
    ["one", "two", "one", "three"].map(async (socket, i) => {
      const response = await ask(socket, `/${i}`);
      return { seen: response.headers.get("x-seen-by"), text: await response.text() };
    }),
  );
  assert.equal(answers[0]?.seen, "guard NAME,next, guard NAME,next");
  assert.equal((JSON.parse(answers[0]?.text ?? "") as Echo).headers["x-passed"], "guard, a");
  assert.equal((JSON.parse(answers[2]?.text ?? "") as Echo).url, "/2");
  assert.deepEqual(answers[1], { seen: null, text: "second /1" });
  assert.equal((JSON.parse(answers[3]?.text ?? "") as Echo).headers["x-passed"], "guard");
  assert.equal(await (await ask("one", "/own")).text(), "from guard");
});

test("another service decides about each request, and names the user", async (context) => {
  const login = `
export default { fetch(request) {
  const { headers } = request;
  const asked = ["method", "proto", "host", "uri"].map((name) => headers.get("x-forwarded-" + name)).join(" ");
  if (headers.get("if-none-match") !== null || request.method !== "GET") return new Response(null, { status: 500 });
  if (headers.get("cookie") !== "session=1")
    return new Response("log in", { status: 401, headers: { "x-asked": asked, "set-cookie": "try=1" } });
  return new Response("ok", { headers: { "x-user": "ada", "x-other": "1" } });
} };`;
  const edge = await Edge.start(
    context,
    "[{ forwardAuth: { service: login, path: /verify, copyHeaders: [x-user, x-role] } }]",
    "  login: { worker: { main: ./login.js, compatibilityDate: 2026-11-01 } }",
    { "login.js": login },
  );
  const forged = { "x-role": "root", "x-user": "root", "x-forwarded-uri": "/harmless", "if-none-match": "1" };
  const refused = await edge.ask("/secret?a", { method: "POST", body: "x", headers: forged });
  assert.equal(refused.status, 401);
  assert.match(refused.headers.get("x-asked") ?? "", /^POST http 127\.0\.0\.1:\d+ \/secret\?a$/);
  assert.equal(await refused.text(), "log in");
  const echo = await edge.echo("/in", {
    method: "POST",
    body: "data",
    headers: { ...forged, cookie: "session=1" },
  });
  assert.equal(echo.headers["x-user"], "ada");
  assert.equal(echo.headers["x-role"], undefined);
  assert.equal(echo.headers["x-other"], undefined);
  assert.equal(echo.body, "data");
});
