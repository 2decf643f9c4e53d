import assert from "node:assert/strict";
import { test } from "node:test";
import { FaultOrigin } from "../support/fault-origin.ts";
import { RawOrigin, TestProxy, until } from "./http-harness.ts";
import { ask } from "./upstream-harness.ts";

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

test("above limits.requests the answer is 503 with Retry-After, until one is over", async (t) => {
  const origin = await FaultOrigin.start(t, { wait: () => {}, now: (request) => request.send(ok) });
  const proxy = await TestProxy.start(t, { external: { address: origin.address, limits: { requests: 2 } } });
  const held = [ask(proxy, { path: "/wait/1" }), ask(proxy, { path: "/wait/2" })];
  await origin.request("/wait/1");
  await origin.request("/wait/2");
  const refused = await ask(proxy, { path: "/now" });
  assert.deepEqual([refused.status, refused.headers["retry-after"]], [503, "1"]);
  assert.deepEqual(proxy.errors, { upstream_overloaded: 1 });
  assert.equal(proxy.upstreamMetric("overloads_total", 'limit="requests"'), 1);
  for (const i of [1, 2]) (await origin.request(`/wait/${i}`)).send(ok);
  await Promise.all(held);
  assert.equal((await ask(proxy, { path: "/now" })).body, "ok");
});

test("above limits.connections requests wait, and above limits.pending they are refused at once", async (t) => {
  const origin = await FaultOrigin.start(t, { wait: () => {} });
  const proxy = await TestProxy.start(t, {
    external: { address: origin.address, limits: { connections: 1, pending: 2 } },
  });
  const held = [1, 2, 3].map(() => ask(proxy, { path: "/wait" }));
  await until(() => proxy.upstreamMetric("pending") === 2);
  const refused = await ask(proxy, { path: "/wait" });
  assert.deepEqual([refused.status, refused.headers["retry-after"]], [503, "1"]);
  assert.equal(proxy.upstreamMetric("overloads_total", 'limit="pending"'), 1);
  for (let nth = 0; nth < 3; nth++) (await origin.request("/wait", nth)).send(ok);
  for (const { body } of await Promise.all(held)) assert.equal(body, "ok");
  assert.equal(proxy.upstreamMetric("pending"), 0);
});

test("warm connections stand before a request comes, and are replaced when they go", async (t) => {
  const origin = await RawOrigin.start(t, (connection) => {
    connection.socket.on("data", () => connection.send(ok));
  });
  const proxy = await TestProxy.start(t, { external: { address: origin.address, warm: 3 } });
  await until(() => proxy.upstreamConnections().idle === 3);
  assert.equal((await ask(proxy)).body, "ok");
  assert.equal(origin.connections.length, 3);
  origin.connections[0]?.socket.destroy();
  await until(() => origin.connections.length === 4);
  await until(() => proxy.upstreamConnections().idle === 3);
});

test("warm connections that cannot be had hurt nobody", async (t) => {
  const origin = await RawOrigin.start(t);
  const { address } = origin;
  origin.server.close();
  const proxy = await TestProxy.start(t, { external: { address, warm: 2 } });
  assert.equal((await ask(proxy)).status, 502);
  await until(() => proxy.upstreamConnections().open === 0);
});
