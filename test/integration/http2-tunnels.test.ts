import assert from "node:assert/strict";
import { once } from "node:events";
import * as http2 from "node:http2";
import * as net from "node:net";
import { type TestContext, test } from "node:test";
import { WebSocketServer } from "ws";
import { TransportStream } from "../../src/net/stream.ts";
import { block, END_HEADERS, FrameClient, frame, HEADERS, RST_STREAM } from "../support/http2-frames.ts";
import { startSluice } from "../support/sluice.ts";
import { FunctionService, TestProxy, until } from "./http-harness.ts";

async function echoServer(test: TestContext, serve: (socket: net.Socket) => void): Promise<number> {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => {});
    test.after(() => socket.destroy());
    serve(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  test.after(() => server.close());
  return (server.address() as net.AddressInfo).port;
}

function dial(test: TestContext, url: string): http2.ClientHttp2Session {
  const session = http2.connect(url);
  session.on("error", () => {});
  test.after(() => session.destroy());
  return session;
}

/** A proxy-style socket whose service connects to wherever it is asked to. */
async function forward(test: TestContext): Promise<TestProxy> {
  const service = new FunctionService(
    () => {},
    (tunnel) => {
      const socket = net.connect({ port: tunnel.port, host: tunnel.host, allowHalfOpen: true });
      socket.on("error", () => {});
      test.after(() => socket.destroy());
      socket.on("connect", () => tunnel.accept(TransportStream.over(socket, proxy.context.wheel)));
    },
  );
  const proxy: TestProxy = await TestProxy.start(test, { service, http: { style: "proxy" } });
  return proxy;
}

test("CONNECT opens a tunnel on its stream, with half-close in both directions", async (t) => {
  let received = "";
  const port = await echoServer(t, (socket) => {
    socket.setEncoding("latin1");
    socket.on("data", (text: string) => {
      received += text;
      socket.write(text.toUpperCase());
    });
    socket.on("end", () => socket.end("bye"));
  });
  const proxy = await forward(t);
  const session = dial(t, proxy.url);
  const stream = session.request({ ":method": "CONNECT", ":authority": `127.0.0.1:${port}` });
  const [headers] = (await once(stream, "response")) as [http2.IncomingHttpHeaders];
  assert.equal(headers[":status"], 200);
  assert.equal(headers["content-length"], undefined);
  let text = "";
  stream.setEncoding("latin1").on("data", (chunk: string) => {
    text += chunk;
  });
  stream.write("hello");
  await until(() => text === "HELLO");
  stream.end("!");
  await once(stream, "close");
  assert.equal(received, "hello!");
  assert.equal(text, "HELLO!bye");
  const [access] = proxy.context.accesses;
  assert.equal(access?.status, 200);
  assert.equal(access?.bytes, 9);
  session.close();
});

test("a tunnel whose server resets is reset with CONNECT_ERROR, never ended", async (t) => {
  const port = await echoServer(t, (socket) => socket.on("data", () => socket.resetAndDestroy()));
  const proxy = await forward(t);
  const session = dial(t, proxy.url);
  const stream = session.request({ ":method": "CONNECT", ":authority": `127.0.0.1:${port}` });
  let isEnded = false;
  stream.on("end", () => {
    isEnded = stream.rstCode === 0;
  });
  stream.on("error", () => {});
  stream.resume();
  await once(stream, "response");
  stream.write("x");
  await new Promise((resolve) => stream.on("close", resolve));
  assert.equal(stream.rstCode, http2.constants.NGHTTP2_CONNECT_ERROR);
  assert.equal(isEnded, false);
  session.close();
});

test("a client that resets its tunnel resets the server's connection", async (t) => {
  let error: NodeJS.ErrnoException | null = null;
  let isClosed = false;
  const port = await echoServer(t, (socket) => {
    socket.on("error", (problem) => {
      error = problem;
    });
    socket.on("close", () => {
      isClosed = true;
    });
    socket.resume();
  });
  const proxy = await forward(t);
  // node:http2 would end the stream before it resets it.
  const client = await FrameClient.connect(t, proxy.port);
  const connect = [
    [":method", "CONNECT"],
    [":authority", `127.0.0.1:${port}`],
  ] as const;
  client.send(frame(HEADERS, END_HEADERS, 1, block(connect)));
  await client.frame(HEADERS, 1);
  client.send(frame(RST_STREAM, 0, 1, Buffer.from([0, 0, 0, 8])));
  await until(() => isClosed);
  assert.equal((error as NodeJS.ErrnoException | null)?.code, "ECONNRESET");
});

const worker = `
export default {
  async fetch(request, env) {
    if (new URL(request.url).pathname === "/through") return env.ORIGIN.fetch(request);
    const [client, server] = Object.values(new WebSocketPair());
    server.accept();
    server.addEventListener("message", ({ data }) => server.send("worker: " + data));
    return new Response(null, { status: 101, webSocket: client });
  },
};`;

/** A text frame of a client, with a mask of zeros (RFC 6455 §5.2). */
function textFrame(text: string): Buffer {
  return Buffer.concat([Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), Buffer.from(text)]);
}

test("an extended CONNECT opens a WebSocket: to a Worker, to an HTTP/1.1 server, and through both", async (t) => {
  const origin = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  origin.on("connection", (socket) => socket.on("message", (data) => socket.send(`origin: ${data}`)));
  await once(origin, "listening");
  t.after(() => {
    for (const client of origin.clients) client.terminate();
    origin.close();
  });
  const config = `
sockets:
  worker: { address: "127.0.0.1:0", service: worker }
  plain: { address: "127.0.0.1:0", service: origin }
  relay: { address: "127.0.0.1:0", service: again }
services:
  worker: { worker: { main: ./worker.js, compatibilityDate: 2026-01-01, bindings: { ORIGIN: { service: origin } } } }
  origin: { external: { address: "127.0.0.1:${(origin.address() as net.AddressInfo).port}" } }
  again: { external: { address: "127.0.0.1:1", http: { version: 2 } } }
`;
  const first = await startSluice(t, config, { files: { "worker.js": worker } });
  const plain = await first.listening("plain");
  const second = await startSluice(t, config, {
    files: { "worker.js": worker },
    args: ["--external-addr", `again=${new URL(plain).host}`],
  });
  const wanted: ReadonlyArray<readonly [string, string, string]> = [
    [first.url, "/", "worker: hi"],
    [first.url, "/through", "origin: hi"],
    [plain, "/", "origin: hi"],
    // Over HTTP/2 on both of its sides, and then to HTTP/1.1.
    [await second.listening("relay"), "/", "origin: hi"],
  ];
  for (const [url, path, answer] of wanted) {
    const session = dial(t, url);
    await once(session, "remoteSettings");
    assert.equal(session.remoteSettings.enableConnectProtocol, true);
    const stream = session.request({
      ":method": "CONNECT",
      ":protocol": "websocket",
      ":scheme": "http",
      ":path": path,
      ":authority": "site",
      "sec-websocket-version": "13",
    });
    const [headers] = (await once(stream, "response")) as [http2.IncomingHttpHeaders];
    assert.equal(headers[":status"], 200, `${url}${path} ${first.stdout} ${first.stderr}`);
    assert.equal(headers["sec-websocket-accept"], undefined);
    let received = Buffer.alloc(0);
    stream.on("data", (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
    });
    stream.write(textFrame("hi"));
    await until(() => received.length >= answer.length + 2);
    assert.equal(received.subarray(2).toString(), answer);
    stream.close();
    session.close();
  }
});

test("a protocol that is none is refused, and so is an extended CONNECT that nobody takes", async (t) => {
  const proxy = await TestProxy.start(t, { service: new FunctionService(() => {}) });
  const session = dial(t, proxy.url);
  await once(session, "remoteSettings");
  const stream = session.request({
    ":method": "CONNECT",
    ":protocol": "connect-udp",
    ":scheme": "http",
    ":path": "/",
    ":authority": "site",
  });
  const [headers] = (await once(stream, "response")) as [http2.IncomingHttpHeaders];
  assert.equal(headers[":status"], 501);
  stream.resume();
  stream.close();
  session.close();
});
