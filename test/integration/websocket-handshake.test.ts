import assert from "node:assert/strict";
import { once } from "node:events";
import type { Socket } from "node:net";
import { test } from "node:test";
import { eventually } from "../support/shard.ts";
import { echo, handshake, today, WebSocketStage } from "./websocket-harness.ts";

async function answerOf(socket: Socket): Promise<string> {
  let text = "";
  while (!text.includes("\r\n\r\n")) text += String((await once(socket, "data"))[0]);
  return text;
}

test("an opening handshake is answered as RFC 6455 says, and a wrong one is refused", async (t) => {
  const stage = await WebSocketStage.start(t, { workers: { main: today(echo) } });
  const ask = async (headers: string): Promise<string> => {
    const socket = await stage.raw(headers);
    const answer = await answerOf(socket);
    socket.destroy();
    return answer;
  };
  const good = await ask(handshake);
  assert.match(good, /^HTTP\/1\.1 101 Switching Protocols\r\n/);
  assert.match(good, /\r\nConnection: upgrade\r\nUpgrade: websocket\r\n/i);
  assert.match(good, /\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=\r\n/i);
  assert.doesNotMatch(good, /Sec-WebSocket-(Protocol|Extensions)/i);

  const version = await ask(handshake.replace("13", "8"));
  assert.match(version, /^HTTP\/1\.1 426 /);
  assert.match(version, /\r\nSec-WebSocket-Version: 13\r\n/i);
  assert.match(await ask(handshake.replace("Sec-WebSocket-Version: 13\r\n", "")), /^HTTP\/1\.1 426 /);
  assert.match(
    await ask(handshake.replace("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZQ==")),
    /^HTTP\/1\.1 400 /,
  );
  assert.match(await ask(handshake.replace(/Sec-WebSocket-Key.*\r\n/, "")), /^HTTP\/1\.1 400 /);
  assert.match(await ask(`${handshake}Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n`), /^HTTP\/1\.1 400 /);
  assert.match(await ask(`${handshake}Sec-WebSocket-Protocol: a b\r\n`), /^HTTP\/1\.1 400 /);
  assert.match(await ask(`${handshake}Content-Length: 1\r\n`), /^HTTP\/1\.1 400 /);
  // Without the tokens it is no request for a WebSocket, and the Worker's answer is an error.
  assert.match(await ask(handshake.replace("Connection: Upgrade\r\n", "")), /^HTTP\/1\.1 500 /);
  assert.match(await ask(handshake.replace("websocket", "h2c")), /^HTTP\/1\.1 500 /);
  await eventually("nothing is left", () => stage.bench.worker().inHand === 0);
});

test("the protocol is the Worker's choice among those that the client offers", async (t) => {
  const code = `export default { fetch(request) {
    const [client, server] = Object.values(new WebSocketPair());
    server.accept();
    const { pathname } = new URL(request.url);
    const offers = request.headers.get("sec-websocket-protocol") ?? "";
    server.send(request.headers.get("upgrade") + " " + offers);
    const headers = new Headers();
    if (pathname !== "/none") headers.set("Sec-WebSocket-Protocol", pathname.slice(1));
    headers.set("Sec-WebSocket-Accept", "forged");
    headers.set("Sec-WebSocket-Extensions", "x-forged");
    headers.set("X-Own", "kept");
    return new Response(null, { status: 101, webSocket: client, headers });
  } };`;
  const stage = await WebSocketStage.start(t, { workers: { main: today(code) } });
  const chosen = await stage.connect("two", ["one", "two"], { perMessageDeflate: false });
  assert.equal(chosen.socket.protocol, "two");
  assert.equal(chosen.socket.extensions, "");
  assert.equal(await chosen.next(), "websocket one,two");
  const unasked = await stage.connect("three", [], { perMessageDeflate: false });
  assert.equal(unasked.socket.protocol, "");
  const none = stage.client("none", ["one"]);
  // ws ends a connection whose server chose none of what it offered.
  assert.equal((await none.closed).code, 1006);
  for (const client of [chosen, unasked]) client.socket.terminate();
});

test("bytes that came with the handshake are the first frames", async (t) => {
  const stage = await WebSocketStage.start(t, { workers: { main: today(echo) } });
  const socket = await stage.raw(`${handshake}\r\n`.slice(0, -2));
  const mask = Buffer.from([1, 2, 3, 4]);
  const payload = Buffer.from("hi").map((byte, i) => byte ^ (mask[i] as number));
  socket.write(Buffer.concat([Buffer.from([0x81, 0x82]), mask, payload]));
  let bytes = Buffer.alloc(0);
  while (!bytes.includes("\x81\x02hi", 0, "latin1"))
    bytes = Buffer.concat([bytes, (await once(socket, "data"))[0]]);
  socket.destroy();
});

test("a WebSocket for a request that did not ask for one is an error of the Worker", async (t) => {
  const code = `export default { fetch(request) {
    const { pathname } = new URL(request.url);
    const [client, server] = Object.values(new WebSocketPair());
    if (pathname === "/accepted") client.accept();
    const problems = [];
    for (const make of [
      () => new Response(null, { status: 200, webSocket: client }),
      () => new Response(null, { status: 101 }),
      () => new Response(null, { status: 101, webSocket: {} }),
      () => new Response("body", { status: 101, webSocket: client }),
      () => server.send("early"),
      () => server.close(),
      () => server.serializeAttachment({}),
    ]) {
      try { make(); problems.push("none"); } catch (error) { problems.push(error.constructor.name); }
    }
    console.log(problems.join());
    return new Response(null, { status: 101, webSocket: client });
  } };`;
  const stage = await WebSocketStage.start(t, { workers: { main: today(code) } });
  const plain = await fetch(stage.url.replace("ws:", "http:"));
  assert.equal(plain.status, 500);
  await plain.text();
  assert.equal(stage.logs[0], "RangeError,RangeError,TypeError,TypeError,TypeError,TypeError,Error");
  const accepted = await stage.raw(handshake);
  accepted.destroy();
  const wrong = stage.client("accepted");
  assert.equal((await wrong.closed).code, 1006);
  const [failed] = stage.bench.logged("worker.failed");
  assert.match(failed?.message ?? "", /cannot answer with the WebSocket/);
});
