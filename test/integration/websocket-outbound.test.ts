import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import type { WebSocket } from "ws";
import { eventually } from "../support/shard.ts";
import { echo, today, WebSocketStage } from "./websocket-harness.ts";
import { to } from "./worker-harness.ts";

const APP = { APP: { service: to("app") } };

/** Makes the origin send back what it gets. */
function echoes(stage: WebSocketStage): void {
  stage.origin?.on("connection", (socket, request) => {
    socket.on("error", () => {});
    socket.on("message", (data, binary) => socket.send(data, { binary }));
    socket.send(`${request.headers["x-from"] ?? "nobody"} ${request.url}`);
  });
}

/** Runs the code in the handler of a Worker and gives what it returns. */
async function run(stage: WebSocketStage): Promise<string> {
  const response = await fetch(stage.url.replace("ws:", "http:"));
  return response.text();
}

test("a fetch opens a WebSocket through a binding", async (t) => {
  const code = `export default { async fetch(request, env) {
    const response = await env.APP.fetch("http://app/path", { headers: { Upgrade: "websocket", "X-From": "worker", "Sec-WebSocket-Protocol": "chat" } });
    const socket = response.webSocket;
    const heard = [response.status, socket.protocol, socket.readyState, socket.url, response.headers.get("upgrade")];
    try { socket.send("early"); } catch (error) { heard.push(error.constructor.name); }
    const done = new Promise((resolve) => {
      socket.addEventListener("message", ({ data }) => {
        heard.push(typeof data === "string" ? data : data.byteLength ?? data.size);
        if (heard.length === 7) { socket.send("text"); socket.send(new Uint8Array([1, 2, 3]).subarray(1)); socket.send(new Blob(["blob!"])); }
        if (heard.length === 10) socket.close(3000, "done");
      });
      socket.onclose = ({ code, reason, wasClean }) => { heard.push(code, reason, wasClean, socket.readyState); resolve(); };
    });
    socket.binaryType = "arraybuffer";
    socket.accept();
    socket.accept();
    await done;
    return Response.json(heard);
  } };`;
  const stage = await WebSocketStage.start(t, {
    workers: { main: today(code, { bindings: APP }) },
    origin: true,
  });
  echoes(stage);
  assert.deepEqual(JSON.parse(await run(stage)), [
    ...[101, "chat", 1, null, null, "TypeError", "worker /path"],
    ...["text", 2, 5, 3000, "done", true, 3],
  ]);
  await eventually("nothing is left", () => stage.bench.worker().inHand === 0);
});

test("new WebSocket has the standard's states, events and errors", async (t) => {
  const code = `export default { async fetch(request, env) {
    const heard = [];
    const refused = (make) => { try { make(); heard.push("none"); } catch (error) { heard.push(error.name); } };
    for (const url of ["/relative", "ftp://app/", "ws://app/#part", "ws://"]) refused(() => new WebSocket(url));
    refused(() => new WebSocket("ws://app/", ["a", "a"]));
    refused(() => new WebSocket("ws://app/", "a b"));
    const socket = new WebSocket("ws://app/live?q", ["chat", "other"]);
    heard.push(socket.url, socket.readyState, socket.binaryType, socket.protocol, socket.bufferedAmount);
    refused(() => socket.send("early"));
    refused(() => socket.close(1001));
    refused(() => socket.close(1000, "x".repeat(124)));
    refused(() => socket.accept());
    await new Promise((resolve) => {
      socket.addEventListener("open", () => { heard.push("open", socket.readyState, socket.protocol, socket.extensions); });
      socket.onmessage = ({ data, origin }) => { heard.push(data, origin); socket.send("bye"); heard.push(socket.bufferedAmount); socket.onmessage = async (event) => { heard.push(event.data); socket.send(new ArrayBuffer(3)); socket.onmessage = async ({ data }) => { heard.push(data instanceof Blob, data.size); socket.close(); heard.push(socket.readyState); socket.send("late"); }; }; };
      socket.onerror = () => heard.push("error");
      socket.onclose = ({ code, wasClean }) => { heard.push(code, wasClean, socket.readyState); resolve(); };
    });
    return Response.json(heard);
  } };`;
  const workers = { main: today(code, { bindings: APP }) };
  const stage = await WebSocketStage.start(t, {
    workers,
    origin: true,
    originOptions: { perMessageDeflate: true },
  });
  echoes(stage);
  const worker = stage.bench.worker();
  worker.services = [stage.bench.services.get("app") as never, ...worker.services.slice(1)];
  assert.deepEqual(JSON.parse(await run(stage)), [
    ...["SyntaxError", "SyntaxError", "SyntaxError", "SyntaxError", "SyntaxError", "SyntaxError"],
    ...[
      "ws://app/live?q",
      0,
      "blob",
      "",
      0,
      "InvalidStateError",
      "InvalidAccessError",
      "SyntaxError",
      "TypeError",
    ],
    ...["open", 1, "chat", "permessage-deflate", "nobody /live?q", "ws://app", 3, "bye", true, 3, 2],
    ...[1005, true, 3],
  ]);
  await eventually("nothing is left", () => stage.bench.worker().inHand === 0);
});

test("an answer that is no WebSocket, or a wrong one, fails to open", async (t) => {
  const code = `export default { async fetch(request, env) {
    const heard = [];
    for (const way of ["plain", "accept", "protocol", "extension", "parameters"]) {
      try {
        const response = await env.APP.fetch("http://app/" + way, { headers: { Upgrade: "websocket" } });
        heard.push(response.status, response.webSocket === null, await response.text());
      } catch (error) { heard.push(error.constructor.name + " " + error.message); }
    }
    const socket = new WebSocket("ws://app/plain");
    await new Promise((resolve) => {
      socket.onerror = ({ message }) => heard.push(message);
      socket.onclose = ({ code, wasClean }) => { heard.push(code, wasClean, socket.readyState); resolve(); };
    });
    const cancelled = new WebSocket("ws://app/good");
    cancelled.close();
    heard.push(cancelled.readyState);
    await new Promise((resolve) => { cancelled.onclose = ({ code }) => { heard.push(code, cancelled.readyState); resolve(); }; });
    return Response.json(heard);
  } };`;
  const stage = await WebSocketStage.start(t, { workers: { main: today(code, { bindings: APP }) } });
  const { FakeService } = await import("./worker-harness.ts");
  const { acceptKey } = await import("../../src/http/websocket/handshake.ts");
  const { ResponseHead } = await import("../../src/http/message.ts");
  const { HeaderBlock } = await import("../../src/http/header-block.ts");
  const { BytesBody } = await import("../../src/http/body.ts");
  let cancelled = 0;
  const fake = new FakeService("app", (exchange) => {
    const way = exchange.request.target.slice(1);
    if (way === "plain") {
      exchange.respond(new ResponseHead(200), BytesBody.text("no"));
      return;
    }
    const key = exchange.request.headers.get("sec-websocket-key") ?? "";
    const fields: Array<[string, string]> = [
      ["Sec-WebSocket-Accept", way === "accept" ? acceptKey("x") : acceptKey(key)],
    ];
    if (way === "protocol") fields.push(["Sec-WebSocket-Protocol", "unasked"]);
    if (way === "extension") fields.push(["Sec-WebSocket-Extensions", "x-other"]);
    if (way === "parameters")
      fields.push(["Sec-WebSocket-Extensions", "permessage-deflate; server_max_window_bits=7"]);
    const half = { length: -1, pipe() {}, resume() {}, cancel: () => cancelled++ };
    const sink = { attach() {}, write: () => true, end() {}, fail: () => cancelled++ };
    exchange.upgrade(new ResponseHead(101, HeaderBlock.from(fields)), { readable: half, writable: sink });
  });
  const worker = stage.bench.worker();
  worker.services = [fake, fake];
  const heard = JSON.parse(await run(stage)) as unknown[];
  assert.deepEqual(heard.slice(0, 3), [200, true, "no"]);
  for (const text of heard.slice(3, 7)) assert.match(String(text), /upstream_malformed$/);
  assert.deepEqual(heard.slice(7), [
    "cannot open the WebSocket: the server answered 200",
    1006,
    false,
    3,
    2,
    1006,
    3,
  ]);
  assert.equal(cancelled >= 8, true);
});

for (const network of [false, true]) {
  const way = network ? "a network" : "an external";
  test(`a Worker passes a WebSocket of ${way} on untouched, and no frame enters the isolate`, async (t) => {
    const code =
      "export default { fetch: (request, env) => env.APP.fetch(ORIGIN === '' ? request : new Request(ORIGIN, request)) }; const ORIGIN = '';";
    const workers = { main: today(code, { bindings: APP }) };
    const stage = await WebSocketStage.start(t, {
      workers,
      origin: true,
      network,
      originOptions: { perMessageDeflate: { threshold: 0 } },
    });
    const { port } = stage.origin?.address() as { port: number };
    echoes(stage);
    const options = { headers: { Host: `127.0.0.1:${port}`, "X-From": "client" } };
    const client = await stage.connect("x", ["chat"], options);
    assert.equal(client.socket.protocol, "chat");
    assert.match(client.socket.extensions, /permessage-deflate/);
    assert.equal(await client.next(), "client /x");
    const text = "round and round ".repeat(1000);
    assert.equal(await client.ask(text), text);
    assert.deepEqual(await client.ask(Buffer.alloc(100_000, 7)), Buffer.alloc(100_000, 7));
    assert.equal(stage.bench.counter('sluice_bridge_body_bytes_total{worker="main",direction="in"}'), 0);
    assert.equal(stage.bench.counter('sluice_bridge_body_bytes_total{worker="main",direction="out"}'), 0);
    assert.equal(stage.bench.worker().inHand, 0, "the isolate is idle while the socket lives");
    client.socket.close(4000, "over");
    assert.deepEqual(await client.closed, { code: 4000, reason: "over" });
    const bare = await stage.connect("y", [], { ...options, perMessageDeflate: false });
    assert.equal(bare.socket.extensions, "");
    assert.equal(await bare.next(), "client /y");
    bare.socket.close();
    await bare.closed;
  });
}

test("without a Worker the tunnel stays as it is", async (t) => {
  const stage = await WebSocketStage.start(t, { workers: { main: today(echo) }, front: "app", origin: true });
  echoes(stage);
  const client = await stage.connect("x");
  assert.equal(await client.next(), "nobody /x");
  assert.equal(await client.ask("there"), "there");
  client.socket.close(1000);
  assert.equal((await client.closed).code, 1000);
});

test("a Worker answers with a WebSocket that it fetched itself, in other terms than its client's", async (t) => {
  const code = `export default { async fetch(request, env) {
    const { webSocket } = await env.APP.fetch("http://app/own", { headers: { Upgrade: "websocket" } });
    return new Response(null, { status: 101, webSocket });
  } };`;
  const workers = { main: today(code, { bindings: APP }) };
  const stage = await WebSocketStage.start(t, {
    workers,
    origin: true,
    originOptions: { perMessageDeflate: true },
  });
  echoes(stage);
  const client = await stage.connect("", [], { perMessageDeflate: false });
  assert.equal(await client.next(), "nobody /own");
  const text = "text ".repeat(1000);
  assert.equal(await client.ask(text), text);
  const [origin] = [...(stage.origin?.clients ?? [])] as WebSocket[];
  assert.match(origin?.extensions ?? "", /permessage-deflate/);
  origin?.close(4001, "from the origin");
  assert.deepEqual(await client.closed, { code: 4001, reason: "from the origin" });
});

test("Workers hand messages to one another without frames", async (t) => {
  const front = `export default { async fetch(request, env) {
    if (new URL(request.url).pathname === "/pass") return env.BACK.fetch(request);
    const { webSocket } = await env.BACK.fetch(request);
    const [client, server] = Object.values(new WebSocketPair());
    server.accept(); webSocket.accept();
    server.binaryType = webSocket.binaryType = "arraybuffer";
    server.addEventListener("message", ({ data }) => webSocket.send(data));
    webSocket.addEventListener("message", ({ data }) => server.send(data));
    server.addEventListener("close", ({ code, reason }) => webSocket.close(code, reason));
    webSocket.addEventListener("close", ({ code }) => console.log("back closed", code));
    return new Response(null, { status: 101, webSocket: client });
  } };`;
  const workers = { main: today(front, { bindings: { BACK: { service: to("back") } } }), back: today(echo) };
  const stage = await WebSocketStage.start(t, { workers });
  for (const path of ["pass", "through"]) {
    const client = await stage.connect(path);
    assert.equal(await client.ask("over two"), "over two");
    assert.deepEqual(await client.ask(Buffer.alloc(300_000, 5)), Buffer.alloc(300_000, 5));
    client.socket.close(4002, "end");
    assert.equal((await client.closed).code, 4002);
  }
  await eventually("all heard of it", () => stage.logs.length === 3);
  assert.deepEqual(stage.logs.sort(), [
    "back closed 4002",
    "closed 4002 end true 3",
    "closed 4002 end true 3",
  ]);
  await eventually(
    "nothing is left",
    () => stage.bench.worker().inHand + stage.bench.worker("back").inHand === 0,
  );
});

test("a fetched WebSocket that nobody accepts goes with its request", async (t) => {
  const code = `export default { async fetch(request, env) {
    await env.APP.fetch("http://app/", { headers: { Upgrade: "websocket" } });
    return new Response("left");
  } };`;
  const stage = await WebSocketStage.start(t, {
    workers: { main: today(code, { bindings: APP }) },
    origin: true,
  });
  const opened = once(stage.origin as never, "connection");
  assert.equal(await run(stage), "left");
  const [socket] = (await opened) as [WebSocket];
  await once(socket, "close");
  await eventually("nothing is left", () => stage.bench.worker().inHand === 0);
});
