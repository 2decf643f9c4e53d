import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { FaultOrigin } from "../support/fault-origin.ts";
import { RawOrigin, TestProxy, until } from "./http-harness.ts";
import { ask, namedOrigins } from "./upstream-harness.ts";

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/** An origin that does one thing on connections with an even index, and answers on the others. */
function alternating(t: Parameters<typeof RawOrigin.start>[0], bad: (connection: RawClient) => void) {
  return RawOrigin.start(t, (connection, index) => {
    void connection.got("\r\n\r\n").then(() => {
      if (index % 2 === 0) bad(connection);
      else connection.send(ok);
    });
  });
}
type RawClient = RawOrigin["connections"][number];

test("a request that was reset is sent again, to another endpoint first", async (t) => {
  const bad = await RawOrigin.start(t, (connection) => {
    void connection.got("\r\n\r\n").then(() => connection.socket.resetAndDestroy());
  });
  const [good] = await namedOrigins(t, 1);
  const proxy = await TestProxy.start(t, {
    external: {
      addresses: [{ address: bad.address, weight: 100 }, good?.address ?? ""],
      retries: { on: ["reset"] },
    },
  });
  assert.equal((await ask(proxy)).body, "a");
  assert.equal(bad.connections.length, 1);
  assert.equal(proxy.upstreamMetric("retries_total", 'kind="reset"'), 1);
  await until(() => proxy.context.accesses.length === 1);
  assert.equal(proxy.context.accesses[0]?.attempts, 2);
});

test("with one endpoint, it is asked again after a wait", async (t) => {
  const origin = await alternating(t, (connection) => connection.socket.resetAndDestroy());
  const proxy = await TestProxy.start(t, { external: { address: origin.address, retries: {} } });
  assert.equal((await ask(proxy)).body, "ok");
  assert.equal(origin.connections.length, 2);
});

test("a POST that may have been processed is not sent again, nor one whose answer has begun", async (t) => {
  const reset = await alternating(t, (connection) => connection.socket.resetAndDestroy());
  const post = await TestProxy.start(t, { external: { address: reset.address, retries: {} } });
  assert.equal((await ask(post, { method: "POST", body: "x" })).status, 502);
  assert.equal(reset.connections.length, 1);

  const begun = await alternating(t, (connection) => {
    connection.socket.write("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", () => connection.socket.end());
  });
  const informed = await TestProxy.start(t, { external: { address: begun.address, retries: {} } });
  assert.equal((await ask(informed)).status, 502);
  assert.equal(begun.connections.length, 1);

  const half = await alternating(t, (connection) => {
    connection.socket.write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", () =>
      connection.socket.end(),
    );
  });
  const truncated = await TestProxy.start(t, { external: { address: half.address, retries: {} } });
  await assert.rejects(ask(truncated));
  assert.equal(half.connections.length, 1);
});

test("half a head is no answer that the client has had a part of", async (t) => {
  const origin = await alternating(t, (connection) => {
    connection.socket.write("HTTP/1.1 200 OK\r\nConte", () => connection.socket.end());
  });
  const proxy = await TestProxy.start(t, { external: { address: origin.address, retries: {} } });
  assert.equal((await ask(proxy)).body, "ok");
});

test("a response that breaks the rules of HTTP is not asked for again", async (t) => {
  const origin = await alternating(t, (connection) => connection.send("what?\r\n\r\n"));
  const proxy = await TestProxy.start(t, { external: { address: origin.address, retries: {} } });
  assert.equal((await ask(proxy)).status, 502);
  assert.equal(origin.connections.length, 1);
});

test("chosen statuses are asked for again, and the last answer is the client's", async (t) => {
  for (const body of ["", "busy", "x".repeat(200_000)]) {
    const sick = await FaultOrigin.start(t, {
      "": (request) =>
        request.send(`HTTP/1.1 503 Busy\r\nX-Sick: 1\r\nContent-Length: ${body.length}\r\n\r\n${body}`),
    });
    const [well] = await namedOrigins(t, 1);
    const retries = { on: [503], attempts: 1 };
    const mixed = await TestProxy.start(t, {
      external: { addresses: [sick.address, well?.address ?? ""], retries },
    });
    for (let i = 0; i < 4; i++) assert.equal((await ask(mixed)).body, "a");
    const alone = await TestProxy.start(t, { external: { address: sick.address, retries } });
    const answer = await ask(alone);
    assert.deepEqual([answer.status, answer.headers["x-sick"], answer.body], [503, "1", body]);
    assert.equal((await ask(alone, { method: "POST" })).status, 503);
    assert.equal(alone.upstreamMetric("retries_total", 'kind="status"'), 1);
  }
});

test("a body comes again for another attempt, whole", async (t) => {
  const body = "0123456789".repeat(5_000);
  const bodies: string[] = [];
  const origin = await FaultOrigin.start(t, {
    "": async (request) => {
      await request.read();
      bodies.push(request.content);
      if (bodies.length % 2 === 1) request.socket.resetAndDestroy();
      else request.send(ok);
    },
    early: (request) => {
      bodies.push("");
      if (bodies.length % 2 === 1) request.socket.resetAndDestroy();
      else void request.read().then(() => request.send(ok));
    },
  });
  const proxy = await TestProxy.start(t, { external: { address: origin.address, retries: {} } });
  for (const headers of [{ "content-length": body.length }, { "transfer-encoding": "chunked" }]) {
    bodies.length = 0;
    assert.equal((await ask(proxy, { method: "PUT", headers, body })).body, "ok");
    assert.deepEqual(bodies, [body, body]);
  }
  bodies.length = 0;
  assert.equal((await ask(proxy, { method: "PUT", path: "/early", body })).body, "ok");
});

test("a body of which not all is kept is not sent again once it is under way", async (t) => {
  const origin = await FaultOrigin.start(t, {
    "": async (request) => {
      await request.read();
      request.socket.resetAndDestroy();
    },
  });
  const proxy = await TestProxy.start(t, {
    external: { address: origin.address, retries: { bodyBuffer: "1KiB" } },
  });
  const put = (length: number) => ask(proxy, { method: "PUT", body: "x".repeat(length) });
  assert.equal((await put(100_000)).status, 502);
  assert.equal(origin.requests.get("/")?.length, 1);
  assert.equal((await put(1_000)).status, 502);
  assert.equal(origin.requests.get("/")?.length, 4);
});

test("a status that is asked for again leaves the request's body whole", async (t) => {
  const origin = await FaultOrigin.start(t, {
    "": (request) => {
      const isFirst = origin.requests.get("/")?.length === 1;
      // At once, before the body has come.
      if (isFirst) request.send("HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy");
      else
        void request
          .read()
          .then(() =>
            request.send(
              `HTTP/1.1 200 OK\r\nContent-Length: ${request.content.length}\r\n\r\n${request.content}`,
            ),
          );
    },
  });
  const proxy = await TestProxy.start(t, { external: { address: origin.address, retries: { on: [503] } } });
  const body = "abc".repeat(10_000);
  assert.equal((await ask(proxy, { method: "PUT", body })).body, body);
});

test("perTryTimeout ends an attempt and not the exchange; total ends all of it", async (t) => {
  const origin = await FaultOrigin.start(t, {
    once: (request) => {
      if ((origin.requests.get("/once")?.length ?? 0) > 1) request.send(ok);
    },
    never: () => {},
  });
  const retries = { on: ["timeout" as const], attempts: 5, perTryTimeout: "100ms" };
  const proxy = await TestProxy.start(t, { external: { address: origin.address, retries } });
  assert.equal((await ask(proxy, { path: "/once" })).body, "ok");
  assert.equal(proxy.upstreamMetric("retries_total", 'kind="timeout"'), 1);
  const limited = await TestProxy.start(t, {
    external: { address: origin.address, retries, timeouts: { total: "250ms" } },
  });
  assert.equal((await ask(limited, { path: "/never" })).status, 504);
  assert.deepEqual(limited.errors, { upstream_total_timeout: 1 });
  const tries = limited.upstreamMetric("retries_total", 'kind="timeout"');
  assert.ok(tries >= 1 && tries < 5);
});

test("a client that uploads slowly does not use up perTryTimeout, nor the server's good name", async (t) => {
  const origins = await namedOrigins(t, 2);
  const proxy = await TestProxy.start(t, {
    external: {
      addresses: origins.map(({ address }) => address),
      retries: { on: ["connect", "timeout"], perTryTimeout: "50ms" },
      health: { passive: { failures: 1 } },
      balance: { hash: "path" },
    },
  });
  const socket = connect(proxy.port, "127.0.0.1");
  t.after(() => socket.destroy());
  let text = "";
  socket.on("data", (bytes) => {
    text += bytes.toString("latin1");
  });
  socket.write("PUT / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 4\r\n\r\n");
  for (const part of "body") {
    await setTimeout(90);
    socket.write(part);
  }
  await once(socket, "close");
  assert.match(text, /^HTTP\/1.1 200 OK/);
  assert.deepEqual(proxy.errors, {});
  assert.equal(proxy.upstreamMetric("health_changes_total", 'state="ejected"'), 0);
});

test("a budget keeps retries from becoming the load", async (t) => {
  const origin = await RawOrigin.start(t, (connection) => {
    void connection.got("\r\n\r\n").then(() => connection.socket.resetAndDestroy());
  });
  const proxy = await TestProxy.start(t, {
    external: {
      address: origin.address,
      retries: { attempts: 1, budget: { percent: 0, min: 2 }, backoff: "200ms" },
    },
  });
  const all = await Promise.all(Array.from({ length: 8 }, () => ask(proxy)));
  assert.ok(all.every(({ status }) => status === 502));
  assert.equal(proxy.upstreamMetric("retries_total", 'kind="reset"'), 2);
  assert.equal(proxy.upstreamMetric("retries_denied_total"), 6);
});

test("a client that leaves between two attempts ends the exchange", async (t) => {
  const origin = await RawOrigin.start(t, (connection) => {
    void connection.got("\r\n\r\n").then(() => connection.socket.resetAndDestroy());
  });
  const proxy = await TestProxy.start(t, {
    external: { address: origin.address, retries: { backoff: "2s" } },
  });
  for (const [request, retries] of [
    ["GET / HTTP/1.1\r\nHost: site\r\n\r\n", 1],
    ["PUT / HTTP/1.1\r\nHost: site\r\nContent-Length: 9\r\n\r\nhalf", 2],
  ] as const) {
    const client = await proxy.dial(t);
    client.send(request);
    await until(() => proxy.upstreamMetric("retries_total", 'kind="reset"') === retries);
    client.socket.destroy();
    await until(() => proxy.server.exchanges === 0);
    assert.equal(proxy.upstreamMetric("endpoint_active", `endpoint="${origin.address}"`), 0);
  }
  assert.equal(origin.connections.length, 2);
});
