import assert from "node:assert/strict";
import { scryptSync } from "node:crypto";
import { once } from "node:events";
import net from "node:net";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { Authority } from "../support/authority.ts";
import { Origin } from "../support/origin.ts";
import { eventually, readMetrics } from "../support/shard.ts";
import { type RunningSluice, runSluice, startSluice } from "../support/sluice.ts";
import { TemporaryDirectory } from "../support/temporary.ts";
import { curl, SecureSite } from "./forward-harness.ts";

function start(t: TestContext, settings = "", network = "allow: [local]", more = ""): Promise<RunningSluice> {
  return startSluice(
    t,
    `
sockets:
  socks:
    address: 127.0.0.1:0
    service: net
    socks: { timeouts: { handshake: 2s } }
${settings}
services:
  net: { network: { ${network} } }
admin: { address: "unix:./admin.sock" }
${more}`,
    { env: { SECRET: "open sesame" } },
  );
}

async function origin(t: TestContext): Promise<{ url: string; port: number }> {
  const site = await Origin.start(t, (request, response) =>
    response.end(`${request.headers.host}${request.url}`),
  );
  const port = Number(site.address.split(":")[1]);
  return { url: `http://127.0.0.1:${port}/`, port };
}

const authority = (sluice: RunningSluice): string => new URL(sluice.url.replace(/^\w+:/, "http:")).host;

/** A client that says bytes, and keeps what it gets. */
class Client {
  readonly socket: net.Socket;
  received: Buffer = Buffer.alloc(0);
  closed = false;

  constructor(t: TestContext, sluice: RunningSluice) {
    const { hostname, port } = new URL(`http://${authority(sluice)}`);
    this.socket = net.connect({ host: hostname, port: Number(port), allowHalfOpen: true });
    this.socket.on("data", (bytes: Buffer) => {
      this.received = Buffer.concat([this.received, bytes]);
    });
    this.socket.on("end", () => this.socket.end());
    this.socket.on("error", () => {});
    this.socket.on("close", () => {
      this.closed = true;
    });
    t.after(() => this.socket.destroy());
  }

  say(...bytes: ReadonlyArray<number | string>): void {
    const text = bytes.map((each) => (typeof each === "string" ? each : String.fromCharCode(each))).join("");
    this.socket.write(text, "latin1");
  }

  /** All that came until the end of the connection, in hexadecimal. */
  async all(): Promise<string> {
    await eventually("the end", () => this.closed);
    return this.received.toString("hex");
  }
}

test("curl reaches sites by name, by IPv4 and by IPv6 address", async (t) => {
  const { url, port } = await origin(t);
  const sluice = await start(t);
  assert.match(sluice.url, /^socks5:\/\/127\.0\.0\.1:\d+$/);
  assert.equal((await curl("--socks5", authority(sluice), `${url}a`)).stdout, `127.0.0.1:${port}/a`);
  const named = await curl("--socks5-hostname", authority(sluice), `http://localhost:${port}/b`);
  assert.equal(named.stdout, `localhost:${port}/b`);
  const six = net
    .createServer((socket) => socket.end("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nsix"))
    .listen(0, "::1");
  await once(six, "listening");
  t.after(() => six.close());
  const at = (six.address() as net.AddressInfo).port;
  assert.equal((await curl("--socks5", authority(sluice), `http://[::1]:${at}/`)).stdout, "six");
  await eventually("the access log", () => sluice.stdout.includes(`"host":"[::1]:${at}"`));
  assert.match(sluice.stdout, /"version":"SOCKS\/5"/);
});

test("proxyAuth asks for user and password", async (t) => {
  const { url } = await origin(t);
  const base64 = (bytes: Buffer): string => bytes.toString("base64").replaceAll("=", "");
  const salt = Buffer.from("0123456789abcdef");
  const hash = `$scrypt$ln=14,r=8,p=1$${base64(salt)}$${base64(scryptSync("pencil", salt, 32, { N: 2 ** 14 }))}`;
  const sluice = await start(t, `    proxyAuth: { users: { ada: "\${SECRET}", bob: "${hash}" } }`);
  const status = async (...args: string[]) => (await curl("--socks5", authority(sluice), ...args, url)).code;
  assert.equal(await status("--proxy-user", "ada:open sesame"), 0);
  assert.equal(await status("--proxy-user", "bob:pencil"), 0);
  assert.equal(await status("--proxy-user", "ada:wrong"), 97);
  assert.equal(await status("--proxy-user", "eve:open sesame"), 97);
  assert.equal(await status(), 97);
  await eventually("the users are in the access log", () =>
    /"user":"ada"[\s\S]*"user":"bob"/.test(sluice.stdout),
  );
  assert.ok(!`${sluice.stdout}${sluice.stderr}`.includes("sesame"));
});

test("each failure has the reply of RFC 1928 that says so", async (t) => {
  const { port } = await origin(t);
  const sluice = await start(t, '    destinations: { deny: ["denied.test"] }');
  const closed = net.createServer().listen(0, "127.0.0.1");
  await once(closed, "listening");
  const gone = (closed.address() as net.AddressInfo).port;
  closed.close();
  const two = (value: number): [number, number] => [value >> 8, value & 255];
  const name = (text: string): [number, number, string] => [3, text.length, text];
  for (const [what, reply, ...request] of [
    ["BIND", "07", 5, 2, 0, 1, 127, 0, 0, 1, ...two(port)],
    ["UDP ASSOCIATE", "07", 5, 3, 0, 1, 127, 0, 0, 1, ...two(port)],
    ["an unknown kind of address", "08", 5, 1, 0, 9, 127, 0, 0, 1, ...two(port)],
    ["an address that is not allowed", "02", 5, 1, 0, 1, 10, 0, 0, 1, ...two(port)],
    ["a name that is not allowed", "02", 5, 1, 0, ...name("DENIED.test."), ...two(port)],
    ["a name that does not exist", "04", 5, 1, 0, ...name("no-such-name.invalid"), ...two(port)],
    ["a port where nobody listens", "05", 5, 1, 0, 1, 127, 0, 0, 1, ...two(gone)],
    ["port 0", "01", 5, 1, 0, 1, 127, 0, 0, 1, 0, 0],
    ["a name that is none", "01", 5, 1, 0, ...name("a b\r\n"), ...two(port)],
    ["an address in odd clothes", "01", 5, 1, 0, ...name("0x7f.1"), ...two(port)],
  ] as const) {
    const client = new Client(t, sluice);
    client.say(5, 1, 0);
    client.say(...request);
    assert.equal(await client.all(), `050005${reply}0001000000000000`, what);
  }
});

test("what is no SOCKS 5 is closed, and so is who offers no login that is wanted", async (t) => {
  const sluice = await start(t);
  for (const [said, answer] of [
    [[4, 1, 0, 80, 127, 0, 0, 1, 0], ""],
    [["GET / HTTP/1.1\r\n\r\n"], ""],
    [[5, 1, 2], "05ff"],
    [[5, 0], "05ff"],
    [[5, 1, 0, 4], "0500"],
  ] as const) {
    const client = new Client(t, sluice);
    client.say(...said);
    assert.equal(await client.all(), answer, String(said));
  }
});

test("a request that never comes ends in time, and a client that says nothing is nobody's exchange", async (t) => {
  const sluice = await start(t);
  const slow = new Client(t, sluice);
  slow.say(5, 1, 0);
  assert.equal(await slow.all(), "0500");
  const silent = new Client(t, sluice);
  await once(silent.socket, "connect");
  silent.socket.end();
  await silent.all();
  const admin = join(sluice.directory.path, "admin.sock");
  await eventually(
    "all is closed",
    async () => (await readMetrics(admin)).get('sluice_socket_connections{socket="socks"}') === 0,
  );
  const metrics = await readMetrics(admin);
  assert.equal(metrics.get('sluice_socket_active_exchanges{socket="socks"}'), 0);
  assert.equal(metrics.get('sluice_socket_errors_total{socket="socks",code="request_timeout"}'), 1);
});

test("bytes that come with the request go on in order, one at a time too, and half-closes as well", async (t) => {
  const echo = net.createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => {});
    socket.pipe(socket);
  });
  echo.listen(0, "127.0.0.1");
  await once(echo, "listening");
  t.after(() => echo.close());
  const { port } = echo.address() as net.AddressInfo;
  const sluice = await start(t);
  const opening = [5, 2, 2, 0, 5, 1, 0, 1, 127, 0, 0, 1, port >> 8, port & 255];
  const client = new Client(t, sluice);
  client.say(...opening, "early bytes");
  client.socket.end();
  assert.equal(await client.all(), `050005000001000000000000${Buffer.from("early bytes").toString("hex")}`);
  const slow = new Client(t, sluice);
  slow.socket.setNoDelay(true);
  for (const byte of [...opening, "x"]) {
    slow.say(byte);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await eventually("the echo", () => slow.received.length === 13);
  slow.socket.end();
  assert.equal(await slow.all(), "05000500000100000000000078");
});

test("interception works behind SOCKS, for names, and for addresses by the name in the handshake", async (t) => {
  const origins = new Authority("Origins CA");
  const site = await SecureSite.start(t, origins.issue(["localhost"]), (request, response) =>
    response.end(`for ${request.headers.host}`),
  );
  const home = new TemporaryDirectory(t);
  const env = { SLUICE_DATA_DIR: join(home.path, "data") };
  const sluice = await startSluice(
    t,
    `
sockets:
  socks:
    address: 127.0.0.1:0
    service: net
    socks: {}
    intercept: { hosts: ["*"], exclude: [elsewhere.test] }
services:
  net: { network: { allow: [local], trust: [./origins.pem] } }
`,
    { env, files: { "origins.pem": origins.certificate } },
  );
  const ca = join(home.path, "ca.crt");
  await runSluice(t, ["cert", "export", ca, "--ca", "interception"], { env });
  const url = `https://localhost:${site.port}/`;
  const expected = `for localhost:${site.port}`;
  assert.equal((await curl("--cacert", ca, "--socks5-hostname", authority(sluice), url)).stdout, expected);
  assert.equal((await curl("--cacert", ca, "--socks5", authority(sluice), url)).stdout, expected);
});

test("a chain: a network goes through a SOCKS proxy with a login", async (t) => {
  const { url, port } = await origin(t);
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the config's own substitution
  const far = await start(t, '    proxyAuth: { users: { ada: "${SECRET}" } }');
  const through = (login: string, scheme = "socks5") =>
    startSluice(
      t,
      `
sockets:
  proxy: { address: "127.0.0.1:0", service: net, http: { style: proxy } }
services:
  net: { network: { allow: [local], proxy: "${scheme}://${login}${authority(far)}" } }
`,
    );
  const near = await through("ada:open%20sesame@");
  assert.equal((await curl("-x", near.url, url)).stdout, `127.0.0.1:${port}/`);
  assert.equal((await curl("-p", "-x", near.url, `http://localhost:${port}/`)).stdout, `localhost:${port}/`);
  const named = await through("ada:open%20sesame@", "socks5h");
  assert.equal((await curl("-x", named.url, `http://localhost:${port}/`)).stdout, `localhost:${port}/`);
  assert.equal((await named.stop()).code, 0);
  await eventually("the name", () => far.stdout.includes(`"host":"localhost:${port}"`));
  for (const login of ["", "ada:wrong@"]) {
    const refused = await through(login);
    const { stdout } = await curl("-x", refused.url, "-o", "/dev/null", "-w", "%{http_code}", url);
    assert.equal(stdout, "502", login);
  }
});

test("a stop waits for tunnels, and not for clients that have not asked yet", async (t) => {
  const echo = net.createServer((socket) => socket.pipe(socket).on("error", () => {}));
  echo.listen(0, "127.0.0.1");
  await once(echo, "listening");
  t.after(() => echo.close());
  const { port } = echo.address() as net.AddressInfo;
  const sluice = await start(t);
  const idle = new Client(t, sluice);
  idle.say(5, 1, 0);
  const busy = new Client(t, sluice);
  busy.say(5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1, port >> 8, port & 255, "a");
  await eventually("the tunnel stands", () => busy.received.length === 13);
  sluice.signal("SIGTERM");
  await idle.all();
  busy.say("b");
  await eventually("the tunnel goes on", () => busy.received.length === 14);
  busy.socket.end();
  assert.equal((await sluice.ended()).code, 0);
});
