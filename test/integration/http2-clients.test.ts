import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { promisify } from "node:util";
import { Authority } from "../support/authority.ts";
import { eventually, readMetrics, sumOf } from "../support/shard.ts";
import { startSluice } from "../support/sluice.ts";
import { TemporaryDirectory } from "../support/temporary.ts";

const run = promisify(execFile);
const authority = new Authority("Test CA");
const { certificate, key } = authority.issue(["site.test"]);

const files = {
  "cert.pem": certificate,
  "key.pem": key,
  "ca.pem": authority.certificate,
  "hello.js": `
export default {
  async fetch(request) {
    const { httpProtocol, tlsVersion } = request.cf;
    return Response.json({ url: request.url, method: request.method, httpProtocol, tlsVersion, size: (await request.arrayBuffer()).byteLength });
  },
};`,
};

const config = `
sockets:
  plain: { address: "127.0.0.1:0", service: hello }
  secure:
    address: 127.0.0.1:0
    service: hello
    tls: { certificates: [{ certificate: ./cert.pem, key: ./key.pem }] }
  old:
    address: 127.0.0.1:0
    service: hello
    http: { http2: { enabled: false } }
    tls: { certificates: [{ certificate: ./cert.pem, key: ./key.pem }] }
  forward: { address: "127.0.0.1:0", service: net, http: { style: proxy } }
services:
  hello: { worker: { main: ./hello.js, compatibilityDate: 2026-01-01 } }
  net: { network: { allow: [local] } }
shards: 2
`;

test("curl, nghttp and h2load speak HTTP/2 with two shards, with TLS and without it", async (t) => {
  const directory = new TemporaryDirectory(t);
  const admin = directory.at("admin.sock");
  const sluice = await startSluice(t, config, { files, args: ["--admin", `unix:${admin}`] });
  const port = async (socket: string): Promise<string> => new URL(await sluice.listening(socket)).port;
  const plain = `http://127.0.0.1:${await port("plain")}`;
  const secure = `https://site.test:${await port("secure")}`;
  const curl = async (...args: string[]): Promise<string> => {
    const reach = "site.test::127.0.0.1:";
    const known = [
      "-sS",
      "--cacert",
      `${sluice.directory.path}/ca.pem`,
      "--connect-to",
      reach,
      "-w",
      " %{http_version}",
    ];
    return (await run("curl", [...known, ...args])).stdout;
  };

  await t.test("by ALPN, which a socket can turn off", async () => {
    assert.equal(
      await curl("--http2", `${secure}/x?y`),
      `{"url":"${secure}/x?y","method":"GET","httpProtocol":"HTTP/2","tlsVersion":"TLSv1.3","size":0} 2`,
    );
    assert.match(await curl("--http1.1", secure), /"HTTP\/1\.1".* 1\.1$/);
    assert.match(await curl("--http2", `https://site.test:${await port("old")}`), /"HTTP\/1\.1".* 1\.1$/);
  });

  await t.test("with prior knowledge, with a body", async () => {
    const body = sluice.directory.at("body");
    sluice.directory.write("body", "x".repeat(1_000_000));
    const told = await curl("--http2-prior-knowledge", "-T", body, `${plain}/up`);
    assert.match(told, /"method":"PUT","httpProtocol":"HTTP\/2","size":1000000\} 2$/);
    // The upgrade from HTTP/1.1 is obsolete (RFC 9113 §3.1): it is not taken, and the request is answered.
    assert.match(await curl("--http2", plain), / 1\.1$/);
  });

  await t.test("as a forward proxy's clients", async () => {
    const { host } = new URL(plain);
    const proxy = await sluice.listening("forward");
    const through = `${new URL(proxy).protocol}//${new URL(proxy).host}`;
    assert.match(
      await curl("--http2-prior-knowledge", "--proxytunnel", "-x", through, `http://${host}/t`),
      / 2$/,
    );
    const { stdout } = await run("nghttp", ["-v", "-H", `:authority: ${host}`, `${through}/n`]);
    assert.match(stdout, /:status: 200/);
    assert.match(stdout, new RegExp(`"url":"http://${host}/n"`));
  });

  await t.test("under load, all of it answered, by both shards", async () => {
    for (const url of [`${plain}/`, `https://127.0.0.1:${new URL(secure).port}/`]) {
      const { stdout } = await run("h2load", ["-n", "2000", "-c", "16", "-m", "32", url]);
      assert.match(stdout, /2000 done, 2000 succeeded, 0 failed, 0 errored, 0 timeout/);
    }
    await eventually("nothing is in progress", async () => {
      const metrics = await readMetrics(admin);
      return (
        sumOf(metrics, "sluice_socket_active_exchanges") === 0 &&
        sumOf(metrics, "sluice_socket_connections", 'socket="secure"') === 0 &&
        sumOf(metrics, "sluice_socket_requests_total", 'class="2xx"') >= 4_000
      );
    });
  });

  const { code } = await sluice.stop();
  assert.equal(code, 0);
});
