import assert from "node:assert/strict";
import { test } from "node:test";
import { unused } from "../support/client.ts";
import { RawOrigin, TestProxy, until } from "./http-harness.ts";

const request = "GET / HTTP/1.1\r\nHost: site\r\n\r\n";
const post = "POST / HTTP/1.1\r\nHost: site\r\nContent-Length: 4\r\n\r\nbody";
const answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

test("an upstream that refuses is a 502 with an id, and the client's connection goes on", async (t) => {
  const proxy = await TestProxy.start(t, { external: { address: `127.0.0.1:${await unused()}` } });
  const client = await proxy.dial(t);
  client.send(request + request);
  await until(() => client.received.split("HTTP/1.1 502").length === 3);
  assert.match(client.received, /id: [0-9a-z]+\n/);
  assert.ok(!client.received.includes("127.0.0.1"), "the client learns nothing of the upstream");
  assert.deepEqual(proxy.errors, { upstream_unreachable: 2 });
});

test("a name that does not exist is a 502 of its own code", async (t) => {
  const proxy = await TestProxy.start(t, { external: { address: "does-not-exist.invalid:80" } });
  const client = await proxy.dial(t);
  client.send(request);
  await client.got("HTTP/1.1 502");
  assert.deepEqual(proxy.errors, { upstream_name_unresolved: 1 });
});

test("an upstream that ends or resets before, within or after the head never passes for whole", async (t) => {
  const cases = [
    { sent: "", code: "upstream_reset" },
    { sent: "HTTP/1.1 2", code: "upstream_truncated" },
    { sent: "HTTP/1.1 200 OK\r\nContent-Le", code: "upstream_truncated" },
  ];
  for (const { sent, code } of cases) {
    for (const how of ["end", "resetAndDestroy"] as const) {
      const origin = await RawOrigin.start(t, (connection) => {
        void connection.got("\r\n\r\n").then(() => {
          connection.socket.write(sent, () => setTimeout(() => connection.socket[how](), 10));
        });
      });
      const proxy = await TestProxy.start(t, { external: { address: origin.address } });
      const client = await proxy.dial(t);
      client.send(request);
      await client.got("HTTP/1.1 502");
      assert.deepEqual(proxy.errors, { [code]: 1 }, `${JSON.stringify(sent)} ${how}`);
    }
  }
});

test("an upstream that ends or resets within the body breaks the client's connection", async (t) => {
  const heads = ["Content-Length: 9\r\n\r\nhalf", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"];
  for (const head of heads) {
    for (const how of ["end", "resetAndDestroy"] as const) {
      const origin = await RawOrigin.start(t, (connection) => {
        void connection.got("\r\n\r\n").then(() => {
          connection.socket.write(`HTTP/1.1 200 OK\r\n${head}`, () =>
            setTimeout(() => connection.socket[how](), 10),
          );
        });
      });
      const proxy = await TestProxy.start(t, { external: { address: origin.address } });
      const client = await proxy.dial(t);
      client.send(request + request);
      const text = await client.end();
      assert.ok(text.includes("half") && !text.includes("0\r\n\r\n"));
      assert.equal(text.split("HTTP/1.1").length, 2);
      assert.deepEqual(proxy.errors, { upstream_truncated: 1 });
    }
  }
});

test("a body until the close is whole when the upstream ends, and broken when it resets", async (t) => {
  for (const how of ["end", "resetAndDestroy"] as const) {
    const origin = await RawOrigin.start(t, (connection) => {
      void connection.got("\r\n\r\n").then(() => {
        connection.socket.write("HTTP/1.1 200 OK\r\n\r\nall", () =>
          setTimeout(() => connection.socket[how](), 10),
        );
      });
    });
    const proxy = await TestProxy.start(t, { external: { address: origin.address } });
    const client = await proxy.dial(t);
    client.send(request);
    if (how === "end") {
      await client.got("\r\n0\r\n\r\n");
      assert.deepEqual(proxy.errors, {});
    } else {
      assert.ok(!(await client.end()).includes("\r\n0\r\n"));
      assert.equal(Object.keys(proxy.errors).length, 1);
    }
  }
});

test("garbage, and framing that can be read in two ways, is a 502, and the connection is dropped", async (t) => {
  for (const garbage of [
    "hello\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
    "HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok",
    "HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n",
    "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
  ]) {
    const origin = await RawOrigin.start(t, (connection) => {
      void connection.got("\r\n\r\n").then(() => connection.send(garbage));
    });
    const proxy = await TestProxy.start(t, { external: { address: origin.address } });
    const client = await proxy.dial(t);
    client.send(request);
    await client.got("HTTP/1.1 502");
    assert.deepEqual(proxy.errors, { upstream_malformed: 1 }, JSON.stringify(garbage));
    assert.equal(proxy.upstreamConnections().open, 0);
  }
});

test("what comes after a response, or to an idle connection, is never taken for the next answer", async (t) => {
  for (const later of [false, true]) {
    const origin = await RawOrigin.start(t, (connection, index) => {
      void connection.got("\r\n\r\n").then(() => {
        if (index > 0) connection.send(answer);
        else if (later) setTimeout(() => connection.send(answer.replace("ok", "no")), 10);
        if (index === 0) connection.send(later ? answer : answer + answer.replace("ok", "no"));
      });
    });
    const proxy = await TestProxy.start(t, { external: { address: origin.address } });
    const client = await proxy.dial(t);
    client.send(request);
    await client.got("ok");
    await until(() => proxy.upstreamConnections().open === 0);
    client.send(request);
    await until(() => client.received.split("HTTP/1.1 200").length === 3);
    assert.ok(!client.received.includes("no"));
  }
});

test("a kept connection that closes as it is used again is replaced, once, for an idempotent request", async (t) => {
  const origin = await RawOrigin.start(t, (connection, index) => {
    let requests = 0;
    connection.socket.on("data", () => {
      requests++;
      if (index === 0 && requests === 2) connection.socket.resetAndDestroy();
      else connection.send(answer);
    });
  });
  const proxy = await TestProxy.start(t, { external: { address: origin.address } });
  const client = await proxy.dial(t);
  client.send(request);
  await client.got("ok");
  client.send(request);
  await until(() => client.received.split("HTTP/1.1 200").length === 3);
  assert.equal(origin.connections.length, 2);
});

test("a POST on a kept connection that closes is not sent twice", async (t) => {
  const origin = await RawOrigin.start(t, (connection) => {
    let requests = 0;
    connection.socket.on("data", () => {
      requests++;
      if (requests === 2) connection.socket.end();
      else connection.send(answer);
    });
  });
  const proxy = await TestProxy.start(t, { external: { address: origin.address } });
  const client = await proxy.dial(t);
  client.send(request);
  await client.got("ok");
  client.send(post);
  await client.got("HTTP/1.1 502");
  assert.equal(origin.connections.length, 1);
  assert.deepEqual(proxy.errors, { upstream_reset: 1 });
});

test("an idempotent request is repeated once only, and not at all on a fresh connection", async (t) => {
  let requests = 0;
  const origin = await RawOrigin.start(t, (connection) => {
    connection.socket.on("data", () => {
      requests++;
      if (requests === 1) connection.send(answer);
      else connection.socket.end();
    });
  });
  const proxy = await TestProxy.start(t, { external: { address: origin.address } });
  const client = await proxy.dial(t);
  client.send(request);
  await client.got("ok");
  client.send(request);
  await client.got("HTTP/1.1 502");
  assert.equal(requests, 3);
});

test("an idle connection that the upstream closes leaves the pool", async (t) => {
  const origin = await RawOrigin.start(t, (connection) => {
    connection.socket.once("data", () => connection.send(answer));
  });
  const proxy = await TestProxy.start(t, { external: { address: origin.address } });
  const client = await proxy.dial(t);
  client.send(request);
  await client.got("ok");
  assert.deepEqual(proxy.upstreamConnections(), { open: 1, idle: 1 });
  (await origin.connection(0)).socket.end();
  await until(() => proxy.upstreamConnections().open === 0);
});

test("an upstream that does not answer in time is a 504, and the next request has a fresh connection", async (t) => {
  const origin = await RawOrigin.start(t);
  const proxy = await TestProxy.start(t, { external: { address: origin.address, timeouts: { head: 100 } } });
  const client = await proxy.dial(t);
  client.send(request);
  await client.got("HTTP/1.1 504");
  assert.deepEqual(proxy.errors, { upstream_head_timeout: 1 });
  await until(() => proxy.upstreamConnections().open === 0);
  client.send(post);
  await until(() => client.received.split("HTTP/1.1 504").length === 3);
  assert.equal(origin.connections.length, 2);
});

test("an upstream that stalls within the body breaks the response off", async (t) => {
  const origin = await RawOrigin.start(t, (connection) => {
    void connection
      .got("\r\n\r\n")
      .then(() => connection.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"));
  });
  const proxy = await TestProxy.start(t, { external: { address: origin.address, timeouts: { idle: 100 } } });
  const client = await proxy.dial(t);
  client.send(request);
  assert.ok((await client.end()).endsWith("half"));
  assert.deepEqual(proxy.errors, { upstream_idle_timeout: 1 });
});

test("the total time bounds an exchange however it moves", async (t) => {
  const origin = await RawOrigin.start(t, (connection) => {
    void connection.got("\r\n\r\n").then(() => {
      connection.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
      const drip = setInterval(() => connection.send("drip"), 20);
      connection.socket.on("close", () => clearInterval(drip));
    });
  });
  const proxy = await TestProxy.start(t, { external: { address: origin.address, timeouts: { total: 200 } } });
  const client = await proxy.dial(t);
  client.send(request);
  await client.end();
  assert.deepEqual(proxy.errors, { upstream_total_timeout: 1 });
});

test("an upstream that answers early gets no more of the request, and its connection is not kept", async (t) => {
  const origin = await RawOrigin.start(t, (connection) => {
    void connection
      .got("\r\n\r\n")
      .then(() => connection.send("HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n"));
  });
  const proxy = await TestProxy.start(t, { external: { address: origin.address } });
  const client = await proxy.dial(t);
  client.send("POST / HTTP/1.1\r\nHost: site\r\nContent-Length: 1000000\r\n\r\n");
  await client.got("HTTP/1.1 413 No");
  await until(() => proxy.upstreamConnections().open === 0);
  client.send("a".repeat(900_000));
  await client.end();
});

test("a response may begin before the request's body has ended", async (t) => {
  const origin = await RawOrigin.start(t, (connection) => {
    void connection.got("one").then(async () => {
      connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nuno\r\n");
      await connection.got("0\r\n\r\n");
      connection.send("3\r\ndos\r\n0\r\n\r\n");
    });
  });
  const proxy = await TestProxy.start(t, { external: { address: origin.address } });
  const client = await proxy.dial(t);
  client.send("POST / HTTP/1.1\r\nHost: site\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n");
  await client.got("uno");
  client.send("3\r\ntwo\r\n0\r\n\r\n");
  await client.got("dos\r\n0\r\n\r\n");
  await until(() => proxy.upstreamConnections().idle === 1);
});

test("a client that leaves closes the upstream connection, at each point of the exchange", async (t) => {
  const points = [
    { name: "waiting for the head", sends: request, replies: "" },
    { name: "within the head", sends: request, replies: "HTTP/1.1 200 OK\r\n" },
    { name: "within the body", sends: request, replies: "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf" },
    { name: "within its own body", sends: post.slice(0, -2), replies: "" },
  ];
  for (const { name, sends, replies } of points) {
    const origin = await RawOrigin.start(t);
    const proxy = await TestProxy.start(t, { external: { address: origin.address } });
    const client = await proxy.dial(t);
    client.send(sends);
    const upstream = await origin.connection(0);
    await upstream.got("\r\n\r\n");
    upstream.send(replies);
    if (replies.endsWith("half")) await client.got("half");
    client.socket.resetAndDestroy();
    await upstream.end();
    await until(() => proxy.upstreamConnections().open === 0 && proxy.server.exchanges === 0);
    assert.ok(upstream.closed || upstream.ended, name);
  }
});

test("a client that leaves while its exchange waits for a connection, leaves the queue", async (t) => {
  const origin = await RawOrigin.start(t);
  const proxy = await TestProxy.start(t, {
    external: { address: origin.address, limits: { connections: 1 } },
  });
  const first = await proxy.dial(t);
  first.send(request);
  const upstream = await origin.connection(0);
  await upstream.got("\r\n\r\n");
  const second = await proxy.dial(t);
  second.send(request);
  await until(() => proxy.server.exchanges === 2);
  second.socket.resetAndDestroy();
  await until(() => proxy.server.exchanges === 1);
  upstream.send(answer);
  await first.got("ok");
  assert.deepEqual(proxy.upstreamConnections(), { open: 1, idle: 1 });
});

test("a client's body that breaks off reaches the upstream as broken", async (t) => {
  const origin = await RawOrigin.start(t);
  const proxy = await TestProxy.start(t, { external: { address: origin.address } });
  const client = await proxy.dial(t);
  client.send("POST / HTTP/1.1\r\nHost: site\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
  const upstream = await origin.connection(0);
  await upstream.got("abc");
  client.send("zzz\r\n");
  assert.match(await client.end(), /^HTTP\/1\.1 400 /);
  assert.ok(!(await upstream.end()).includes("0\r\n\r\n"));
});
