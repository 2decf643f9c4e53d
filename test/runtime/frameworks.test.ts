import assert from "node:assert/strict";
import { test } from "node:test";
import { bundleProgram, Guest } from "./harness.ts";

const honoApp = `
  import { Hono } from "hono";
  import { cors } from "hono/cors";
  import { etag } from "hono/etag";
  import { stream, streamText } from "hono/streaming";
  import { HTTPException } from "hono/http-exception";
  const app = new Hono();
  app.use("/api/*", cors({ origin: "http://a.example" }));
  app.use("/tagged", etag());
  app.use(async (c, next) => { await next(); c.header("X-App", "hono"); });
  app.get("/", (c) => c.text("root"));
  app.get("/users/:id", (c) => c.json({ id: c.req.param("id"), q: c.req.query("q"), all: c.req.queries("q") }));
  app.get("/html", (c) => c.html("<p>" + c.req.header("x-name") + "</p>"));
  app.post("/json", async (c) => c.json(await c.req.json(), 201));
  app.post("/form", async (c) => { const body = await c.req.parseBody(); return c.json({ a: body.a, file: body.f instanceof File ? [body.f.name, await body.f.text()] : null }); });
  app.put("/text", async (c) => c.text((await c.req.text()).toUpperCase()));
  app.get("/redirect", (c) => c.redirect("/"));
  app.get("/error", () => { throw new HTTPException(418, { message: "teapot" }); });
  app.get("/crash", () => { throw new Error("crash"); });
  app.get("/api/data", (c) => c.json([1, 2]));
  app.get("/tagged", (c) => c.text("tagged"));
  app.get("/stream", (c) => streamText(c, async (s) => { await s.write("one "); await s.write("two"); }));
  app.get("/bytes", (c) => stream(c, async (s) => { await s.write(new Uint8Array([104, 105])); }));
  app.get("/raw", () => new Response("raw", { status: 202 }));
  app.get("/cookie", (c) => { c.header("Set-Cookie", "a=1"); c.header("Set-Cookie", "b=2", { append: true }); return c.body(null, 204); });
  app.get("/wild/*", (c) => c.text(c.req.path));
  app.get("/opt/:x{[0-9]+}?", (c) => c.text(c.req.param("x") ?? "none"));
  app.notFound((c) => c.text("nothing at " + new URL(c.req.url).pathname, 404));
  app.onError((error, c) => error instanceof HTTPException ? error.getResponse() : c.text("oops " + error.message, 500));
  app.route("/sub", new Hono().get("/x", (c) => c.text("sub x")).all("/any", (c) => c.text(c.req.method)));
  export default app;
`;

const ittyApp = `
  import { AutoRouter, json, error, withParams } from "itty-router";
  const router = AutoRouter();
  router
    .get("/", () => "hello")
    .get("/items/:id", ({ params, query }) => ({ id: params.id, query }))
    .post("/echo", async (request) => json(await request.json(), { headers: { "x-echo": "1" } }))
    .get("/fail", () => error(403, "no"))
    .get("/throw", () => { throw new Error("thrown"); });
  export default { fetch: (request) => router.fetch(request) };
`;

const requests: readonly [string, { method?: string; headers?: Record<string, string>; body?: string }?][] = [
  ["/"],
  ["/users/5?q=a&q=b%20c"],
  ["/html", { headers: { "x-name": "Bo" } }],
  ["/json", { method: "POST", body: '{"a":[1]}', headers: { "content-type": "application/json" } }],
  ["/json", { method: "POST", body: "{", headers: { "content-type": "application/json" } }],
  [
    "/form",
    { method: "POST", body: "a=1&b=2", headers: { "content-type": "application/x-www-form-urlencoded" } },
  ],
  [
    "/form",
    {
      method: "POST",
      body: '--B\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--B\r\nContent-Disposition: form-data; name="f"; filename="x.txt"\r\nContent-Type: text/plain\r\n\r\ndata\r\n--B--\r\n',
      headers: { "content-type": "multipart/form-data; boundary=B" },
    },
  ],
  ["/text", { method: "PUT", body: "shout" }],
  ["/redirect"],
  ["/error"],
  ["/crash"],
  ["/api/data", { headers: { origin: "http://a.example" } }],
  [
    "/api/data",
    { method: "OPTIONS", headers: { origin: "http://a.example", "access-control-request-method": "GET" } },
  ],
  ["/stream"],
  ["/bytes"],
  ["/raw"],
  ["/cookie"],
  ["/wild/a/b?c"],
  ["/opt/12"],
  ["/opt"],
  ["/opt/x"],
  ["/sub/x"],
  ["/sub/any", { method: "DELETE" }],
  ["/missing"],
  ["/tagged"],
  ["/items/7?x=1&y=2"],
  ["/echo", { method: "POST", body: "[1]", headers: { "content-type": "application/json" } }],
  ["/fail"],
  ["/throw"],
];

type App = { fetch(request: Request): Promise<Response> | Response };

const describe = async (app: App, list: typeof requests): Promise<unknown[]> => {
  const out: unknown[] = [];
  for (const [path, init] of list) {
    const response = await app.fetch(new Request(`http://app.example${path}`, init));
    out.push([path, response.status, [...response.headers], await response.text()]);
  }
  return out;
};

for (const [name, source] of [
  ["a Hono", honoApp],
  ["an itty-router", ittyApp],
] as const) {
  test(`${name} application answers the same in the isolate as in Node`, async () => {
    const code = await bundleProgram(source);
    const here = new Function(`${code}; return web.default;`)() as App;
    const expected = JSON.parse(JSON.stringify(await describe(here, requests)));
    const guest = await Guest.create();
    guest.context.evalSync(`{ ${code.replace("var web =", "globalThis.app =")} }`);
    const actual = (await guest.run(
      `async () => (${describe.toString()})(app.default, ${JSON.stringify(requests)})`,
    )) as unknown[];
    guest.dispose();
    for (let i = 0; i < expected.length; i++) assert.deepEqual(actual[i], expected[i]);
  });
}
