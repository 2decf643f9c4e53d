import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createServer } from "node:http";
import { test } from "node:test";
import { promisify } from "node:util";
import { Agent, request as undiciRequest } from "undici";
import { ProxyError } from "../../src/errors/proxy-error.ts";
import { Exchange } from "../../src/http/exchange.ts";
import { Origin } from "../support/origin.ts";
import { TemporaryDirectory } from "../support/temporary.ts";
import { RawOrigin, SubExchange, TestProxy, until } from "./http-harness.ts";

const run = promisify(execFile);

function get(target: string, more = ""): string {
  return `GET ${target} HTTP/1.1\r\nHost: site\r\n${more}\r\n`;
}

function ok(body: string, more = ""): string {
  return `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n${more}\r\n${body}`;
}

test("requests go to a real origin and back, by curl and undici", async (t) => {
  const origin = await Origin.start(t, (request, response) => {
    response.setHeader("x-host", request.headers.host ?? "");
    request.pipe(response);
  });
  const proxy = await TestProxy.start(t, { external: { address: origin.address } });
  const { stdout } = await run("curl", [
    "-s",
    "-d",
    "hello",
    "-H",
    "Host: site.example:81",
    "-i",
    `${proxy.url}/a?b`,
  ]);
  assert.match(stdout, /^HTTP\/1\.1 200 OK\r\n/);
  assert.match(stdout, /x-host: site\.example:81\r\n/i);
  assert.ok(stdout.endsWith("\r\n\r\nhello"));
  const dispatcher = new Agent();
  t.after(() => dispatcher.close());
  const big = Buffer.alloc(3_000_000, "0123456789");
  const answer = await undiciRequest(proxy.url, { dispatcher, method: "PUT", body: big });
  assert.deepEqual(Buffer.from(await answer.body.arrayBuffer()), big);
});

test("the request line and the fields arrive as they were sent, the framing is made anew", async (t) => {
  const origin = await RawOrigin.start(t, (connection) => {
    void connection.got("\r\n\r\n").then(() => connection.send(ok("")));
  });
  const proxy = await TestProxy.start(t, { external: { address: origin.address } });
  const client = await proxy.dial(t);
  client.send(
    get("/%2e%2E//a%2Fb?%00&x=|", "B:  two \r\na: one\r\nConnection: keep-alive, b\r\nKeep-Alive: 5\r\n"),
  );
  await client.got("HTTP/1.1 200");
  const { received } = await origin.connection(0);
  assert.equal(received, "GET /%2e%2E//a%2Fb?%00&x=| HTTP/1.1\r\nHost: site\r\na: one\r\n\r\n");
});

test("proxy style sends the full URL, and header edits apply", async (t) => {
  const origin = await RawOrigin.start(t, (connection) => {
    void connection.got("\r\n\r\n").then(() => connection.send(ok("", "X-Old: 1\r\n")));
  });
  const proxy = await TestProxy.start(t, {
    external: {
      address: origin.address,
      http: {
        style: "proxy",
        injectRequestHeaders: { authorization: "Bearer t" },
        injectResponseHeaders: { "x-old": null },
      },
    },
  });
  const client = await proxy.dial(t);
  client.send(get("/a", "Authorization: Basic x\r\n"));
  assert.ok(!(await client.got("HTTP/1.1 200")).includes("X-Old"));
  const { received } = await origin.connection(0);
  assert.equal(received, "GET http://site/a HTTP/1.1\r\nHost: site\r\nauthorization: Bearer t\r\n\r\n");
});

test("a client without Host asks for the upstream's address, and forwardedProtoHeader tells the scheme", async (t) => {
  const origin = await RawOrigin.start(t, (connection) => {
    void connection.got("\r\n\r\n").then(() => connection.send(ok("")));
  });
  const proxy = await TestProxy.start(t, {
    external: { address: origin.address, http: { forwardedProtoHeader: "x-proto" } },
  });
  const client = await proxy.dial(t);
  client.send("GET / HTTP/1.0\r\nX-Proto: https\r\n\r\n");
  await client.end();
  const { received } = await origin.connection(0);
  assert.equal(received, `GET / HTTP/1.1\r\nHost: ${origin.address}\r\nx-proto: http\r\n\r\n`);
});

test("connections are kept and used again, last in first out", async (t) => {
  const origin = await RawOrigin.start(t, (connection) => {
    connection.socket.on("data", () => connection.send(ok("x")));
  });
  const proxy = await TestProxy.start(t, { external: { address: origin.address } });
  const client = await proxy.dial(t);
  for (let i = 1; i <= 20; i++) {
    client.send(get("/"));
    await until(() => client.received.split("HTTP/1.1").length === i + 1);
  }
  assert.equal(origin.connections.length, 1);
  assert.deepEqual(proxy.upstreamConnections(), { open: 1, idle: 1 });
});

test("interim responses are passed on, and Expect with its body", async (t) => {
  const origin = await RawOrigin.start(t, (connection) => {
    void connection.got("Expect: 100-continue\r\n\r\n").then(async () => {
      connection.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
      connection.send("HTTP/1.1 100 Continue\r\n\r\n");
      await connection.got("body");
      connection.send(ok("done"));
    });
  });
  const proxy = await TestProxy.start(t, { external: { address: origin.address } });
  const client = await proxy.dial(t);
  client.send("POST / HTTP/1.1\r\nHost: site\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
  const text = await client.got("100 Continue\r\n\r\n");
  assert.match(text, /^HTTP\/1\.1 103 Early Hints\r\nLink: <\/a>\r\n\r\nHTTP\/1\.1 100 Continue/);
  client.send("body");
  await client.got("done");
  assert.equal(client.received.match(/100 Continue/g)?.length, 1);
});

test("a final answer to Expect leaves the body with the client", async (t) => {
  const origin = await RawOrigin.start(t, (connection) => {
    void connection
      .got("\r\n\r\n")
      .then(() => connection.send("HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n"));
  });
  const proxy = await TestProxy.start(t, { external: { address: origin.address } });
  const client = await proxy.dial(t);
  client.send("POST / HTTP/1.1\r\nHost: site\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
  const text = await client.end();
  assert.match(text, /^HTTP\/1\.1 401 No\r\n/);
  assert.ok(!text.includes("100"));
});

test("trailers go both ways", async (t) => {
  const origin = await RawOrigin.start(t, (connection) => {
    void connection.got("x-up: 1\r\n\r\n").then(() => {
      connection.send(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Down: 2\r\n\r\n",
      );
    });
  });
  const proxy = await TestProxy.start(t, { external: { address: origin.address } });
  const client = await proxy.dial(t);
  client.send(
    "POST / HTTP/1.1\r\nHost: site\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nx-up: 1\r\n\r\n",
  );
  const text = await client.got("X-Down");
  assert.ok(text.endsWith("3\r\nabc\r\n0\r\nX-Down: 2\r\n\r\n"));
  const upstream = await origin.connection(0);
  assert.ok(upstream.received.endsWith("Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nx-up: 1\r\n\r\n"));
});

test("HEAD, 204 and 304 have no body, and their connection is kept", async (t) => {
  const heads = [
    "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n",
    "HTTP/1.1 204 No Content\r\n\r\n",
    'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: "a"\r\n\r\n',
  ];
  let next = 0;
  const origin = await RawOrigin.start(t, (connection) => {
    connection.socket.on("data", () => connection.send(heads[next++] ?? ok("last")));
  });
  const proxy = await TestProxy.start(t, { external: { address: origin.address } });
  const client = await proxy.dial(t);
  client.send(`HEAD / HTTP/1.1\r\nHost: site\r\n\r\n${get("/1")}${get("/2")}${get("/3")}`);
  const text = await client.got("\r\n\r\nlast");
  assert.match(text, /^HTTP\/1\.1 200 OK\r\nContent-Length: 99\r\n/);
  assert.equal(origin.connections.length, 1);
});

test("at the bound of connections exchanges wait in order, and no longer than they may for a connection", async (t) => {
  const origin = await RawOrigin.start(t);
  const proxy = await TestProxy.start(t, {
    external: { address: origin.address, limits: { connections: 1 }, timeouts: { connect: 300 } },
  });
  const clients = [];
  for (let i = 0; i < 3; i++) {
    const client = await proxy.dial(t);
    client.send(get(`/${i}`));
    await until(() => proxy.server.exchanges === i + 1);
    clients.push(client);
  }
  const upstream = await origin.connection(0);
  await upstream.got("GET /0 ");
  upstream.send(ok("zero"));
  await clients[0]?.got("zero");
  await upstream.got("GET /1 ");
  await clients[2]?.got("HTTP/1.1 503");
  upstream.send(ok("one"));
  await clients[1]?.got("one");
  assert.equal(origin.connections.length, 1);
  assert.deepEqual(proxy.errors, { upstream_busy: 1 });
});

test("idle connections are bounded in number and in time", async (t) => {
  const origin = await RawOrigin.start(t);
  const proxy = await TestProxy.start(t, {
    external: { address: origin.address, limits: { idleConnections: 1 }, timeouts: { keepAlive: 150 } },
  });
  const first = await proxy.dial(t);
  const second = await proxy.dial(t);
  first.send(get("/"));
  second.send(get("/"));
  for (const index of [0, 1]) {
    const upstream = await origin.connection(index);
    await upstream.got("GET");
    upstream.send(ok("x"));
  }
  await first.got("200");
  await second.got("200");
  await until(() => proxy.upstreamConnections().open === 1);
  await until(() => proxy.upstreamConnections().open === 0);
});

test("an unread response that is small is read to its end for the sake of the connection", async (t) => {
  const origin = await RawOrigin.start(t, (connection) => {
    connection.socket.on("data", () => connection.send(ok("some body")));
  });
  const proxy = await TestProxy.start(t, { external: { address: origin.address } });
  // A Worker that looks at the status only.
  const sub = new SubExchange();
  proxy.service.handle(sub);
  await until(() => sub.status === 200);
  sub.body?.cancel(new ProxyError("internal", "cannot use the body: nobody reads it"));
  await until(() => proxy.upstreamConnections().idle === 1);
});

test("one that does not come to its end is not waited for", async (t) => {
  const origin = await RawOrigin.start(t, (connection) => {
    connection.socket.on("data", () => connection.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"));
  });
  const proxy = await TestProxy.start(t, { external: { address: origin.address } });
  const sub = new SubExchange();
  proxy.service.handle(sub);
  await until(() => sub.status === 200);
  sub.body?.cancel(new ProxyError("internal", "cannot use the body: nobody reads it"));
  await until(() => proxy.upstreamConnections().open === 0);
});

test("a websocket goes through after its 101", async (t) => {
  const origin = await RawOrigin.start(t, (connection) => {
    void connection.got("\r\n\r\n").then(async () => {
      connection.send(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\nhi",
      );
      await connection.got("bytes");
      connection.socket.end("bye");
    });
  });
  const proxy = await TestProxy.start(t, { external: { address: origin.address } });
  const client = await proxy.dial(t);
  client.send(get("/", "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n"));
  await client.got("\r\n\r\nhi");
  client.send("bytes");
  assert.ok((await client.end()).endsWith("hibye"));
  const upstream = await origin.connection(0);
  assert.match(upstream.received, /Connection: upgrade\r\nUpgrade: websocket\r\n/i);
  assert.deepEqual(proxy.upstreamConnections(), { open: 1, idle: 0 });
  client.socket.end();
  await until(() => proxy.upstreamConnections().open === 0);
});

test("a 101 that was not asked for is no tunnel", async (t) => {
  const origin = await RawOrigin.start(t, (connection) => {
    void connection.got("\r\n\r\n").then(() => {
      connection.send(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\nGET / HTTP/1.1",
      );
    });
  });
  const proxy = await TestProxy.start(t, { external: { address: origin.address } });
  for (const more of [
    "",
    "Connection: upgrade\r\nUpgrade: websocket\r\n",
    "Connection: upgrade\r\nUpgrade: h2c\r\n",
  ]) {
    const client = await proxy.dial(t);
    client.send(get("/", more));
    await client.got("HTTP/1.1 502");
  }
});

test("an exchange that went through too many services is a loop", async (t) => {
  const proxy = await TestProxy.start(t, { external: { address: "127.0.0.1:1" } });
  const sub = new SubExchange(Exchange.maxDepth + 1);
  proxy.service.handle(sub);
  assert.equal(sub.error?.code, "service_loop");
});

test("requests to an upstream on a unix socket and an abstract one", async (t) => {
  const directory = new TemporaryDirectory(t);
  for (const [path, address] of [
    [`${directory.path}/s`, `unix:${directory.path}/s`],
    ["\0sluice-test-abstract", "unix-abstract:sluice-test-abstract"],
  ] as const) {
    const server = createServer((request, response) => response.end(`unix ${request.headers.host}`));
    await new Promise<void>((resolve) => server.listen({ path }, resolve));
    const proxy = await TestProxy.start(t, { external: { address } });
    const client = await proxy.dial(t);
    client.send(get("/"));
    await client.got("unix site");
    server.closeAllConnections();
    server.close();
  }
});
