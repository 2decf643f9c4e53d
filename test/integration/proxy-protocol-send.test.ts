import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import * as net from "node:net";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { promisify } from "node:util";
import { PreambleWriter } from "../../src/net/preamble-writer.ts";
import { PreambleReader } from "../../src/net/proxy-preamble.ts";
import { Authority } from "../support/authority.ts";
import { get, unused } from "../support/client.ts";
import { missing, startHaProxy, startNginx } from "../support/peer-program.ts";
import { eventually } from "../support/shard.ts";
import { runSluice, startSluice } from "../support/sluice.ts";
import { TemporaryDirectory } from "../support/temporary.ts";

const run = promisify(execFile);
const authority = new Authority("Test CA");
const own = authority.issue(["localhost", "db.example.com"]);
const files = { "ca.pem": authority.certificate, "own.pem": own.certificate, "own.key": own.key };

const client = {
  address: "203.0.113.9",
  port: 40_000,
  socket: "public",
  secure: false,
  httpVersion: "HTTP/1.1",
  localAddress: "192.0.2.1",
  localPort: 443,
};

test("what is written is what is read, in both versions and for both families", () => {
  for (const version of [1, 2] as const) {
    const writer = new PreambleWriter(version, []);
    for (const facts of [
      client,
      { ...client, address: "2001:db8::1", localAddress: "2001:db8::2" },
      { ...client, localAddress: "" },
    ]) {
      const reader = new PreambleReader();
      const bytes = writer.of(facts);
      assert.equal(reader.read(bytes), bytes.length);
      const { address, port, localPort } = facts;
      const localAddress = facts.localAddress === "" ? "0.0.0.0" : facts.localAddress;
      assert.deepEqual(reader.peer, { address, port, localAddress, localPort });
    }
    // One address of each family.
    const reader = new PreambleReader();
    const bytes = writer.of({ ...client, localAddress: "2001:db8::2" });
    assert.equal(reader.read(bytes), bytes.length);
    assert.equal(reader.peer?.address, "203.0.113.9");
    for (const nobody of [null, { ...client, address: "" }]) {
      const none = new PreambleReader();
      assert.ok(none.read(writer.of(nobody)) > 0);
      assert.equal(none.peer, null);
    }
  }
  const line = new PreambleWriter(1, []).of(client).toString();
  assert.equal(line, "PROXY TCP4 203.0.113.9 192.0.2.1 40000 443\r\n");
  const tls = { version: "TLSv1.3", cipher: "TLS_AES_128_GCM_SHA256", cf: "{}", clientCertificate: "" };
  const full = new PreambleWriter(2, ["authority", "ssl"]).of({ ...client, host: "db.example.com", tls });
  assert.ok(full.includes("db.example.com") && full.includes("TLSv1.3"));
  assert.equal(new PreambleReader().read(full), full.length);
});

/** One connection of a client at an address of its own; what it hears to the end. */
async function hear(t: TestContext, port: number, localAddress: string): Promise<string> {
  const socket = net.connect({ host: "127.0.0.1", port, localAddress });
  t.after(() => socket.destroy());
  let got = "";
  socket.on("data", (chunk) => {
    got += String(chunk);
  });
  socket.write("GET / HTTP/1.0\r\n\r\n");
  await once(socket, "end");
  return got;
}

const noHaProxy = missing("haproxy");

test(
  "HAProxy reads the preambles of byte streams and of HTTP, plain and before TLS",
  { skip: noHaProxy },
  async (t) => {
    const directory = new TemporaryDirectory(t);
    directory.write("both.pem", own.certificate + own.key);
    const plain = await unused();
    const secure = await unused();
    await startHaProxy(
      t,
      secure,
      `frontend plain
  mode http
  bind 127.0.0.1:${plain} accept-proxy
  http-request return status 200 content-type text/plain lf-string "%[src] %[dst_port] %[fc_pp_authority]."
frontend secure
  mode http
  bind 127.0.0.1:${secure} accept-proxy ssl crt ${directory.at("both.pem")}
  http-request return status 200 content-type text/plain lf-string "%[src] %[dst_port] %[ssl_fc_sni]."
`,
    );
    const sluice = await startSluice(
      t,
      `
sockets:
  one: { address: 127.0.0.1:0, service: one, tcp: {} }
  two: { address: 127.0.0.1:0, service: two, tcp: {} }
  three: { address: 127.0.0.1:0, service: three, tcp: {} }
  four: { address: 127.0.0.1:0, service: four }
  five: { address: 127.0.0.1:0, service: five }
services:
  one: { external: { address: "127.0.0.1:${plain}", tcp: {}, proxyProtocol: { version: 1 } } }
  two: { external: { address: "127.0.0.1:${plain}", tcp: {}, proxyProtocol: send } }
  three:
    external:
      { address: "127.0.0.1:${secure}", tcp: {}, proxyProtocol: send, tls: { trust: [./ca.pem], certificateHost: db.example.com } }
  four: { external: { address: "127.0.0.1:${plain}", proxyProtocol: { facts: [authority, ssl] } } }
  five:
    external: { address: "127.0.0.1:${secure}", proxyProtocol: { version: 1 }, tls: { trust: [./ca.pem], certificateHost: localhost } }
`,
      { files },
    );
    for (const name of ["one", "two", "three", "four", "five"]) {
      const port = Number(new URL(await sluice.listening(name)).port);
      const said = await hear(t, port, "127.0.0.7");
      assert.match(said, new RegExp(`127\\.0\\.0\\.7 ${port} `), `${name}: ${said}`);
    }
    const url = await sluice.listening("four");
    // Two requests over one connection of the client, and then another client: each is told as itself.
    const { stdout } = await run("curl", ["-sS", "--interface", "127.0.0.8", url, url]);
    assert.equal(stdout.split("127.0.0.8").length, 3);
    assert.match(stdout, / 127\.0\.0\.1\./);
    const other = await run("curl", ["-sS", "--interface", "127.0.0.9", url]);
    assert.match(other.stdout, /^127\.0\.0\.9 /);
  },
);

test("nginx reads them", { skip: missing("nginx") }, async (t) => {
  const port = await unused();
  await startNginx(
    t,
    port,
    `server { listen 127.0.0.1:${port} proxy_protocol; location / { return 200 "$proxy_protocol_addr $proxy_protocol_server_port"; } }`,
  );
  const sluice = await startSluice(
    t,
    `
sockets:
  one: { address: 127.0.0.1:0, service: one }
  two: { address: 127.0.0.1:0, service: two }
services:
  one: { external: { address: "127.0.0.1:${port}", proxyProtocol: { version: 1 } } }
  two: { external: { address: "127.0.0.1:${port}", proxyProtocol: send } }
`,
  );
  for (const name of ["one", "two"]) {
    const url = await sluice.listening(name);
    const { body } = await get(url, { localAddress: "127.0.0.7" });
    assert.equal(body, `127.0.0.7 ${new URL(url).port}`);
  }
});

test("a client's address goes through two proxies, and no connection is used for a second request", async (t) => {
  const sluice = await startSluice(
    t,
    `
sockets:
  front: { address: 127.0.0.1:0, service: back }
  back: { address: "unix:./back.sock", service: say, proxyProtocol: { from: [unix] } }
services:
  back: { external: { address: "unix:./back.sock", proxyProtocol: send } }
  say: { worker: { main: ./say.js, compatibilityDate: 2026-01-01 } }
admin: { address: "unix:./admin.sock" }
`,
    { files: { "say.js": "export default { fetch(request) { return Response.json(request.cf); } };" } },
  );
  for (const from of ["127.0.0.7", "127.0.0.8", "127.0.0.8"]) {
    const { status } = await get(sluice.url, { localAddress: from });
    assert.equal(status, 200);
  }
  await eventually("the access lines", () => sluice.stdout.split('"socket":"back"').length === 4);
  const lines = sluice.stdout
    .split("\n")
    .filter((line) => line.includes('"socket":"back"'))
    .map((line) => (JSON.parse(line) as { client: string }).client);
  assert.deepEqual(lines, ["127.0.0.7", "127.0.0.8", "127.0.0.8"]);
  const metrics = await get("http://localhost/metrics", {
    socketPath: join(sluice.directory.path, "admin.sock"),
  });
  assert.match(metrics.body, /sluice_upstream_connections\{service="back",state="open"\} 0/);
});

test("a server that refuses, or speaks no TLS after the preamble, fails as without one", async (t) => {
  const refused = await unused();
  const server = net.createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", () => socket.end("no TLS here"));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  const { port } = server.address() as net.AddressInfo;
  const sluice = await startSluice(
    t,
    `
sockets:
  one: { address: 127.0.0.1:0, service: one }
  two: { address: 127.0.0.1:0, service: two }
services:
  one: { external: { address: "127.0.0.1:${refused}", proxyProtocol: send, tls: { certificateHost: x } } }
  two: { external: { address: "127.0.0.1:${port}", proxyProtocol: send, tls: { certificateHost: x } } }
`,
  );
  assert.equal((await get(await sluice.listening("one"))).status, 502);
  assert.equal((await get(await sluice.listening("two"))).status, 502);
  await sluice.sees(/upstream_unreachable/);
  await sluice.sees(/upstream_tls_failed/);
});

test("connections that tell a client are neither warm nor HTTP/2", async (t) => {
  const directory = new TemporaryDirectory(t);
  directory.write(
    "proxy.yaml",
    `sockets: {}
services:
  a: { external: { address: "127.0.0.1:1", proxyProtocol: send, warm: 2 } }
  b: { external: { address: "127.0.0.1:1", proxyProtocol: { version: 3 } } }
  c: { external: { address: "127.0.0.1:1", proxyProtocol: { facts: [all] } } }
`,
  );
  const { code, stderr } = await runSluice(t, ["check", "proxy.yaml"], { cwd: directory.path });
  assert.equal(code, 1);
  assert.match(stderr, /proxy\.yaml:3:\d+: error: cannot keep connections of external "a" warm/);
  assert.match(stderr, /proxy\.yaml:4:\d+: error: .*expected send, or version \(1 or 2\)/);
  assert.match(stderr, /proxy\.yaml:5:/);
});
