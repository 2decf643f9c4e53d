import assert from "node:assert/strict";
import { once } from "node:events";
import * as http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import type { z } from "zod";
import type { external } from "../../src/config/schema/external.ts";
import { Authority } from "../support/authority.ts";
import { get } from "../support/client.ts";
import { RawOrigin, TestProxy, until } from "./http-harness.ts";

const { constants } = http2;

interface Server {
  readonly address: string;
  readonly sessions: http2.ServerHttp2Session[];
  readonly streams: http2.ServerHttp2Stream[];
}

type Serve = (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => void;

async function serve(
  test: TestContext,
  onStream: Serve,
  options: http2.SecureServerOptions = {},
): Promise<Server> {
  const server = options.cert === undefined ? http2.createServer(options) : http2.createSecureServer(options);
  const sessions: http2.ServerHttp2Session[] = [];
  const streams: http2.ServerHttp2Stream[] = [];
  server.on("session", (session: http2.ServerHttp2Session) => {
    sessions.push(session);
    session.on("error", () => {});
  });
  server.on("stream", (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => {
    streams.push(stream);
    stream.on("error", () => {});
    onStream(stream, headers);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  test.after(() => {
    server.close();
    for (const session of sessions) session.destroy();
  });
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, sessions, streams };
}

function start(test: TestContext, address: string, more: object = {}): Promise<TestProxy> {
  const config = { address, ...more } as z.input<typeof external>;
  return TestProxy.start(test, { external: { ...config, http: { version: 2, ...config.http } } });
}

interface Answer {
  status: number;
  body: string;
  headers: http2.IncomingHttpHeaders;
  trailers: http2.IncomingHttpHeaders;
  code: number;
}

/** A request over HTTP/2 to the proxy, when its stream is closed. */
async function ask(
  test: TestContext,
  proxy: TestProxy,
  headers: http2.OutgoingHttpHeaders = {},
  body: string | null = null,
): Promise<Answer> {
  const session = http2.connect(proxy.url);
  session.on("error", () => {});
  test.after(() => session.destroy());
  const stream = session.request(
    { ":path": "/", ...headers },
    { endStream: body === null, waitForTrailers: true },
  );
  const answer: Answer = { status: 0, body: "", headers: {}, trailers: {}, code: 0 };
  stream.setEncoding("latin1");
  stream.on("wantTrailers", () => stream.sendTrailers({ "x-sum": "1" }));
  stream.on("response", (fields) => {
    answer.status = fields[":status"] ?? 0;
    answer.headers = fields;
  });
  stream.on("data", (text: string) => {
    answer.body += text;
  });
  stream.on("trailers", (fields) => {
    answer.trailers = fields;
  });
  stream.on("error", () => {});
  if (body !== null) stream.end(body);
  await new Promise((resolve) => stream.on("close", resolve));
  answer.code = stream.rstCode;
  session.close();
  return answer;
}

const echo: Serve = (stream, headers) => {
  stream.respond(
    {
      ":status": 200,
      "x-method": headers[":method"],
      "x-path": headers[":path"],
      "x-host": headers[":authority"],
    },
    { waitForTrailers: true },
  );
  let trailers: http2.IncomingHttpHeaders = {};
  stream.on("trailers", (fields) => {
    trailers = fields;
  });
  stream.on("wantTrailers", () => stream.sendTrailers({ "x-back": String(trailers["x-sum"]) }));
  stream.pipe(stream);
};

test("bodies and trailers go both ways between HTTP/2 on both sides", async (t) => {
  const server = await serve(t, echo);
  const proxy = await start(t, server.address);
  const answer = await ask(t, proxy, { ":method": "POST", ":path": "/a%2f?b" }, "x".repeat(300_000));
  assert.equal(answer.status, 200);
  assert.equal(answer.headers["x-path"], "/a%2f?b");
  assert.equal(answer.headers["x-host"], new URL(proxy.url).host);
  assert.equal(answer.body.length, 300_000);
  assert.equal(answer.trailers["x-back"], "1");
});

test("an HTTP/1.1 client is served by an HTTP/2 server", async (t) => {
  const server = await serve(t, echo);
  const proxy = await start(t, server.address);
  const { status, headers } = await get(`${proxy.url}/x`);
  assert.equal(status, 200);
  assert.equal(headers["x-method"], "GET");
  const head = await get(`${proxy.url}/x`, { method: "HEAD" });
  assert.equal(head.status, 200);
  assert.equal(server.sessions.length, 1, "one connection carries all requests");
});

test("HTTP/2 over TLS is agreed by ALPN, and a server without it is refused", async (t) => {
  const authority = new Authority("Upstreams");
  const { certificate, key } = authority.issue(["app.test"]);
  const server = await serve(t, echo, { cert: certificate, key });
  const tls = { trust: [authority.certificate], certificateHost: "app.test" };
  const proxy = await start(t, server.address, { tls });
  assert.equal((await get(proxy.url)).status, 200);
  const plain = await RawOrigin.start(t);
  const { createServer } = await import("node:tls");
  const old = createServer({ cert: certificate, key }, (socket) => socket.on("error", () => {}));
  old.listen(0, "127.0.0.1");
  await once(old, "listening");
  t.after(() => old.close());
  const other = await start(t, `127.0.0.1:${(old.address() as AddressInfo).port}`, { tls });
  assert.equal((await get(other.url)).status, 502);
  assert.equal(other.errors.upstream_tls_failed, 1);
  void plain;
});

test("a server that speaks HTTP/1.1 only, or nobody at all, is a 502", async (t) => {
  const origin = await RawOrigin.start(t, (connection) => {
    connection.socket.end("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
  });
  const proxy = await start(t, origin.address);
  assert.equal((await get(proxy.url)).status, 502);
  origin.server.close();
  const nobody = await start(t, "127.0.0.1:1");
  assert.equal((await get(nobody.url)).status, 502);
  assert.equal(nobody.errors.upstream_unreachable, 1);
});

test("the server's limit of streams is kept, by another connection and then by waiting", async (t) => {
  let most = 0;
  let active = 0;
  const waiting: Array<() => void> = [];
  const server = await serve(
    t,
    (stream) => {
      most = Math.max(most, ++active);
      waiting.push(() => {
        active--;
        stream.respond({ ":status": 204 }, { endStream: true });
      });
    },
    { settings: { maxConcurrentStreams: 2 } },
  );
  const proxy = await start(t, server.address, { limits: { connections: 2 } });
  // The first one learns the limit.
  const first = get(proxy.url);
  await until(() => waiting.length === 1);
  waiting.shift()?.();
  await first;
  const answers = Array.from({ length: 6 }, () => get(proxy.url));
  await until(() => waiting.length === 4);
  assert.equal(server.sessions.length, 2);
  while (answers.length > 0) {
    await until(() => waiting.length > 0);
    waiting.shift()?.();
    await Promise.race(answers);
    answers.pop();
  }
  while (active > 0) {
    waiting.shift()?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal(most, 4);
});

test("a refused stream is sent again, whatever its method; one that was begun is not", async (t) => {
  let count = 0;
  const server = await serve(t, (stream) => {
    if (count++ === 0) stream.close(constants.NGHTTP2_REFUSED_STREAM);
    else stream.respond({ ":status": 200 }, { endStream: true });
  });
  const proxy = await start(t, server.address);
  assert.equal((await get(proxy.url, { method: "POST" })).status, 200);
  assert.equal(count, 2);
  count = -1;
  const reset = await serve(t, (stream) => {
    count++;
    stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  });
  const other = await start(t, reset.address);
  assert.equal((await get(other.url, { method: "POST" })).status, 502);
  assert.equal(other.errors.upstream_reset, 1);
  assert.equal(count, 0);
});

test("after GOAWAY streams go to another connection, and those under way come to their end", async (t) => {
  const server = await serve(t, (stream) => {
    if (server.streams.length > 1) {
      stream.respond({ ":status": 200 }, { endStream: true });
      return;
    }
    stream.session?.goaway(constants.NGHTTP2_NO_ERROR, 1);
    stream.respond({ ":status": 200 });
    stream.write("be");
  });
  const proxy = await start(t, server.address);
  const first = ask(t, proxy);
  await until(() => server.streams.length === 1);
  await until(() => proxy.upstreamConnections().idle === 0);
  assert.equal((await ask(t, proxy)).status, 200);
  await until(() => server.sessions.length === 2);
  server.streams[0]?.end("gun");
  assert.equal((await first).body, "begun");
});

test("a server that resets a stream within the body resets that of the client with a code that says so", async (t) => {
  const server = await serve(t, (stream) => {
    stream.respond({ ":status": 200 });
    stream.write("abc", () => setImmediate(() => stream.destroy(new Error("broken"))));
  });
  const proxy = await start(t, server.address);
  const answer = await ask(t, proxy);
  assert.equal(answer.status, 200);
  assert.notEqual(answer.code, constants.NGHTTP2_NO_ERROR);
});

test("a client that leaves resets the server's stream, and leaves the connection to others", async (t) => {
  const server = await serve(t, () => {});
  const proxy = await start(t, server.address);
  const client = await proxy.dial(t);
  client.send("GET / HTTP/1.1\r\nHost: site\r\n\r\n");
  await until(() => server.streams.length === 1);
  client.socket.destroy();
  const [stream] = server.streams as [http2.ServerHttp2Stream];
  await until(() => stream.closed);
  assert.equal(stream.rstCode, constants.NGHTTP2_CANCEL);
  assert.equal(server.sessions[0]?.destroyed, false);
});

test("a client that leaves within its body never makes the server take it for a whole one", async (t) => {
  let isEnded = false;
  const server = await serve(t, (stream) => {
    stream.on("aborted", () => {});
    stream.on("end", () => {
      isEnded = stream.rstCode === 0 && !stream.aborted;
    });
    stream.resume();
  });
  const proxy = await start(t, server.address);
  const client = await proxy.dial(t);
  client.send("POST / HTTP/1.1\r\nHost: site\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
  await until(() => server.streams.length === 1);
  client.socket.destroy();
  await until(() => server.streams[0]?.closed === true);
  assert.equal(isEnded, false);
});

test("a head that does not come, and a body that stalls, end with their timeouts", async (t) => {
  const server = await serve(t, (stream, headers) => {
    if (headers[":path"] === "/body") stream.respond({ ":status": 200 });
  });
  const proxy = await start(t, server.address, { timeouts: { head: 100, idle: 100 } });
  assert.equal((await ask(t, proxy)).status, 504);
  const stalled = await ask(t, proxy, { ":path": "/body" });
  assert.equal(stalled.status, 200);
  assert.notEqual(stalled.code, 0);
  assert.equal(proxy.errors.upstream_idle_timeout, 1);
});

test("a server that does not answer PING loses the connection", async (t) => {
  const { frame, SETTINGS } = await import("../support/http2-frames.ts");
  const origin = await RawOrigin.start(t, ({ socket }) => socket.write(frame(SETTINGS, 0, 0)));
  const proxy = await start(t, origin.address, { http: { version: 2, pingInterval: 100 } });
  assert.equal((await get(proxy.url)).status, 502);
});

test("an idle connection is closed after the keep-alive time", async (t) => {
  const server = await serve(t, echo);
  const proxy = await start(t, server.address, { timeouts: { keepAlive: 100 } });
  await get(proxy.url);
  assert.equal(proxy.upstreamConnections().idle, 1);
  await until(() => proxy.upstreamConnections().open === 0);
});

test("early hints and 100 Continue of an HTTP/2 server reach the client", async (t) => {
  const server = await serve(t, (stream, headers) => {
    stream.additionalHeaders({ ":status": 103, link: "</a>" });
    if (headers.expect === "100-continue") stream.additionalHeaders({ ":status": 100 });
    stream.resume();
    stream.on("end", () => stream.respond({ ":status": 204 }, { endStream: true }));
  });
  const proxy = await start(t, server.address);
  const client = await proxy.dial(t);
  client.send("POST / HTTP/1.1\r\nHost: site\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
  await client.got("HTTP/1.1 100 Continue");
  client.send("ab");
  const text = await client.got("204");
  assert.match(text, /103 Early Hints\r\nlink: <\/a>\r\n/);
});

test("a bound of those who wait holds neither for those that a connection is opened for, nor for checks of health", async (t) => {
  const held: http2.ServerHttp2Stream[] = [];
  let checks = 0;
  const server = await serve(
    t,
    (stream, headers) => {
      if (headers[":path"] === "/held") {
        held.push(stream);
        return;
      }
      if (headers[":path"] === "/check") checks++;
      stream.respond({ ":status": 200 });
      stream.end("ok");
    },
    { settings: { maxConcurrentStreams: 1 } },
  );
  const proxy = await start(t, server.address, {
    limits: { connections: 1, pending: 1 },
    health: { check: { path: "/check", interval: "100ms", down: 1 } },
  });
  const held1 = ask(t, proxy, { ":path": "/held" });
  await until(() => held.length === 1);
  const held2 = ask(t, proxy, { ":path": "/held" });
  await until(() => proxy.upstreamMetric("pending") === 1);
  assert.equal((await ask(t, proxy)).status, 503);
  const before = checks;
  await until(() => checks >= before + 3);
  const labels = `endpoint="${server.address}",kind="check"`;
  assert.equal(proxy.upstreamMetric("endpoint_failures_total", labels), 0);
  for (let i = 0; i < 2; i++) {
    await until(() => held.length > i);
    held[i]?.respond({ ":status": 200 });
    held[i]?.end("late");
  }
  assert.deepEqual(
    (await Promise.all([held1, held2])).map(({ body }) => body),
    ["late", "late"],
  );
  const cold = await start(t, server.address, { limits: { pending: 1 } });
  const all = await Promise.all(Array.from({ length: 5 }, () => ask(t, cold)));
  assert.ok(all.every(({ status }) => status === 200));
});

test("a warm connection stands before a request comes, and again after it went", async (t) => {
  const server = await serve(t, (stream) => {
    stream.respond({ ":status": 200 });
    stream.end("ok");
  });
  const proxy = await start(t, server.address, { warm: 3, timeouts: { keepAlive: "100ms" } });
  await until(() => proxy.upstreamConnections().idle === 1);
  // One that was idle for too long, and one that the server closes.
  await until(() => server.sessions.length === 2);
  server.sessions[1]?.close();
  await until(() => server.sessions.length === 3);
  assert.equal((await ask(t, proxy)).body, "ok");
});
