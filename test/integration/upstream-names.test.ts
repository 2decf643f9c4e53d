import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import { DnsServer } from "../support/dns-server.ts";
import { FaultOrigin } from "../support/fault-origin.ts";
import { eventually } from "../support/shard.ts";
import { TestProxy, until } from "./http-harness.ts";
import { answers, ask, tally } from "./upstream-harness.ts";

/** Origins on one port of several loopback addresses, which answer with their address's last number. */
async function machines(t: TestContext, ...hosts: string[]): Promise<{ port: number; servers: Server[] }> {
  let port = 0;
  const servers: Server[] = [];
  for (const host of hosts) {
    const server = createServer((_request, response) => response.end(host.at(-1)));
    server.listen(port, host);
    await once(server, "listening");
    port = (server.address() as AddressInfo).port;
    servers.push(server);
    t.after(() => {
      server.close();
      server.closeAllConnections();
    });
  }
  return { port, servers };
}

test("each address of a name is an endpoint, those of IPv6 too", async (t) => {
  const dns = await DnsServer.start(t);
  dns.names.set("app.test", { a: ["127.0.0.2", "127.0.0.3"], aaaa: ["::1"] });
  const { port } = await machines(t, "127.0.0.2", "127.0.0.3", "::1");
  const proxy = await TestProxy.start(t, {
    external: { address: `app.test:${port}`, resolve: { servers: [dns.address] } },
  });
  assert.deepEqual(tally(await answers(proxy, 6)), { 1: 2, 2: 2, 3: 2 });
  assert.deepEqual(dns.questions.sort(), ["A app.test", "AAAA app.test"]);
});

test("a name is asked for again at its TTL: what it no longer leads to gets nothing, and its connections close", async (t) => {
  const dns = await DnsServer.start(t);
  const { port, servers } = await machines(t, "127.0.0.2", "127.0.0.3");
  dns.names.set("app.test", { a: ["127.0.0.2"], ttl: 1 });
  const proxy = await TestProxy.start(t, {
    external: { address: `app.test:${port}`, resolve: { servers: [dns.address] }, sticky: { cookie: "s" } },
  });
  assert.equal(await answers(proxy, 2), "22");
  assert.deepEqual(proxy.upstreamConnections(), { open: 1, idle: 1 });
  dns.names.set("app.test", { a: ["127.0.0.3"], ttl: 0 });
  await until(() => proxy.context.lines.filter(({ event }) => event === "upstream.endpoints").length === 2);
  const { fields } = proxy.context.lines.findLast(({ event }) => event === "upstream.endpoints") ?? {};
  assert.deepEqual([fields?.added, fields?.gone], [`127.0.0.3:${port}`, `127.0.0.2:${port}`]);
  await eventually("the connection to the first machine is closed", async () => {
    const count = await new Promise((resolve) => servers[0]?.getConnections((_error, open) => resolve(open)));
    return count === 0;
  });
  assert.equal(await answers(proxy, 2), "33");
  assert.equal(proxy.upstreamMetric("endpoint_requests_total", 'endpoint="gone"'), 2);
});

test("a resolver that fails leaves the last answer, and is asked again", async (t) => {
  const dns = await DnsServer.start(t);
  const { port } = await machines(t, "127.0.0.2");
  dns.names.set("app.test", { a: ["127.0.0.2"], ttl: 0 });
  const proxy = await TestProxy.start(t, {
    external: {
      address: `app.test:${port}`,
      resolve: { servers: [dns.address], minTtl: "50ms" },
    },
  });
  assert.equal(await answers(proxy, 1), "2");
  dns.names.set("app.test", { code: 3 });
  await until(() => proxy.upstreamMetric("resolutions_total", 'result="failed"') >= 2);
  assert.equal(await answers(proxy, 2), "22");
  const failures = proxy.context.lines.filter(({ event }) => event === "upstream.resolve");
  assert.equal(failures.length, 1);
  dns.names.set("app.test", { a: ["127.0.0.2"], ttl: 60 });
  const before = proxy.upstreamMetric("resolutions_total", 'result="ok"');
  await until(() => proxy.upstreamMetric("resolutions_total", 'result="ok"') > before);
});

test("a name that leads nowhere is a 502, and the next request asks for it anew", async (t) => {
  const dns = await DnsServer.start(t);
  const { port } = await machines(t, "127.0.0.2");
  const proxy = await TestProxy.start(t, {
    external: { address: `app.test:${port}`, resolve: { servers: [dns.address], minTtl: "10ms" } },
  });
  assert.equal((await ask(proxy)).status, 502);
  assert.deepEqual(proxy.errors, { upstream_name_unresolved: 1 });
  dns.names.set("app.test", { a: ["127.0.0.2"] });
  let body = "";
  while (body !== "2") body = (await ask(proxy)).body;
});

test("a name that nobody answers for is a 504 after timeouts.connect, and the client may leave before", async (t) => {
  const silent = createSocket("udp4");
  silent.bind(0, "127.0.0.1");
  await once(silent, "listening");
  t.after(() => silent.close());
  const proxy = await TestProxy.start(t, {
    external: {
      address: "app.test:80",
      resolve: { servers: [`127.0.0.1:${silent.address().port}`] },
      timeouts: { connect: "200ms" },
    },
  });
  assert.equal((await ask(proxy)).status, 504);
  assert.deepEqual(proxy.errors, { upstream_connect_timeout: 1 });
  const client = await proxy.dial(t);
  client.send("GET / HTTP/1.1\r\nHost: site\r\n\r\n");
  await until(() => proxy.upstreamMetric("pending") === 1);
  client.socket.destroy();
  await until(() => proxy.upstreamMetric("pending") === 0 && proxy.server.exchanges === 0);
});

test("localhost is one machine, however many addresses it has", async (t) => {
  const { port } = await machines(t, "127.0.0.1");
  const proxy = await TestProxy.start(t, { external: { address: `localhost:${port}` } });
  assert.equal(await answers(proxy, 2), "11");
  assert.equal(proxy.upstreamMetric("endpoint_requests_total", `endpoint="localhost:${port}"`), 2);
});

test("of two names the one that is known serves, however long the other takes", async (t) => {
  const dns = await DnsServer.start(t);
  dns.names.set("app.test", { a: ["127.0.0.2"] });
  const { port } = await machines(t, "127.0.0.2");
  const proxy = await TestProxy.start(t, {
    external: { addresses: [`gone.test:${port}`, `app.test:${port}`], resolve: { servers: [dns.address] } },
  });
  assert.equal(await answers(proxy, 3), "222");
});

test("requests go on at an endpoint that its name has left, those that wait for a connection too", async (t) => {
  const dns = await DnsServer.start(t);
  dns.names.set("app.test", { a: ["127.0.0.2"], ttl: 0 });
  const origin = await FaultOrigin.start(t, { wait: () => {} }, "127.0.0.2");
  const proxy = await TestProxy.start(t, {
    external: {
      address: `app.test:${origin.port}`,
      resolve: { servers: [dns.address], minTtl: "50ms" },
      limits: { connections: 1 },
    },
  });
  const both = [ask(proxy, { path: "/wait" }), ask(proxy, { path: "/wait" })];
  await origin.request("/wait");
  await until(() => proxy.upstreamMetric("pending") === 1);
  dns.names.set("app.test", { a: ["127.0.0.3"], ttl: 0 });
  await until(() => proxy.upstreamMetric("endpoint_requests_total", 'endpoint="gone"') === 2);
  for (const nth of [0, 1]) {
    (await origin.request("/wait", nth)).send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  }
  for (const { body } of await Promise.all(both)) assert.equal(body, "ok");
  await until(() => origin.connections === 0);
});
