import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { TimerWheel } from "../../src/net/timer-wheel.ts";
import { eventually } from "../support/shard.ts";
import { echo, handshake, today, WebSocketStage } from "./websocket-harness.ts";

async function run(stage: WebSocketStage): Promise<unknown> {
  const response = await fetch(stage.url.replace("ws:", "http:"));
  return response.json();
}

test("both ends of a pair work in one isolate, with events in turns of their own", async (t) => {
  const code = `export default { async fetch() {
    const heard = [];
    const pair = new WebSocketPair();
    const [one, two] = pair;
    heard.push(Object.keys(pair).join(), one instanceof WebSocket, one.url, one.protocol, WebSocket.OPEN, WebSocket.READY_STATE_CLOSED);
    one.accept();
    two.binaryType = "arraybuffer";
    one.send("before accept");
    const bytes = new Uint8Array([1, 2]);
    two.addEventListener("message", ({ data }) => heard.push("two", data.byteLength ?? data));
    two.accept();
    one.send(bytes); bytes[0] = 9;
    one.addEventListener("message", ({ data }) => { heard.push("one", data); if (data === "last") { one.close(1001, "over"); try { one.send("x"); } catch (error) { heard.push(error.name); } } });
    two.send("last");
    heard.push("sent");
    const closes = ["one", "two"].map((name, i) => new Promise((done) => { pair[i].onclose = ({ code, reason, wasClean }) => { heard.push(name, code, reason, wasClean); done(); }; }));
    await Promise.all(closes);
    heard.push(one.readyState, two.readyState);
    for (const bad of [() => one.close(1005), () => one.close(undefined, "reason"), () => new WebSocketPair()[0].close(999)]) {
      try { bad(); heard.push("none"); } catch (error) { heard.push(error.name); }
    }
    return Response.json(heard);
  } };`;
  const stage = await WebSocketStage.start(t, { workers: { main: today(code) } });
  assert.deepEqual(await run(stage), [
    ...["0,1", true, null, null, 1, 3, "sent", "two", "before accept", "one", "last", "TypeError", "two", 2],
    ...["two", 1001, "over", true, "one", 1001, "", true, 3, 3, "TypeError", "TypeError", "TypeError"],
  ]);
});

test("what the server end sends before the answer arrives after it, and the isolate stays as long as the socket", async (t) => {
  const code = `let sockets = [];
  export default { fetch(request, env, ctx) {
    const [client, server] = Object.values(new WebSocketPair());
    server.accept();
    server.send("one"); server.send(new Uint8Array([2]));
    sockets.push(server);
    server.addEventListener("message", async ({ data }) => {
      if (data === "all") for (const each of sockets) each.send("to all " + sockets.length);
      if (data === "timer") { await new Promise((done) => setTimeout(done, 5)); server.send("waited"); }
      if (data === "fetches") { let n = 0; try { for (;;) { await fetch("data:,x"); if (++n > 5) break; } } catch {} server.send("fetched " + n); }
      if (data === "throw") throw new Error("in a listener");
      if (data === "bye") { server.close(4444, "asked"); }
    });
    return new Response(null, { status: 101, webSocket: client });
  } };`;
  const stage = await WebSocketStage.start(t, { workers: { main: today(code) } });
  const one = await stage.connect();
  const two = await stage.connect();
  for (const client of [one, two]) {
    assert.equal(await client.next(), "one");
    assert.deepEqual(await client.next(), Buffer.from([2]));
  }
  await eventually("the requests are done", () => stage.bench.worker().inHand === 2);
  assert.equal(stage.bench.worker().isIdle, false);
  assert.equal(await one.ask("all"), "to all 2");
  assert.equal(await two.next(), "to all 2");
  assert.equal(await one.ask("timer"), "waited");
  assert.equal(await one.ask("fetches"), "fetched 6");
  one.socket.send("throw");
  assert.equal(await one.ask("timer"), "waited");
  assert.ok(
    stage.bench.logs.some(({ level, message }) => level === "error" && /in a listener/.test(message)),
  );
  one.socket.send("bye");
  assert.deepEqual(await one.closed, { code: 4444, reason: "asked" });
  two.socket.close();
  await two.closed;
  await eventually("nothing is left", () => stage.bench.worker().inHand === 0);
});

test("with allowHalfOpen, and before 2026-04-07, the Worker answers a close itself", async (t) => {
  const code = (accept: string): string => `export default { fetch() {
    const [client, server] = Object.values(new WebSocketPair());
    server.accept(${accept});
    server.addEventListener("close", ({ code }) => {
      console.log("closed", code, server.readyState);
      server.send("after");
      server.close(4001, "mine");
      console.log(server.readyState);
    });
    server.addEventListener("message", ({ data }) => console.log(data instanceof ArrayBuffer));
    return new Response(null, { status: 101, webSocket: client });
  } };`;
  for (const [accept, date] of [
    ["{ allowHalfOpen: true }", "2026-11-01"],
    ["", "2026-01-01"],
  ] as const) {
    const stage = await WebSocketStage.start(t, { workers: { main: today(code(accept), { date }) } });
    const client = await stage.connect();
    client.socket.send(Buffer.from("x"));
    client.socket.close(4000);
    assert.deepEqual(await client.closed, { code: 4001, reason: "mine" });
    await eventually("the Worker has heard", () => stage.logs.length === 3);
    assert.deepEqual(stage.logs, [date === "2026-01-01" ? "true" : "false", "closed 4000 2", "3"]);
  }
});

test("a Worker that breaks a limit loses its sockets with 1011, and one that is drained with 1001", async (t) => {
  const code = `export default { fetch() {
    const [client, server] = Object.values(new WebSocketPair());
    server.accept();
    server.addEventListener("message", ({ data }) => { if (data === "loop") for (;;); server.send(data); });
    server.addEventListener("close", ({ code }) => console.log("closed", code));
    return new Response(null, { status: 101, webSocket: client });
  } };`;
  const stage = await WebSocketStage.start(t, { workers: { main: today(code) } });
  const [one, two] = [await stage.connect(), await stage.connect()];
  one.socket.send("loop");
  assert.equal((await one.closed).code, 1011);
  assert.equal((await two.closed).code, 1011);
  const three = await stage.connect();
  assert.equal(await three.ask("new isolate"), "new isolate");
  stage.bench.worker().drain();
  assert.equal((await three.closed).code, 1001);
  await eventually("the Worker has heard", () => stage.logs.length === 1);
  assert.deepEqual(stage.logs, ["closed 1001"]);
  const late = await stage.raw(handshake);
  const [answer] = await once(late, "data");
  assert.match(String(answer), /^HTTP\/1\.1 503 /);
  late.destroy();
});

test("pings find out who is gone, and a socket without messages is closed when it may not idle", async (t) => {
  const webSockets = { pingInterval: "10s", idleTimeout: "60s" };
  const stage = await WebSocketStage.start(t, { workers: { main: today(echo, { webSockets }) } });
  const wheel = TimerWheel.of(stage.bench.context);
  const pass = (ms: number): void => {
    stage.bench.ahead += ms;
    wheel.advance();
  };
  const dead = await stage.raw(handshake);
  await once(dead, "data");
  const live = await stage.connect();
  for (let i = 0; i < 2; i++) {
    const pinged = Promise.all([once(live.socket, "ping"), once(dead, "data")]);
    pass(10_100);
    await pinged;
    assert.equal(await live.ask("still here"), "still here");
  }
  dead.on("error", () => {});
  const gone = new Promise((done) => dead.on("close", done));
  pass(10_100);
  await gone;
  await eventually("the Worker hears", () => stage.logs.some((line) => line.startsWith("closed 1006")));
  for (let i = 0; i < 6 && live.socket.readyState === 1; i++) {
    const heard = Promise.race([once(live.socket, "ping"), live.closed]);
    pass(10_100);
    await heard;
    // The pong is on its way, and the next look is not to overtake it.
    live.socket.ping();
    await Promise.race([once(live.socket, "pong"), live.closed]);
  }
  assert.equal((await live.closed).code, 1001);
});

test("a peer that does not close its connection is not waited for", async (t) => {
  const stage = await WebSocketStage.start(t, { workers: { main: today(echo) } });
  const raw = await stage.raw(handshake);
  await once(raw, "data");
  raw.on("error", () => {});
  const closed = new Promise((done) => raw.on("close", done));
  stage.bench.worker().drain();
  await once(raw, "data");
  stage.bench.ahead += 11_000;
  TimerWheel.of(stage.bench.context).advance();
  await closed;
  await eventually("nothing is left", () => stage.bench.worker().inHand === 0);
});

test("a Worker that floods a client which does not read is bounded, and told of it", async (t) => {
  const code = `export default { fetch() {
    const [client, server] = Object.values(new WebSocketPair());
    server.accept();
    let sent = 0, buffered = 0;
    const send = () => {
      for (let i = 0; i < 8; i++) server.send("x".repeat(65536));
      sent += 8 * 65536; buffered = Math.max(buffered, server.bufferedAmount);
      if (server.readyState === 1) setTimeout(send, 1);
    };
    server.addEventListener("error", ({ message }) => console.log(message));
    server.addEventListener("close", ({ code, wasClean }) => console.log("closed", code, wasClean, sent < 64e6, buffered > 1e5));
    send();
    return new Response(null, { status: 101, webSocket: client });
  } };`;
  const webSockets = { maxBacklogBytes: "1MiB" };
  const stage = await WebSocketStage.start(t, {
    workers: { main: today(code, { webSockets, limits: { cpuMs: 1000 } }) },
  });
  const raw = await stage.raw(handshake);
  raw.pause();
  raw.on("error", () => {});
  await eventually("the Worker hears of it", () => stage.logs.length === 2, 20_000);
  assert.match(stage.logs[0] ?? "", /^cannot send a message: \d+ bytes wait for a peer that does not read$/);
  assert.equal(stage.logs[1], "closed 1006 false true true");
  raw.destroy();
});

test("a client that floods a busy Worker is held, and loses nothing", async (t) => {
  const code = `export default { fetch() {
    const [client, server] = Object.values(new WebSocketPair());
    server.accept();
    let count = 0, size = 0;
    server.addEventListener("message", ({ data }) => { count++; size += data.length; if (data === "end") server.send(count + " " + size); });
    return new Response(null, { status: 101, webSocket: client });
  } };`;
  const stage = await WebSocketStage.start(t, {
    workers: { main: today(code, { limits: { cpuMs: 1000 } }) },
  });
  for (const perMessageDeflate of [false, { threshold: 0 }]) {
    const client = await stage.connect("", [], { perMessageDeflate });
    for (let i = 0; i < 3000; i++) client.socket.send("y".repeat(1000));
    client.socket.send("end");
    assert.equal(await client.next(), "3001 3000003");
    client.socket.close();
    await client.closed;
  }
});

test("a Worker that patches prototypes neither breaks nor spies on its sockets", async (t) => {
  const code = `
  const seen = [];
  for (const proto of [Array.prototype, Map.prototype, EventTarget.prototype, Promise.prototype, String.prototype, Uint8Array.prototype, Object.getPrototypeOf(Uint8Array.prototype), ArrayBuffer.prototype]) {
    for (const key of Object.getOwnPropertyNames(proto)) {
      if (key === "constructor" || key === "addEventListener" || typeof Object.getOwnPropertyDescriptor(proto, key).value !== "function") continue;
      proto[key] = function () { seen.push(key); throw new Error("patched " + key); };
    }
  }
  Object.defineProperty(Object.prototype, "then", { get() { seen[seen.length] = "then"; return undefined; }, configurable: true });
  export default { fetch() {
    const pair = new WebSocketPair();
    const client = pair[0], server = pair[1];
    server.accept();
    server.binaryType = "arraybuffer";
    server.onmessage = (event) => { server.send(event.data); if (event.data === "report") { let all = ""; for (let i = 0; i < seen.length; i++) all += seen[i]; server.send(all); }; };
    return new Response(null, { status: 101, webSocket: client });
  } };`;
  const stage = await WebSocketStage.start(t, { workers: { main: today(code) } });
  const client = await stage.connect();
  assert.equal(await client.ask("hello"), "hello");
  assert.deepEqual(await client.ask(Buffer.alloc(300_000, 1)), Buffer.alloc(300_000, 1));
  client.socket.send("report");
  assert.equal(await client.next(), "report");
  // What the language itself asks of the Response that the handler returns.
  assert.equal(await client.next(), "then");
  client.socket.close();
  await client.closed;
});
