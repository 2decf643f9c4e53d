import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { Exchange } from "../../src/http/exchange.ts";
import { HeaderBlock } from "../../src/http/header-block.ts";
import { ResponseHead } from "../../src/http/message.ts";
import {
  block,
  CONTINUATION,
  DATA,
  END_HEADERS,
  END_STREAM,
  FrameClient,
  frame,
  GOAWAY,
  get,
  HEADERS,
  RST_STREAM,
} from "../support/http2-frames.ts";
import { FunctionService, TestProxy, until } from "./http-harness.ts";

const PROTOCOL_ERROR = 1;

type Fields = ReadonlyArray<readonly [string, string]>;

async function start(test: TestContext, http: object = {}): Promise<{ proxy: TestProxy; seen: Exchange[] }> {
  const seen: Exchange[] = [];
  const service = new FunctionService((exchange) => {
    seen.push(exchange);
    exchange.respond(new ResponseHead(204), null);
  });
  return { proxy: await TestProxy.start(test, { service, http }), seen };
}

/** What a malformed request comes to: the code of its stream's reset. */
async function resetOf(test: TestContext, fields: Fields, flags = END_STREAM): Promise<number> {
  const { proxy, seen } = await start(test);
  const client = await FrameClient.connect(test, proxy.port);
  client.send(frame(HEADERS, END_HEADERS | flags, 1, block(fields)));
  const code = await client.code(RST_STREAM, 1);
  // The connection, and with it every other stream, goes on.
  client.send(frame(HEADERS, END_HEADERS | END_STREAM, 3, get("/after")));
  await client.frame(HEADERS, 3);
  assert.deepEqual(
    seen.map(({ request }) => request.target),
    ["/after"],
  );
  return code;
}

const plain: Fields = [
  [":method", "GET"],
  [":scheme", "http"],
  [":authority", "site"],
  [":path", "/"],
];

function without(name: string, ...more: Fields): Fields {
  return [...plain.filter(([each]) => each !== name), ...more];
}

const malformed: ReadonlyArray<readonly [what: string, fields: Fields]> = [
  ["a Host that is not :authority", [...plain, ["host", "other"]]],
  ["userinfo in :authority", without(":authority", [":authority", "user@site"])],
  ["no authority at all", without(":authority")],
  ["an empty :authority", without(":authority", [":authority", ""])],
  ["a path that begins with no slash", without(":path", [":path", "x"])],
  ["a path with a fragment", without(":path", [":path", "/x#y"])],
  ["a path with a space", without(":path", [":path", "/x y"])],
  ["no path", without(":path")],
  ["another scheme", without(":scheme", [":scheme", "ftp"])],
  ["a repeated pseudo-field", [...plain, [":path", "/y"]]],
  ["a pseudo-field after a field", [...without(":path"), ["x-a", "1"], [":path", "/"]]],
  ["an unknown pseudo-field", [[":foo", "1"], ...plain]],
  ["a name in upper case", [...plain, ["X-A", "1"]]],
  ["Connection", [...plain, ["connection", "close"]]],
  ["Keep-Alive", [...plain, ["keep-alive", "1"]]],
  ["Proxy-Connection", [...plain, ["proxy-connection", "keep-alive"]]],
  ["Transfer-Encoding", [...plain, ["transfer-encoding", "chunked"]]],
  ["Upgrade", [...plain, ["upgrade", "websocket"]]],
  ["a TE that is not trailers", [...plain, ["te", "gzip"]]],
  ["a Content-Length without its body", [...plain, ["content-length", "3"]]],
  ["a Content-Length that is none", [...plain, ["content-length", "-1"]]],
  [
    "CONNECT with a path",
    [
      [":method", "CONNECT"],
      [":authority", "site:1"],
      [":path", "/"],
      [":scheme", "http"],
    ],
  ],
];

for (const [what, fields] of malformed) {
  test(`a request with ${what} resets its stream, and no service hears of it`, async (t) => {
    assert.equal(await resetOf(t, fields), PROTOCOL_ERROR);
  });
}

test("a field whose value could break a message reaches nobody", async (t) => {
  const { proxy, seen } = await start(t);
  const client = await FrameClient.connect(t, proxy.port);
  client.send(
    frame(
      HEADERS,
      END_HEADERS | END_STREAM,
      1,
      get("/", [
        ["x-a", "1\nx-b: 2"],
        ["x-c", "3\0"],
      ]),
    ),
  );
  await client.frame(HEADERS, 1);
  assert.equal(seen[0]?.request.headers.text, "");
});

test("a request reaches the service with its parts in their places", async (t) => {
  const { proxy, seen } = await start(t);
  const client = await FrameClient.connect(t, proxy.port);
  const fields: Fields = [
    [":method", "GET"],
    [":scheme", "https"],
    [":authority", "Site:81"],
    [":path", '/a%2Fb?c="d"'],
    ["host", "site:81"],
    ["te", "trailers"],
    ["cookie", "a=1"],
    ["x-list", "1"],
    ["cookie", "b=2"],
    ["x-list", "2"],
    ["x-latin", "caf\u00e9"],
  ];
  client.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, block(fields)));
  await client.frame(HEADERS, 1);
  const { request, client: facts } = seen[0] as Exchange;
  assert.equal(request.authority, "Site:81");
  assert.equal(request.scheme, "http", "as the connection is, whatever the client claims");
  assert.equal(request.target, '/a%2Fb?c="d"');
  assert.equal(request.acceptsTrailers, true);
  assert.equal(request.headers.text, "x-list: 1\r\nx-list: 2\r\nx-latin: caf\u00e9\r\ncookie: a=1; b=2\r\n");
  assert.equal(facts.httpVersion, "HTTP/2");
});

test("a head over the socket's limits is answered 431, and one far over them resets its stream", async (t) => {
  const { proxy, seen } = await start(t, { limits: { headerBytes: 2_000, headerFields: 20 } });
  const client = await FrameClient.connect(t, proxy.port);
  const many = Array.from({ length: 25 }, (_, i) => [`x-${i}`, "1"] as const);
  client.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, get("/", [["x-a", "y".repeat(2_500)]])));
  client.send(frame(HEADERS, END_HEADERS | END_STREAM, 3, get("/", many)));
  client.send(frame(HEADERS, END_HEADERS | END_STREAM, 5, get("/", [["x-a", "y".repeat(9_000)]])));
  await client.frame(HEADERS, 1);
  await client.frame(HEADERS, 3);
  assert.equal(await client.code(RST_STREAM, 5), 11);
  assert.equal(seen.length, 0);
  assert.deepEqual(
    proxy.context.accesses.map(({ status }) => status),
    [431, 431],
  );
});

test("a body of another length than its Content-Length says is never passed on as a whole one", async (t) => {
  const ends: string[] = [];
  const service = new FunctionService((exchange) => {
    exchange.takeBody()?.pipe({
      write: () => true,
      end: () => ends.push("end"),
      fail: (error) => ends.push(error.code),
    });
  });
  const proxy = await TestProxy.start(t, { service });
  const post = block([[":method", "POST"], ...without(":method"), ["content-length", "5"]]);
  const short = await FrameClient.connect(t, proxy.port);
  short.send(frame(HEADERS, END_HEADERS, 1, post), frame(DATA, END_STREAM, 1, Buffer.from("1234")));
  assert.equal(await short.code(RST_STREAM, 1), PROTOCOL_ERROR);
  const long = await FrameClient.connect(t, proxy.port);
  long.send(frame(HEADERS, END_HEADERS, 1, post), frame(DATA, END_STREAM, 1, Buffer.from("123456")));
  await long.frame(GOAWAY);
  await until(() => ends.length === 2);
  assert.deepEqual(ends, ["client_disconnected", "client_disconnected"]);
});

test("CONNECT is refused on a host-style socket, and a target without a port everywhere", async (t) => {
  const host = await start(t);
  const connect = block([
    [":method", "CONNECT"],
    [":authority", "site:80"],
  ]);
  const client = await FrameClient.connect(t, host.proxy.port);
  client.send(frame(HEADERS, END_HEADERS, 1, connect));
  await client.frame(HEADERS, 1);
  await until(() => host.proxy.context.accesses.length === 1);
  const bad = block([
    [":method", "CONNECT"],
    [":authority", "site"],
  ]);
  client.send(frame(HEADERS, END_HEADERS, 3, bad));
  await client.frame(HEADERS, 3);
  assert.deepEqual(
    host.proxy.context.accesses.map(({ status }) => status),
    [405, 400],
  );
  assert.equal(host.seen.length, 0);
});

test("a header section may come in pieces, but not in any number of them", async (t) => {
  const { proxy, seen } = await start(t);
  const client = await FrameClient.connect(t, proxy.port);
  const section = get("/pieces");
  client.send(
    frame(HEADERS, END_STREAM, 1, section.subarray(0, 5)),
    frame(CONTINUATION, 0, 1, section.subarray(5, 9)),
    frame(CONTINUATION, END_HEADERS, 1, section.subarray(9)),
  );
  await client.frame(HEADERS, 1);
  assert.equal(seen[0]?.request.target, "/pieces");
  client.send(frame(HEADERS, END_STREAM, 3, section));
  for (let i = 0; i < 100; i++) client.send(frame(CONTINUATION, 0, 3, block([["x-a", "1"]])));
  await client.until(() => client.closed, "the end");
  assert.equal(seen.length, 1);
});

test("Via tells that a request came over HTTP/2", async (t) => {
  const { proxy, seen } = await start(t, { via: "edge" });
  const client = await FrameClient.connect(t, proxy.port);
  client.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, get()));
  await client.frame(HEADERS, 1);
  assert.equal(seen[0]?.request.headers.get("via"), "2.0 edge");
});

test("bytes that are no HTTP/2 after its preface end the connection with its error code", async (t) => {
  const { proxy } = await start(t);
  const client = await FrameClient.connect(t, proxy.port);
  client.send(Buffer.from("GET / HTTP/1.1\r\nHost: site\r\n\r\n"));
  assert.notEqual(await client.code(GOAWAY), 0);
  await client.until(() => client.closed, "the end");
});

test("the preface is HTTP/2 only where a connection begins, and only where it is turned on", async (t) => {
  const off = await start(t, { http2: { enabled: false } });
  const plainClient = await off.proxy.dial(t);
  plainClient.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  assert.match(await plainClient.end(), /^HTTP\/1\.1 505 /);
  const { proxy } = await start(t);
  const late = await proxy.dial(t);
  late.send("GET / HTTP/1.1\r\nHost: site\r\n\r\n");
  await late.got("204");
  late.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  assert.match(await late.end(), /HTTP\/1\.1 505 /);
});

test("a preface in pieces is understood", async (t) => {
  const { proxy } = await start(t);
  const client = await proxy.dial(t);
  client.socket.setEncoding("latin1");
  for (const part of ["PRI * HT", "TP/2.0\r\n\r", "\nSM\r", "\n\r\n"]) {
    client.send(part);
    await new Promise((resolve) => setImmediate(resolve));
  }
  client.send(`${frame(4, 0, 0).toString("latin1")}${frame(HEADERS, 5, 1, get()).toString("latin1")}`);
  await client.got("\x89");
});

test("response fields go out in lower case without those of a connection", async (t) => {
  const service = new FunctionService((exchange) => {
    const fields = [
      ["X-Up", "1"],
      ["Connection", "close"],
      ["Set-Cookie", "a"],
      ["Set-Cookie", "b"],
    ] as const;
    exchange.respond(new ResponseHead(200, HeaderBlock.from(fields)), null);
  });
  const proxy = await TestProxy.start(t, { service });
  const { connect } = await import("node:http2");
  const session = connect(proxy.url);
  t.after(() => session.close());
  const raw = await new Promise<string[]>((resolve, reject) => {
    const request = session.request({ ":path": "/" });
    request.on("response", (_headers, _flags, fields: string[]) => resolve(fields));
    request.on("error", reject);
    request.resume();
  });
  assert.ok(!raw.includes("connection"));
  assert.deepEqual(raw.slice(0, 8), [":status", "200", "x-up", "1", "set-cookie", "a", "set-cookie", "b"]);
  session.close();
});
