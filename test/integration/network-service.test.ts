import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import https from "node:https";
import net, { type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import forge from "node-forge";
import type { NetworkConfig } from "../../src/config/schema/network.ts";
import { ProxyError } from "../../src/errors/proxy-error.ts";
import type { BodySink, BodySource } from "../../src/http/body.ts";
import { TimerWheel } from "../../src/net/timer-wheel.ts";
import { Metrics } from "../../src/observability/traffic.ts";
import type { ServiceContext } from "../../src/services/context.ts";
import type { ResolvedAddress, Resolver } from "../../src/services/network/connector.ts";
import { type NetworkOptions, NetworkService, networkDefaults } from "../../src/services/network/network.ts";
import { Answer, CollectedExchange, CollectedTunnel, CollectingSink, collect } from "./network-harness.ts";

/** Names to addresses; a function is asked at each look-up. */
type Names = Readonly<Record<string, readonly string[] | (() => readonly string[])>>;

class Lookups {
  count = 0;
  readonly resolve: Resolver = (host, done) => {
    this.count++;
    const entry = this.#names[host];
    const texts = typeof entry === "function" ? entry() : entry;
    queueMicrotask(() => {
      if (texts === undefined) done(Object.assign(new Error("not found"), { code: "ENOTFOUND" }), []);
      else
        done(
          null,
          texts.map((address): ResolvedAddress => ({ address, family: net.isIP(address) })),
        );
    });
  };
  readonly #names: Names;

  constructor(names: Names) {
    this.#names = names;
  }
}

interface Fixture {
  readonly network: NetworkService;
  readonly lookups: Lookups;
  readonly context: ServiceContext;
}

function makeNetwork(
  t: TestContext,
  names: Names = {},
  config: Partial<NetworkConfig> = {},
  options: Partial<NetworkOptions> = {},
): Fixture {
  const lookups = new Lookups(names);
  const context = {
    log: { log() {}, access() {}, accessEnabled: false },
    metrics: new Metrics(),
    isolates: null,
    now: () => performance.now(),
  } as unknown as ServiceContext;
  const network = new NetworkService("internet", { allow: ["local"], deny: [], ...config }, context, {
    ...networkDefaults,
    resolve: lookups.resolve,
    ...options,
  });
  t.after(async () => {
    network.close();
    const traffic = context.metrics.traffic("service", "internet");
    while (network.connector.connections > 0) await setImmediate();
    assert.equal(traffic.active, 0, "every exchange is finished");
    assert.equal(TimerWheel.of(context).size, 0, "no timer is left");
  });
  return { network, lookups, context };
}

async function listen(t: TestContext, server: net.Server, host = "127.0.0.1"): Promise<number> {
  server.listen(0, host);
  await once(server, "listening");
  t.after(() => {
    if (server instanceof http.Server || server instanceof https.Server) server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

function origin(t: TestContext, handler: http.RequestListener): Promise<number> {
  return listen(t, http.createServer(handler));
}

/** A server that sees raw bytes; what it is given it answers with a script. */
function rawOrigin(
  t: TestContext,
  script: (socket: net.Socket, received: string, count: number) => void,
): Promise<number> {
  const sockets = new Set<net.Socket>();
  let count = 0;
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    let received = "";
    socket.on("data", (bytes) => {
      received += bytes.toString("latin1");
      if (!received.includes("\r\n\r\n")) return;
      const text = received;
      received = "";
      script(socket, text, ++count);
    });
  });
  t.after(() => {
    for (const socket of sockets) socket.destroy();
  });
  return listen(t, server);
}

/** A body that is pushed by hand. */
class PushedBody implements BodySource {
  readonly length: number;
  sink: BodySink | null = null;
  cancelled: ProxyError | null = null;
  onPiped: (() => void) | null = null;
  resumed = 0;

  constructor(length = -1) {
    this.length = length;
  }

  pipe(sink: BodySink): void {
    this.sink = sink;
    queueMicrotask(() => this.onPiped?.());
  }

  resume(): void {
    this.resumed++;
  }

  cancel(error: ProxyError): void {
    this.cancelled ??= error;
  }
}

test("a request goes to its origin with end-to-end fields and its own framing", async (t) => {
  const port = await origin(t, (request, response) => {
    response.setHeader("set-cookie", ["a=1", "b=2"]);
    response.setHeader("connection", "keep-alive, x-hop");
    response.setHeader("x-hop", "1");
    response.setHeader("x-latin", "caf\u00e9");
    response.end(Buffer.from(JSON.stringify([request.method, request.url, request.rawHeaders])));
  });
  const { network, lookups } = makeNetwork(t, { "origin.test": ["127.0.0.1"] });
  const answer = await collect(network, {
    authority: `Origin.Test:${port}`,
    target: "/a%2Fb?c=d",
    headers: [
      ["X-One", "caf\u00e9"],
      ["x-one", "2"],
      ["te", "trailers"],
      ["expect", "100-continue"],
      ["http2-settings", "x"],
    ],
  });
  assert.equal(answer.status, 200);
  const [method, url, raw] = JSON.parse(answer.text) as [string, string, string[]];
  assert.deepEqual([method, url], ["GET", "/a%2Fb?c=d"]);
  assert.deepEqual(raw, [
    "host",
    `origin.test:${port}`,
    "connection",
    "keep-alive",
    "X-One",
    "café",
    "x-one",
    "2",
  ]);
  assert.deepEqual(answer.headers.getAll("set-cookie"), ["a=1", "b=2"]);
  assert.equal(answer.headers.get("x-latin"), "caf\u00e9");
  for (const name of ["connection", "keep-alive", "x-hop", "content-length"]) {
    assert.equal(answer.headers.has(name), false, name);
  }
  assert.equal(answer.length, answer.body.length);
  assert.equal(lookups.count, 1);
});

test("connections are used again without another look-up", async (t) => {
  let sockets = 0;
  const server = http.createServer((_, response) => response.end("ok"));
  server.on("connection", () => sockets++);
  const port = await listen(t, server);
  const { network, lookups } = makeNetwork(t, { "a.test": ["127.0.0.1"] });
  for (let i = 0; i < 6; i++) {
    assert.equal((await collect(network, { authority: `a.test:${port}` })).text, "ok");
    await setImmediate();
  }
  // undici gives a connection back a turn after its response, so that two may serve one client in turn.
  assert.ok(sockets <= 2, `${sockets} connections`);
  assert.equal(lookups.count, sockets);
});

test("bodies go both ways, with and without a length", async (t) => {
  const port = await origin(t, (request, response) => {
    response.setHeader(
      "framing",
      request.headers["content-length"] ?? request.headers["transfer-encoding"] ?? "none",
    );
    request.pipe(response);
  });
  const { network } = makeNetwork(t);
  const authority = `127.0.0.1:${port}`;
  const known = await collect(network, { method: "POST", authority, body: "hello" });
  assert.deepEqual([known.text, known.headers.get("framing"), known.length], ["hello", "5", -1]);
  const empty = await collect(network, { method: "POST", authority, body: "" });
  assert.deepEqual([empty.text, empty.headers.get("framing")], ["", "0"]);
  const body = new PushedBody();
  body.onPiped = () => {
    body.sink?.write(Buffer.from("one"));
    body.sink?.write(Buffer.from("two"));
    body.sink?.end(null);
  };
  const streamed = await collect(network, { method: "PUT", authority, body });
  assert.deepEqual([streamed.text, streamed.headers.get("framing")], ["onetwo", "chunked"]);
  const get = await collect(network, { method: "GET", authority, body: "x" });
  assert.deepEqual([get.text, get.headers.get("framing")], ["x", "1"]);
});

test("interim responses and trailers pass", async (t) => {
  const port = await origin(t, (_, response) => {
    response.writeEarlyHints({ link: "</a.css>; rel=preload" });
    response.writeHead(200, { trailer: "x-sum" });
    response.write("body");
    response.addTrailers({ "x-sum": "7" });
    response.end();
  });
  const { network } = makeNetwork(t);
  const answer = await collect(network, { authority: `127.0.0.1:${port}` });
  assert.deepEqual(
    answer.informed.map((head) => [head.status, head.headers.get("link")]),
    [[103, "</a.css>; rel=preload"]],
  );
  assert.equal(answer.text, "body");
  assert.equal(answer.trailers?.get("x-sum"), "7");
});

test("responses without content tell the length that they would have", async (t) => {
  const port = await origin(t, (request, response) => {
    response.writeHead(Number(request.url?.slice(1)), { "content-length": "10" });
    response.end(request.method === "HEAD" ? undefined : "");
  });
  const { network } = makeNetwork(t);
  const authority = `127.0.0.1:${port}`;
  const head = await collect(network, { method: "HEAD", authority, target: "/200" });
  assert.deepEqual([head.status, head.head?.announcedLength, head.length], [200, 10, -2]);
  const unchanged = await collect(network, { authority, target: "/304" });
  assert.deepEqual([unchanged.status, unchanged.head?.announcedLength, unchanged.length], [304, 10, -2]);
});

test("redirects are handed back, and content stays encoded", async (t) => {
  const port = await origin(t, (_, response) => {
    response.writeHead(302, { location: "http://127.0.0.1:1/", "content-encoding": "gzip" });
    response.end("not really gzip");
  });
  const { network } = makeNetwork(t);
  const answer = await collect(network, { authority: `127.0.0.1:${port}` });
  assert.equal(answer.status, 302);
  assert.equal(answer.headers.get("location"), "http://127.0.0.1:1/");
  assert.equal(answer.headers.get("content-encoding"), "gzip");
  assert.equal(answer.text, "not really gzip");
});

test("an origin sends no faster than the client reads", async (t) => {
  const total = 32 * 1024 * 1024;
  let sent = 0;
  const port = await origin(t, (_, response) => {
    const push = () => {
      while (sent < total) {
        sent += 65_536;
        if (!response.write(Buffer.alloc(65_536, 120))) {
          response.once("drain", push);
          return;
        }
      }
      response.end();
    };
    push();
  });
  const { network } = makeNetwork(t);
  const exchange = new CollectedExchange({ authority: `127.0.0.1:${port}` });
  exchange.hold = true;
  exchange.sink.manual = true;
  network.handle(exchange);
  await exchange.begun;
  const still = async () => {
    let before = -1;
    while (before !== sent) {
      before = sent;
      for (let i = 0; i < 20; i++) await setImmediate();
    }
  };
  await still();
  exchange.start();
  await still();
  assert.ok(sent < total / 2, `${sent} bytes were sent to a client that read one chunk`);
  assert.equal(exchange.sink.chunks, 1);
  exchange.sink.onChunk = () => queueMicrotask(() => exchange.more());
  exchange.more();
  const answer = await exchange.done;
  assert.equal(answer.broken, null);
  assert.equal(answer.body.length, total);
});

test("a client sends no faster than the origin reads", async (t) => {
  const held = Promise.withResolvers<http.IncomingMessage>();
  const port = await origin(t, (request, response) => {
    request.pause();
    held.resolve(request);
    request.on("end", () => response.end("done"));
  });
  const { network } = makeNetwork(t);
  const body = new PushedBody();
  const chunk = Buffer.alloc(65_536);
  let written = 0;
  const push = () => {
    while (written < 512 && body.sink?.write(chunk) === true) written++;
    if (written < 512) written++;
    else body.sink?.end(null);
  };
  body.onPiped = push;
  const answer = collect(network, { method: "POST", authority: `127.0.0.1:${port}`, body });
  const request = await held.promise;
  let before = -1;
  while (before !== written) {
    before = written;
    for (let i = 0; i < 20; i++) await setImmediate();
    if (body.resumed > 0) {
      body.resumed = 0;
      push();
    }
  }
  assert.ok(written < 512, `${written} chunks were taken`);
  body.resume = () => queueMicrotask(push);
  request.resume();
  push();
  assert.equal((await answer).text, "done");
});

test("a client that leaves ends the exchange with the origin", async (t) => {
  const closed = Promise.withResolvers<void>();
  const port = await origin(t, (request, response) => {
    response.write("begin");
    request.on("close", () => closed.resolve());
  });
  const { network } = makeNetwork(t);
  const exchange = new CollectedExchange({ authority: `127.0.0.1:${port}` });
  network.handle(exchange);
  await exchange.begun;
  exchange.leave();
  await closed.promise;
  const waiting = new CollectedExchange({ authority: `127.0.0.1:${port}` });
  network.handle(waiting);
  waiting.leave();
  assert.equal((await waiting.done).head, null);
});

test("a body that breaks off breaks the request off", async (t) => {
  const aborted = Promise.withResolvers<void>();
  const port = await origin(t, (request) => {
    request.on("data", () => {});
    request.on("error", () => aborted.resolve());
  });
  const { network } = makeNetwork(t);
  const body = new PushedBody();
  body.onPiped = () => {
    body.sink?.write(Buffer.from("part"));
    globalThis.setImmediate(() =>
      body.sink?.fail(new ProxyError("request_body_incomplete", "cannot read the body: it broke off")),
    );
  };
  const answer = await collect(network, { method: "POST", authority: `127.0.0.1:${port}`, body });
  assert.equal(answer.error?.code, "request_body_incomplete");
  await aborted.promise;
});

test("an answer that comes early ends the body that is being sent", async (t) => {
  const port = await rawOrigin(t, (socket, _received, count) => {
    if (count === 1) socket.write("HTTP/1.1 413 No\r\nContent-Length: 2\r\n\r\nno");
  });
  const { network } = makeNetwork(t);
  const body = new PushedBody();
  const cancelled = Promise.withResolvers<void>();
  body.cancel = () => cancelled.resolve();
  body.onPiped = () => body.sink?.write(Buffer.from("x"));
  const answer = await collect(network, { method: "POST", authority: `127.0.0.1:${port}`, body });
  assert.deepEqual([answer.status, answer.text], [413, "no"]);
  await cancelled.promise;
});

test("an origin's faults become typed errors", async (t) => {
  const cases: ReadonlyArray<readonly [answer: string, code: string]> = [
    ["garbage\r\n\r\n", "upstream_malformed"],
    [
      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "upstream_malformed",
    ],
    ["HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx", "upstream_malformed"],
    ["HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\nx", "upstream_malformed"],
    ["HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nx", "upstream_malformed"],
    ["HTTP/1.1 200 OK\r\nX : y\r\n\r\n", "upstream_malformed"],
    ["HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n", "upstream_malformed"],
    ["HTTP/1.1 101 Switch\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n", "upstream_reset"],
    ["", "upstream_reset"],
    ["HTTP/1.1 200", "upstream_reset"],
  ];
  for (const [text, code] of cases) {
    const port = await rawOrigin(t, (socket) => socket.end(text, "latin1"));
    const { network } = makeNetwork(t);
    const answer = await collect(network, { authority: `127.0.0.1:${port}` });
    assert.equal(answer.error?.code, code, JSON.stringify(text));
  }
});

test("half a body never passes for a whole one", async (t) => {
  const cases: ReadonlyArray<readonly [head: string, reset: boolean]> = [
    ["Content-Length: 10\r\n\r\nhalf", false],
    ["Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", false],
    ["Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n", false],
    ["Content-Length: 10\r\n\r\nhalf", true],
    ["\r\nhalf", true],
  ];
  for (const [head, reset] of cases) {
    const sockets: net.Socket[] = [];
    const port = await rawOrigin(t, (socket) => {
      sockets.push(socket);
      socket.write(`HTTP/1.1 200 OK\r\n${head}`);
    });
    const { network } = makeNetwork(t);
    const exchange = new CollectedExchange({ authority: `127.0.0.1:${port}` });
    exchange.sink.onChunk = () => {
      if (reset) sockets[0]?.resetAndDestroy();
      else sockets[0]?.end();
    };
    network.handle(exchange);
    const answer = await exchange.done;
    assert.equal(answer.status, 200);
    assert.equal(answer.broken?.code, "upstream_truncated", JSON.stringify(head));
  }
});

test("a body that ends with its connection is whole when the connection ends well", async (t) => {
  const port = await rawOrigin(t, (socket) => socket.end("HTTP/1.1 200 OK\r\n\r\nall of it"));
  const { network } = makeNetwork(t);
  const answer = await collect(network, { authority: `127.0.0.1:${port}` });
  assert.deepEqual([answer.text, answer.broken, answer.length], ["all of it", null, -1]);
});

test("a connection that closes as it is used again costs an idempotent request nothing", async (t) => {
  const port = await rawOrigin(t, (socket, _received, count) => {
    if (count === 2) socket.resetAndDestroy();
    else socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n${count}`);
  });
  const { network } = makeNetwork(t);
  const authority = `127.0.0.1:${port}`;
  assert.equal((await collect(network, { authority })).text, "1");
  assert.equal((await collect(network, { authority })).text, "3");
});

test("a request that must not be repeated is not", async (t) => {
  let requests = 0;
  const port = await rawOrigin(t, (socket) => {
    requests++;
    socket.resetAndDestroy();
  });
  const { network } = makeNetwork(t);
  const answer = await collect(network, { method: "POST", authority: `127.0.0.1:${port}`, body: "x" });
  assert.equal(answer.error?.code, "upstream_reset");
  assert.equal(requests, 1);
});

test("an origin that keeps silent is given up", async (t) => {
  const port = await rawOrigin(t, (socket, received) => {
    if (received.startsWith("GET /body")) socket.write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nx");
  });
  const { network } = makeNetwork(t, {}, {}, { headMs: 100, idleMs: 100 });
  const authority = `127.0.0.1:${port}`;
  assert.equal((await collect(network, { authority })).error?.code, "upstream_head_timeout");
  assert.equal(
    (await collect(network, { authority, target: "/body" })).broken?.code,
    "upstream_idle_timeout",
  );
});

test("a name whose look-up never ends is given up", async (t) => {
  const { network } = makeNetwork(t, {}, {}, { connectMs: 60, resolve: () => {} });
  const answer = await collect(network, { authority: "slow.test" });
  assert.equal(answer.error?.code, "upstream_connect_timeout");
});

test("an origin that refuses connections is unreachable", async (t) => {
  const server = net.createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  const { network } = makeNetwork(t);
  assert.equal(
    (await collect(network, { authority: `127.0.0.1:${port}` })).error?.code,
    "upstream_unreachable",
  );
  const tunnel = new CollectedTunnel("127.0.0.1", port);
  network.connect(tunnel);
  await tunnel.done;
  assert.equal(tunnel.refused?.code, "upstream_unreachable");
});

const forbidden = [
  ...["127.0.0.1", "127.8.8.8", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "192.168.0.1", "100.64.0.1"],
  ...["169.254.169.254", "169.254.1.1", "192.0.0.1", "192.0.2.1", "198.18.0.1", "203.0.113.1", "224.0.0.1"],
  ...["240.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1"],
  ...["::ffff:127.0.0.1", "::ffff:a9fe:a9fe", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::7f00:1"],
  ...["2002:7f00:1::", "2001:0:7f00:1::", "2001:db8::1", "::ffff:0:7f00:1", "fec0::1", "100::1"],
];

test("a public network refuses every address that is not public, for requests and tunnels", async (t) => {
  const { network, lookups } = makeNetwork(t, {}, { allow: ["public"] });
  for (const address of forbidden) {
    const host = address.includes(":") ? `[${address}]` : address;
    const answer = await collect(network, { authority: `${host}:80` });
    assert.equal(answer.error?.code, "address_denied", address);
    const tunnel = new CollectedTunnel(address, 443);
    network.connect(tunnel);
    await tunnel.done;
    assert.equal(tunnel.refused?.code, "address_denied", address);
  }
  assert.equal(lookups.count, 0);
});

test("a name that leads to a forbidden address fails as one that does not exist", async (t) => {
  const names = Object.fromEntries(forbidden.map((address, i) => [`n${i}.test`, [address]]));
  const { network } = makeNetwork(t, { ...names, "zone.test": ["fe80::1%lo"] }, { allow: ["public"] });
  const missing = await collect(network, { authority: "missing.test" });
  assert.equal(missing.error?.code, "upstream_name_unresolved");
  for (const name of [...Object.keys(names), "zone.test"]) {
    const answer = await collect(network, { authority: name });
    assert.equal(answer.error?.code, "upstream_name_unresolved", name);
    assert.equal(answer.error?.message.replaceAll(name, "missing.test"), missing.error?.message);
    const tunnel = new CollectedTunnel(name, 443);
    network.connect(tunnel);
    await tunnel.done;
    assert.equal(tunnel.refused?.code, "upstream_name_unresolved", name);
  }
});

test("of a name's addresses only the permitted ones are tried", async (t) => {
  let connections = 0;
  const server = http.createServer((_, response) => response.end("permitted"));
  const port = await listen(t, server, "127.0.0.2");
  const trap = net.createServer(() => connections++);
  trap.listen(port, "127.0.0.1");
  await once(trap, "listening");
  t.after(() => trap.close());
  const names = { "mixed.test": ["127.0.0.1", "::1", "10.0.0.1", "127.0.0.2"] };
  const { network } = makeNetwork(t, names, { allow: ["127.0.0.2"] });
  assert.equal((await collect(network, { authority: `mixed.test:${port}` })).text, "permitted");
  assert.equal(connections, 0);
});

test("a name that moves to a forbidden address gains nothing", async (t) => {
  const server = http.createServer((_, response) => {
    response.setHeader("connection", "close");
    response.end("ok");
  });
  const port = await listen(t, server, "127.0.0.2");
  let lookups = 0;
  const names = { "rebind.test": () => (lookups++ === 0 ? ["127.0.0.2"] : ["127.0.0.1"]) };
  const { network } = makeNetwork(t, names, { allow: ["127.0.0.2"] });
  const authority = `rebind.test:${port}`;
  assert.equal((await collect(network, { authority })).text, "ok");
  assert.equal(lookups, 1, "the name is resolved once for a connection");
  assert.equal((await collect(network, { authority })).error?.code, "upstream_name_unresolved");
});

test("spellings that only a resolver takes for an address reach no resolver", async (t) => {
  const { network, lookups } = makeNetwork(t, {}, { allow: ["public", "private"] });
  const cases = [
    ["0177.0.0.1", "upstream_name_unresolved"],
    ["0177.1", "upstream_name_unresolved"],
    ["127.1", "upstream_name_unresolved"],
    ["2130706433", "upstream_name_unresolved"],
    ["0x7f000001", "upstream_name_unresolved"],
    ["127.0.0.0x1", "upstream_name_unresolved"],
    ["127.0.0.1.", "upstream_name_unresolved"],
    ["0x7f.1", "upstream_name_unresolved"],
    ["1.2.3.4.5", "upstream_name_unresolved"],
    ["[::1%25lo]", "request_malformed"],
    ["[::1%lo]", "request_malformed"],
    ["[127.0.0.1]", "request_malformed"],
    ["[::1]x", "request_malformed"],
    ["user@127.0.0.1", "request_malformed"],
    ["127.0.0.1\\@a.test", "request_malformed"],
    ["a%2etest", "request_malformed"],
    ["a.test:0", "request_malformed"],
    ["a.test:65536", "request_malformed"],
    ["a.test:80:80", "request_malformed"],
    ["unix:/run/docker.sock", "request_malformed"],
    ["\u2488.test", "request_malformed"],
    ["a..test", "request_malformed"],
    ["", "request_malformed"],
  ] as const;
  for (const [authority, code] of cases) {
    assert.equal((await collect(network, { authority })).error?.code, code, authority);
  }
  assert.equal(lookups.count, 0);
});

test("deny rules hold for what allow rules open", async (t) => {
  const port = await origin(t, (_, response) => response.end("ok"));
  const { network } = makeNetwork(
    t,
    { "a.test": ["127.0.0.1"] },
    { allow: ["local"], deny: ["127.0.0.0/30"] },
  );
  assert.equal((await collect(network, { authority: `127.0.0.1:${port}` })).error?.code, "address_denied");
  assert.equal(
    (await collect(network, { authority: `a.test:${port}` })).error?.code,
    "upstream_name_unresolved",
  );
});

test("targets that are no path are refused", async (t) => {
  const { network } = makeNetwork(t);
  for (const target of ["*", "http://a.test/", "", "/a b", "/a\u0100"]) {
    assert.equal(
      (await collect(network, { authority: "127.0.0.1:1", target })).error?.code,
      "request_malformed",
      target,
    );
  }
});

test("an exchange that went in a circle is stopped", async (t) => {
  const { network } = makeNetwork(t);
  assert.equal((await collect(network, { authority: "127.0.0.1:1", depth: 33 })).error?.code, "service_loop");
});

test("more connections than the bound are refused as busy", async (t) => {
  const port = await rawOrigin(t, () => {});
  const { network } = makeNetwork(t, {}, {}, { maxConnections: 1 });
  const first = new CollectedExchange({ authority: `127.0.0.1:${port}` });
  network.handle(first);
  const second = await collect(network, { authority: `127.0.0.1:${port}` });
  assert.equal(second.error?.code, "upstream_busy");
  first.leave();
});

test("a tunnel carries bytes both ways, and the end of one side", async (t) => {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    let text = "";
    socket.on("data", (bytes) => {
      text += bytes.toString();
    });
    socket.on("end", () => socket.end(`got ${text}`));
  });
  const port = await listen(t, server);
  const { network } = makeNetwork(t, { "db.test": ["127.0.0.1"] });
  const tunnel = new CollectedTunnel("db.test", port);
  network.connect(tunnel);
  await tunnel.done;
  assert.ok(tunnel.stream !== null);
  assert.equal(tunnel.onAbort, null);
  const answer = new Answer();
  const { promise, resolve } = Promise.withResolvers<void>();
  tunnel.stream.writable.attach({ resume() {}, cancel() {} });
  tunnel.stream.readable.pipe(new CollectingSink(answer, resolve));
  tunnel.stream.writable.write(Buffer.from("hello"));
  tunnel.stream.writable.end(null);
  await promise;
  assert.equal(answer.broken, null);
  assert.equal(answer.text, "got hello");
});

test("a tunnel whose client leaves early is not opened", async (t) => {
  const { network } = makeNetwork(t, {}, {}, { resolve: () => {} });
  const tunnel = new CollectedTunnel("never.test", 1);
  network.connect(tunnel);
  tunnel.onAbort?.(new ProxyError("client_disconnected", "cannot open the tunnel: the client left"));
  assert.equal(tunnel.refused, null);
});

test("unix sockets are reached only by their spelling and their rule", async (t) => {
  const path = join(tmpdir(), `sluice-network-${process.pid}.sock`);
  const server = net.createServer((socket) => socket.end("unix"));
  server.listen(path);
  await once(server, "listening");
  t.after(() => server.close());
  const reach = async (allow: string[], host: string) => {
    const { network } = makeNetwork(t, {}, { allow });
    const tunnel = new CollectedTunnel(host, 0);
    network.connect(tunnel);
    await tunnel.done;
    if (tunnel.stream === null) return tunnel.refused?.code;
    const answer = new Answer();
    await new Promise<void>((resolve) => tunnel.stream?.readable.pipe(new CollectingSink(answer, resolve)));
    tunnel.stream.writable.end(null);
    return answer.text;
  };
  assert.equal(await reach(["unix"], `unix:${path}`), "unix");
  assert.equal(await reach(["public", "private", "unix-abstract"], `unix:${path}`), "address_denied");
  assert.equal(await reach(["unix"], "unix-abstract:sluice"), "address_denied");
  assert.equal(await reach(["unix"], path), "connect_target_invalid");
  assert.equal(await reach(["unix"], "unix:\0x"), "connect_target_invalid");
});

test("a WebSocket upgrade becomes a stream, and any other answer a response", async (t) => {
  const server = http.createServer();
  server.on("upgrade", (request, socket) => {
    socket.on("error", () => {});
    const protocol = request.url === "/other" ? "h2c" : "websocket";
    socket.write(
      `HTTP/1.1 101 Switching\r\nUpgrade: ${protocol}\r\nConnection: upgrade\r\nX-Y: z\r\n\r\nfirst`,
    );
    socket.on("data", (bytes) => socket.end(bytes));
  });
  const port = await listen(t, server);
  const plain = await origin(t, (_, response) => response.writeHead(426).end("no"));
  const { network } = makeNetwork(t);
  const ask = (target: string, to = port) => {
    const exchange = new CollectedExchange({ authority: `127.0.0.1:${to}`, target });
    exchange.request.upgrade = "websocket";
    network.handle(exchange);
    return exchange;
  };
  const exchange = ask("/");
  await exchange.begun;
  assert.equal(exchange.answer.status, 101);
  assert.equal(exchange.answer.headers.text, "X-Y: z\r\n");
  const stream = exchange.upgraded;
  assert.ok(stream !== null);
  const answer = new Answer();
  const { promise, resolve } = Promise.withResolvers<void>();
  stream.readable.pipe(new CollectingSink(answer, resolve));
  stream.writable.write(Buffer.from("-echo"));
  await promise;
  stream.writable.end(null);
  assert.equal(answer.text, "first-echo");
  assert.equal((await ask("/", plain).done).status, 426);
  assert.equal((await ask("/other").done).error?.code, "upstream_malformed");
});

function certificate(host: string): { key: string; cert: string } {
  const keys = forge.pki.rsa.generateKeyPair({ bits: 2048 });
  const made = forge.pki.createCertificate();
  made.publicKey = keys.publicKey;
  made.serialNumber = "01";
  made.validity.notBefore = new Date(Date.now() - 60_000);
  made.validity.notAfter = new Date(Date.now() + 3_600_000);
  const attributes = [{ name: "commonName", value: host }];
  made.setSubject(attributes);
  made.setIssuer(attributes);
  made.setExtensions([
    { name: "basicConstraints", cA: true },
    { name: "subjectAltName", altNames: [{ type: 2, value: host }] },
  ]);
  made.sign(keys.privateKey, forge.md.sha256.create());
  return { key: forge.pki.privateKeyToPem(keys.privateKey), cert: forge.pki.certificateToPem(made) };
}

test("TLS is verified against the name of the URL, which is also sent as SNI", async (t) => {
  const { key, cert } = certificate("secure.test");
  const server = https.createServer({ key, cert }, (request, response) => {
    const { servername } = request.socket as unknown as { servername: string };
    response.end(servername);
  });
  const port = await listen(t, server);
  const names = { "secure.test": ["127.0.0.1"], "other.test": ["127.0.0.1"] };
  const trusting = makeNetwork(t, names, {}, { trust: [cert] }).network;
  const ask = (network: NetworkService, host: string) =>
    collect(network, { scheme: "https", authority: `${host}:${port}` });
  assert.equal((await ask(trusting, "secure.test")).text, "secure.test");
  assert.equal((await ask(trusting, "other.test")).error?.code, "upstream_tls_failed");
  assert.equal((await ask(trusting, "127.0.0.1")).error?.code, "upstream_tls_failed");
  const wary = makeNetwork(t, names).network;
  assert.equal((await ask(wary, "secure.test")).error?.code, "upstream_tls_failed");
});
