import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync, statSync } from "node:fs";
import http2 from "node:http2";
import net from "node:net";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import tls from "node:tls";
import { WebSocket, WebSocketServer } from "ws";
import { Authority } from "../support/authority.ts";
import { eventually, readMetrics } from "../support/shard.ts";
import { type RunningSluice, runSluice, startSluice } from "../support/sluice.ts";
import { TemporaryDirectory } from "../support/temporary.ts";
import { curl, run, SecureSite } from "./forward-harness.ts";

const origins = new Authority("Origins CA");
const good = origins.issue(["localhost", "127.0.0.1"]);

interface Opened {
  readonly sluice: RunningSluice;
  /** The interception CA, as a file. */
  readonly ca: string;
}

/** A proxy that opens tunnels, by default all of them. */
async function start(
  t: TestContext,
  intercept = 'hosts: ["*"]',
  more = "",
  files: Record<string, string> = {},
): Promise<Opened> {
  const home = new TemporaryDirectory(t);
  const env = { SLUICE_DATA_DIR: join(home.path, "data") };
  const sluice = await startSluice(
    t,
    `
sockets:
  proxy:
    address: 127.0.0.1:0
    service: watch
    http: { style: proxy }
    intercept: { ${intercept} }
${more}
services:
  watch:
    worker:
      main: ./watch.js
      compatibilityDate: 2026-01-01
      bindings: { NET: { service: net } }
  net: { network: { allow: [local], trust: [./origins.pem] } }
`,
    {
      env,
      files: {
        ...files,
        "origins.pem": origins.certificate,
        "watch.js": `export default {
          async fetch(request, env) {
            const answer = await env.NET.fetch(request);
            const response = new Response(answer.body, answer);
            response.headers.set("x-seen", request.url);
            return response;
          },
          async connect(socket, env) { return env.NET.connect((await socket.opened).localAddress); },
        };`,
      },
    },
  );
  const ca = join(home.path, "ca.crt");
  const exported = await runSluice(t, ["cert", "export", ca, "--ca", "interception"], { env });
  assert.equal(exported.code, 0, exported.stderr);
  const stored = join(home.path, "data", "interception-ca", "interception-ca.pem");
  assert.equal(statSync(stored).mode & 0o777, 0o600);
  return { sluice, ca };
}

test("a Worker sees and edits what is asked in an intercepted tunnel, as https requests", async (t) => {
  const site = await SecureSite.start(t, good, (request, response) => {
    response.end(
      `${request.method} ${request.headers.host} ${request.url} ${request.headers["x-forwarded-for"] ?? "-"}`,
    );
  });
  const { sluice, ca } = await start(t);
  const url = `https://localhost:${site.port}/a%20b?c`;
  const answer = await curl("-i", "--cacert", ca, "-x", sluice.url, url);
  assert.equal(answer.code, 0, answer.stderr + sluice.stderr);
  assert.match(answer.stdout, /^HTTP\/1\.1 200 Connection Established\r\n\r\nHTTP\/2 200/);
  assert.ok(answer.stdout.includes(`x-seen: ${url}`), answer.stdout);
  assert.ok(answer.stdout.endsWith(`GET localhost:${site.port} /a%20b?c -`), answer.stdout);
  const older = await curl("-i", "--http1.1", "--cacert", ca, "-x", sluice.url, url);
  assert.match(older.stdout, /\r\n\r\nHTTP\/1\.1 200 OK[\s\S]*x-seen: /i);
  const posted = await curl("--cacert", ca, "-x", sluice.url, "-d", "x".repeat(100_000), url);
  assert.match(posted.stdout, /^POST/);
});

test("many requests go through one tunnel, one after another", async (t) => {
  const site = await SecureSite.start(t, good, (request, response) => response.end(`${request.url} `));
  const { sluice, ca } = await start(t);
  const base = `https://localhost:${site.port}`;
  const urls = Array.from({ length: 20 }, (_, i) => `${base}/${i}`);
  const answer = await curl("--cacert", ca, "-x", sluice.url, "-w", "%{num_connects} ", ...urls);
  assert.equal(answer.code, 0, answer.stderr);
  assert.equal(answer.stdout.match(/\b1 /g)?.length, 2, "one connection is made, and one path is /1");
});

test("a leaf is right by the strictest rules, for names and for addresses", async (t) => {
  const site = await SecureSite.start(t, good, (_request, response) => response.end("ok"));
  const { sluice, ca } = await start(t);
  const proxy = new URL(sluice.url).host;
  const strict = ["s_client", "-proxy", proxy, "-CAfile", ca, "-x509_strict", "-verify_return_error"];
  for (const [host, check] of [
    ["localhost", "-verify_hostname"],
    ["127.0.0.1", "-verify_ip"],
  ] as const) {
    const names = host === "localhost" ? ["-servername", host] : ["-noservername"];
    const { stdout, stderr } = await run("sh", [
      "-c",
      'exec openssl "$@" </dev/null',
      "sh",
      ...[...strict, "-connect", `${host}:${site.port}`, check, host, ...names],
    ]);
    assert.match(stdout, /Verify return code: 0 \(ok\)/, stderr);
    assert.match(stdout, /Sluice interception CA/);
  }
});

test("a request in the tunnel for another site is 421, and goes nowhere", async (t) => {
  const site = await SecureSite.start(t, good, (_request, response) => response.end("ok"));
  const { sluice, ca } = await start(t);
  const url = `https://localhost:${site.port}/`;
  for (const host of ["internal.example", "localhost", `localhost:${site.port + 1}`]) {
    const answer = await curl(
      "--cacert",
      ca,
      "-x",
      sluice.url,
      "-w",
      "%{http_code}",
      "-o",
      "/dev/null",
      "-H",
      `Host: ${host}`,
      url,
    );
    assert.equal(answer.stdout, "421", host);
  }
  assert.equal(site.requests.length, 0);
  const same = await curl("--cacert", ca, "-x", sluice.url, "-H", `Host: LOCALHOST:${site.port}`, url);
  assert.equal(same.stdout, "ok");
});

test("an excluded host is tunnelled unopened", async (t) => {
  const site = await SecureSite.start(t, good, (_request, response) => response.end("ok"));
  const { sluice, ca } = await start(t, 'hosts: ["*"], exclude: [localhost]');
  const origin = sluice.directory.write("origins-ca.pem", origins.certificate);
  const url = `https://localhost:${site.port}/`;
  assert.equal((await curl("--cacert", origin, "-x", sluice.url, url)).stdout, "ok");
  assert.equal((await curl("--cacert", ca, "-x", sluice.url, url)).code, 60);
  const opened = await curl("--cacert", ca, "-x", sluice.url, `https://127.0.0.1:${site.port}/`);
  assert.equal(opened.stdout, "ok");
});

test("who asks for an address and names an excluded host gets to that host, and to no other place unopened", async (t) => {
  const site = await SecureSite.start(t, good, (_request, response) => response.end("ok"));
  const destinations = "    destinations: { deny: [forbidden.test] }";
  const { sluice, ca } = await start(t, 'hosts: ["*"], exclude: [localhost, "*.bank.test"]', destinations);
  const named = async (host: string, servername: string): Promise<tls.TLSSocket> => {
    const socket = await openTunnel(t, sluice, `${host}:${site.port}`);
    return tls.connect({ socket, servername, ca: [readFileSync(ca, "utf8"), origins.certificate] });
  };
  // Nothing listens at this address; the site is where the name leads.
  const excluded = await named("127.0.0.9", "localhost");
  await once(excluded, "secureConnect");
  assert.equal(excluded.getPeerCertificate().issuer.CN, "Origins CA");
  excluded.destroy();
  const elsewhere = await named("127.0.0.1", "login.bank.test");
  await once(elsewhere, "error");
  const forbidden = await named("127.0.0.1", "forbidden.test");
  await once(forbidden, "error");
});

test("sites are verified as a browser does: what is wrong with them is 502, whatever the client trusts", async (t) => {
  const answer = (_request: unknown, response: { end(text: string): void }) => response.end("ok");
  const sites = {
    expired: await SecureSite.start(t, origins.issue(["localhost"], { days: -1 }), answer),
    "of another host": await SecureSite.start(t, origins.issue(["elsewhere.test"]), answer),
    "of an unknown authority": await SecureSite.start(
      t,
      new Authority("Nobody").issue(["localhost"]),
      answer,
    ),
    "named by its subject alone": await SecureSite.start(
      t,
      origins.issue([], { subject: "localhost" }),
      answer,
    ),
    "TLS 1.1": await SecureSite.start(t, good, answer, {
      minVersion: "TLSv1.1",
      maxVersion: "TLSv1.1",
      ciphers: "DEFAULT@SECLEVEL=0",
    }),
  };
  const { sluice, ca } = await start(t);
  for (const [what, site] of Object.entries(sites)) {
    const url = `https://localhost:${site.port}/`;
    const { stdout } = await curl(
      "--cacert",
      ca,
      "-k",
      "-x",
      sluice.url,
      "-w",
      "%{http_code}",
      "-o",
      "/dev/null",
      url,
    );
    assert.equal(stdout, "502", what);
    assert.equal(site.requests.length, 0, what);
  }
  const told = (): number => sluice.stdout.split('"error":"upstream_tls_failed"').length - 1;
  await eventually("the code is in the access log", () => told() === Object.keys(sites).length);
});

test("a client that does not accept the certificate is counted, and told with the host", async (t) => {
  const site = await SecureSite.start(t, good, (_request, response) => response.end("ok"));
  const { sluice } = await start(t, 'hosts: ["*"]', "admin: { address: unix:./admin.sock }");
  const refused = await curl("-x", sluice.url, `https://localhost:${site.port}/`);
  assert.equal(refused.code, 60, refused.stderr);
  const line = await sluice.sees(/^.*intercept\.failed.*$/m);
  assert.match(line[0], /cannot open the tunnel to localhost/);
  assert.match(line[0], /refused/);
  const metrics = await readMetrics(join(sluice.directory.path, "admin.sock"));
  assert.equal(metrics.get('sluice_intercept_failures_total{socket="proxy",reason="refused"}'), 1);
});

test("a WebSocket goes through an intercepted tunnel", async (t) => {
  const site = await SecureSite.start(t, good, (_request, response) => response.end("ok"));
  const server = new WebSocketServer({ server: site.server });
  server.on("connection", (socket) =>
    socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary })),
  );
  const { sluice, ca } = await start(t);
  const inside = await openTunnel(t, sluice, `localhost:${site.port}`);
  const secure = tls.connect({ socket: inside, servername: "localhost", ca: readFileSync(ca) });
  const client = new WebSocket(`wss://localhost:${site.port}/chat`, { createConnection: () => secure });
  await once(client, "open");
  client.send("hello");
  const [said] = (await once(client, "message")) as [Buffer];
  assert.equal(said.toString(), "hello");
  client.send(Buffer.alloc(200_000, 7));
  const [large] = (await once(client, "message")) as [Buffer];
  assert.equal(large.length, 200_000);
  client.close(1000);
  await once(client, "close");
});

test("a tunnel over HTTP/2 to the proxy is opened as well, once its user is known", async (t) => {
  const site = await SecureSite.start(t, good, (request, response) => response.end(`for ${request.url}`));
  const proxyCa = new Authority("Proxy CA");
  const { certificate, key } = proxyCa.issue(["localhost"]);
  const more = `    proxyAuth: { users: { ada: pencil } }
    tls: { certificates: [{ certificate: ./proxy.pem, key: ./proxy.key }] }`;
  const { sluice, ca } = await start(t, 'hosts: ["*"]', more, { "proxy.pem": certificate, "proxy.key": key });
  const session = http2.connect(`https://localhost:${new URL(sluice.url).port}`, { ca: proxyCa.certificate });
  t.after(() => session.destroy());
  const authority = `localhost:${site.port}`;
  const open = async (
    headers: http2.OutgoingHttpHeaders,
  ): Promise<[http2.ClientHttp2Stream, http2.IncomingHttpHeaders]> => {
    const stream = session.request(
      { ":method": "CONNECT", ":authority": authority, ...headers },
      { endStream: false },
    );
    const [answer] = (await once(stream, "response")) as [http2.IncomingHttpHeaders];
    return [stream, answer];
  };
  const [refused, challenge] = await open({});
  assert.equal(challenge[":status"], 407);
  assert.match(String(challenge["proxy-authenticate"]), /^Basic realm="proxy"/);
  refused.destroy();
  const login = `Basic ${Buffer.from("ada:pencil").toString("base64")}`;
  const [stream, granted] = await open({ "proxy-authorization": login });
  assert.equal(granted[":status"], 200);
  const secure = tls.connect({ socket: stream, servername: "localhost", ca: readFileSync(ca) });
  secure.write(`GET /inside HTTP/1.1\r\nHost: ${authority}\r\nConnection: close\r\n\r\n`);
  let text = "";
  for await (const chunk of secure) text += chunk;
  assert.match(text, /\r\n\r\nfor \/inside$/);
  await eventually("who asked is in the access log", () =>
    /"user":"ada".*"target":"\/inside"/.test(sluice.stdout),
  );
});

test("what is no TLS is refused, or goes on unopened where the config says so", async (t) => {
  const echo = net.createServer((socket) => socket.pipe(socket).on("error", () => {}));
  echo.listen(0, "127.0.0.1");
  await once(echo, "listening");
  t.after(() => echo.close());
  const where = `localhost:${(echo.address() as net.AddressInfo).port}`;
  const { sluice } = await start(t);
  const refused = await openTunnel(t, sluice, where);
  refused.on("error", () => {});
  refused.write("SSH-2.0-test\r\n");
  await once(refused, "close");
  assert.match((await sluice.sees(/^.*intercept\.failed.*$/m))[0], /not_tls/);
  const lenient = await start(t, 'hosts: ["*"], notTls: tunnel');
  const passed = await openTunnel(t, lenient.sluice, where);
  passed.write("SSH-2.0-test\r\n");
  const [back] = (await once(passed, "data")) as [Buffer];
  assert.equal(back.toString(), "SSH-2.0-test\r\n");
  passed.end();
  await once(passed, "end");
});

test("a handshake for another name than the tunnel's is refused; one in a tunnel to an address names the site", async (t) => {
  const site = await SecureSite.start(t, good, (request, response) => response.end(request.headers.host));
  const { sluice, ca } = await start(t);
  const fronted = await openTunnel(t, sluice, `localhost:${site.port}`);
  const shaking = tls.connect({ socket: fronted, servername: "elsewhere.test", ca: readFileSync(ca) });
  const [error] = (await once(shaking, "error")) as [NodeJS.ErrnoException];
  assert.ok(error instanceof Error);
  assert.match((await sluice.sees(/^.*intercept\.failed.*$/m))[0], /elsewhere\.test/);
  // As a client of SOCKS does that resolves names itself.
  const named = await openTunnel(t, sluice, `127.0.0.1:${site.port}`);
  const secure = tls.connect({ socket: named, servername: "localhost", ca: readFileSync(ca) });
  secure.end(`GET / HTTP/1.1\r\nHost: localhost:${site.port}\r\nConnection: close\r\n\r\n`);
  let text = "";
  for await (const chunk of secure) text += chunk;
  assert.match(text, new RegExp(`\\r\\n\\r\\nlocalhost:${site.port}$`));
});

test("a stop waits for what is asked in a tunnel, and for nothing else", async (t) => {
  let answer: (() => void) | undefined;
  const site = await SecureSite.start(t, good, (_request, response) => {
    answer = () => response.end("late");
  });
  const { sluice, ca } = await start(t);
  const idle = await openTunnel(t, sluice, `localhost:${site.port}`);
  const asked = curl("--cacert", ca, "-x", sluice.url, `https://localhost:${site.port}/`);
  await eventually("the request is there", () => answer !== undefined);
  sluice.signal("SIGTERM");
  await eventually(
    "no connection is taken",
    async () => (await curl("-x", sluice.url, "http://site/")).code === 7,
  );
  answer?.();
  assert.equal((await asked).stdout, "late");
  assert.equal((await sluice.ended()).code, 0);
  idle.destroy();
});

test("keys of interception on a socket that is no forward proxy are config errors", async (t) => {
  const directory = new TemporaryDirectory(t);
  directory.write(
    "proxy.yaml",
    `sockets: { a: { address: "*:0", service: internet, intercept: { hosts: ["10.0.0.0/8"] } } }`,
  );
  const { code, stderr } = await runSluice(t, ["check", "proxy.yaml"], { cwd: directory.path });
  assert.equal(code, 1);
  assert.match(stderr, /ranges of addresses stand in a network's allow and deny/);
});

/** A tunnel that stands. */
async function openTunnel(t: TestContext, sluice: RunningSluice, where: string): Promise<net.Socket> {
  const { hostname, port } = new URL(sluice.url);
  const socket = net.connect(Number(port), hostname);
  t.after(() => socket.destroy());
  socket.write(`CONNECT ${where} HTTP/1.1\r\nHost: ${where}\r\n\r\n`);
  let head = "";
  while (!head.includes("\r\n\r\n")) head += ((await once(socket, "data")) as [Buffer])[0].toString("latin1");
  assert.match(head, /^HTTP\/1\.1 200 /);
  return socket;
}
