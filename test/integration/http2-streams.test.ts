import assert from "node:assert/strict";
import { once } from "node:events";
import * as http2 from "node:http2";
import { type TestContext, test } from "node:test";
import { ProxyError } from "../../src/errors/proxy-error.ts";
import { type BodySink, type BodySource, BytesBody } from "../../src/http/body.ts";
import type { Exchange } from "../../src/http/exchange.ts";
import { HeaderBlock } from "../../src/http/header-block.ts";
import { ResponseHead } from "../../src/http/message.ts";
import {
  block,
  DATA,
  END_HEADERS,
  END_STREAM,
  FrameClient,
  frame,
  GOAWAY,
  get,
  HEADERS,
  RST_STREAM,
  SETTINGS,
} from "../support/http2-frames.ts";
import { FunctionService, RawOrigin, TestProxy, until } from "./http-harness.ts";

const { constants } = http2;

function dial(test: TestContext, proxy: TestProxy): http2.ClientHttp2Session {
  const session = http2.connect(proxy.url);
  session.on("error", () => {});
  test.after(() => session.destroy());
  return session;
}

interface Answer {
  status: number;
  headers: http2.IncomingHttpHeaders;
  body: string;
  trailers: http2.IncomingHttpHeaders | null;
  informs: number[];
  code: number;
}

/** The answer to a request, when its stream is closed. */
async function answerOf(stream: http2.ClientHttp2Stream): Promise<Answer> {
  const answer: Answer = { status: 0, headers: {}, body: "", trailers: null, informs: [], code: 0 };
  stream.setEncoding("latin1");
  stream.on("headers", (headers) => answer.informs.push(headers[":status"] ?? 0));
  stream.on("response", (headers) => {
    answer.status = headers[":status"] ?? 0;
    answer.headers = headers;
  });
  stream.on("trailers", (trailers) => {
    answer.trailers = trailers;
  });
  stream.on("data", (text: string) => {
    answer.body += text;
  });
  stream.on("error", () => {});
  await new Promise((resolve) => stream.on("close", resolve));
  answer.code = stream.rstCode;
  return answer;
}

test("bodies and trailers go both ways between HTTP/2 and an HTTP/1.1 server", async (t) => {
  const origin = await RawOrigin.start(t);
  const proxy = await TestProxy.start(t, { external: { address: origin.address } });
  const session = dial(t, proxy);
  const stream = session.request(
    { ":method": "POST", ":path": "/x", te: "trailers" },
    { waitForTrailers: true },
  );
  stream.on("wantTrailers", () => stream.sendTrailers({ "x-sum": "1", "content-type": "forbidden" }));
  const answered = answerOf(stream);
  stream.write("abc");
  const server = await origin.connection(0);
  await server.got("abc");
  stream.end("def");
  const text = await server.got("x-sum: 1\r\n\r\n");
  assert.match(text, /^POST \/x HTTP\/1\.1\r\nHost: 127\.0\.0\.1:\d+\r\nTransfer-Encoding: chunked\r\n/);
  assert.match(text, /3\r\nabc\r\n3\r\ndef\r\n0\r\nx-sum: 1\r\n\r\n$/);
  server.send(
    "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Up: 1\r\n\r\n",
  );
  server.send("2\r\nhi\r\n0\r\nX-Check: 2\r\nContent-Length: 9\r\n\r\n");
  const answer = await answered;
  assert.equal(answer.status, 200);
  assert.deepEqual(answer.informs, [103]);
  assert.equal(answer.headers["x-up"], "1");
  assert.equal(answer.headers["transfer-encoding"], undefined);
  assert.equal(answer.body, "hi");
  assert.equal(answer.trailers?.["x-check"], "2");
  assert.equal(answer.trailers?.["content-length"], undefined);
  session.close();
});

test("a server that breaks off within its body resets the stream, and no other one", async (t) => {
  const origin = await RawOrigin.start(t);
  const proxy = await TestProxy.start(t, { external: { address: origin.address } });
  const session = dial(t, proxy);
  const first = answerOf(session.request({ ":path": "/1" }));
  const broken = await origin.connection(0);
  await broken.got("\r\n\r\n");
  broken.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
  const second = answerOf(session.request({ ":path": "/2" }));
  const good = await origin.connection(1);
  await good.got("\r\n\r\n");
  broken.socket.destroy();
  assert.equal((await first).code, constants.NGHTTP2_INTERNAL_ERROR);
  good.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  assert.equal((await second).body, "ok");
  session.close();
});

test("a client that takes its request back aborts the exchange with the server", async (t) => {
  const origin = await RawOrigin.start(t);
  const proxy = await TestProxy.start(t, { external: { address: origin.address } });
  const session = dial(t, proxy);
  const stream = session.request({ ":path": "/" });
  stream.on("error", () => {});
  const server = await origin.connection(0);
  await server.got("\r\n\r\n");
  stream.close(constants.NGHTTP2_CANCEL);
  await server.end();
  await until(() => proxy.server.exchanges === 0);
  assert.equal(proxy.errors.client_disconnected, 1);
  session.close();
});

test("a client that leaves within its body aborts it, and nobody takes half a body for all", async (t) => {
  const ends: string[] = [];
  const service = new FunctionService((exchange) => {
    exchange
      .takeBody()
      ?.pipe({ write: () => true, end: () => ends.push("end"), fail: (e) => ends.push(e.code) });
  });
  const proxy = await TestProxy.start(t, { service });
  const post = block([
    [":method", "POST"],
    [":scheme", "http"],
    [":authority", "site"],
    [":path", "/"],
  ]);
  const client = await FrameClient.connect(t, proxy.port);
  for (const [id, code] of [
    [1, constants.NGHTTP2_CANCEL],
    [3, constants.NGHTTP2_NO_ERROR],
  ] as const) {
    client.send(frame(HEADERS, END_HEADERS, id, post), frame(DATA, 0, id, Buffer.from("abc")));
    await until(() => service.exchanges * 2 === id + 1);
    client.send(frame(RST_STREAM, 0, id, Buffer.from([0, 0, 0, code])));
    await until(() => ends.length === service.exchanges);
  }
  const session = dial(t, proxy);
  session
    .request({ ":method": "POST", ":path": "/" })
    .on("error", () => {})
    .write("abc");
  await until(() => service.exchanges === 3);
  session.destroy();
  await until(() => ends.length === 3);
  assert.deepEqual(ends, ["client_disconnected", "client_disconnected", "client_disconnected"]);
});

test("a body goes no further than the reader lets it, in both directions", async (t) => {
  let source: BodySource | null = null;
  let received = 0;
  let isHolding = true;
  let isEnded = false;
  const service = new FunctionService((exchange) => {
    source = exchange.takeBody();
    source?.pipe({
      write: (chunk) => {
        received += chunk.length;
        return !isHolding;
      },
      end: () => {
        isEnded = true;
        exchange.respond(new ResponseHead(200), new Endless());
      },
      fail: () => {},
    });
  });
  const proxy = await TestProxy.start(t, { service });
  const session = dial(t, proxy);
  const stream = session.request({ ":method": "POST", ":path": "/" });
  stream.on("error", () => {});
  const responded = once(stream, "response");
  stream.end(Buffer.alloc(4_000_000));
  await until(() => received > 0);
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.ok(received < 400_000, `${received} bytes got through to a reader that holds`);
  isHolding = false;
  (source as BodySource | null)?.resume();
  await until(() => isEnded);
  assert.equal(received, 4_000_000);
  await responded;
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.ok(Endless.written < 1_000_000, `${Endless.written} bytes left for a client that does not read`);
  stream.close(constants.NGHTTP2_CANCEL);
  await until(() => Endless.isCancelled);
  session.close();
});

/** A body that goes on as long as somebody takes it. */
class Endless implements BodySource {
  static written = 0;
  static isCancelled = false;
  readonly length = -1;
  #sink: BodySink | null = null;

  pipe(sink: BodySink): void {
    this.#sink = sink;
    queueMicrotask(() => this.resume());
  }

  resume(): void {
    while (this.#sink !== null) {
      Endless.written += 10_000;
      if (!this.#sink.write(Buffer.alloc(10_000))) return;
    }
  }

  cancel(): void {
    Endless.isCancelled = true;
    this.#sink = null;
  }
}

test("a request over the body limit is answered 413, and one that comes too slowly 408", async (t) => {
  const service = new FunctionService((exchange) => {
    exchange.takeBody()?.pipe({ write: () => true, end: () => {}, fail: () => {} });
  });
  const http = { limits: { bodyBytes: 10 }, timeouts: { idle: 100 } };
  const proxy = await TestProxy.start(t, { service, http });
  const session = dial(t, proxy);
  const announced = session.request({ ":method": "POST", ":path": "/", "content-length": "11" });
  assert.equal((await answerOf(announced)).status, 413);
  const long = session.request({ ":method": "POST", ":path": "/" });
  long.write("01234567890");
  assert.equal((await answerOf(long)).status, 413);
  const slow = session.request({ ":method": "POST", ":path": "/" });
  slow.write("a");
  assert.equal((await answerOf(slow)).status, 408);
  assert.deepEqual(
    service.aborts.map((error) => error.code),
    ["request_body_too_large", "request_timeout"],
  );
  session.close();
});

test("a client that never opens its window loses the stream after the idle time", async (t) => {
  const service = new FunctionService((exchange) => {
    exchange.respond(new ResponseHead(200), new BytesBody(Buffer.alloc(200_000)));
  });
  const proxy = await TestProxy.start(t, { service, http: { timeouts: { idle: 200 } } });
  const client = await FrameClient.connect(t, proxy.port);
  client.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, get()));
  assert.equal(await client.code(RST_STREAM, 1), constants.NGHTTP2_CANCEL);
  await until(() => proxy.server.exchanges === 0);
});

test("100 Continue is sent when the body is first read", async (t) => {
  const service = new FunctionService((exchange) => {
    exchange.takeBody()?.pipe({
      write: () => true,
      end: () => exchange.respond(new ResponseHead(204), null),
      fail: () => {},
    });
  });
  const proxy = await TestProxy.start(t, { service });
  const session = dial(t, proxy);
  const stream = session.request({ ":method": "POST", ":path": "/", expect: "100-continue" });
  const answered = answerOf(stream);
  await once(stream, "continue");
  stream.end("x");
  assert.equal((await answered).status, 204);
  session.close();
});

test("an error is answered with its status and id on its own stream", async (t) => {
  const service = new FunctionService((exchange) => {
    exchange.fail(new ProxyError("upstream_busy", "cannot go on: it is busy"));
  });
  const proxy = await TestProxy.start(t, { service });
  const session = dial(t, proxy);
  const answer = await answerOf(session.request({ ":path": "/" }));
  assert.equal(answer.status, 503);
  assert.equal(answer.headers["retry-after"], "1");
  assert.match(answer.body, /^503 Service Unavailable\nid: \S+\n$/);
  const head = await answerOf(session.request({ ":path": "/", ":method": "HEAD" }));
  assert.equal(head.status, 503);
  assert.equal(head.body, "");
  session.close();
});

test("HEAD and 304 have no body, and tell the length that there would be", async (t) => {
  const service = new FunctionService((exchange) => {
    const head = new ResponseHead(exchange.request.method === "HEAD" ? 200 : 304);
    head.announcedLength = 7;
    exchange.respond(head, null);
  });
  const proxy = await TestProxy.start(t, { service });
  const session = dial(t, proxy);
  for (const method of ["HEAD", "GET"]) {
    const answer = await answerOf(session.request({ ":path": "/", ":method": method }));
    assert.equal(answer.headers["content-length"], "7");
    assert.equal(answer.body, "");
  }
  session.close();
});

test("an answer that comes before the request's end stops the client without an error", async (t) => {
  const service = new FunctionService((exchange) => {
    exchange.respond(new ResponseHead(200), BytesBody.text("early"));
  });
  const proxy = await TestProxy.start(t, { service });
  const session = dial(t, proxy);
  const stream = session.request({ ":method": "POST", ":path": "/" });
  stream.write("some");
  const answer = await answerOf(stream);
  assert.equal(answer.body, "early");
  assert.equal(answer.code, constants.NGHTTP2_NO_ERROR);
  session.close();
});

test("a client that opens more streams than are allowed is stopped, and no service hears of them", async (t) => {
  const service = new FunctionService(() => {});
  const proxy = await TestProxy.start(t, { service, http: { http2: { concurrentStreams: 2 } } });
  const client = await FrameClient.connect(t, proxy.port);
  for (const id of [1, 3, 5]) client.send(frame(HEADERS, END_HEADERS | END_STREAM, id, get()));
  await client.until(() => client.closed, "the end");
  assert.equal(service.exchanges, 2);
  await until(() => proxy.server.exchanges === 0);
});

test("an idle connection is closed with GOAWAY after the keep-alive time, one without a request after the head's", async (t) => {
  const service = new FunctionService((exchange) => exchange.respond(new ResponseHead(204), null));
  const proxy = await TestProxy.start(t, { service, http: { timeouts: { keepAlive: 100, head: 300 } } });
  for (const isUsed of [true, false]) {
    const client = await FrameClient.connect(t, proxy.port);
    if (isUsed) client.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, get()));
    assert.equal(await client.code(GOAWAY), 0);
    await client.until(() => client.closed, "the end");
  }
  await until(() => proxy.server.connections === 0);
});

test("a client that never acknowledges SETTINGS, or sends half a section, is gone with the head's time", async (t) => {
  const proxy = await TestProxy.start(t, {
    service: new FunctionService(() => {}),
    http: { timeouts: { head: 200 } },
  });
  const client = await FrameClient.connect(t, proxy.port);
  client.send(frame(HEADERS, END_STREAM, 1, get()));
  await client.until(() => client.closed, "the end");
  await until(() => proxy.server.connections === 0);
});

test("a drain lets streams finish, says which those are, and ends the connection", async (t) => {
  const waiting: Exchange[] = [];
  const service = new FunctionService((exchange) => waiting.push(exchange));
  const proxy = await TestProxy.start(t, { service });
  const idle = await FrameClient.connect(t, proxy.port);
  const client = await FrameClient.connect(t, proxy.port);
  client.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, get()));
  await until(() => waiting.length === 1 && proxy.server.connections === 2);
  const drained = new Promise<void>((resolve) => proxy.server.drain(300, resolve));
  assert.equal((await client.frame(GOAWAY)).payload.readUInt32BE(0), 1);
  await idle.until(() => idle.closed, "the end");
  client.send(frame(HEADERS, END_HEADERS | END_STREAM, 3, get()));
  waiting[0]?.respond(new ResponseHead(200), BytesBody.text("done"));
  await client.until(() => client.closed, "the end");
  assert.equal(client.frames.filter(({ type, stream }) => type === DATA && stream === 1).length, 1);
  assert.equal(waiting.length, 1);
  idle.socket.end();
  client.socket.end();
  await drained;
});

const floods: ReadonlyArray<readonly [what: string, reason: string, next: (id: number) => Uint8Array]> = [
  [
    "takes requests back as fast as it sends them",
    "resets",
    (id) =>
      Buffer.concat([
        frame(HEADERS, END_HEADERS | END_STREAM, id, get()),
        frame(RST_STREAM, 0, id, Buffer.from([0, 0, 0, 8])),
      ]),
  ],
  ["sends PING without end", "control_frames", () => frame(6, 0, 0, Buffer.alloc(8))],
  ["sends SETTINGS without end", "control_frames", () => frame(SETTINGS, 0, 0)],
  [
    "sends malformed requests without end",
    "resets",
    (id) => frame(HEADERS, END_HEADERS | END_STREAM, id, get("/x#y")),
  ],
];

for (const [what, reason, next] of floods) {
  test(`a client that ${what} is told to calm down and loses its connection`, async (t) => {
    const service = new FunctionService(() => {});
    const proxy = await TestProxy.start(t, { service, http: { http2: { resets: 10, controlFrames: 10 } } });
    const client = await FrameClient.connect(t, proxy.port);
    for (let i = 0; i < 400 && !client.closed; i++) {
      client.send(next(2 * i + 1));
      if (i % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal(await client.code(GOAWAY), constants.NGHTTP2_ENHANCE_YOUR_CALM);
    await until(() => proxy.server.connections === 0 && proxy.server.exchanges === 0);
    const told = proxy.context.lines.filter(({ event }) => event === "http2.connection_ended");
    assert.deepEqual(
      told.map(({ fields }) => fields?.reason),
      [reason],
    );
    const key = `sluice_http2_connection_errors_total{socket="public",reason="${reason}"}`;
    assert.equal(proxy.context.metrics.gauges.counters.get(key), 1);
  });
}

test("a client that makes us reset its streams by what it sends on them loses its connection", async (t) => {
  const proxy = await TestProxy.start(t, { service: new FunctionService(() => {}) });
  const client = await FrameClient.connect(t, proxy.port);
  for (let id = 1; id < 2_001 && !client.closed; id += 2) {
    const overflow = frame(8, 0, id, Buffer.from([0x7f, 0xff, 0xff, 0xff]));
    client.send(frame(HEADERS, END_HEADERS | END_STREAM, id, get()), overflow);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await client.until(() => client.closed, "the end");
  await until(() => proxy.server.connections === 0 && proxy.server.exchanges === 0);
});

test("empty DATA without end costs the connection", async (t) => {
  const service = new FunctionService((exchange) => {
    exchange.takeBody()?.pipe({ write: () => true, end: () => {}, fail: () => {} });
  });
  const proxy = await TestProxy.start(t, { service });
  const client = await FrameClient.connect(t, proxy.port);
  client.send(frame(HEADERS, END_HEADERS, 1, get()));
  for (let i = 0; i < 500 && !client.closed; i++) client.send(frame(0, 0, 1));
  await client.until(() => client.closed, "the end");
  await until(() => proxy.server.connections === 0);
});

test("a field set by the socket's edits is in every answer, in lower case", async (t) => {
  const service = new FunctionService((exchange) => {
    exchange.respond(new ResponseHead(200, HeaderBlock.from([["Server", "app"]])), BytesBody.text("x"));
  });
  const proxy = await TestProxy.start(t, { service, http: { injectResponseHeaders: { Server: "edge" } } });
  const session = dial(t, proxy);
  assert.equal((await answerOf(session.request({ ":path": "/" }))).headers.server, "edge");
  session.close();
});

test("an exchange that takes longer than a request may is answered 504, and its service hears of it", async (t) => {
  const service = new FunctionService(() => {});
  const proxy = await TestProxy.start(t, { service, http: { timeouts: { request: 100 } } });
  const session = dial(t, proxy);
  assert.equal((await answerOf(session.request({ ":path": "/" }))).status, 504);
  assert.deepEqual(
    service.aborts.map(({ code }) => code),
    ["upstream_total_timeout"],
  );
  session.close();
});

test("a client that reads slowly, but reads, gets a large body however long it takes", async (t) => {
  const size = 500_000;
  const service = new FunctionService((exchange) => {
    exchange.respond(new ResponseHead(200), new BytesBody(Buffer.alloc(size)));
  });
  const proxy = await TestProxy.start(t, { service, http: { timeouts: { idle: 400 } } });
  const client = await FrameClient.connect(t, proxy.port);
  client.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, get()));
  const received = (): number =>
    client.frames.reduce((sum, { type, payload }) => (type === DATA ? sum + payload.length : sum), 0);
  const windowUpdate = 8;
  const more = Buffer.alloc(4);
  more.writeUInt32BE(65_535);
  for (let granted = 65_535; granted < size; granted += 65_535) {
    await client.until(() => received() >= granted, `${granted} bytes`);
    // Longer than the idle time in all, shorter each.
    await new Promise((resolve) => setTimeout(resolve, 150));
    client.send(frame(windowUpdate, 0, 0, more), frame(windowUpdate, 0, 1, more));
  }
  await client.until(() => received() === size, "the whole body");
  await until(() => proxy.server.exchanges === 0);
  assert.equal(proxy.errors.request_timeout, undefined);
});

test("a client that fills its window for an answer that came early is told to stop, and nothing is kept", async (t) => {
  const origin = await RawOrigin.start(t, (connection) => {
    connection.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nearly");
  });
  const proxy = await TestProxy.start(t, { external: { address: origin.address } });
  const client = await FrameClient.connect(t, proxy.port);
  const post = block([
    [":method", "POST"],
    [":scheme", "http"],
    [":authority", "site"],
    [":path", "/"],
  ]);
  client.send(frame(HEADERS, END_HEADERS, 1, post));
  for (let i = 0; i < 6; i++) client.send(frame(DATA, 0, 1, Buffer.alloc(10_000)));
  assert.equal(await client.code(RST_STREAM, 1), constants.NGHTTP2_NO_ERROR);
  assert.equal(client.frames.filter(({ type, stream }) => type === DATA && stream === 1).length, 1);
  await until(() => proxy.server.exchanges === 0);
  assert.equal(proxy.context.accesses[0]?.status, 200);
});
