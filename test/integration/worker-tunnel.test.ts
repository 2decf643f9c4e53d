import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { ProxyError } from "../../src/errors/proxy-error.ts";
import { type BodySource, BytesBody } from "../../src/http/body.ts";
import type { ByteStream } from "../../src/http/exchange.ts";
import { Relay } from "../../src/isolate/bridge/relay.ts";
import type { Tunnel } from "../../src/services/service.ts";
import { Collector } from "../support/collector.ts";
import { CollectedTunnel } from "./network-harness.ts";
import { FakeService, to, WorkerBench } from "./worker-harness.ts";

let bench: WorkerBench | null = null;
afterEach(() => {
  bench?.stop();
  bench = null;
});

async function start(code: string, origin: FakeService): Promise<WorkerBench> {
  bench = await WorkerBench.start({ main: { code, bindings: { ORIGIN: { service: to("ORIGIN") } } } }, [
    origin,
  ]);
  return bench;
}

/** A stream whose two ends a test holds. */
function pair(): { stream: ByteStream; sent: Relay; received: Relay } {
  const sent = new Relay();
  const received = new Relay();
  return { stream: { readable: received, writable: sent }, sent, received };
}

function text(source: BodySource): Promise<string> {
  return new Promise((resolve, reject) => {
    new Collector(source, 1 << 24, (error, bytes) =>
      error === null ? resolve(bytes.toString()) : reject(error),
    );
  });
}

/** Sends a text into a stream and ends it, as a client does. */
function send(stream: ByteStream, content: string): void {
  const source = BytesBody.text(content);
  stream.writable.attach(source);
  source.pipe(stream.writable);
}

/** Nothing is left in hand: no exchange, socket, stream or body. Gives up after some 5 s. */
async function empty(running: WorkerBench): Promise<void> {
  for (let turn = 0; running.worker().inHand > 0; turn++) {
    assert.ok(turn < 1000, `${running.worker().inHand} things are left in hand`);
    await new Promise((done) => setTimeout(done, 5));
  }
}

test("a tunnel that a Worker hands on never enters the isolate", async () => {
  const far = pair();
  const origin = new FakeService(
    "ORIGIN",
    () => {},
    (tunnel) => tunnel.accept(far.stream),
  );
  const running = await start(
    `export default { async connect(socket, env) {
      const { localAddress, remoteAddress } = await socket.opened;
      console.log(localAddress, remoteAddress);
      return env.ORIGIN.connect(localAddress);
    } };`,
    origin,
  );
  const tunnel = new CollectedTunnel("example.com", 443);
  running.worker().connect(tunnel);
  await tunnel.done;
  assert.equal(tunnel.refused, null);
  assert.equal(origin.tunnels[0]?.host, "example.com");
  assert.equal(origin.tunnels[0]?.port, 443);
  assert.equal(tunnel.stream?.readable, far.received);
  assert.equal(tunnel.stream?.writable, far.sent);
  assert.equal(running.logged("worker.log")[0]?.message, "example.com:443 192.0.2.9:40000");
  await empty(running);
});

test("a tunnel that a Worker hands on is refused when its place refuses", async () => {
  const origin = new FakeService(
    "ORIGIN",
    () => {},
    (tunnel) => tunnel.refuse(new ProxyError("address_denied", "cannot connect: not allowed")),
  );
  const running = await start(
    `export default { connect(socket, env) { return env.ORIGIN.connect("10.0.0.1:1"); } };`,
    origin,
  );
  const tunnel = new CollectedTunnel("example.com", 443);
  running.worker().connect(tunnel);
  await tunnel.done;
  assert.equal(tunnel.refused?.code, "address_denied");
  await empty(running);
});

test("a tunnel that is handed on before its place stands leaves nothing behind, whether that accepts, refuses or its client leaves", async () => {
  const asked: Tunnel[] = [];
  const origin = new FakeService(
    "ORIGIN",
    () => {},
    (tunnel) => {
      tunnel.onAbort = () => {};
      asked.push(tunnel);
    },
  );
  const running = await start(
    `export default { connect(socket, env) { return env.ORIGIN.connect("place.example:1"); } };`,
    origin,
  );
  for (const end of ["accept", "refuse", "leave"]) {
    const tunnel = new CollectedTunnel("example.com", 443);
    running.worker().connect(tunnel);
    while (asked.length === 0) await new Promise((done) => setImmediate(done));
    await new Promise((done) => setTimeout(done, 5));
    const place = asked.pop();
    if (end === "accept") place?.accept(pair().stream);
    else if (end === "refuse") place?.refuse(new ProxyError("upstream_unreachable", "cannot connect"));
    else tunnel.onAbort?.(new ProxyError("client_disconnected", "cannot go on: the client left"));
    if (end !== "leave") await tunnel.done;
    await empty(running);
  }
});

test("a Worker refuses a tunnel with a response", async () => {
  const running = await start(
    `export default { connect() { return new Response("no", { status: 403 }); } };`,
    new FakeService("ORIGIN", () => {}),
  );
  const tunnel = new CollectedTunnel("blocked.example", 443);
  running.worker().connect(tunnel);
  await tunnel.done;
  assert.equal(tunnel.refused?.code, "connect_refused");
  assert.equal(tunnel.refused?.status, 403);
  await empty(running);
});

test("a Worker without a connect handler takes no tunnels", async () => {
  const running = await start(
    `export default { fetch() { return new Response(""); } };`,
    new FakeService("ORIGIN", () => {}),
  );
  const tunnel = new CollectedTunnel("example.com", 443);
  running.worker().connect(tunnel);
  await tunnel.done;
  assert.equal(tunnel.refused?.code, "connect_unsupported");
  await empty(running);
});

test("a Worker takes a tunnel itself and answers in it", async () => {
  const running = await start(
    `export default { async connect(socket) {
      let seen = "";
      for await (const chunk of socket.readable) seen += new TextDecoder().decode(chunk);
      const writer = socket.writable.getWriter();
      await writer.write(new TextEncoder().encode(seen.toUpperCase()));
      await writer.close();
    } };`,
    new FakeService("ORIGIN", () => {}),
  );
  const tunnel = new CollectedTunnel("example.com", 7);
  running.worker().connect(tunnel);
  await tunnel.done;
  assert.ok(tunnel.stream);
  send(tunnel.stream, "hello tunnel");
  assert.equal(await text(tunnel.stream.readable), "HELLO TUNNEL");
  await empty(running);
});

test("a Worker reads and writes a socket that it opened", async () => {
  const origin = new FakeService(
    "ORIGIN",
    () => {},
    (tunnel) => {
      const echo = new Relay();
      tunnel.accept({ readable: echo, writable: echo });
    },
  );
  const running = await start(
    `export default { async fetch(request, env) {
      const socket = env.ORIGIN.connect({ hostname: "echo.example", port: 7 });
      const writer = socket.writable.getWriter();
      await writer.write(new TextEncoder().encode("ping"));
      await writer.close();
      let seen = "";
      for await (const chunk of socket.readable) seen += new TextDecoder().decode(chunk);
      return new Response(seen);
    } };`,
    origin,
  );
  const { collect } = await import("./network-harness.ts");
  const answer = await collect(running.worker(), {});
  assert.equal(answer.text, "ping");
  await empty(running);
});
