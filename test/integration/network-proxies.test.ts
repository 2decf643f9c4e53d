import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import https from "node:https";
import net from "node:net";
import { type TestContext, test } from "node:test";
import { WebSocketServer } from "ws";
import { network as networkSchema } from "../../src/config/schema/network.ts";
import { ProxyError } from "../../src/errors/proxy-error.ts";
import { NetworkService, networkDefaults } from "../../src/services/network/network.ts";
import { Random } from "../fuzz/random.ts";
import { Authority } from "../support/authority.ts";
import { Origin } from "../support/origin.ts";
import { type RunningSluice, runSluice, startSluice } from "../support/sluice.ts";
import { TemporaryDirectory } from "../support/temporary.ts";
import { curl, SecureSite } from "./forward-harness.ts";
import { TestContextOfServices, until } from "./http-harness.ts";
import { CollectedTunnel } from "./network-harness.ts";

const origins = new Authority("Origins CA");
const good = origins.issue(["localhost", "127.0.0.1", "site.test"]);

/** A proxy of another make, which keeps what it was asked. Every name leads to this machine for it. */
class OtherProxy {
  readonly asked: string[] = [];
  readonly server: http.Server | https.Server;
  readonly #sockets: Set<net.Socket> = new Set();
  /** Status of the answer to each CONNECT. */
  connectStatus = 200;

  private constructor(secure: boolean, login: string) {
    this.server = secure
      ? https.createServer({ cert: good.certificate, key: good.key })
      : http.createServer();
    const authorized = (request: http.IncomingMessage): boolean => {
      const given = request.headers["proxy-authorization"] ?? "";
      this.asked.push(
        `${request.method} ${request.url} ${request.headers.host}${given === "" ? "" : " with login"}`,
      );
      return login === "" || given === `Basic ${Buffer.from(login).toString("base64")}`;
    };
    this.server.on("request", (request: http.IncomingMessage, response: http.ServerResponse) => {
      if (!authorized(request)) {
        response.writeHead(407, { "proxy-authenticate": "Basic" }).end();
        return;
      }
      const { port, pathname, search } = new URL(request.url ?? "");
      const { "proxy-authorization": _, ...headers } = request.headers;
      const onward = http.request(
        { port, path: pathname + search, method: request.method, headers },
        (answer) => {
          response.writeHead(answer.statusCode ?? 0, answer.headers);
          answer.pipe(response);
        },
      );
      request.pipe(onward);
    });
    this.server.on("connect", (request: http.IncomingMessage, socket: net.Socket, first: Buffer) => {
      const status = authorized(request) ? this.connectStatus : 407;
      if (status !== 200) {
        socket.end(`HTTP/1.1 ${status} No\r\nContent-Length: 0\r\n\r\n`);
        return;
      }
      const onward = net.connect(Number(request.url?.split(":").at(-1)), "127.0.0.1");
      socket.write("HTTP/1.1 200 Yes\r\nX-Proxy: other\r\n\r\n");
      onward.write(first);
      onward.pipe(socket).pipe(onward);
      onward.on("error", () => socket.destroy());
      socket.on("error", () => onward.destroy());
    });
    this.server.on("connection", (socket: net.Socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
      socket.on("error", () => {});
    });
  }

  static async start(t: TestContext, secure = false, login = ""): Promise<OtherProxy> {
    const proxy = new OtherProxy(secure, login);
    proxy.server.listen(0, "127.0.0.1");
    await once(proxy.server, "listening");
    t.after(() => {
      proxy.server.close();
      for (const socket of proxy.#sockets) socket.destroy();
    });
    return proxy;
  }

  get address(): string {
    return `127.0.0.1:${(this.server.address() as net.AddressInfo).port}`;
  }
}

function start(
  t: TestContext,
  proxy: string,
  more = "",
  env: Record<string, string> = {},
): Promise<RunningSluice> {
  return startSluice(
    t,
    `
sockets:
  proxy: { address: "127.0.0.1:0", service: net, http: { style: proxy } }
services:
  net: { network: { allow: [local], trust: [./origins.pem], proxy: ${proxy} ${more} } }
`,
    { env, files: { "origins.pem": origins.certificate } },
  );
}

async function plainSite(t: TestContext): Promise<string> {
  const site = await Origin.start(t, (request, response) => {
    const fields = ["proxy-authorization", "proxy-connection"].map((name) => request.headers[name] ?? "-");
    response.end(`${request.method} ${request.headers.host} ${request.url} ${fields.join(" ")}`);
  });
  return site.address;
}

test("http goes to the proxy with the whole URL, tunnels and WebSockets through CONNECT", async (t) => {
  const address = await plainSite(t);
  const port = address.split(":")[1];
  const other = await OtherProxy.start(t);
  const sluice = await start(t, `"http://${other.address}"`);
  const plain = await curl("-x", sluice.url, "-d", "x", `http://localhost:${port}/a%20b?c`);
  assert.equal(plain.stdout, `POST localhost:${port} /a%20b?c - -`, plain.stderr + sluice.stdout);
  const tunnel = await curl("-p", "-x", sluice.url, `http://localhost:${port}/d`);
  assert.equal(tunnel.stdout, `GET localhost:${port} /d - -`);
  assert.deepEqual(other.asked, [
    `POST http://localhost:${port}/a%20b?c localhost:${port}`,
    // The address that was judged, so that the proxy cannot be led to another.
    `CONNECT 127.0.0.1:${port} 127.0.0.1:${port}`,
  ]);
});

test("https of Workers goes through CONNECT, verified from end to end", async (t) => {
  const site = await SecureSite.start(t, good, (_request, response) => response.end("secure"));
  const wrong = await SecureSite.start(t, new Authority("x").issue(["localhost"]), (_request, response) =>
    response.end("no"),
  );
  for (const secure of [false, true]) {
    const other = await OtherProxy.start(t, secure, "ada:p:ss wörd");
    const sluice = await startSluice(
      t,
      `
sockets:
  public: { address: "127.0.0.1:0", service: worker }
services:
  worker:
    worker:
      script: ./worker.js
      compatibilityDate: 2026-01-01
      globalOutbound: net
  net:
    network:
      allow: [local]
      trust: [./origins.pem]
      proxy: "${secure ? "https" : "http"}://ada:p%3Ass%20w%C3%B6rd@${other.address}"
`,
      {
        files: {
          "origins.pem": origins.certificate,
          "worker.js": `addEventListener("fetch", (event) => event.respondWith(
            fetch("https://localhost:" + new URL(event.request.url).pathname.slice(1) + "/").then((r) => r.text()).then((text) => new Response(text), (error) => new Response("failed", { status: 502 }))));`,
        },
      },
    );
    for (let i = 0; i < 3; i++) assert.equal((await curl(`${sluice.url}/${site.port}`)).stdout, "secure");
    assert.equal((await curl(`${sluice.url}/${wrong.port}`)).stdout, "failed");
    assert.deepEqual(other.asked, [
      `CONNECT 127.0.0.1:${site.port} 127.0.0.1:${site.port} with login`,
      `CONNECT 127.0.0.1:${wrong.port} 127.0.0.1:${wrong.port} with login`,
    ]);
    assert.equal(site.requests.at(-1)?.headers["proxy-authorization"], undefined);
    assert.ok(!`${sluice.stdout}${sluice.stderr}`.includes("wörd"), "no password stands in the log");
  }
});

test("what the proxy refuses is 502, and its 407 does not reach the client", async (t) => {
  const address = await plainSite(t);
  const other = await OtherProxy.start(t, false, "ada:secret");
  const sluice = await start(t, `"http://ada:wrong@${other.address}"`);
  const status = async (...args: string[]) =>
    (await curl("-x", sluice.url, "-o", "/dev/null", "-w", "%{http_connect} %{http_code}", ...args)).stdout;
  assert.equal(await status(`http://${address}/`), "000 502");
  assert.equal(await status("-p", `http://${address}/`), "502 000");
  assert.match((await sluice.sees(/^.*upstream_proxy_failed.*$/m))[0], /answered 407/);
  assert.ok(!`${sluice.stdout}${sluice.stderr}`.includes("wrong"));
  const mute = net.createServer((socket) => socket.once("data", () => socket.end()));
  mute.listen(0, "127.0.0.1");
  await once(mute, "listening");
  t.after(() => mute.close());
  const broken = await start(t, `"http://127.0.0.1:${(mute.address() as net.AddressInfo).port}"`);
  const { stdout } = await curl(
    "-x",
    broken.url,
    "-p",
    "-w",
    "%{http_connect}",
    "-o",
    "/dev/null",
    `http://${address}/`,
  );
  assert.equal(stdout, "502");
});

test("allow and deny judge what a name resolves to here, unless the proxy resolves", async (t) => {
  const address = await plainSite(t);
  const port = address.split(":")[1];
  const other = await OtherProxy.start(t);
  const status = async (sluice: RunningSluice, ...args: string[]) =>
    (await curl("-x", sluice.url, "-o", "/dev/null", "-w", "%{http_connect} %{http_code}", ...args)).stdout;
  const here = await start(t, `"http://${other.address}"`, ", deny: [127.0.0.1, '::1']");
  for (const host of ["localhost", "no-such-name.invalid"]) {
    assert.equal(await status(here, `http://${host}:${port}/`), "000 502", host);
    assert.equal(await status(here, "-p", `http://${host}:${port}/`), "502 000", host);
  }
  assert.equal(await status(here, `http://${address}/`), "000 403");
  assert.equal(await status(here, "-p", `http://${address}/`), "403 000");
  assert.deepEqual(other.asked, []);
  const there = await start(
    t,
    `{ http: "http://${other.address}", https: "http://${other.address}", resolve: proxy }`,
  );
  assert.equal(await status(there, `http://site.invalid:${port}/`), "000 200");
  assert.equal(await status(there, "-p", `http://site.invalid:${port}/`), "200 200");
  assert.equal(await status(there, "http://10.0.0.1/"), "000 403");
  assert.equal(await status(there, "-p", "http://10.0.0.1/"), "403 000");
  assert.deepEqual(other.asked, [
    `GET http://site.invalid:${port}/ site.invalid:${port}`,
    `CONNECT site.invalid:${port} site.invalid:${port}`,
  ]);
});

test("environment takes the proxies from where other programs have them", async (t) => {
  const address = await plainSite(t);
  const port = address.split(":")[1];
  const other = await OtherProxy.start(t, false, "ada:secret");
  const sluice = await start(t, "environment", "", {
    HTTP_PROXY: `ada:secret@${other.address}`,
    no_proxy: "intern.test,.localhost, 127.0.0.0/8",
  });
  assert.match((await curl("-x", sluice.url, `http://localhost:${port}/`)).stdout, /^GET/);
  assert.match((await curl("-x", sluice.url, `http://${address}/`)).stdout, /^GET/);
  assert.match((await curl("-p", "-x", sluice.url, `http://localhost:${port}/`)).stdout, /^GET/);
  assert.deepEqual(other.asked, []);
  const proxied = await start(t, "environment", "", { http_proxy: `http://ada:secret@${other.address}` });
  assert.match((await curl("-x", proxied.url, `http://localhost:${port}/`)).stdout, /^GET/);
  assert.deepEqual(other.asked, [`GET http://localhost:${port}/ localhost:${port} with login`]);
  const none = await start(t, "environment");
  assert.match((await curl("-x", none.url, `http://${address}/`)).stdout, /^GET/);
});

test("a WebSocket of a Worker goes through the proxy's tunnel", async (t) => {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  await once(server, "listening");
  t.after(() => {
    server.close();
    for (const client of server.clients) client.terminate();
  });
  server.on("connection", (socket) => socket.on("message", (data) => socket.send(`echo ${data}`)));
  const { port } = server.address() as net.AddressInfo;
  const other = await OtherProxy.start(t);
  const sluice = await startSluice(
    t,
    `
sockets:
  public: { address: "127.0.0.1:0", service: worker }
services:
  worker: { worker: { main: ./worker.js, compatibilityDate: 2026-01-01, globalOutbound: net } }
  net: { network: { allow: [local], proxy: "http://${other.address}" } }
`,
    {
      files: {
        "worker.js": `export default { async fetch() {
          const { webSocket } = await fetch("http://localhost:${port}/", { headers: { upgrade: "websocket" } });
          webSocket.accept();
          const said = new Promise((resolve) => webSocket.addEventListener("message", (event) => resolve(event.data)));
          webSocket.send("hello");
          const text = await said;
          webSocket.close(1000);
          return new Response(text);
        } };`,
      },
    },
  );
  assert.equal((await curl(sluice.url)).stdout, "echo hello", sluice.stdout);
  assert.equal(other.asked[0], `CONNECT 127.0.0.1:${port} 127.0.0.1:${port}`);
});

test("proxies that are none are config errors, which show no password", async (t) => {
  const directory = new TemporaryDirectory(t);
  directory.write(
    "proxy.yaml",
    `sockets: {}
services:
  a: { network: { proxy: "ftp://ada:geheim@proxy.example" } }
  b: { network: { proxy: { https: "http://ada:geheim@proxy.example/path" } } }
  c: { network: { proxy: { http: "http://proxy.example", noProxy: ["a b"] } } }
  d: { network: { proxy: "socks5://\${NAME}@proxy.example:99999" } }
`,
  );
  const { code, stderr } = await runSluice(t, ["check", "proxy.yaml"], {
    cwd: directory.path,
    env: { NAME: "ada:geheim" },
  });
  assert.equal(code, 1);
  for (const line of [3, 4, 5, 6])
    assert.match(stderr, new RegExp(`proxy\\.yaml:${line}:\\d+: error: `), stderr);
  assert.doesNotMatch(stderr, /error: .*geheim/);
});

test("tunnels that are given up on their way through a proxy, and proxies that say nothing, leave nothing behind", async (t) => {
  const random = new Random(11);
  const sockets = new Set<net.Socket>();
  // Says what it says late, in part, or never.
  const slow = net.createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    socket.once("data", (bytes: Buffer) => {
      const kind = random.below(4);
      const answer = bytes[0] === 5 ? "\x05\x00\x05\x00\x00\x01\0\0\0\0\0\0" : "HTTP/1.1 200 OK\r\n\r\n";
      if (kind === 0) return;
      if (kind === 1) socket.end(answer.slice(0, 5), "latin1");
      else setTimeout(() => socket.write(answer, "latin1"), random.below(20));
    });
  });
  slow.listen(0, "127.0.0.1");
  await once(slow, "listening");
  t.after(() => {
    slow.close();
    for (const socket of sockets) socket.destroy();
  });
  const { port } = slow.address() as net.AddressInfo;
  const context = new TestContextOfServices();
  for (const scheme of ["http", "socks5"]) {
    const config = networkSchema.parse({ allow: ["local"], proxy: `${scheme}://127.0.0.1:${port}` });
    const service = new NetworkService("net", config, context.forServices, {
      ...networkDefaults,
      connectMs: 150,
    });
    let stood = 0;
    const one = async (): Promise<void> => {
      const tunnel = new CollectedTunnel(random.below(2) === 0 ? "localhost" : "127.0.0.1", 443);
      service.connect(tunnel);
      const patience = random.below(30);
      const gaveUp = new Promise<"left">((resolve) => setTimeout(() => resolve("left"), patience));
      if ((await Promise.race([tunnel.done, gaveUp])) === "left" && random.below(2) === 0) {
        tunnel.onAbort?.(new ProxyError("client_disconnected", "cannot open the tunnel: the client left"));
        return;
      }
      await tunnel.done;
      if (tunnel.stream === null) return;
      stood++;
      const gone = new ProxyError("client_disconnected", "cannot go on: the client left");
      tunnel.stream.readable.cancel(gone);
      tunnel.stream.writable.fail(gone);
    };
    for (let round = 0; round < 5; round++) await Promise.all(Array.from({ length: 40 }, one));
    assert.ok(stood > 10, `${stood} tunnels stood`);
    await until(() => service.connector.connections === 0 && context.wheel.size === 0);
    service.close();
  }
});
