import assert from "node:assert/strict";
import { test } from "node:test";
import { ProxyError } from "../../src/errors/proxy-error.ts";
import { type BodySink, type BodySource, BytesBody } from "../../src/http/body.ts";
import type { Exchange } from "../../src/http/exchange.ts";
import { ResponseHead } from "../../src/http/message.ts";
import { FunctionService, TestProxy, until } from "./http-harness.ts";

function hello(exchange: Exchange): void {
  exchange.respond(new ResponseHead(200), BytesBody.text("hello"));
}

const request = "GET / HTTP/1.1\r\nHost: site\r\n\r\n";
const upload = "POST / HTTP/1.1\r\nHost: site\r\nContent-Length: 10\r\n\r\n";

test("a client that leaves while it waits aborts the exchange, by a reset or by a close", async (t) => {
  for (const reset of [true, false]) {
    const service = new FunctionService(() => {});
    const proxy = await TestProxy.start(t, { service });
    const client = await proxy.dial(t);
    client.send(request);
    await until(() => service.exchanges === 1);
    if (reset) client.socket.resetAndDestroy();
    else client.socket.destroy();
    await until(() => service.aborts.length === 1);
    assert.equal(service.aborts[0]?.code, "client_disconnected");
    await until(() => proxy.server.exchanges === 0 && proxy.server.connections === 0);
    assert.equal(proxy.server.traffic.byClass[0], 1);
  }
});

test("a client that ends only its side still gets its answers", async (t) => {
  let held: Exchange | undefined;
  const service = new FunctionService((exchange) => {
    if (held === undefined) held = exchange;
    else hello(exchange);
  });
  const proxy = await TestProxy.start(t, { service });
  const client = await proxy.dial(t);
  client.socket.end(request + request);
  await client.got("100 Continue\r\n\r\nHTTP/1.1 100 Continue");
  if (held !== undefined) hello(held);
  const text = await client.end();
  assert.equal(text.split("hello").length, 3);
  assert.equal(service.aborts.length, 0);
});

test("a client that leaves within its request's body breaks the body and aborts the exchange", async (t) => {
  for (const how of ["end", "resetAndDestroy"] as const) {
    let failure: ProxyError | undefined;
    const service = new FunctionService((exchange) => {
      const sink: BodySink = {
        write: () => true,
        end: () => {},
        fail: (error) => {
          failure = error;
        },
      };
      exchange.takeBody()?.pipe(sink);
    });
    const proxy = await TestProxy.start(t, { service });
    const client = await proxy.dial(t);
    client.send(`${upload}12345`);
    await until(() => service.exchanges === 1);
    client.socket[how]();
    await until(() => failure !== undefined && service.aborts.length === 1);
    const code = how === "end" ? "request_body_incomplete" : "client_disconnected";
    assert.equal(failure?.code, code);
    if (how === "end") assert.match(await client.end(), /^HTTP\/1\.1 400 /);
  }
});

test("a client that leaves within the response cancels its body", async (t) => {
  let cancelled: ProxyError | undefined;
  const body: BodySource = {
    length: -1,
    pipe: (sink) => setImmediate(() => sink.write(Buffer.from("part"))),
    resume: () => {},
    cancel: (error) => {
      cancelled = error;
    },
  };
  const service = new FunctionService((exchange) => exchange.respond(new ResponseHead(200), body));
  const proxy = await TestProxy.start(t, { service });
  const client = await proxy.dial(t);
  client.send(request);
  await client.got("part");
  client.socket.resetAndDestroy();
  await until(() => cancelled !== undefined);
  assert.equal(cancelled?.code, "client_disconnected");
  assert.equal(service.aborts.length, 1);
});

test("an answer that comes after the client has left is ignored, and its body cancelled", async (t) => {
  let held: Exchange | undefined;
  let cancelled = 0;
  const service = new FunctionService((exchange) => {
    held = exchange;
  });
  const proxy = await TestProxy.start(t, { service });
  const client = await proxy.dial(t);
  client.send(request);
  await until(() => held !== undefined);
  client.socket.resetAndDestroy();
  await until(() => service.aborts.length === 1);
  held?.inform(new ResponseHead(103));
  held?.respond(new ResponseHead(200), {
    length: 3,
    pipe: () => assert.fail("nobody reads it"),
    resume: () => {},
    cancel: () => cancelled++,
  });
  held?.fail(new ProxyError("internal", "cannot go on"));
  assert.equal(cancelled, 1);
});

test("a head that takes too long gets 408, however often a byte of it comes", async (t) => {
  const proxy = await TestProxy.start(t, {
    service: new FunctionService(hello),
    http: { timeouts: { head: 150 } },
  });
  const client = await proxy.dial(t);
  client.send("GET / HTTP/1.1\r\n");
  const drip = setInterval(() => client.send("A: b\r\n"), 20);
  t.after(() => clearInterval(drip));
  assert.match(await client.end(), /^HTTP\/1\.1 408 /);
  const silent = await proxy.dial(t);
  assert.equal(await silent.end(), "");
});

test("a kept connection is closed when no further request comes", async (t) => {
  const proxy = await TestProxy.start(t, {
    service: new FunctionService(hello),
    http: { timeouts: { keepAlive: 100 } },
  });
  const client = await proxy.dial(t);
  client.send(request);
  await client.got("hello");
  assert.ok((await client.end()).endsWith("hello"));
});

test("a body that stops coming gets 408; one that moves goes on", async (t) => {
  const service = new FunctionService((exchange) => {
    const body = exchange.takeBody();
    if (body !== null) exchange.respond(new ResponseHead(200), body);
  });
  const proxy = await TestProxy.start(t, { service, http: { timeouts: { idle: 200 } } });
  const moving = await proxy.dial(t);
  moving.send(upload);
  for (let i = 0; i < 10; i++) {
    await new Promise((resolve) => setTimeout(resolve, 60));
    moving.send(`${i}`);
  }
  await moving.got("0123456789");
  const stalled = new FunctionService((exchange) => {
    exchange.takeBody()?.pipe({ write: () => true, end: () => {}, fail: () => {} });
  });
  const other = await TestProxy.start(t, { service: stalled, http: { timeouts: { idle: 100 } } });
  const client = await other.dial(t);
  client.send(`${upload}123`);
  assert.match(await client.end(), /^HTTP\/1\.1 408 /);
  assert.equal(stalled.aborts[0]?.code, "request_timeout");
});

test("a body that comes more slowly than the least rate gets 408", async (t) => {
  const service = new FunctionService((exchange) => {
    exchange.takeBody()?.pipe({ write: () => true, end: () => {}, fail: () => {} });
  });
  const proxy = await TestProxy.start(t, {
    service,
    http: { timeouts: { idle: 300 }, limits: { minBodyRate: 1000 } },
  });
  const client = await proxy.dial(t);
  client.send(upload);
  const drip = setInterval(() => client.send("1"), 50);
  t.after(() => clearInterval(drip));
  assert.match(await client.end(), /^HTTP\/1\.1 408 /);
});

test("an exchange that takes longer than the whole request may gets 504", async (t) => {
  const service = new FunctionService(() => {});
  const proxy = await TestProxy.start(t, { service, http: { timeouts: { request: 100 } } });
  const client = await proxy.dial(t);
  client.send(request);
  await client.got("HTTP/1.1 504");
  assert.equal(service.aborts[0]?.code, "upstream_total_timeout");
});

test("a drain closes idle connections, and answers what has begun with Connection: close", async (t) => {
  let held: Exchange | undefined;
  const service = new FunctionService((exchange) => {
    if (exchange.request.target === "/slow") held = exchange;
    else hello(exchange);
  });
  const proxy = await TestProxy.start(t, { service });
  const idle = await proxy.dial(t);
  idle.send(request);
  await idle.got("hello");
  const busy = await proxy.dial(t);
  busy.send(request.replace("/", "/slow"));
  await until(() => held !== undefined);
  let drained = false;
  proxy.server.drain(0, () => {
    drained = true;
  });
  await idle.end();
  idle.socket.end();
  assert.equal(drained, false);
  if (held !== undefined) hello(held);
  assert.match(await busy.end(), /Connection: close\r\n[\s\S]*hello$/);
  busy.socket.end();
  await until(() => drained);
});

test("within the grace of a drain an idle connection is still served", async (t) => {
  const proxy = await TestProxy.start(t, { service: new FunctionService(hello) });
  const client = await proxy.dial(t);
  client.send(request);
  await client.got("hello");
  const idle = await proxy.dial(t);
  await until(() => proxy.server.connections === 2);
  let drained = false;
  proxy.server.drain(200, () => {
    drained = true;
  });
  client.send(request);
  const text = await client.end();
  assert.equal(text.split("hello").length, 3);
  assert.match(text, /Connection: close\r\n[\s\S]*hello$/);
  client.socket.end();
  await idle.end();
  idle.socket.end();
  await until(() => drained);
});

test("a client that pipelines and never reads is not read from without end", async (t) => {
  const service = new FunctionService((exchange) => {
    exchange.respond(new ResponseHead(200), BytesBody.text("a".repeat(4000)));
  });
  const proxy = await TestProxy.start(t, { service });
  const client = await proxy.dial(t);
  client.socket.pause();
  const many = request.repeat(1000);
  let stalled = false;
  for (let i = 0; i < 200 && !stalled; i++) {
    stalled = !client.socket.write(many) && client.socket.writableLength > 8_000_000;
    await new Promise((resolve) => setImmediate(resolve));
  }
  // What the kernel buffers between two sockets bounds what was answered: some megabytes of 4 KB answers.
  assert.ok(service.exchanges < 20_000, `${service.exchanges} were answered`);
  client.socket.destroy();
});

test("a client that neither reads its echo nor sends more is given up, whatever its body waits for", async (t) => {
  const service = new FunctionService((exchange) => {
    const body = exchange.takeBody();
    if (body !== null) exchange.respond(new ResponseHead(200), body);
  });
  const proxy = await TestProxy.start(t, { service, http: { timeouts: { idle: 200 } } });
  const client = await proxy.dial(t);
  client.socket.pause();
  client.send("POST / HTTP/1.1\r\nHost: site\r\nContent-Length: 100000000\r\n\r\n");
  const block = Buffer.alloc(1_000_000);
  for (let i = 0; i < 50; i++) client.socket.write(block);
  await until(() => service.aborts.length === 1 || proxy.server.connections === 0, 10_000);
  assert.equal(proxy.errors.request_timeout, 1);
  await until(() => proxy.server.connections === 0);
});

test("an upgrade is a stream of bytes in both directions, and only for clients that asked", async (t) => {
  const closed: string[] = [];
  const service = new FunctionService((exchange) => {
    let sink: BodySink | undefined;
    exchange.upgrade(new ResponseHead(101), {
      readable: {
        length: -1,
        pipe: (to) => {
          sink = to;
          setImmediate(() => to.write(Buffer.from("welcome ")));
        },
        resume: () => {},
        cancel: (error) => closed.push(error.code),
      },
      writable: {
        attach: () => {},
        write: (chunk) => sink?.write(Buffer.from(`<${Buffer.from(chunk).toString()}>`)) ?? true,
        end: () => sink?.end(null),
        fail: (error) => closed.push(error.code),
      },
    });
  });
  const proxy = await TestProxy.start(t, { service });
  const client = await proxy.dial(t);
  client.send("GET / HTTP/1.1\r\nHost: site\r\nConnection: upgrade\r\nUpgrade: WebSocket\r\n\r\nearly");
  const text = await client.got("welcome ");
  assert.match(text, /^HTTP\/1\.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n/i);
  client.socket.end("late");
  assert.ok((await client.end()).endsWith("<late>"));
  await until(() => proxy.server.connections === 0);
  assert.deepEqual(closed, []);
  const plain = await proxy.dial(t);
  plain.send(request);
  await plain.got("HTTP/1.1 501");
  assert.deepEqual(closed, ["upgrade_unsupported", "upgrade_unsupported"]);
});
