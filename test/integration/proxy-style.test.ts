import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { promisify } from "node:util";
import { ProxyError } from "../../src/errors/proxy-error.ts";
import { BytesBody } from "../../src/http/body.ts";
import { ResponseHead } from "../../src/http/message.ts";
import type { Tunnel } from "../../src/services/service.ts";
import { Origin } from "../support/origin.ts";
import { FunctionService, RawOrigin, TestProxy, until } from "./http-harness.ts";

const run = promisify(execFile);
const connect = "CONNECT inside:443 HTTP/1.1\r\nHost: inside:443\r\n\r\n";

test("curl uses the socket as a proxy, for URLs and through a tunnel", async (t) => {
  const origin = await Origin.start(t, (request, response) => {
    response.end(`${request.method} ${request.headers.host}${request.url}`);
  });
  const proxy = await TestProxy.start(t, { http: { style: "proxy" }, external: { address: origin.address } });
  const plain = await run("curl", ["-s", "-x", proxy.url, "http://site.example/a?b"]);
  assert.equal(plain.stdout, "GET site.example/a?b");
  const tunnel = await run("curl", ["-s", "-p", "-x", proxy.url, "http://site.example/a?b"]);
  assert.equal(tunnel.stdout, "GET site.example/a?b");
});

test("a request that is no full URL is refused, with the reason in the log", async (t) => {
  const service = new FunctionService((exchange) => exchange.respond(new ResponseHead(200), null));
  const proxy = await TestProxy.start(t, { http: { style: "proxy" }, service });
  for (const line of ["GET / HTTP/1.1", "OPTIONS * HTTP/1.1"]) {
    const client = await proxy.dial(t);
    client.send(`${line}\r\nHost: site\r\n\r\n`);
    assert.match(await client.end(), /^HTTP\/1\.1 400 /);
    client.socket.end();
  }
  assert.equal(service.exchanges, 0);
  assert.match(proxy.context.lines[0]?.message ?? "", /a proxy needs a full URL/);
});

test("the URL of a request names its host, whatever Host says", async (t) => {
  const service = new FunctionService((exchange) => {
    exchange.respond(new ResponseHead(200), BytesBody.text(exchange.request.url));
  });
  const proxy = await TestProxy.start(t, { http: { style: "proxy" }, service });
  const client = await proxy.dial(t);
  client.send("GET https://real:8443?q HTTP/1.1\r\nHost: forged\r\n\r\n");
  await client.got("https://real:8443/?q");
});

test("CONNECT without a usable port is 400", async (t) => {
  const proxy = await TestProxy.start(t, {
    http: { style: "proxy" },
    service: new FunctionService(() => {}),
  });
  for (const target of ["site", "site:", "site:0", "site:99999", "site:http", "[::1]", "u@site:1"]) {
    const client = await proxy.dial(t);
    client.send(`CONNECT ${target} HTTP/1.1\r\nHost: site\r\n\r\n`);
    assert.match(await client.end(), /^HTTP\/1\.1 400 /, target);
    client.socket.end();
  }
});

test("no byte goes on before the tunnel stands, and the 200 has no framing", async (t) => {
  let waiting: Tunnel | undefined;
  const got: string[] = [];
  const service = new FunctionService(
    () => {},
    (tunnel) => {
      waiting = tunnel;
    },
  );
  const proxy = await TestProxy.start(t, { http: { style: "proxy" }, service });
  const client = await proxy.dial(t);
  client.send(`${connect}early`);
  await until(() => waiting !== undefined);
  assert.equal(waiting?.host, "inside");
  assert.equal(waiting?.port, 443);
  client.send(" bytes");
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(got.length, 0);
  assert.equal(client.received, "");
  let end: (() => void) | undefined;
  waiting?.accept({
    readable: {
      length: -1,
      pipe: (sink) => {
        end = () => sink.end(null);
      },
      resume: () => {},
      cancel: () => {},
    },
    writable: {
      attach: () => {},
      write: (chunk) => {
        got.push(Buffer.from(chunk).toString());
        return true;
      },
      end: () => end?.(),
      fail: () => {},
    },
  });
  await until(() => got.join("") === "early bytes");
  assert.equal(client.received, "HTTP/1.1 200 Connection Established\r\n\r\n");
  client.socket.end();
  await client.end();
  await until(() => proxy.server.connections === 0);
  assert.equal(proxy.context.accesses[0]?.method, "CONNECT");
  assert.equal(proxy.context.accesses[0]?.status, 200);
});

test("a tunnel that is refused has the error's status", async (t) => {
  const service = new FunctionService(
    () => {},
    (tunnel) => tunnel.refuse(new ProxyError("address_denied", "cannot connect to inside: not allowed")),
  );
  const proxy = await TestProxy.start(t, { http: { style: "proxy" }, service });
  const client = await proxy.dial(t);
  client.send(connect);
  assert.match(await client.end(), /^HTTP\/1\.1 403 Forbidden\r\n[\s\S]*id: /);
  assert.deepEqual(proxy.errors, { address_denied: 1 });
});

test("a client that leaves before its tunnel stands aborts it", async (t) => {
  let waiting: Tunnel | undefined;
  let aborted: ProxyError | undefined;
  const service = new FunctionService(
    () => {},
    (tunnel) => {
      waiting = tunnel;
      tunnel.onAbort = (error) => {
        aborted = error;
      };
    },
  );
  const proxy = await TestProxy.start(t, { http: { style: "proxy" }, service });
  const client = await proxy.dial(t);
  client.send(connect);
  await until(() => waiting !== undefined);
  client.socket.resetAndDestroy();
  await until(() => aborted !== undefined);
  assert.equal(aborted?.code, "client_disconnected");
  let failed = 0;
  waiting?.accept({
    readable: { length: -1, pipe: () => {}, resume: () => {}, cancel: () => failed++ },
    writable: { attach: () => {}, write: () => true, end: () => {}, fail: () => failed++ },
  });
  assert.equal(failed, 2, "a stream that comes too late is closed");
});

test("a tunnel carries half-closes, and much data with backpressure in both directions", async (t) => {
  const origin = await RawOrigin.start(t, (connection) => {
    connection.socket.removeAllListeners("data");
    connection.socket.setEncoding("latin1");
    connection.socket.pipe(connection.socket);
  });
  const proxy = await TestProxy.start(t, { http: { style: "proxy" }, external: { address: origin.address } });
  const client = await proxy.dial(t);
  client.send(connect);
  await client.got("\r\n\r\n");
  client.received = "";
  const size = 20_000_000;
  client.socket.end(Buffer.alloc(size, "x"));
  await until(() => client.ended, 20_000);
  assert.equal(client.received.length, size);
  await until(() => proxy.server.connections === 0);
});

test("a tunnel whose upstream breaks is reset, and one that is idle too long is closed", async (t) => {
  const origin = await RawOrigin.start(t);
  const proxy = await TestProxy.start(t, {
    http: { style: "proxy", timeouts: { idle: 150 } },
    external: { address: origin.address },
  });
  const client = await proxy.dial(t);
  client.send(connect);
  await client.got("\r\n\r\n");
  (await origin.connection(0)).socket.resetAndDestroy();
  await until(() => client.closed);
  assert.equal(client.error?.code, "ECONNRESET");
  const idle = await proxy.dial(t);
  idle.send(connect);
  await idle.got("\r\n\r\n");
  await until(() => idle.closed || idle.ended);
  await (await origin.connection(1)).end();
});

test("an upstream that cannot be reached refuses the tunnel", async (t) => {
  const proxy = await TestProxy.start(t, { http: { style: "proxy" }, external: { address: "127.0.0.1:1" } });
  const client = await proxy.dial(t);
  client.send(connect);
  assert.match(await client.end(), /^HTTP\/1\.1 502 /);
});
