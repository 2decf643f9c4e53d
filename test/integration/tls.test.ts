import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { renameSync, writeFileSync } from "node:fs";
import * as net from "node:net";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import tls from "node:tls";
import { Authority } from "../support/authority.ts";
import { eventually } from "../support/shard.ts";
import { type RunningSluice, runSluice, startSluice } from "../support/sluice.ts";
import { TemporaryDirectory } from "../support/temporary.ts";

const authority = new Authority("Test CA");
const clients = new Authority("Clients CA");
const first = authority.issue(["one.test", "localhost"]);
const exact = authority.issue(["a.two.test"]);
const wild = authority.issue(["*.two.test"]);

const files = {
  "one.pem": first.certificate,
  "one.key": first.key,
  "exact.pem": exact.certificate,
  "exact.key": exact.key,
  "wild.pem": wild.certificate,
  "wild.key": wild.key,
  "ca.pem": authority.certificate,
  "clients.pem": clients.certificate,
  "hello.js": `addEventListener("fetch", (e) => e.respondWith(Response.json({ url: e.request.url, cf: e.request.cf })));`,
};

function config(settings = "", more = ""): string {
  return `
sockets:
  public:
    address: 127.0.0.1:0
    service: hello
    tls:
      certificates:
        - { certificate: ./one.pem, key: ./one.key }
        - { certificate: ./wild.pem, key: ./wild.key }
        - { certificate: ./exact.pem, key: ./exact.key }
${settings}
services:
  hello: { worker: { script: ./hello.js, compatibilityDate: 2026-01-01 } }
${more}`;
}

function portOf(sluice: RunningSluice): number {
  return Number(new URL(sluice.url).port);
}

interface Shake {
  /** Of the certificate that was shown. */
  readonly fingerprint: string;
  readonly socket: tls.TLSSocket;
  readonly names: string;
}

/** Shakes hands; resolves once that is done, rejects when it fails. */
async function shake(t: TestContext, port: number, options: tls.ConnectionOptions = {}): Promise<Shake> {
  const socket = tls.connect({ host: "127.0.0.1", port, ca: authority.certificate, ...options });
  t.after(() => socket.destroy());
  await once(socket, "secureConnect");
  socket.on("error", () => {});
  // Node.js 24 gives the certificate once only.
  const certificate = socket.getPeerX509Certificate();
  return { socket, names: certificate?.subjectAltName ?? "", fingerprint: certificate?.fingerprint256 ?? "" };
}

/** One request over a connection that stands; the JSON of its answer. */
async function ask(socket: tls.TLSSocket): Promise<{ url: string; cf: Record<string, unknown> }> {
  socket.write("GET /x HTTP/1.1\r\nHost: site\r\n\r\n");
  let text = "";
  while (!text.includes("\r\n\r\n{") || !text.endsWith("}")) {
    const [chunk] = (await once(socket, "data")) as [Buffer];
    text += chunk.toString("latin1");
  }
  return JSON.parse(text.slice(text.indexOf("\r\n\r\n") + 4)) as { url: string; cf: Record<string, unknown> };
}

/** Runs a program; what it wrote, whatever its exit code. */
function run(program: string, args: readonly string[], input = ""): Promise<string> {
  return new Promise((resolve) => {
    const child = execFile(program, args, { timeout: 10_000 }, (_error, stdout, stderr) =>
      resolve(stdout + stderr),
    );
    child.stdin?.on("error", () => {});
    child.stdin?.end(input);
  });
}

test("a socket speaks TLS, and a Worker sees https and what was agreed on", async (t) => {
  const sluice = await startSluice(t, config(), { files });
  assert.match(sluice.url, /^https:/);
  const { socket } = await shake(t, portOf(sluice), { servername: "one.test", ALPNProtocols: ["http/1.1"] });
  assert.equal(socket.alpnProtocol, "http/1.1");
  const { url, cf } = await ask(socket);
  assert.equal(url, "https://site/x");
  assert.equal(cf.secure, true);
  assert.equal(cf.tlsVersion, "TLSv1.3");
  assert.equal(cf.tlsCipher, socket.getCipher().name);
  assert.equal("tlsClientAuth" in cf, false);
  // A second request on the same connection.
  assert.equal((await ask(socket)).url, "https://site/x");
});

test("curl and openssl take the certificate of the name that they ask for", async (t) => {
  const sluice = await startSluice(t, config(), { files });
  const port = portOf(sluice);
  const ca = join(sluice.directory.path, "ca.pem");
  for (const host of ["one.test", "a.two.test", "b.two.test"]) {
    const to = ["--resolve", `${host}:${port}:127.0.0.1`];
    const said = await run("curl", ["-sS", "--cacert", ca, ...to, `https://${host}:${port}/`]);
    assert.match(said, /"tlsVersion":"TLSv1\.3"/, said);
  }
  const at = ["s_client", "-connect", `127.0.0.1:${port}`, "-CAfile", ca];
  assert.match(await run("openssl", [...at, "-servername", "one.test"]), /Verify return code: 0/);
  assert.match(await run("openssl", [...at, "-tls1_2", "-servername", "one.test"]), /Protocol *: TLSv1\.2/);
  assert.match(await run("openssl", [...at, "-tls1_1"]), /alert|no protocols/);
  assert.match(await run("openssl", [...at, "-alpn", "h3"]), /no application protocol|alert number 120/);
});

test("an exact name is chosen before a wildcard, and the first certificate where no name fits", async (t) => {
  const sluice = await startSluice(t, config(), { files });
  const port = portOf(sluice);
  const unchecked = { checkServerIdentity: () => undefined };
  for (const [servername, names] of [
    ["a.two.test", "DNS:a.two.test"],
    ["A.TWO.test", "DNS:a.two.test"],
    ["b.two.test", "DNS:*.two.test"],
    ["c.b.two.test", "DNS:one.test, DNS:localhost"],
    ["two.test", "DNS:one.test, DNS:localhost"],
    ["", "DNS:one.test, DNS:localhost"],
  ] as const) {
    assert.equal((await shake(t, port, { servername, ...unchecked })).names, names, servername);
  }
});

test("minVersion and ciphers hold for every certificate", async (t) => {
  const sluice = await startSluice(t, config("      minVersion: TLSv1.3"), { files });
  for (const servername of ["one.test", "b.two.test"]) {
    await assert.rejects(
      shake(t, portOf(sluice), { servername, maxVersion: "TLSv1.2" }),
      /protocol version|alert/i,
    );
    await shake(t, portOf(sluice), { servername });
  }
});

test("a session that one shard began is resumed by another, in TLS 1.2 and 1.3", async (t) => {
  const sluice = await startSluice(t, config("", "shards: 2\nadmin: { address: 127.0.0.1:0 }"), { files });
  for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
    for (const servername of ["one.test", "b.two.test"]) {
      const options = { servername, maxVersion };
      const { socket } = await shake(t, portOf(sluice), options);
      const session =
        maxVersion === "TLSv1.2" ? socket.getSession() : ((await once(socket, "session")) as [Buffer])[0];
      // The kernel spreads connections over the shards; so many do not all come to the same one.
      for (let i = 0; i < 12; i++) {
        const again = await shake(t, portOf(sluice), { ...options, session: session as Buffer });
        assert.equal(again.socket.isSessionReused(), true, `${maxVersion} ${servername}`);
        assert.equal((await ask(again.socket)).cf.tlsVersion, maxVersion);
      }
    }
  }
});

test("a required client certificate is verified, and the Worker sees whose it is", async (t) => {
  const sluice = await startSluice(t, config("      clientCertificates: { trust: [./clients.pem] }"), {
    files,
    env: { SLUICE_LOG_LEVEL: "debug" },
  });
  const port = portOf(sluice);
  const client = clients.issue(["alice"]);
  const { socket } = await shake(t, port, {
    servername: "b.two.test",
    cert: client.certificate,
    key: client.key,
  });
  const auth = (await ask(socket)).cf.tlsClientAuth as Record<string, string>;
  assert.equal(auth.certPresented, "1");
  assert.equal(auth.certVerified, "SUCCESS");
  assert.equal(auth.certSubjectDN, "CN=alice");
  assert.equal(auth.certIssuerDN, "CN=Clients CA");
  assert.match(auth.certFingerprintSHA256 ?? "", /^[0-9a-f]{64}$/);
  assert.match(auth.certNotAfter ?? "", /GMT$/);
  for (const other of [undefined, authority.issue(["mallory"])]) {
    const refused = tls.connect({
      host: "127.0.0.1",
      port,
      ca: authority.certificate,
      servername: "one.test",
      ...(other === undefined ? {} : { cert: other.certificate, key: other.key }),
    });
    t.after(() => refused.destroy());
    refused.on("secureConnect", () => refused.write("GET / HTTP/1.1\r\nHost: site\r\n\r\n"));
    refused.on("data", () => assert.fail("it was answered"));
    refused.on("error", () => {});
    await new Promise((resolve) => refused.on("close", resolve));
  }
  await sluice.sees(/tls\.handshake_failed.*"reason":"certificate"/);
});

test("an optional client certificate lets everyone in, and says what was shown", async (t) => {
  const settings = "      clientCertificates: { trust: [./clients.pem], required: false }";
  const sluice = await startSluice(t, config(settings), { files });
  const port = portOf(sluice);
  const none = await shake(t, port, { servername: "one.test" });
  const { certPresented, certVerified } = (await ask(none.socket)).cf.tlsClientAuth as Record<string, string>;
  assert.deepEqual([certPresented, certVerified], ["0", "NONE"]);
  const mallory = authority.issue(["mallory"]);
  const foreign = await shake(t, port, {
    servername: "one.test",
    cert: mallory.certificate,
    key: mallory.key,
  });
  const auth = (await ask(foreign.socket)).cf.tlsClientAuth as Record<string, string>;
  assert.match(auth.certVerified ?? "", /^FAILED:/);
  assert.equal(auth.certSubjectDN, "CN=mallory");
});

test("what is no TLS is closed and counted, and hurts nobody", async (t) => {
  const settings = "      handshakeTimeout: 300ms";
  const sluice = await startSluice(t, config(settings, 'admin: { address: "127.0.0.1:0" }'), {
    files,
    env: { SLUICE_LOG_LEVEL: "debug" },
  });
  const port = portOf(sluice);
  const { socket } = await shake(t, port, { servername: "one.test" });
  for (const bytes of [
    "GET / HTTP/1.1\r\n\r\n",
    "\x16\x03\x01\x02\x00\x01\x00",
    "",
    "\x16\x03\x01\xff\xff\xff",
  ]) {
    const raw = net.connect({ host: "127.0.0.1", port });
    t.after(() => raw.destroy());
    raw.on("error", () => {});
    raw.write(bytes, "latin1");
    raw.resume();
    await once(raw, "close");
  }
  for (let i = 0; i < 20; i++)
    net
      .connect({ host: "127.0.0.1", port })
      .on("error", () => {})
      .destroy();
  assert.equal((await ask(socket)).url, "https://site/x");
  await sluice.sees(/tls\.handshake_failed/);
});

test("a certificate that changes is shown without a connection lost", async (t) => {
  const sluice = await startSluice(t, config("", "shards: 2"), { files });
  const port = portOf(sluice);
  const { socket, fingerprint: before } = await shake(t, port, { servername: "one.test" });
  const renewed = authority.issue(["one.test", "localhost"]);
  const put = (name: string, text: string): void => {
    const path = join(sluice.directory.path, name);
    writeFileSync(`${path}.new`, text);
    renameSync(`${path}.new`, path);
  };
  let errors = 0;
  let requests = 0;
  let stop = false;
  const load = (async () => {
    while (!stop) {
      try {
        const each = await shake(t, port, { servername: "one.test" });
        await ask(each.socket);
        requests++;
        each.socket.destroy();
      } catch {
        errors++;
      }
    }
  })();
  put("one.pem", renewed.certificate);
  put("one.key", renewed.key);
  await sluice.sees(/tls\.certificates_changed/);
  stop = true;
  await load;
  assert.equal(errors, 0);
  assert.ok(requests > 0);
  let seen = new Set<string>();
  await eventually("all shards show it", async () => {
    seen = new Set();
    for (let i = 0; i < 8; i++) {
      const each = await shake(t, port, { servername: "one.test" });
      seen.add(each.fingerprint);
    }
    return seen.size === 1 && !seen.has(before);
  });
  // The old connection goes on, and so does the proxy when the next files do not go together.
  assert.equal((await ask(socket)).url, "https://site/x");
  put("one.key", first.key);
  await sluice.sees(/it belongs to another certificate; the certificates before stay/);
  assert.equal(seen.has((await shake(t, port, { servername: "one.test" })).fingerprint), true);
});

test("a stapled OCSP response reaches clients that ask for it", async (t) => {
  const response = Buffer.from([0x30, 0x03, 0x0a, 0x01, 0x06]);
  const text = config().replace("key: ./one.key }", "key: ./one.key, ocsp: ./one.ocsp }");
  const sluice = await startSluice(t, text, { files: { ...files, "one.ocsp": response.toString("latin1") } });
  const socket = tls.connect({
    host: "127.0.0.1",
    port: portOf(sluice),
    ca: authority.certificate,
    servername: "one.test",
    requestOCSP: true,
  });
  t.after(() => socket.destroy());
  const [got] = (await once(socket, "OCSPResponse")) as [Buffer];
  assert.deepEqual(got, response);
});

test("bad TLS settings are config errors, each with its place", async (t) => {
  const text = `
sockets:
  a: { address: "127.0.0.1:0", service: x, tls: { certificates: [{ certificate: ./one.pem, key: ./exact.key }] } }
  b: { address: "127.0.0.1:0", service: x, tls: {} }
  c: { address: "127.0.0.1:0", service: x, tls: { certificates: [{ certificate: ./none.pem, key: ./ca.pem }] } }
  d: { address: "127.0.0.1:0", service: x, tls: { certificates: [{ certificate: ./one.pem, key: ./one.key, ocsp: ./one.pem }], ciphers: nonsense, minVersion: SSLv3 } }
services:
  x: { external: { address: "127.0.0.1:1" } }
`;
  const directory = new TemporaryDirectory(t);
  for (const [name, content] of Object.entries(files)) directory.write(name, content);
  directory.write("proxy.yaml", text);
  const { code, stderr } = await runSluice(t, ["check", "proxy.yaml"], { cwd: directory.path });
  assert.equal(code, 1);
  assert.match(
    stderr,
    /proxy\.yaml:3:\d+: error: cannot use key "\.\/exact\.key": it belongs to another certificate/,
  );
  assert.match(stderr, /proxy\.yaml:4:\d+: error: .*expected certificates/);
  assert.match(stderr, /proxy\.yaml:5:\d+: error: cannot read "\.\/none\.pem": there is no such file/);
  assert.match(stderr, /proxy\.yaml:5:\d+: error: cannot use key "\.\/ca\.pem": the file holds none in PEM/);
  assert.match(stderr, /proxy\.yaml:6:\d+: error: cannot use OCSP response/);
  assert.match(stderr, /proxy\.yaml:6:\d+: error: cannot use ciphers "nonsense"/);
  assert.match(stderr, /proxy\.yaml:6:\d+: error: .*TLSv1\.2/);
});

test("a server gets the verified certificate of the client, and never one that a client wrote", async (t) => {
  const origin = net.createServer((socket) => {
    t.after(() => socket.destroy());
    socket.on("error", () => {});
    socket.on("data", (bytes) => {
      const body = JSON.stringify(/^client-cert: (.*)\r$/im.exec(bytes.toString("latin1"))?.[1] ?? null);
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    });
  });
  origin.listen(0, "127.0.0.1");
  await once(origin, "listening");
  t.after(() => origin.close());
  const { port: originPort } = origin.address() as net.AddressInfo;
  const settings = "      clientCertificates: { trust: [./clients.pem], required: false }";
  const text = config(settings).replace(
    /services:[\s\S]*$/,
    `services: { hello: { external: { address: "127.0.0.1:${originPort}", http: { clientCertificateHeader: client-cert } } } }`,
  );
  const sluice = await startSluice(t, text, { files });
  const alice = clients.issue(["alice"]);
  const mallory = authority.issue(["mallory"]);
  const der = Buffer.from(alice.certificate.replace(/-----[^-]+-----|\s/g, ""), "base64");
  for (const [shown, expected] of [
    [alice, `:${der.toString("base64")}:`],
    [mallory, null],
    [null, null],
  ] as const) {
    const { socket } = await shake(t, portOf(sluice), {
      servername: "one.test",
      ...(shown === null ? {} : { cert: shown.certificate, key: shown.key }),
    });
    socket.write("GET / HTTP/1.1\r\nHost: site\r\nClient-Cert: :Zm9yZ2Vk:\r\n\r\n");
    const [bytes] = (await once(socket, "data")) as [Buffer];
    let answer = bytes.toString("latin1");
    while (!/\r\n\r\n./.test(answer))
      answer += ((await once(socket, "data")) as [Buffer])[0].toString("latin1");
    assert.equal(JSON.parse(answer.slice(answer.indexOf("\r\n\r\n") + 4)), expected);
  }
});
