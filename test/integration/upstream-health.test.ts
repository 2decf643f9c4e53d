import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { Origin } from "../support/origin.ts";
import { RawOrigin, TestProxy, until } from "./http-harness.ts";
import { answers, ask, namedOrigins, tally } from "./upstream-harness.ts";

function statesOf(proxy: TestProxy): string[] {
  return proxy.context.lines
    .filter(({ event }) => event === "upstream.health")
    .map(({ fields }) => String(fields?.state));
}

test("an endpoint that fails again and again is left out, and comes back after its ejection", async (t) => {
  let isSick = true;
  const sick = await RawOrigin.start(t, (connection) => {
    connection.socket.on("data", () => {
      if (isSick) connection.socket.resetAndDestroy();
      else connection.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\ns");
    });
  });
  const [well] = await namedOrigins(t, 1);
  const proxy = await TestProxy.start(t, {
    external: {
      addresses: [sick.address, well?.address ?? ""],
      health: { passive: { failures: 2, ejection: "300ms", maxEjection: "10s" } },
    },
  });
  while (statesOf(proxy).length === 0) await ask(proxy);
  assert.deepEqual(statesOf(proxy), ["ejected"]);
  const { length } = sick.connections;
  assert.equal(length, 2);
  assert.equal(await answers(proxy, 4), "aaaa");
  assert.equal(proxy.upstreamMetric("endpoint_up", `endpoint="${sick.address}"`), 0);
  await until(() => statesOf(proxy).length === 2);
  assert.deepEqual(statesOf(proxy), ["ejected", "returned"]);
  while (statesOf(proxy).length === 2) await ask(proxy);
  const [first, , second] = proxy.context.lines.filter(({ event }) => event === "upstream.health");
  assert.match(String(first?.fields?.reason), /^2 failures in a row, out for 300 ms$/);
  assert.match(String(second?.fields?.reason), /^2 failures in a row, out for 600 ms$/);
  isSick = false;
  await until(() => statesOf(proxy).length === 4);
  assert.deepEqual(tally(await answers(proxy, 4)), { a: 2, s: 2 });
  assert.equal(proxy.upstreamMetric("endpoint_ejections_total", `endpoint="${sick.address}"`), 2);
  assert.equal(proxy.upstreamMetric("health_changes_total", 'state="ejected"'), 2);
});

test("statuses count as failures where the config says so, and a good answer starts the count anew", async (t) => {
  let status = 503;
  const sick = await Origin.start(t, (_request, response) => {
    response.statusCode = status;
    response.end("s");
  });
  const [well] = await namedOrigins(t, 1);
  const proxy = await TestProxy.start(t, {
    external: {
      addresses: [sick.address, well?.address ?? ""],
      health: { passive: { failures: 3, on: [503], ejection: "1m" } },
    },
  });
  await answers(proxy, 4);
  status = 200;
  await answers(proxy, 2);
  status = 503;
  await answers(proxy, 4);
  assert.deepEqual(statesOf(proxy), []);
  await answers(proxy, 2);
  assert.deepEqual(statesOf(proxy), ["ejected"]);
});

test("below the panic threshold all endpoints are used", async (t) => {
  for (const [panicThreshold, expected] of [
    [0, { a: 12 }],
    [50, { a: 4, b: 4, c: 4 }],
  ] as const) {
    const statuses: Record<string, number> = { a: 200, b: 503, c: 503 };
    const origins = await Promise.all(
      Object.keys(statuses).map((name) =>
        Origin.start(t, (_request, response) => {
          response.statusCode = statuses[name] ?? 0;
          response.end(name);
        }),
      ),
    );
    const proxy = await TestProxy.start(t, {
      external: {
        addresses: origins.map(({ address }) => address),
        health: { panicThreshold, passive: { failures: 1, on: [503], ejection: "1m" } },
      },
    });
    await answers(proxy, 6);
    assert.deepEqual(statesOf(proxy), ["ejected", "ejected"]);
    assert.deepEqual(tally(await answers(proxy, 12)), expected);
  }
});

test("checks take endpoints out and bring them back, each at its threshold", async (t) => {
  const seen: string[] = [];
  let status = 500;
  const checked = await Origin.start(t, (request, response) => {
    if (request.url === "/healthz") {
      seen.push(`${request.method} ${request.headers.host} ${request.headers["x-probe"]}`);
      response.statusCode = status;
    }
    response.end("c");
  });
  const [other] = await namedOrigins(t, 1);
  const proxy = await TestProxy.start(t, {
    external: {
      addresses: [checked.address, other?.address ?? ""],
      health: {
        check: {
          path: "/healthz",
          host: "app.internal",
          headers: { "x-probe": "1" },
          interval: "100ms",
          up: 2,
          down: 2,
          status: ["200-204"],
        },
      },
    },
  });
  // The first check decides alone; the other origin answers 200 to whatever is asked.
  await until(() => statesOf(proxy).length === 1);
  assert.equal(seen[0], "GET app.internal 1");
  assert.match(String(proxy.context.lines.at(-1)?.fields?.reason), /^status 500$/);
  assert.equal(await answers(proxy, 4), "aaaa");
  status = 204;
  const before = seen.length;
  await until(() => statesOf(proxy).length === 2);
  assert.ok(seen.length >= before + 2);
  assert.deepEqual(statesOf(proxy), ["down", "up"]);
  assert.deepEqual(tally(await answers(proxy, 4)), { a: 2, c: 2 });
  await checked.stop();
  await until(() => statesOf(proxy).length === 3);
  assert.equal(await answers(proxy, 4), "aaaa");
  assert.ok(
    proxy.upstreamMetric("endpoint_failures_total", `endpoint="${checked.address}",kind="check"`) >= 3,
  );
});

test("endpoints that speak HTTP/2 are checked over HTTP/2, each time on a connection of its own", async (t) => {
  let checks = 0;
  let sessions = 0;
  let open = 0;
  const server = createServer((request, response) => {
    if (request.url === "/healthz") checks++;
    response.end("b");
  });
  server.on("session", (session) => {
    sessions++;
    open++;
    session.on("close", () => open--);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const silent = await RawOrigin.start(t);
  const proxy = await TestProxy.start(t, {
    external: {
      addresses: [`127.0.0.1:${port}`, silent.address],
      http: { version: 2 },
      health: { check: { path: "/healthz", interval: "100ms", timeout: "150ms" } },
    },
  });
  await until(() => checks >= 4 && statesOf(proxy).length === 1);
  assert.equal(proxy.context.lines.at(-1)?.fields?.endpoint, silent.address);
  assert.equal(
    proxy.upstreamMetric("endpoint_failures_total", `endpoint="127.0.0.1:${port}",kind="check"`),
    0,
  );
  assert.equal(await answers(proxy, 3), "bbb");
  assert.ok(sessions >= 4);
  await until(() => open === 1);
});

test("a check that hangs is a failed one", async (t) => {
  const silent = await RawOrigin.start(t);
  const [other] = await namedOrigins(t, 1);
  const proxy = await TestProxy.start(t, {
    external: {
      addresses: [silent.address, other?.address ?? ""],
      health: { check: { interval: "10s", timeout: "100ms" } },
    },
  });
  await until(() => statesOf(proxy).length === 1);
  assert.match(String(proxy.context.lines.at(-1)?.fields?.reason), /no answer within 100 ms/);
  assert.equal(await answers(proxy, 2), "aa");
  await until(() => silent.connections.every(({ ended, closed }) => ended || closed));
});

test("a tcp external is checked by a connection", async (t) => {
  const accepting = await RawOrigin.start(t);
  const gone = await RawOrigin.start(t);
  const { address } = gone;
  gone.server.close();
  const proxy = await TestProxy.start(t, {
    external: {
      tcp: {},
      addresses: [accepting.address, address],
      health: { check: { interval: "100ms" } },
    },
  });
  await until(() => statesOf(proxy).length === 1 && accepting.connections.length >= 2);
  assert.equal(proxy.context.lines.at(-1)?.fields?.endpoint, address);
  assert.equal(proxy.upstreamMetric("endpoint_up", `endpoint="${accepting.address}"`), 1);
});

test("an endpoint that comes back begins with a small part of its weight", async (t) => {
  const origins = await namedOrigins(t, 2);
  let status = 500;
  const back = await Origin.start(t, (request, response) => {
    if (request.url === "/healthz") response.statusCode = status;
    response.end("z");
  });
  const proxy = await TestProxy.start(t, {
    external: {
      addresses: [back.address, ...origins.map(({ address }) => address)],
      health: { check: { path: "/healthz", interval: "100ms", up: 1 }, slowStart: "1h" },
    },
  });
  await until(() => statesOf(proxy).length === 1);
  status = 200;
  await until(() => statesOf(proxy).length === 2);
  const counts = tally(await answers(proxy, 42));
  assert.equal(counts.z, 2);
  assert.equal(counts.a, 20);
});
