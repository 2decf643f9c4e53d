import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { Agent, request } from "node:https";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { connect } from "node:tls";
import { AcmeServer } from "../support/acme-server.ts";
import { get, unused } from "../support/client.ts";
import { eventually, readMetrics, shardsOf } from "../support/shard.ts";
import { type RunningSluice, runSluice, startSluice } from "../support/sluice.ts";
import { TemporaryDirectory } from "../support/temporary.ts";

const files = { "hello.js": `addEventListener("fetch", (e) => e.respondWith(new Response("hello")));` };

/** A server, the ports where it looks for us, and where things are kept. */
class Scene {
  readonly server: AcmeServer;
  readonly home: TemporaryDirectory;
  readonly admin: string;

  private constructor(test: TestContext, server: AcmeServer) {
    this.server = server;
    this.home = new TemporaryDirectory(test);
    this.admin = this.home.at("admin.sock");
  }

  static async open(test: TestContext): Promise<Scene> {
    const server = await AcmeServer.start(test);
    server.httpPort = await unused();
    server.tlsPort = await unused();
    return new Scene(test, server);
  }

  config(acme = "", more = ""): string {
    const { server } = this;
    return `
admin: { address: "unix:${this.admin}" }
sockets:
  public:
    address: "127.0.0.1:${server.tlsPort}"
    service: hello
    tls:
      acme:
        domains: [shop.test]
        directory: ${server.directory}
        trust: [${server.trust}]
        storage: ${this.home.at("acme")}
        ${acme}
  plain: { address: "127.0.0.1:${server.httpPort}", service: guarded }
services:
  hello: { worker: { script: ./hello.js, compatibilityDate: 2026-01-01 } }
  guarded: { router: [{ respond: { status: 403, body: "no" } }] }
${more}
`;
  }

  start(test: TestContext, acme = "", more = ""): Promise<RunningSluice> {
    return startSluice(test, this.config(acme, more), { files });
  }

  /** The certificate that a client is shown now. */
  async shown(): Promise<X509Certificate> {
    const { tlsPort: port } = this.server;
    const socket = connect({ host: "127.0.0.1", port, servername: "shop.test", rejectUnauthorized: false });
    await once(socket, "secureConnect");
    const certificate = socket.getPeerX509Certificate();
    socket.destroy();
    assert.ok(certificate);
    return certificate;
  }

  isOfAuthority(certificate: X509Certificate): boolean {
    return certificate.checkIssued(new X509Certificate(readFileSync(this.server.ca.path)));
  }

  /** Waits until a client is shown a certificate of the authority. */
  async issued(): Promise<X509Certificate> {
    await eventually("a certificate is shown", async () => this.isOfAuthority(await this.shown()), 30_000);
    return this.shown();
  }

  locks(): string[] {
    const storage = this.home.at("acme");
    if (!existsSync(storage)) return [];
    return readdirSync(storage, { recursive: true })
      .map(String)
      .filter((name) => name.endsWith(".lock"));
  }
}

test("the socket listens at once with a placeholder, while the authority is away, and shows a certificate once it is back", async (t) => {
  const scene = await Scene.open(t);
  await scene.server.stop();
  const sluice = await scene.start(t);
  await sluice.sees(/acme\.order_failed.*cannot reach the authority/);
  const placeholder = await scene.shown();
  assert.equal(scene.isOfAuthority(placeholder), false);
  assert.equal(placeholder.subjectAltName, "DNS:shop.test");
  const key = 'sluice_certificate_expiry_seconds{socket="public",name="shop.test"}';
  assert.equal((await readMetrics(scene.admin)).get(key), 0);

  await scene.server.listen();
  const certificate = await scene.issued();
  const metrics = await readMetrics(scene.admin);
  assert.equal(metrics.get(key), certificate.validToDate.getTime() / 1000);
  assert.equal(metrics.get('sluice_acme_orders_total{certificate="shop.test",result="ok"}'), 1);
});

test("a restart shows what is on disk and orders nothing", async (t) => {
  const scene = await Scene.open(t);
  const first = await scene.start(t);
  const { fingerprint256 } = await scene.issued();
  assert.equal((await first.stop()).code, 0);
  await scene.server.stop();
  const second = await scene.start(t);
  assert.equal((await scene.shown()).fingerprint256, fingerprint256);
  await second.stop();
  assert.equal(scene.server.orders, 1);
  assert.equal(/acme\./.test(second.stderr), false, second.stderr);
});

test("challenges are answered before the service, by every shard, and only while they are open", async (t) => {
  const scene = await Scene.open(t);
  // The last word of the order does not come, so that its challenge stays open.
  scene.server.faults.push({ at: "challenge", does: "hang" });
  const sluice = await scene.start(t, "challenges: [http-01]", "shards: 3");
  await eventually("the challenge is there", () => scene.server.count("challenge") > 0);
  const at = `http://127.0.0.1:${scene.server.httpPort}/.well-known/acme-challenge`;
  const token = scene.server.lastToken;
  for (let i = 0; i < 12; i++) {
    const answer = await get(`${at}/${token}`, { headers: { host: "shop.test" } });
    assert.equal(answer.status, 200);
    assert.ok(answer.body.startsWith(`${token}.`));
  }
  assert.equal(shardsOf(sluice).length, 3);
  for (const path of [`${at}/other`, `${at}/`, `${at}/${token}/`, `${at}/constructor`]) {
    assert.equal((await get(path)).status, 403, path);
  }
  assert.equal((await get(`${at}/${token}`, { method: "POST" })).status, 403);

  // A shard that takes the place of another answers too.
  const [victim = 0] = shardsOf(sluice);
  process.kill(victim, "SIGKILL");
  await eventually(
    "another shard is there",
    () => shardsOf(sluice).length === 3 && !shardsOf(sluice).includes(victim),
  );
  for (let i = 0; i < 12; i++) assert.equal((await get(`${at}/${token}`)).status, 200);

  // SIGTERM ends the order at once, and leaves no lock.
  assert.equal(scene.locks().length, 1);
  const { code, stderr } = await sluice.stop();
  assert.equal(code, 0, stderr);
  assert.deepEqual(scene.locks(), []);
});

test("tls-alpn-01 is answered in a handshake of its own, and nothing else is said in it", async (t) => {
  const scene = await Scene.open(t);
  scene.server.faults.push({ at: "challenge", does: "hang" });
  await scene.start(t, "challenges: [tls-alpn-01]");
  await eventually("the challenge is there", () => scene.server.count("challenge") > 0);
  const at = ["s_client", "-connect", `127.0.0.1:${scene.server.tlsPort}`, "-showcerts"];
  const ask = (...more: string[]): string => {
    const { stdout, stderr } = spawnSync("openssl", [...at, ...more], {
      input: "GET / HTTP/1.0\r\n\r\n",
      encoding: "utf8",
    });
    return stdout + stderr;
  };
  for (const version of ["-tls1_2", "-tls1_3"]) {
    const said = ask("-servername", "shop.test", "-alpn", "acme-tls/1", version);
    assert.match(said, /ALPN protocol: acme-tls\/1/);
    assert.equal(said.includes("HTTP/1"), false);
    const pem = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/.exec(said)?.[0] ?? "";
    const text = spawnSync("openssl", ["x509", "-noout", "-text"], { input: pem, encoding: "utf8" }).stdout;
    assert.match(text, /1\.3\.6\.1\.5\.5\.7\.1\.31: critical/);
    assert.match(text, /Subject Alternative Name:\s+DNS:shop\.test\n/);
  }
  // Other clients, and other names, see nothing of it.
  assert.match(
    ask("-servername", "shop.test", "-alpn", "http/1.1", "-ign_eof"),
    /ALPN protocol: http\/1\.1[\s\S]*HTTP\/1\.[01] 200/,
  );
  assert.match(
    ask("-servername", "other.test", "-alpn", "acme-tls/1"),
    /alert no application protocol|no_application_protocol/,
  );
});

test("a certificate is renewed under traffic without a broken connection or a failed request", async (t) => {
  const scene = await Scene.open(t);
  scene.server.lifetime = 9;
  const sluice = await scene.start(t, "challenges: [tls-alpn-01]", "shards: 2");
  const { fingerprint256 } = await scene.issued();
  const kept = new Agent({ keepAlive: true, maxSockets: 4 });
  t.after(() => kept.destroy());
  const ask = (agent: Agent | false): Promise<number> =>
    new Promise((resolve, reject) => {
      const { tlsPort: port } = scene.server;
      const sent = request(
        { host: "127.0.0.1", port, servername: "shop.test", rejectUnauthorized: false, agent },
        (response) => {
          response.resume();
          response.on("end", () => resolve(response.statusCode ?? 0));
        },
      );
      sent.on("error", reject);
      sent.end();
    });
  const statuses = new Map<number, number>();
  let renewals = 0;
  let last = fingerprint256;
  while (renewals < 2) {
    for (const status of await Promise.all([ask(kept), ask(kept), ask(kept), ask(false)])) {
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
    const now = await scene.shown();
    assert.ok(scene.isOfAuthority(now));
    assert.ok(now.validToDate.getTime() > Date.now(), "it has not expired");
    if (now.fingerprint256 !== last) renewals++;
    last = now.fingerprint256;
  }
  assert.deepEqual([...statuses.keys()], [200]);
  assert.equal(sluice.stderr.includes("order_failed"), false, sluice.stderr);
});

test("a reload lets an order go on, and one that does not want it any more ends it", async (t) => {
  const scene = await Scene.open(t);
  scene.server.processing = 3;
  const sluice = await scene.start(t);
  await eventually("the order is there", () => scene.server.orders === 1);
  sluice.signal("SIGHUP");
  await sluice.sees(/reload\.done/);
  await scene.issued();
  assert.equal(scene.server.orders, 1);

  scene.server.faults.push({ at: "newOrder", does: "hang" });
  const before = scene.server.count("newOrder");
  sluice.directory.write("proxy.yaml", scene.config().replace("[shop.test]", "[shop.test, www.shop.test]"));
  sluice.signal("SIGHUP");
  await eventually("the other order is there", () => scene.server.count("newOrder") > before);
  assert.equal(scene.locks().length, 1);
  let from = sluice.stderr.length;
  sluice.directory.write("proxy.yaml", scene.config());
  sluice.signal("SIGHUP");
  await sluice.sees(/reload\.done/, from);
  await eventually("the lock is given back", () => scene.locks().length === 0);
  assert.ok(scene.isOfAuthority(await scene.shown()));
  from = sluice.stderr.length;
  assert.equal((await sluice.stop()).code, 0);
  assert.equal(sluice.stderr.slice(from).includes("order_failed"), false);
});

test("certificates from files are shown beside the issued one, and their ends are told as well", async (t) => {
  const scene = await Scene.open(t);
  const { Authority } = await import("../support/authority.ts");
  const own = new Authority("Own").issue(["files.test"]);
  const [certificate, key] = [
    scene.home.write("own.pem", own.certificate),
    scene.home.write("own.key", own.key),
  ];
  const config = scene
    .config()
    .replace(
      "      acme:",
      `      certificates: [{ certificate: ${certificate}, key: ${key} }]\n      acme:`,
    );
  await startSluice(t, config, { files });
  await scene.issued();
  const metrics = await readMetrics(scene.admin);
  const name = (text: string) => `sluice_certificate_expiry_seconds{socket="public",name="${text}"}`;
  assert.equal(
    metrics.get(name("files.test")),
    new X509Certificate(own.certificate).validToDate.getTime() / 1000,
  );
  assert.ok((metrics.get(name("shop.test")) ?? 0) > Date.now() / 1000);
  const { tlsPort: port } = scene.server;
  const socket = connect({ host: "127.0.0.1", port, servername: "files.test", rejectUnauthorized: false });
  await once(socket, "secureConnect");
  assert.equal(socket.getPeerX509Certificate()?.subjectAltName, "DNS:files.test");
  socket.destroy();
});

test("a storage that cannot be used keeps the proxy from starting, and says so", async (t) => {
  const scene = await Scene.open(t);
  scene.home.write("acme", "a file");
  const directory = new TemporaryDirectory(t);
  directory.write("hello.js", files["hello.js"]);
  const path = directory.write("proxy.yaml", scene.config());
  const { code, stderr } = await runSluice(t, ["serve", path]);
  assert.equal(code, 1);
  assert.match(stderr, /cannot use ACME storage ".*acme": /);
});

test("sluice check asks no authority, and tells what is wrong with its place", async (t) => {
  const scene = await Scene.open(t);
  const directory = new TemporaryDirectory(t);
  directory.write("hello.js", files["hello.js"]);
  const check = (from: string, to: string) =>
    runSluice(t, [
      "check",
      directory.write("proxy.yaml", scene.config("challenges: [http-01]").replace(from, to)),
    ]);
  assert.equal((await check("", "")).code, 0);
  for (const [from, to, text] of [
    [
      "[shop.test]",
      '["*.shop.test"]',
      /:9:\d+: error: .*certificates for wildcards need the challenge dns-01/,
    ],
    ["[shop.test]", "[127.0.0.1]", /:9:\d+: error: .*expected the name of a host/],
    ["[shop.test]", "[]", /:9:\d+: error: .*expected at least one name/],
    ["https://", "http://", /:10:\d+: error: .*expected a URL that begins with https/],
    ["[http-01]", "[dns-01]", /:13:\d+: error: /],
    [
      / {2}plain:.*\n/.exec(scene.config())?.[0] ?? "",
      "",
      /:13:\d+: error: cannot use http-01: no socket answers HTTP without TLS/,
    ],
  ] as const) {
    const { code, stderr } = await check(from, to);
    assert.equal(code, 1, to);
    assert.match(stderr, text);
  }
  assert.equal(scene.server.seen.length, 0);
  assert.equal(existsSync(join(scene.home.path, "acme")), false);
});

test("sockets of byte streams get certificates too, and sockets with the same names share one", async (t) => {
  const scene = await Scene.open(t);
  const { server } = scene;
  const inner = await unused();
  const acme = `tls: { acme: { domains: [shop.test], directory: "${server.directory}", trust: [${server.trust}], storage: ${scene.home.at("acme")} } }`;
  const config = `
sockets:
  bytes: { address: "127.0.0.1:${server.tlsPort}", service: relay, tcp: {}, ${acme} }
  public: { address: "127.0.0.1:0", service: hello, ${acme} }
  inner: { address: "127.0.0.1:${inner}", service: hello, http: { style: proxy } }
services:
  relay: { external: { address: "127.0.0.1:${inner}", tcp: {} } }
  hello: { router: [{ respond: { status: 200, body: "hello {host}" } }] }
`;
  const sluice = await startSluice(t, config, { files });
  await sluice.sees(/acme\.certificate_issued/);
  assert.match(sluice.stderr, /"challenge":"tls-alpn-01"/, "no socket answers http-01");
  assert.equal(server.orders, 1);
  const publicPort = new URL(await sluice.listening("public")).port;
  for (const port of [server.tlsPort, publicPort]) {
    const args = [
      "s_client",
      "-connect",
      `127.0.0.1:${port}`,
      "-servername",
      "shop.test",
      "-CAfile",
      server.ca.path,
    ];
    const { stdout } = spawnSync("openssl", [...args, "-verify_hostname", "shop.test"], {
      input: "",
      encoding: "utf8",
    });
    assert.match(stdout, /Verify return code: 0/);
  }
});
