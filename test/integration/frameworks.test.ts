import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { startSluice } from "../support/sluice.ts";
import app from "./hono-app.ts";

const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url));

const config = (main: string): string => `
sockets:
  public: { address: "127.0.0.1:0", service: app }
services:
  app: { worker: { main: ${JSON.stringify(main)}, compatibilityDate: 2026-11-01 } }
log: { access: false }
`;

type Ask = readonly [path: string, init?: RequestInit];

const form = new FormData();
form.set("name", "value");
form.set("file", new File(["content"], "a.txt", { type: "text/plain" }));

const asks: readonly Ask[] = [
  ["/"],
  ["/json"],
  ["/html"],
  ["/users/%C3%A4%20b"],
  ["/users/7/posts/42"],
  ["/users/7/posts/x"],
  ["/query?q=a%20b&tag=1&tag=2"],
  ["/header", { headers: { "x-test": "value" } }],
  ["/echo", { method: "POST", body: "ä€😀" }],
  [
    "/body",
    { method: "POST", body: '{"a":[1,{"b":null}]}', headers: { "content-type": "application/json" } },
  ],
  ["/body", { method: "POST", body: "{broken" }],
  ["/form", { method: "POST", body: new URLSearchParams({ a: "1", b: "2 3" }) }],
  ["/form", { method: "POST", body: form }],
  ["/bytes", { method: "PUT", body: new Uint8Array([0, 1, 254, 255]) }],
  ["/gone", { method: "DELETE" }],
  ["/redirect"],
  ["/cookie", { headers: { cookie: "seen=4" } }],
  ["/cors/data", { headers: { origin: "https://example.com" } }],
  [
    "/cors/data",
    { method: "OPTIONS", headers: { origin: "https://example.com", "access-control-request-method": "PUT" } },
  ],
  ["/private/area"],
  ["/private/area", { headers: { authorization: `Basic ${btoa("user:pass")}` } }],
  ["/timed/page"],
  ["/error"],
  ["/stream"],
  ["/stream-text"],
  ["/any/thing/else", { method: "PATCH" }],
  ["/nothing"],
];

/** What a client can tell of an answer; Date and framing are the server's. */
async function describe(response: Response): Promise<unknown> {
  const headers = [...response.headers].filter(
    ([name]) => !["date", "content-length", "transfer-encoding", "connection", "keep-alive"].includes(name),
  );
  return { status: response.status, headers, body: await response.text() };
}

test("a Hono application answers the same through Sluice as in Node", async (t) => {
  const sluice = await startSluice(t, config(here("hono-app.ts")));
  for (const [path, init] of asks) {
    const through = await fetch(`${sluice.url}${path}`, { redirect: "manual", ...init });
    const plain = await app.fetch(new Request(`${sluice.url}${path}`, init));
    assert.deepEqual(await describe(through), await describe(plain), `${init?.method ?? "GET"} ${path}`);
  }
});

test("an itty-router application runs unmodified", async (t) => {
  const sluice = await startSluice(t, config(here("itty-app.ts")));
  const user = await fetch(`${sluice.url}/users/7?full=1`);
  assert.deepEqual(await user.json(), { id: "7", full: "1" });
  const posted = await fetch(`${sluice.url}/posts`, { method: "POST", body: '{"a":1}' });
  assert.equal(posted.status, 201);
  assert.deepEqual(await posted.json(), { got: { a: 1 } });
  const missing = await fetch(`${sluice.url}/none`);
  assert.equal(missing.status, 404);
  assert.deepEqual(await missing.json(), { status: 404, error: "Not Found" });
  const thrown = await fetch(`${sluice.url}/throw`);
  assert.equal(thrown.status, 500);
});
