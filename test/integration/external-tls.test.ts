import assert from "node:assert/strict";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import tls, { type TLSSocket } from "node:tls";
import { identity } from "../support/identity.ts";
import { TestProxy } from "./http-harness.ts";

const server = identity(["app.internal"]);
const client = identity(["sluice"]);

/** An origin that answers each request with the names that it has seen in the handshake. */
async function origin(t: TestContext, options: tls.TlsOptions = {}): Promise<string> {
  const listener = tls.createServer(
    { cert: server.certificate, key: server.key, ...options },
    (socket: TLSSocket) => {
      const peer = socket.getPeerCertificate()?.subject?.CN ?? "nobody";
      const body = `${socket.servername} ${socket.alpnProtocol} ${peer}`;
      socket.on("data", () =>
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`),
      );
      socket.on("error", () => {});
      t.after(() => socket.destroy());
    },
  );
  listener.on("tlsClientError", () => {});
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  t.after(() => listener.close());
  return `127.0.0.1:${(listener.address() as AddressInfo).port}`;
}

const request = "GET / HTTP/1.1\r\nHost: site\r\n\r\n";

test("an upstream is spoken to in TLS, by the name that its certificate is for", async (t) => {
  const address = await origin(t, { ALPNProtocols: ["http/1.1"] });
  const proxy = await TestProxy.start(t, {
    external: { address, tls: { trust: [server.certificate], certificateHost: "app.internal" } },
  });
  const raw = await proxy.dial(t);
  raw.send(request + request);
  await raw.got("app.internal http/1.1 nobody");
});

test("a certificate that nobody trusts, or for another name, is a 502", async (t) => {
  const address = await origin(t);
  for (const settings of [
    { certificateHost: "app.internal" },
    { trust: [server.certificate], certificateHost: "other.internal" },
    { trust: [server.certificate] },
    { trust: [client.certificate], certificateHost: "app.internal" },
  ]) {
    const proxy = await TestProxy.start(t, { external: { address, tls: settings } });
    const raw = await proxy.dial(t);
    raw.send(request);
    await raw.got("HTTP/1.1 502");
    assert.deepEqual(proxy.errors, { upstream_tls_failed: 1 });
  }
});

test("a keypair is shown to an upstream that asks for one", async (t) => {
  const address = await origin(t, { requestCert: true, ca: [client.certificate], rejectUnauthorized: true });
  const settings = { trust: [server.certificate], certificateHost: "app.internal" };
  const proxy = await TestProxy.start(t, {
    external: {
      address,
      tls: { ...settings, keypair: { certificate: client.certificate, key: client.key } },
    },
  });
  const raw = await proxy.dial(t);
  raw.send(request);
  await raw.got("sluice");
  const without = await TestProxy.start(t, { external: { address, tls: settings } });
  const refused = await without.dial(t);
  refused.send(request);
  await refused.got("HTTP/1.1 502");
});

test("a body through TLS keeps its backpressure and its bytes", async (t) => {
  const size = 8_000_000;
  const listener = tls.createServer({ cert: server.certificate, key: server.key }, (socket: TLSSocket) => {
    socket.once("data", () => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
      socket.write(Buffer.alloc(size, "z"));
    });
    socket.on("error", () => {});
    t.after(() => socket.destroy());
  });
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  t.after(() => listener.close());
  const proxy = await TestProxy.start(t, {
    external: {
      address: `127.0.0.1:${(listener.address() as AddressInfo).port}`,
      tls: { trust: [server.certificate], certificateHost: "app.internal" },
    },
  });
  const response = await fetch(proxy.url);
  const bytes = Buffer.from(await response.arrayBuffer());
  assert.equal(bytes.length, size);
  assert.ok(bytes.every((byte) => byte === 122));
});

test("a second connection to an upstream resumes the session of the first", async (t) => {
  const resumed: boolean[] = [];
  const listener = tls.createServer({ cert: server.certificate, key: server.key }, (socket) => {
    resumed.push(socket.isSessionReused());
    socket.on("data", () =>
      socket.end("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"),
    );
    socket.on("error", () => {});
    t.after(() => socket.destroy());
  });
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  t.after(() => listener.close());
  const address = `127.0.0.1:${(listener.address() as AddressInfo).port}`;
  const proxy = await TestProxy.start(t, {
    external: { address, tls: { trust: [server.certificate], certificateHost: "app.internal" } },
  });
  for (let i = 0; i < 2; i++) assert.equal(await (await fetch(proxy.url)).text(), "ok");
  assert.deepEqual(resumed, [false, true]);
});
