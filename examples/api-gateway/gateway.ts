import { type Context, Hono } from "hono";
import { bearerAuth } from "hono/bearer-auth";
import { HTTPException } from "hono/http-exception";

interface Env {
  readonly TOKEN: string;
  readonly USERS: Fetcher;
  readonly ORDERS: Fetcher;
  readonly PAYMENTS: Fetcher;
}
type App = { Bindings: Env };

const app = new Hono<App>();

app.get("/health", (c) => c.json({ ok: true }));

const unauthorized = { error: "unauthorized" };
app.use("/api/*", (c, next) =>
  bearerAuth<App>({
    token: c.env.TOKEN,
    noAuthenticationHeader: { message: unauthorized },
    invalidAuthenticationHeader: { message: { error: "bad_request" } },
    invalidToken: { message: unauthorized },
  })(c, next),
);
app.all("/api/users/*", (c) => forward(c, c.env.USERS, "/api/users"));
app.all("/api/orders/*", (c) => forward(c, c.env.ORDERS, "/api/orders"));
app.all("/api/payments/*", (c) => forward(c, c.env.PAYMENTS, "/api/payments"));

app.notFound((c) => c.json({ error: "not_found" }, 404));
app.onError((error, c) => {
  if (error instanceof HTTPException) return error.getResponse();
  console.error("cannot answer", c.req.path, error);
  return c.json({ error: "internal" }, 500);
});

/** Sends the request to the service with the prefix taken off and without the client's token. */
async function forward(c: Context<App>, service: Fetcher, prefix: string): Promise<Response> {
  const url = new URL(c.req.url);
  url.pathname = url.pathname.slice(prefix.length);
  const request = new Request(url, c.req.raw);
  request.headers.delete("authorization");
  try {
    return await service.fetch(request);
  } catch (error) {
    console.warn("cannot reach the service for", c.req.path, error);
    return c.json({ error: "bad_gateway" }, 502);
  }
}

export default app;
