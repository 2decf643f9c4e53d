import assert from "node:assert/strict";
import { once } from "node:events";
import net, { type AddressInfo } from "node:net";
import { after, afterEach, test } from "node:test";
import tls from "node:tls";
import forge from "node-forge";
import { external } from "../../src/config/schema/external.ts";
import type { NetworkConfig } from "../../src/config/schema/network.ts";
import { TimerWheel } from "../../src/net/timer-wheel.ts";
import { Metrics } from "../../src/observability/traffic.ts";
import type { ServiceContext } from "../../src/services/context.ts";
import { createExternal } from "../../src/services/external/external.ts";
import { NetworkService, networkDefaults } from "../../src/services/network/network.ts";
import type { Service } from "../../src/services/service.ts";
import { CollectedExchange } from "./network-harness.ts";
import { to, WorkerBench } from "./worker-harness.ts";

const context = {
  log: { log() {}, access() {}, accessEnabled: false },
  metrics: new Metrics(),
  now: () => performance.now(),
} as unknown as ServiceContext;

const { certificate, key } = selfSigned("app.internal");
const cleanUp: Array<() => void> = [];
let bench: WorkerBench | null = null;
afterEach(() => {
  bench?.stop();
  bench = null;
  for (const clean of cleanUp.splice(0)) clean();
});
after(() => assert.equal(TimerWheel.of(context).size, 0, "no timer is left"));

function selfSigned(name: string): { certificate: string; key: string } {
  const keys = forge.pki.rsa.generateKeyPair(2048);
  const made = forge.pki.createCertificate();
  made.publicKey = keys.publicKey;
  made.serialNumber = "01";
  made.validity.notBefore = new Date(Date.now() - 86_400_000);
  made.validity.notAfter = new Date(Date.now() + 86_400_000);
  const subject = [{ name: "commonName", value: name }];
  made.setSubject(subject);
  made.setIssuer(subject);
  made.setExtensions([{ name: "subjectAltName", altNames: [{ type: 2, value: name }] }]);
  made.sign(keys.privateKey, forge.md.sha256.create());
  return {
    certificate: forge.pki.certificateToPem(made),
    key: forge.pki.privateKeyToPem(keys.privateKey),
  };
}

class Server {
  readonly port: number;
  readonly #server: net.Server;

  private constructor(server: net.Server) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
  }

  static async start(serve: (socket: net.Socket) => void): Promise<Server> {
    const sockets: net.Socket[] = [];
    const server = net.createServer({ allowHalfOpen: true }, (socket) => {
      sockets.push(socket);
      socket.on("error", () => {});
      serve(socket);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const made = new Server(server);
    cleanUp.push(() => {
      server.close();
      for (const socket of sockets) socket.destroy();
    });
    return made;
  }

  /** The next connection. */
  async connection(): Promise<net.Socket> {
    const [socket] = (await once(this.#server, "connection")) as [net.Socket];
    return socket;
  }
}

function network(config: Partial<NetworkConfig> = { allow: ["local"] }): Service {
  const service = new NetworkService("internet", { allow: [], deny: [], ...config }, context, {
    ...networkDefaults,
    trust: [certificate],
  });
  cleanUp.push(() => service.close());
  return service;
}

const prelude = `
  import { connect } from "cloudflare:sockets";
  const text = async (socket) => await new Response(socket.readable).text();
  const say = async (socket, words) => { const writer = socket.writable.getWriter(); await writer.write(new TextEncoder().encode(words)); writer.releaseLock(); };
  const failure = async (promise) => { try { return ["no error", await promise]; } catch (e) { return [e.name, e.message]; } };
  const hear = async (socket) => { const reader = socket.readable.getReader(); const { value } = await reader.read(); reader.releaseLock(); return new TextDecoder().decode(value); };
`;

async function run(code: string, port: number, services: readonly Service[] = [network()]): Promise<unknown> {
  bench = await WorkerBench.start(
    {
      main: {
        code: `${prelude} export default { async fetch(request, env, ctx) { const port = ${port}; ${code} } };`,
        bindings: Object.fromEntries(
          services.filter(({ name }) => name !== "internet").map(({ name }) => [name, { service: to(name) }]),
        ),
      },
    },
    services,
  );
  const exchange = new CollectedExchange({});
  bench.worker().handle(exchange);
  const answer = await exchange.done;
  assert.equal(
    answer.status,
    200,
    `${answer.error?.message} ${bench.logs[0]?.message} ${bench.logs[0]?.fields.stack}`,
  );
  return JSON.parse(answer.text);
}

async function empty(): Promise<void> {
  const running = bench as WorkerBench;
  const until = performance.now() + 5000;
  while (running.worker().inHand > 0) {
    assert.ok(performance.now() < until, `${running.worker().inHand} things are left in hand`);
    await new Promise((done) => setTimeout(done, 5));
  }
}

test("connect() opens a socket through the global outbound; both directions carry bytes", async () => {
  const server = await Server.start((socket) => {
    socket.on("data", (bytes) => socket.end(`you said ${bytes}`));
  });
  const result = await run(
    `const socket = connect({ hostname: "127.0.0.1", port });
    const { remoteAddress } = await socket.opened;
    await say(socket, "hello");
    const heard = await text(socket);
    await socket.closed;
    return Response.json([heard, remoteAddress === "127.0.0.1:" + port, socket.secureTransport, socket.upgraded]);`,
    server.port,
  );
  assert.deepEqual(result, ["you said hello", true, "off", false]);
  await empty();
});

test("the network's rules hold for sockets, and a refused one rejects opened and closed", async () => {
  const result = await run(
    `const socket = connect("127.0.0.1:" + port);
    const nowhere = connect("127.0.0.1:1");
    return Response.json([await failure(socket.opened), await failure(socket.closed), (await failure(text(connect("127.0.0.1:" + port))))[0],
      (await failure((async () => connect("no port"))()))[0], (await failure(connect("no-port").opened))[1], (await failure((async () => connect(5))()))[0]]);`,
    9,
    [network({ allow: ["public"] })],
  );
  const denied = ["TypeError", "fetch failed: address_denied"];
  assert.deepEqual(result, [
    denied,
    denied,
    "TypeError",
    "no error",
    "fetch failed: connect_target_invalid",
    "TypeError",
  ]);
  await empty();
});

test("secureTransport on speaks TLS and verifies the certificate's name and issuer", async () => {
  const secure = tls.createSecureContext({ cert: certificate, key });
  const server = await Server.start((socket) => {
    const secured = new tls.TLSSocket(socket, { isServer: true, secureContext: secure });
    secured.on("error", () => {});
    secured.on("data", (bytes) => secured.end(`secret ${bytes}`));
  });
  const relay = tunnelTo(server.port);
  const result = await run(
    `const good = env.APP.connect({ hostname: "app.internal", port: 1 }, { secureTransport: "on" });
    await good.opened;
    await say(good, "hello");
    const heard = await text(good);
    const wrong = env.APP.connect("other.internal:1", { secureTransport: "on" });
    return Response.json([heard, good.secureTransport, await failure(wrong.opened), (await failure((async () => connect("a:1", { secureTransport: "no" }))()))[0]]);`,
    server.port,
    [relay],
  );
  assert.deepEqual(result, [
    "secret hello",
    "on",
    ["TypeError", "fetch failed: upstream_tls_failed"],
    "TypeError",
  ]);
  await empty();
});

test("a certificate that nobody trusts is refused", async () => {
  const server = await Server.start((socket) => {
    const secured = new tls.TLSSocket(socket, { isServer: true, cert: certificate, key });
    secured.on("error", () => {});
  });
  const app = createExternal(
    "APP",
    external.parse({ address: `127.0.0.1:${server.port}`, tcp: {} }),
    context,
  );
  cleanUp.push(() => app.close());
  const result = await run(
    `return Response.json(await failure(env.APP.connect("app.internal:1", { secureTransport: "on" }).opened));`,
    server.port,
    [app],
  );
  assert.deepEqual(result, ["TypeError", "fetch failed: upstream_tls_failed"]);
  await empty();
});

test("an external names the authorities for TLS that a Worker speaks with it", async () => {
  const server = await Server.start((socket) => {
    socket.once("data", () => {
      socket.write("READY");
      const secured = new tls.TLSSocket(socket, { isServer: true, cert: certificate, key });
      secured.on("error", () => {});
      secured.on("data", (more) => secured.end(`over TLS: ${more}`));
    });
  });
  const app = createExternal(
    "APP",
    external.parse({ address: `127.0.0.1:${server.port}`, tcp: { trust: [certificate] } }),
    context,
  );
  cleanUp.push(() => app.close());
  const result = await run(
    `const plain = env.APP.connect("app.internal:1", { secureTransport: "starttls" });
    await say(plain, "STARTTLS");
    const ready = await hear(plain);
    const secured = plain.startTls();
    await say(secured, "hello");
    const heard = await text(secured);
    await plain.closed;
    return Response.json([ready, heard]);`,
    server.port,
    [app],
  );
  assert.deepEqual(result, ["READY", "over TLS: hello"]);
  await empty();
});

test("startTls() goes on in another socket, and what came in before TLS never shows in it", async () => {
  const server = await Server.start((socket) => {
    socket.once("data", (bytes) => {
      assert.equal(bytes.toString(), "STARTTLS");
      socket.write("READY");
      const secured = new tls.TLSSocket(socket, { isServer: true, cert: certificate, key });
      secured.on("error", () => {});
      secured.on("data", (more) => secured.end(`over TLS: ${more}`));
    });
  });
  const result = await run(
    `const plain = env.APP.connect("app.internal:1", { secureTransport: "starttls" });
    await say(plain, "STARTTLS");
    const ready = await hear(plain);
    const secured = plain.startTls();
    await secured.opened;
    await say(secured, "hello");
    const heard = await text(secured);
    await plain.closed;
    return Response.json([ready, heard, plain.upgraded, secured.secureTransport, (await failure((async () => plain.startTls())()))[0],
      (await failure(say(plain, "more")))[0], (await failure((async () => env.APP.connect("a.internal:1").startTls())()))[0]]);`,
    server.port,
    [tunnelTo(server.port)],
  );
  assert.deepEqual(result, ["READY", "over TLS: hello", true, "on", "TypeError", "TypeError", "TypeError"]);
  await empty();
});

test("without allowHalfOpen the end of what comes in ends what goes out; with it, it does not", async () => {
  const server = await Server.start((socket) => {
    const chunks: string[] = [];
    socket.on("data", (bytes) => chunks.push(bytes.toString()));
    socket.on("end", () => socket.destroy());
    socket.end("bye");
  });
  const connection = server.connection();
  const result = await run(
    `const socket = connect("127.0.0.1:" + port);
    const heard = await text(socket);
    await socket.closed;
    const half = connect("127.0.0.1:" + port, { allowHalfOpen: true });
    const heardHalf = await text(half);
    await say(half, "still here");
    await half.close();
    return Response.json([heard, (await failure(say(socket, "more")))[0], heardHalf]);`,
    server.port,
  );
  assert.deepEqual(result, ["bye", "TypeError", "bye"]);
  const first = await connection;
  if (!first.closed) await new Promise((done) => first.once("close", done));
  await empty();
});

test("a socket ends with the request that opened it, when what was written is sent", async () => {
  const server = await Server.start(() => {});
  const connection = server.connection();
  const result = await run(
    `const socket = connect("127.0.0.1:" + port);
    await socket.opened;
    await say(socket, "hello");
    return Response.json("left open");`,
    server.port,
  );
  assert.equal(result, "left open");
  const heard: string[] = [];
  for await (const chunk of await connection) heard.push(String(chunk));
  assert.equal(heard.join(""), "hello");
  await empty();
});

test("waitUntil keeps a socket for what it waits for", async () => {
  const server = await Server.start((socket) => {
    socket.on("data", (bytes) => setTimeout(() => socket.end(`late ${bytes}`), 20));
  });
  await run(
    `const socket = connect("127.0.0.1:" + port);
    ctx.waitUntil((async () => { await say(socket, "hello"); console.log(await text(socket)); })());
    return Response.json(1);`,
    server.port,
  );
  await empty();
  assert.equal(bench?.logged("worker.log")[0]?.message, "late hello");
});

test("a response whose body is a socket's stream is whole", async () => {
  const server = await Server.start((socket) => {
    socket.write('["first');
    setTimeout(() => socket.end('second"]'), 20);
  });
  const result = await run(`return new Response(connect("127.0.0.1:" + port).readable);`, server.port);
  assert.deepEqual(result, ["firstsecond"]);
  await empty();
});

/** A network that leads every name to one port of this machine, and trusts the certificate. */
function tunnelTo(port: number): Service {
  const inner = new NetworkService("APP", { allow: ["local"], deny: [] }, context, {
    ...networkDefaults,
    trust: [certificate],
    resolve: (_host, done) => queueMicrotask(() => done(null, [{ address: "127.0.0.1", family: 4 }])),
  });
  cleanUp.push(() => inner.close());
  const relay: Service = {
    name: "APP",
    kind: "network",
    handle: (exchange) => inner.handle(exchange),
    connect: (tunnel) =>
      inner.connect(
        new Proxy(tunnel, {
          get: (target, name) => {
            if (name === "port") return port;
            const value = Reflect.get(target, name, target) as unknown;
            return typeof value === "function" ? value.bind(target) : value;
          },
          set: (target, name, value) => Reflect.set(target, name, value, target),
        }),
      ),
    at: () => relay,
    close() {},
  };
  return relay;
}
