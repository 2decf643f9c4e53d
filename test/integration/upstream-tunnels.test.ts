import assert from "node:assert/strict";
import { test } from "node:test";
import { unused } from "../support/client.ts";
import { RawOrigin, TestProxy, until } from "./http-harness.ts";
import { namedOrigins } from "./upstream-harness.ts";

const connect = "CONNECT db.internal:5432 HTTP/1.1\r\nHost: db.internal:5432\r\n\r\n";
const upgrade =
  "GET /chat HTTP/1.1\r\nHost: site\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/** A server of bytes that says its name and then what it hears. */
function speaker(t: Parameters<typeof RawOrigin.start>[0], name: string): Promise<RawOrigin> {
  return RawOrigin.start(t, (connection) => {
    connection.send(name);
    connection.socket.on("data", (text) => connection.socket.write(text));
    connection.socket.on("end", () => connection.socket.end());
  });
}

test("streams of bytes are shared among endpoints, and go on where one cannot be connected to", async (t) => {
  const [a, b] = [await speaker(t, "<a>"), await speaker(t, "<b>")];
  const proxy = await TestProxy.start(t, {
    http: { style: "proxy" },
    external: { tcp: {}, addresses: [a.address, `127.0.0.1:${await unused()}`, b.address] },
  });
  for (let i = 0; i < 6; i++) {
    const client = await proxy.dial(t);
    client.send(connect);
    await client.got(">");
    client.send("ping");
    await client.got("ping");
    client.socket.end();
    await client.end();
  }
  assert.ok(a.connections.length > 0 && b.connections.length > 0);
  assert.equal(a.connections.length + b.connections.length, 6);
  await until(() => proxy.upstreamMetric("endpoint_active", `endpoint="${a.address}"`) === 0);
});

test("a stream that nobody takes is refused with the reason, and one above limits.requests with 503", async (t) => {
  const refused = await TestProxy.start(t, {
    http: { style: "proxy" },
    external: { tcp: {}, addresses: [`127.0.0.1:${await unused()}`, `127.0.0.1:${await unused()}`] },
  });
  const client = await refused.dial(t);
  client.send(connect);
  await client.got("HTTP/1.1 502");

  const origin = await speaker(t, "<a>");
  const full = await TestProxy.start(t, {
    http: { style: "proxy" },
    external: { tcp: {}, address: origin.address, limits: { requests: 1 } },
  });
  const first = await full.dial(t);
  first.send(connect);
  await first.got("<a>");
  const second = await full.dial(t);
  second.send(connect);
  await second.got("HTTP/1.1 503");
  first.socket.end();
  await first.end();
  await until(() => full.upstreamMetric("endpoint_active", `endpoint="${origin.address}"`) === 0);
  const third = await full.dial(t);
  third.send(connect);
  await third.got("<a>");
});

test("streams of one client go to one endpoint by its hash", async (t) => {
  const origins = [await speaker(t, "<a>"), await speaker(t, "<b>"), await speaker(t, "<c>")];
  const proxy = await TestProxy.start(t, {
    http: { style: "proxy" },
    external: { tcp: {}, balance: "hash", addresses: origins.map(({ address }) => address) },
  });
  for (let i = 0; i < 5; i++) {
    const client = await proxy.dial(t);
    client.send(connect);
    await client.got(">");
  }
  assert.deepEqual(origins.map(({ connections }) => connections.length).sort(), [0, 0, 5]);
});

test("an upgrade is tried elsewhere as well, and keeps its endpoint busy until it is closed", async (t) => {
  const origin = await RawOrigin.start(t, (connection) => {
    void connection.got("\r\n\r\n").then(() => {
      connection.send(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n<hi>",
      );
      connection.socket.on("end", () => connection.socket.end());
    });
  });
  const [idle] = await namedOrigins(t, 1);
  const proxy = await TestProxy.start(t, {
    external: {
      addresses: [
        { address: `127.0.0.1:${await unused()}`, weight: 10 },
        origin.address,
        { address: idle?.address ?? "", backup: true },
      ],
      timeouts: { total: "50ms" },
    },
  });
  const client = await proxy.dial(t);
  client.send(upgrade);
  await client.got("<hi>");
  const active = () => proxy.upstreamMetric("endpoint_active", `endpoint="${origin.address}"`);
  assert.equal(active(), 1);
  // A total that is for exchanges does not end what it has become.
  await new Promise((resolve) => setTimeout(resolve, 150));
  assert.equal(active(), 1);
  client.socket.destroy();
  await until(() => active() === 0);
});
