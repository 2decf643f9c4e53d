import assert from "node:assert/strict";
import { once } from "node:events";
import * as net from "node:net";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import * as tls from "node:tls";
import { Authority } from "../support/authority.ts";
import { clientHello, inRecords } from "../support/client-hello.ts";
import { eventually, readMetrics, sumOf } from "../support/shard.ts";
import { type RunningSluice, runSluice, startSluice } from "../support/sluice.ts";
import { TemporaryDirectory } from "../support/temporary.ts";

const authority = new Authority("Test CA");
const own = authority.issue(["db.example.com", "web.example.com", "localhost"]);
const files = { "ca.pem": authority.certificate, "own.pem": own.certificate, "own.key": own.key };

/** A server for bytes; it is gone when the test ends. */
async function serve(
  t: TestContext,
  take: (socket: net.Socket) => void,
  options: tls.TlsOptions | null = null,
): Promise<number> {
  const sockets = new Set<net.Socket>();
  const taken = (socket: net.Socket): void => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => {});
    take(socket);
  };
  const server =
    options === null
      ? net.createServer({ allowHalfOpen: true }, taken)
      : tls.createServer({ allowHalfOpen: true, ...options }, taken);
  server.on("tlsClientError", () => {});
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return (server.address() as net.AddressInfo).port;
}

/** Sends back what comes. */
const echo = (socket: net.Socket): void => void socket.pipe(socket);

function config(service: string, socket = "tcp: {}", more = ""): string {
  return `
sockets:
  raw:
    address: 127.0.0.1:0
    service: target
    ${socket}
admin: { address: "unix:./admin.sock" }
services:
  target: ${service}
${more}`;
}

function portOf(sluice: RunningSluice): number {
  return Number(new URL(sluice.url).port);
}

function dial(t: TestContext, port: number): net.Socket {
  const socket = net.connect({ host: "127.0.0.1", port, allowHalfOpen: true });
  socket.on("error", () => {});
  t.after(() => socket.destroy());
  return socket;
}

/** Resolves when the connection is closed, in whatever way. */
function closed(socket: net.Socket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.closed) resolve();
    else socket.once("close", () => resolve()).once("end", () => socket.destroy());
    socket.resume();
  });
}

/** Everything until the other side ends. */
async function all(socket: net.Socket): Promise<string> {
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  await once(socket, "end");
  return Buffer.concat(chunks).toString("latin1");
}

/** The access lines of the socket, parsed, once there are so many. */
async function accesses(sluice: RunningSluice, count: number): Promise<Array<Record<string, unknown>>> {
  const lines = (): string[] => sluice.stdout.split("\n").filter((line) => line.includes('"event":"access"'));
  await eventually(`${count} access lines`, () => lines().length >= count);
  return lines().map((line) => JSON.parse(line) as Record<string, unknown>);
}

async function nothingOpen(sluice: RunningSluice): Promise<void> {
  await eventually("nothing is open", async () => {
    const metrics = await readMetrics(join(sluice.directory.path, "admin.sock"));
    return (
      sumOf(metrics, "sluice_socket_connections") === 0 &&
      sumOf(metrics, "sluice_socket_openings_pending") === 0 &&
      sumOf(metrics, "sluice_socket_active_exchanges") === 0 &&
      sumOf(metrics, "sluice_service_active_exchanges") === 0
    );
  });
}

test("a tcp socket relays bytes to an external, half-closes both ways, and logs the connection once", async (t) => {
  const port = await serve(t, echo);
  const sluice = await startSluice(t, config(`{ external: { address: "127.0.0.1:${port}", tcp: {} } }`));
  assert.match(sluice.url, /^tcp:/);
  const client = dial(t, portOf(sluice));
  const large = "x".repeat(3_000_000);
  const got = all(client);
  client.end(large);
  assert.equal((await got).length, large.length);
  const [line] = await accesses(sluice, 1);
  assert.equal(line?.socket, "raw");
  assert.equal(line?.client, "127.0.0.1");
  assert.equal(line?.received, large.length);
  assert.equal(line?.bytes, large.length);
  assert.equal(line?.error, undefined);
  await nothingOpen(sluice);
  const metrics = await readMetrics(join(sluice.directory.path, "admin.sock"));
  assert.equal(metrics.get('sluice_socket_bytes_total{socket="raw",direction="received"}'), large.length);
});

test("the server may speak first, and the end of what it says does not end what it hears", async (t) => {
  let heard = "";
  const port = await serve(t, (socket) => {
    socket.end("hello");
    socket.on("data", (chunk) => {
      heard += String(chunk);
    });
  });
  const sluice = await startSluice(t, config(`{ external: { address: "127.0.0.1:${port}", tcp: {} } }`));
  const client = dial(t, portOf(sluice));
  assert.equal(await all(client), "hello");
  client.end("and so on");
  await eventually("the server has heard all", () => heard === "and so on");
  await nothingOpen(sluice);
});

test("a reset of either side reaches the other as a reset", async (t) => {
  const reset: string[] = [];
  const port = await serve(t, (socket) => {
    socket.on("error", (error: NodeJS.ErrnoException) => reset.push(error.code ?? ""));
    socket.once("data", (chunk) => {
      if (String(chunk) === "reset me") socket.resetAndDestroy();
      else socket.write("hello");
    });
  });
  const sluice = await startSluice(t, config(`{ external: { address: "127.0.0.1:${port}", tcp: {} } }`));
  const first = dial(t, portOf(sluice));
  first.write("reset me");
  const failed = new Promise<string>((resolve) =>
    first.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? "")),
  );
  first.resume();
  assert.equal(await failed, "ECONNRESET");
  const second = dial(t, portOf(sluice));
  second.write("stay");
  await once(second, "data");
  second.resetAndDestroy();
  await eventually("the server was reset", () => reset.includes("ECONNRESET"));
  const codes = (await accesses(sluice, 2)).map((line) => line.error);
  assert.deepEqual(codes, ["upstream_reset", "client_disconnected"]);
  await nothingOpen(sluice);
});

test("a tunnel that cannot be opened is reset without a byte, and told once", async (t) => {
  const port = await serve(t, echo);
  const free = await new Promise<number>((resolve) => {
    const server = net.createServer().listen(0, "127.0.0.1", () => {
      const { port: found } = server.address() as net.AddressInfo;
      server.close(() => resolve(found));
    });
  });
  void port;
  const sluice = await startSluice(t, config(`{ external: { address: "127.0.0.1:${free}", tcp: {} } }`));
  const client = dial(t, portOf(sluice));
  let got = 0;
  client.on("data", (chunk) => {
    got += chunk.length;
  });
  const failed = new Promise<string>((resolve) =>
    client.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? "")),
  );
  client.write("hello");
  assert.equal(await failed, "ECONNRESET");
  assert.equal(got, 0);
  const [line] = await accesses(sluice, 1);
  assert.equal(line?.error, "upstream_unreachable");
  assert.equal(sluice.stderr.split("tunnel.failed").length - 1, 1);
  await nothingOpen(sluice);
});

test("TLS is ended on the client's side, begun on the server's, or both", async (t) => {
  const plain = await serve(t, echo);
  const secure = await serve(t, echo, { cert: own.certificate, key: own.key });
  const termination = "tls: { certificates: [{ certificate: ./own.pem, key: ./own.key }] }";
  const origination = "tls: { trust: [./ca.pem], certificateHost: db.example.com }";
  const talk = async (sluice: RunningSluice, withTls: boolean): Promise<string> => {
    const socket = withTls
      ? tls.connect({
          host: "127.0.0.1",
          port: portOf(sluice),
          ca: authority.certificate,
          servername: "localhost",
        })
      : dial(t, portOf(sluice));
    socket.on("error", () => {});
    t.after(() => socket.destroy());
    const got = all(socket);
    socket.end("through TLS");
    return got;
  };
  const ended = await startSluice(
    t,
    config(`{ external: { address: "127.0.0.1:${plain}", tcp: {} } }`, `tcp: {}\n    ${termination}`),
    { files },
  );
  assert.match(ended.url, /^tls:/);
  assert.equal(await talk(ended, true), "through TLS");
  const begun = await startSluice(
    t,
    config(`{ external: { address: "127.0.0.1:${secure}", tcp: {}, ${origination} } }`),
    { files },
  );
  assert.equal(await talk(begun, false), "through TLS");
  const both = await startSluice(
    t,
    config(
      `{ external: { address: "127.0.0.1:${secure}", tcp: {}, ${origination} } }`,
      `tcp: { protocols: [postgresql] }\n    ${termination}`,
    ),
    { files },
  );
  assert.equal(await talk(both, true), "through TLS");
  const offering = tls.connect({
    host: "127.0.0.1",
    port: portOf(both),
    ca: authority.certificate,
    servername: "localhost",
    ALPNProtocols: ["postgresql"],
  });
  await once(offering, "secureConnect");
  assert.equal(offering.alpnProtocol, "postgresql");
  offering.destroy();
  for (const sluice of [ended, begun, both]) await nothingOpen(sluice);
});

test("over TLS on both sides directions end one by one, and a reset stays a reset", async (t) => {
  const heard: string[] = [];
  let resets = 0;
  const port = await serve(
    t,
    (socket) => {
      socket.on("error", () => {});
      socket.once("close", (hadError) => {
        if (hadError) resets++;
      });
      socket.once("data", (chunk) => {
        if (String(chunk) === "end") {
          socket.end("and on");
          socket.on("data", (more) => heard.push(String(more)));
        } else if (String(chunk) === "large") {
          socket.on("end", () => socket.end("x".repeat(5_000_000)));
        } else socket.write("hello");
      });
    },
    { cert: own.certificate, key: own.key },
  );
  const sluice = await startSluice(
    t,
    config(
      `{ external: { address: "127.0.0.1:${port}", tcp: {}, tls: { trust: [./ca.pem], certificateHost: db.example.com } } }`,
      "tcp: {}\n    tls: { certificates: [{ certificate: ./own.pem, key: ./own.key }] }",
    ),
    { files },
  );
  const open = async (): Promise<{ raw: net.Socket; socket: tls.TLSSocket }> => {
    const raw = dial(t, portOf(sluice));
    const socket = tls.connect({ socket: raw, ca: authority.certificate, servername: "localhost" });
    socket.on("error", () => {});
    await once(socket, "secureConnect");
    return { raw, socket };
  };
  const first = (await open()).socket;
  first.write("end");
  assert.equal(await all(first), "and on");
  first.end("heard to the end");
  await eventually("the server has heard all", () => heard.join("") === "heard to the end");
  const second = (await open()).socket;
  const got = all(second);
  second.write("large");
  await eventually("it is with the server", async () => {
    const metrics = await readMetrics(join(sluice.directory.path, "admin.sock"));
    return sumOf(metrics, "sluice_socket_connections") === 1;
  });
  second.end();
  assert.equal((await got).length, 5_000_000);
  const third = await open();
  third.socket.write("reset");
  await once(third.socket, "data");
  third.raw.resetAndDestroy();
  await eventually("the server's connection was reset", () => resets === 1);
  await nothingOpen(sluice);
  assert.doesNotMatch(sluice.stderr, /uncaught|ERR_INVALID_HANDLE/i);
});

test("with sni: the name in the ClientHello routes a connection whose TLS is not ended here", async (t) => {
  const say = (text: string) => (socket: net.Socket) => void socket.end(text);
  const secure = { cert: own.certificate, key: own.key };
  const db = await serve(t, say("db"), secure);
  const web = await serve(t, say("web"), secure);
  const other = await serve(t, echo);
  const sluice = await startSluice(
    t,
    `
sockets:
  raw: { address: 127.0.0.1:0, service: byName, tcp: { sni: true, port: 5432 } }
admin: { address: "unix:./admin.sock" }
services:
  byName:
    router:
      - { host: "db.example.com:5432", service: db }
      - { host: "*.example.com", service: web }
      - { host: "*.test", service: internet }
      - { service: other }
  db: { external: { address: "127.0.0.1:${db}", tcp: {} } }
  web: { external: { address: "127.0.0.1:${web}", tcp: {} } }
  other: { external: { address: "127.0.0.1:${other}", tcp: {} } }
`,
  );
  const ask = async (servername: string): Promise<string> => {
    const socket = tls.connect({
      host: "127.0.0.1",
      port: portOf(sluice),
      ca: authority.certificate,
      servername,
    });
    t.after(() => socket.destroy());
    return all(socket);
  };
  assert.equal(await ask("DB.example.com"), "db");
  assert.equal(await ask("web.example.com"), "web");
  // Whoever speaks no TLS, or names nothing, has an empty host; what was read goes on as it came.
  for (const bytes of [Buffer.from("plain"), await clientHello({ servername: "" })]) {
    const client = dial(t, portOf(sluice));
    const got = all(client);
    client.end(bytes);
    assert.equal(await got, bytes.toString("latin1"));
  }
  // A name behind which nothing is allowed: reset, as any tunnel that cannot be opened.
  const denied = dial(t, portOf(sluice));
  denied.write(inRecords(await clientHello({ servername: "nowhere.test" }), 50));
  await closed(denied);
  const lines = await accesses(sluice, 5);
  assert.deepEqual(
    lines.map((line) => line.host),
    ["db.example.com", "web.example.com", undefined, undefined, "nowhere.test"],
  );
  assert.equal(lines[4]?.error, "upstream_name_unresolved");
  await nothingOpen(sluice);
});

test("a Worker's connect handler takes the connections of a tcp socket, and may pass them on", async (t) => {
  const port = await serve(t, echo);
  const worker = `
export default {
  async connect(socket, env) {
    const { remoteAddress, localAddress } = await socket.opened;
    const reader = socket.readable.getReader();
    const first = new TextDecoder().decode((await reader.read()).value);
    reader.releaseLock();
    if (first === "pass\\n") {
      const far = env.FAR.connect("any:1");
      const greeter = socket.writable.getWriter();
      await greeter.write(new TextEncoder().encode("ready "));
      greeter.releaseLock();
      await Promise.all([far.readable.pipeTo(socket.writable), socket.readable.pipeTo(far.writable)]);
      return;
    }
    const writer = socket.writable.getWriter();
    await writer.write(new TextEncoder().encode(JSON.stringify({ first, remoteAddress, localAddress })));
    await writer.close();
  },
};`;
  const sluice = await startSluice(
    t,
    config(
      "{ worker: { main: ./worker.js, compatibilityDate: 2026-01-01, bindings: { FAR: { service: far } } } }",
      "tcp: {}",
      `  far: { external: { address: "127.0.0.1:${port}", tcp: {} } }`,
    ),
    { files: { "worker.js": worker } },
  );
  const client = dial(t, portOf(sluice));
  const got = all(client);
  client.write("hello");
  const facts = JSON.parse(await got) as Record<string, string>;
  assert.equal(facts.first, "hello");
  assert.equal(facts.remoteAddress, `127.0.0.1:${client.localPort}`);
  assert.equal(facts.localAddress, `127.0.0.1:${portOf(sluice)}`);
  client.end();
  const passed = dial(t, portOf(sluice));
  passed.write("pass\n");
  const heard = all(passed);
  await once(passed, "data");
  passed.end("to the far end");
  assert.equal(await heard, "ready to the far end");
  await nothingOpen(sluice);
});

test("idle connections, silent clients and one connection too many are closed", async (t) => {
  const port = await serve(t, echo);
  const external = `{ external: { address: "127.0.0.1:${port}", tcp: {} } }`;
  const sluice = await startSluice(
    t,
    config(external, "tcp: { timeouts: { idle: 300ms }, limits: { connections: 2 } }"),
  );
  const first = dial(t, portOf(sluice));
  first.write("x");
  await once(first, "data");
  const second = dial(t, portOf(sluice));
  second.write("x");
  await once(second, "data");
  const third = dial(t, portOf(sluice));
  await closed(third);
  await Promise.all([closed(first), closed(second)]);
  const codes = (await accesses(sluice, 2)).map((line) => line.error);
  assert.deepEqual(codes, ["tunnel_idle_timeout", "tunnel_idle_timeout"]);
  await nothingOpen(sluice);
  const silent = await startSluice(t, config(external, "tcp: { sni: true, timeouts: { hello: 200ms } }"));
  const client = dial(t, portOf(silent));
  await closed(client);
  await nothingOpen(silent);
});

test("a stream that nobody reads holds its sender back", async (t) => {
  let sent = 0;
  const size = 64 * 1024 * 1024;
  const port = await serve(t, (socket) => {
    const chunk = Buffer.alloc(65_536);
    const write = (): void => {
      while (sent < size && socket.write(chunk)) sent += chunk.length;
      sent += chunk.length;
    };
    socket.on("drain", write);
    write();
  });
  const sluice = await startSluice(t, config(`{ external: { address: "127.0.0.1:${port}", tcp: {} } }`));
  const client = dial(t, portOf(sluice));
  await once(client, "connect");
  let before = -1;
  await eventually("the server stands still", async () => {
    const still = sent === before && sent > 0;
    before = sent;
    await new Promise((resolve) => setTimeout(resolve, 200));
    return still;
  });
  assert.ok(sent < size / 2, `${sent} bytes have gone into the buffers`);
  client.destroy();
  await nothingOpen(sluice);
});

test("on a stop, connections go on until the drain timeout cuts them", async (t) => {
  const port = await serve(t, echo);
  const sluice = await startSluice(
    t,
    config(`{ external: { address: "127.0.0.1:${port}", tcp: {} } }`, "tcp: {}", "drainTimeout: 3s"),
  );
  const client = dial(t, portOf(sluice));
  client.write("x");
  await once(client, "data");
  sluice.signal("SIGTERM");
  await eventually("nobody accepts", async () => {
    const late = dial(t, portOf(sluice));
    const refused = new Promise<boolean>((resolve) => {
      late.once("error", () => resolve(true));
      late.once("connect", () => resolve(false));
    });
    const isRefused = await refused;
    late.destroy();
    return isRefused;
  });
  client.write("y");
  await once(client, "data");
  await closed(client);
  const { code, stdout, stderr } = await sluice.ended();
  assert.equal(code, 0);
  assert.match(stdout, /"socket":"raw".*"error":"draining"/);
  assert.doesNotMatch(stderr, /were killed/);
});

test("a reload lets streams go on, and new connections go where the new config says", async (t) => {
  const name = (text: string) => (socket: net.Socket) => {
    socket.on("data", (chunk) => socket.write(`${text} ${String(chunk)}`));
    socket.on("end", () => socket.end());
  };
  const one = await serve(t, name("one"));
  const two = await serve(t, name("two"));
  const to = (port: number): string =>
    `shards: 2\n${config(`{ external: { address: "127.0.0.1:${port}", tcp: {} } }`)}`;
  const sluice = await startSluice(t, to(one));
  const ask = async (socket: net.Socket, text: string): Promise<string> => {
    socket.write(text);
    const [chunk] = (await once(socket, "data")) as [Buffer];
    return String(chunk);
  };
  const old = dial(t, portOf(sluice));
  assert.equal(await ask(old, "a"), "one a");
  sluice.directory.write("proxy.yaml", to(two));
  sluice.signal("SIGHUP");
  await eventually("new connections go elsewhere", async () => {
    const fresh = dial(t, portOf(sluice));
    const answer = await ask(fresh, "b");
    fresh.destroy();
    return answer === "two b";
  });
  assert.equal(await ask(old, "c"), "one c");
  old.end();
  await closed(old);
  await nothingOpen(sluice);
});

test("ten thousand short connections leave nothing", async (t) => {
  const port = await serve(t, (socket) => void socket.end("x"));
  const sluice = await startSluice(
    t,
    `log: { access: false }\n${config(`{ external: { address: "127.0.0.1:${port}", tcp: {} } }`)}`,
  );
  const to = portOf(sluice);
  let left = 10_000;
  const one = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const socket = net.connect({ host: "127.0.0.1", port: to });
      socket.on("error", reject);
      socket.on("close", () => resolve());
      socket.resume();
    });
  const worker = async (): Promise<void> => {
    while (left-- > 0) await one();
  };
  await Promise.all(Array.from({ length: 32 }, worker));
  await nothingOpen(sluice);
  const metrics = await readMetrics(join(sluice.directory.path, "admin.sock"));
  assert.equal(metrics.get('sluice_socket_requests_total{socket="raw",class="2xx"}'), 10_000);
});

test("what does not fit a tcp socket is a config error with its place", async (t) => {
  const directory = new TemporaryDirectory(t);
  directory.write(
    "proxy.yaml",
    `sockets:
  a: { address: 127.0.0.1:0, service: files, tcp: {} }
  b: { address: 127.0.0.1:0, service: internet, tcp: {} }
  c: { address: 127.0.0.1:0, service: internet, tcp: { sni: true }, http: {} }
  d: { address: 127.0.0.1:0, service: internet, tcp: { sni: true } }
  e: { address: 127.0.0.1:0, service: internet, tcp: { sni: true, protocols: [x] } }
services:
  files: { disk: { path: . } }
`,
  );
  const { code, stderr } = await runSluice(t, ["check", "proxy.yaml"], { cwd: directory.path });
  assert.equal(code, 1);
  assert.match(
    stderr,
    /proxy\.yaml:2:\d+: error: cannot send byte streams to service "files": it is of kind disk/,
  );
  assert.match(
    stderr,
    /proxy\.yaml:3:\d+: error: cannot send byte streams to service "internet": a network goes/,
  );
  assert.match(stderr, /proxy\.yaml:4:\d+: error: cannot use http on socket "c": it is one of byte streams/);
  assert.doesNotMatch(stderr, /:5:/);
  assert.match(stderr, /proxy\.yaml:6:\d+: error: cannot agree on protocols on socket "e"/);
});
