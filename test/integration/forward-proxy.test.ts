import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { type TestContext, test } from "node:test";
import { Authority } from "../support/authority.ts";
import { Origin } from "../support/origin.ts";
import { eventually } from "../support/shard.ts";
import { type RunningSluice, runSluice, startSluice } from "../support/sluice.ts";
import { TemporaryDirectory } from "../support/temporary.ts";
import { curl } from "./forward-harness.ts";

/** A proxy whose clients may reach this machine. */
function start(t: TestContext, settings: string, files: Record<string, string> = {}): Promise<RunningSluice> {
  return startSluice(
    t,
    `
sockets:
  proxy:
    address: 127.0.0.1:0
    service: net
    http: { style: proxy }
${settings}
services:
  net: { network: { allow: [local] } }
`,
    { files, env: { SECRET: "open sesame" } },
  );
}

async function origin(t: TestContext): Promise<{ url: string; port: number; seen: string[] }> {
  const seen: string[] = [];
  const site = await Origin.start(t, (request, response) => {
    seen.push(`${request.url} ${request.headers["proxy-authorization"] ?? "-"}`);
    response.end("ok");
  });
  return { url: `http://${site.address}/`, port: Number(site.address.split(":")[1]), seen };
}

/** `200`, or `403 CONNECT` for a tunnel that is refused. */
async function status(proxy: RunningSluice, ...args: readonly string[]): Promise<string> {
  const { stdout } = await curl(
    "-x",
    proxy.url,
    "-o",
    "/dev/null",
    "-w",
    "%{http_connect} %{http_code}",
    ...args,
  );
  return stdout;
}

// biome-ignore lint/suspicious/noTemplateCurlyInString: the config's own substitution
const auth = 'proxyAuth: { realm: Example, users: { ada: "${SECRET}" } }';

test("proxyAuth lets through who has the right password, and consumes it", async (t) => {
  const { url, seen } = await origin(t);
  const proxy = await start(t, `    ${auth}`);
  assert.equal(await status(proxy, url), "000 407");
  assert.equal(await status(proxy, "-p", url), "407 000");
  assert.equal(await status(proxy, "--proxy-user", "ada:wrong", url), "000 407");
  assert.equal(await status(proxy, "--proxy-user", "bob:open sesame", "-p", url), "407 000");
  assert.deepEqual(seen, []);
  assert.equal(await status(proxy, "--proxy-user", "ada:open sesame", url), "000 200");
  assert.equal(await status(proxy, "--proxy-user", "ada:open sesame", "-p", url), "200 200");
  assert.equal(
    await status(proxy, "--proxy-user", "ada:open sesame", "--proxy-anyauth", "-d", "body", url),
    "000 200",
  );
  assert.deepEqual(seen, ["/ -", "/ -", "/ -"]);
  const { stdout } = await curl("-i", "-x", proxy.url, url);
  assert.match(
    stdout,
    /^HTTP\/1\.1 407 [\s\S]*\r\nProxy-Authenticate: Basic realm="Example", charset="UTF-8"\r\n/,
  );
  await eventually(
    "the users are in the access log",
    () => proxy.stdout.match(/"user":"ada"/g)?.length === 3,
  );
  assert.ok(!proxy.stdout.includes('"user":"bob"'));
  const log = proxy.stdout + proxy.stderr;
  assert.ok(!log.includes("sesame") && !log.includes("b3BlbiBzZXNhbWU"), "no password stands in the log");
});

test("the proxy itself may speak TLS, and asks for the password there as well", async (t) => {
  const { url } = await origin(t);
  const issued = new Authority("Proxy CA");
  const { certificate, key } = issued.issue(["localhost"]);
  const settings = `    ${auth}\n    tls: { certificates: [{ certificate: ./proxy.pem, key: ./proxy.key }] }`;
  const proxy = await start(t, settings, { "proxy.pem": certificate, "proxy.key": key });
  const ca = proxy.directory.write("ca.pem", issued.certificate);
  const through = `https://localhost:${new URL(proxy.url).port}`;
  const options = [
    "-x",
    through,
    "--proxy-cacert",
    ca,
    "-o",
    "/dev/null",
    "-w",
    "%{http_connect} %{http_code}",
  ];
  const ask = async (...args: string[]): Promise<string> => (await curl(...options, ...args, url)).stdout;
  assert.equal(await ask("-p"), "407 000");
  assert.equal(await ask("-p", "--proxy-user", "ada:open sesame"), "200 200");
  assert.equal(await ask("--proxy-user", "ada:open sesame"), "000 200");
  assert.equal(await ask("--proxy-user", "ada:wrong"), "000 407");
});

test("users of a file are checked by their hash", async (t) => {
  const { url } = await origin(t);
  // scrypt of "pencil"; a hash is made by `openssl kdf` or Node.js.
  const hash = await hashOf("pencil");
  const proxy = await start(t, "    proxyAuth: { usersFile: ./users.txt }", {
    "users.txt": `# staff\nada:${hash}\n`,
  });
  assert.equal(await status(proxy, "--proxy-user", "ada:pencil", url), "000 200");
  assert.equal(await status(proxy, "--proxy-user", "ada:pencil", "-p", url), "200 200");
  assert.equal(await status(proxy, "--proxy-user", "ada:pen", "-p", url), "407 000");
  proxy.directory.write("users.txt", `bob:${hash}\n`);
  // Each try counts, so the change is waited for and not tried out.
  await proxy.sees(/users\.changed/);
  await eventually("the new user may pass", async () => {
    return (await status(proxy, "--proxy-user", "bob:pencil", url)) === "000 200";
  });
  assert.equal(await status(proxy, "--proxy-user", "ada:pencil", url), "000 407");
});

test("nobody guesses a password by trying, and who is known passes meanwhile", async (t) => {
  const { url } = await origin(t);
  const proxy = await start(t, `    ${auth}`);
  assert.equal(await status(proxy, "--proxy-user", "ada:open sesame", url), "000 200");
  const seen = new Set<string>();
  for (let i = 0; i < 40 && !seen.has("000 429"); i++) {
    seen.add(await status(proxy, "--proxy-user", `ada:guess-${i}`, url));
  }
  assert.deepEqual([...seen], ["000 407", "000 429"]);
  assert.equal(await status(proxy, "-p", "--proxy-user", "bob:guess", url), "429 000");
  assert.equal(await status(proxy, "--proxy-user", "ada:open sesame", url), "000 200");
});

test("a client that leaves while its password is checked leaves nothing behind", async (t) => {
  const hash = await hashOf("pencil", 17);
  const proxy = await start(t, "    proxyAuth: { usersFile: ./users.txt }", { "users.txt": `ada:${hash}\n` });
  const token = Buffer.from("ada:wrong").toString("base64");
  const { hostname, port } = new URL(proxy.url);
  for (const line of ["CONNECT 127.0.0.1:1 HTTP/1.1", "GET http://127.0.0.1:1/ HTTP/1.1"]) {
    for (let i = 0; i < 10; i++) {
      const socket = net.connect(Number(port), hostname);
      await once(socket, "connect");
      socket.write(`${line}\r\nHost: 127.0.0.1:1\r\nProxy-Authorization: Basic ${token}\r\n\r\n`);
      socket.resetAndDestroy();
    }
  }
  assert.equal(await status(proxy, "--proxy-user", "ada:pencil", "http://127.0.0.1:1/"), "000 502");
  assert.equal((await proxy.stop()).code, 0);
});

test("destinations are judged by host and port before anybody is asked, for requests and tunnels", async (t) => {
  const { url, port, seen } = await origin(t);
  const other = await origin(t);
  const settings = `    destinations: { deny: ["*.denied.test", "localhost"], ports: [${port}, ${other.port}], tunnelPorts: [${port}] }`;
  const proxy = await start(t, settings);
  assert.equal(await status(proxy, url), "000 200");
  assert.equal(await status(proxy, "-p", url), "200 200");
  assert.equal(await status(proxy, other.url), "000 200");
  assert.equal(await status(proxy, "-p", other.url), "403 000");
  assert.equal(await status(proxy, "-p", `http://127.0.0.1:${port + 1}/`), "403 000");
  for (const host of ["LocalHost.", "a.denied.test", "b.a.DENIED.test"]) {
    assert.equal(await status(proxy, `http://${host}:${port}/`), "000 403", host);
    assert.equal(await status(proxy, "-p", `http://${host}:${port}/`), "403 000", host);
  }
  assert.equal(seen.length, 2);
  assert.match((await proxy.sees(/^.*destinations do not allow.*$/m))[0], /destination_denied/);
});

test("with a list of allowed hosts, addresses are none of them unless it has them", async (t) => {
  const { url, port } = await origin(t);
  const proxy = await start(t, `    destinations: { allow: ["localhost:${port}"] }`);
  assert.equal(await status(proxy, `http://localhost:${port}/`), "000 200");
  assert.equal(await status(proxy, "-p", `http://localhost:${port}/`), "200 200");
  assert.equal(await status(proxy, url), "000 403");
  assert.equal(await status(proxy, "-p", "http://localhost:1/"), "403 000");
});

test("a tunnel to nowhere is 502, and to a malformed place 400, before any byte goes on", async (t) => {
  const proxy = await start(t, '    destinations: { deny: ["denied.test"] }');
  const { hostname, port } = new URL(proxy.url);
  const closed = net.createServer().listen(0, "127.0.0.1");
  await once(closed, "listening");
  const gone = (closed.address() as net.AddressInfo).port;
  closed.close();
  for (const [target, expected] of [
    [`127.0.0.1:${gone}`, "502"],
    ["no-such-name.invalid:443", "502"],
    ["10.0.0.1:443", "403"],
    ["denied.test:443", "403"],
    ["localhost", "400"],
    ["localhost:0", "400"],
  ] as const) {
    const socket = net.connect(Number(port), hostname);
    t.after(() => socket.destroy());
    socket.write(`CONNECT ${target} HTTP/1.1\r\nHost: x\r\n\r\nearly bytes`);
    let text = "";
    for await (const chunk of socket) text += chunk;
    assert.match(text, new RegExp(`^HTTP/1\\.1 ${expected} `), target);
  }
});

test("keys of a forward proxy are checked, each mistake with its place", async (t) => {
  const directory = new TemporaryDirectory(t);
  directory.write(
    "proxy.yaml",
    `sockets:
  a: { address: "127.0.0.1:8001", service: internet, destinations: { ports: [80] } }
  b: { address: "127.0.0.1:8002", service: internet, http: { style: proxy }, destinations: { deny: ["10.0.0.0/8"] } }
  c: { address: "127.0.0.1:8003", service: internet, http: { style: proxy }, proxyAuth: { realm: x } }
  d: { address: "127.0.0.1:8004", service: internet, http: { style: proxy }, intercept: { hosts: [] } }
  e: { address: "127.0.0.1:8005", service: internet, http: { style: proxy }, destinations: { allow: ["a*b"], ports: [0] } }
`,
  );
  const { code, stderr } = await runSluice(t, ["check", "proxy.yaml"], { cwd: directory.path });
  assert.equal(code, 1);
  assert.match(stderr, /proxy\.yaml:2:\d+: error: .*no destinations here: it is for forward proxies/);
  assert.match(stderr, /proxy\.yaml:3:\d+: error: .*a network's allow and deny/);
  assert.match(stderr, /proxy\.yaml:4:\d+: error: cannot use proxyAuth: it has no users/);
  assert.match(stderr, /proxy\.yaml:5:\d+: error: .*at least one host/);
  assert.match(stderr, /proxy\.yaml:6:\d+: error: .*expected a host such as/);
  assert.match(stderr, /proxy\.yaml:6:\d+: error: .*expected a port from 1 to 65535/);
});

async function hashOf(password: string, logN = 14): Promise<string> {
  const { scryptSync } = await import("node:crypto");
  const salt = Buffer.from("0123456789abcdef");
  const key = scryptSync(password, salt, 32, { N: 2 ** logN, r: 8, p: 1, maxmem: 2 ** 28 });
  const base64 = (bytes: Buffer) => bytes.toString("base64").replaceAll("=", "");
  return `$scrypt$ln=${logN},r=8,p=1$${base64(salt)}$${base64(key)}`;
}
