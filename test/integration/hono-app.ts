import { Hono } from "hono";
import { basicAuth } from "hono/basic-auth";
import { getCookie, setCookie } from "hono/cookie";
import { cors } from "hono/cors";
import { HTTPException } from "hono/http-exception";
import { stream, streamText } from "hono/streaming";

/** An application with twenty routes, run unchanged in Sluice and in Node. */
const app = new Hono();

app.use("/cors/*", cors({ origin: "https://example.com", allowMethods: ["GET", "PUT"] }));
app.use("/private/*", basicAuth({ username: "user", password: "pass" }));
app.use("/timed/*", async (context, next) => {
  await next();
  context.header("x-after", "yes");
});

app.get("/", (context) => context.text("home"));
app.get("/json", (context) => context.json({ ok: true, list: [1, 2, 3], text: "ä€😀" }));
app.get("/html", (context) => context.html("<h1>hello</h1>"));
app.get("/users/:id", (context) => context.json({ id: context.req.param("id") }));
app.get("/users/:id/posts/:post{[0-9]+}", (context) => context.json(context.req.param()));
app.get("/query", (context) =>
  context.json({ q: context.req.query("q"), all: context.req.queries("tag") ?? [] }),
);
app.get("/header", (context) => context.text(context.req.header("x-test") ?? "none"));
app.post("/echo", async (context) => context.text(await context.req.text()));
app.post("/body", async (context) => context.json(await context.req.json()));
app.post("/form", async (context) => context.json(await context.req.parseBody()));
app.put("/bytes", async (context) => context.body(await context.req.arrayBuffer(), 201));
app.delete("/gone", (context) => context.body(null, 204));
app.get("/redirect", (context) => context.redirect("/json", 302));
app.get("/cookie", (context) => {
  setCookie(context, "seen", String(Number(getCookie(context, "seen") ?? "0") + 1), {
    path: "/",
    httpOnly: true,
  });
  setCookie(context, "other", "b");
  return context.text("cookies");
});
app.get("/cors/data", (context) => context.json({ shared: true }));
app.get("/private/area", (context) => context.text("welcome"));
app.get("/timed/page", (context) => context.text("timed"));
app.get("/error", () => {
  throw new HTTPException(418, { message: "teapot" });
});
app.get("/stream", (context) =>
  stream(context, async (out) => {
    for (let i = 0; i < 5; i++) await out.write(new TextEncoder().encode(`${i},`));
  }),
);
app.get("/stream-text", (context) =>
  streamText(context, async (out) => {
    await out.writeln("one");
    await out.writeln("two");
  }),
);
app.all("/any/*", (context) => context.text(`${context.req.method} ${context.req.path}`));
app.notFound((context) => context.text("nothing here", 404));

export default app;
