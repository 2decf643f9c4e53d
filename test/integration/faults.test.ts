import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import * as net from "node:net";
import { type TestContext, test } from "node:test";
import * as tls from "node:tls";
import { unused } from "../support/client.ts";
import { identity } from "../support/identity.ts";
import { type ProxyOptions, RawClient, RawOrigin, TestProxy, until } from "./http-harness.ts";

type External = NonNullable<ProxyOptions["external"]>;

const get = "GET / HTTP/1.1\r\nHost: site\r\n\r\n";
const post = "POST / HTTP/1.1\r\nHost: site\r\nContent-Length: 4\r\n\r\nbody";
const answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const half = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf";
const upload = "POST / HTTP/1.1\r\nHost: site\r\nContent-Length: 100000000\r\n\r\n";

/** One run of a fault, from the client's connection on. */
interface Run {
  readonly t: TestContext;
  /** What the client asks, where the fault does not need anything special. */
  readonly request: string;
  /** Starts a proxy in front of a server. */
  proxy(external: External, http?: ProxyOptions["http"]): Promise<TestProxy>;
  /** Connects a client to it. */
  dial(): Promise<RawClient>;
}

/** Makes the fault happen; the client's side of it is read afterwards. */
type Fault = (run: Run) => Promise<unknown>;

/** A server that does something once the request's head is there. */
function onHead(
  act: (connection: RawClient, index: number) => void,
  external: Partial<External> = {},
): Fault {
  return async ({ t, request, proxy, dial }) => {
    const origin = await RawOrigin.start(t, (connection, index) => {
      void connection.got("\r\n\r\n").then(() => act(connection, index));
    });
    await proxy({ address: origin.address, ...external });
    (await dial()).send(request);
  };
}

/** Writes, and when the proxy has had time to read that, ends in some way. */
const says =
  (text: string, how: "end" | "resetAndDestroy") =>
  ({ socket }: RawClient): void => {
    socket.write(text, "latin1", () => setTimeout(() => socket[how](), 10));
  };

/** A server whose TLS is this. */
function secure(options: tls.TlsOptions, trust: readonly string[], host = "app.internal"): Fault {
  return async ({ t, request, proxy, dial }) => {
    const server = tls.createServer(options, (socket) => {
      socket.on("error", () => {});
      socket.on("data", () => socket.write(answer));
    });
    server.on("tlsClientError", () => {});
    await listens(t, server);
    await proxy({ address: addressOf(server), tls: { trust: [...trust], certificateHost: host } });
    (await dial()).send(request);
  };
}

/** The client does something when the server has got this much, and has answered so. */
function leaves(sends: string, got: string, replies: string, sees: string): Fault {
  return async ({ t, proxy, dial }) => {
    const origin = await RawOrigin.start(t);
    const { server } = await proxy({ address: origin.address });
    const client = await dial();
    client.send(sends);
    const upstream = await origin.connection(0);
    await upstream.got(got);
    upstream.send(replies);
    if (sees !== "") await client.got(sees);
    client.socket.resetAndDestroy();
    await upstream.end();
    await until(() => server.exchanges === 0);
  };
}

const day = 86_400_000;
const good = identity(["app.internal"]);
const expired = identity(["app.internal"], { from: Date.now() - 3 * day, to: Date.now() - day });
const early = identity(["app.internal"], { from: Date.now() + day, to: Date.now() + 3 * day });

const faults: Readonly<Record<string, Fault>> = {
  "the server refuses the connection": async ({ request, proxy, dial }) => {
    await proxy({ address: `127.0.0.1:${await unused()}` });
    (await dial()).send(request);
  },
  "the server's unix socket is not there": async ({ request, proxy, dial }) => {
    await proxy({ address: "unix:/nowhere/at-all.sock" });
    (await dial()).send(request);
  },
  "the server's address answers nothing": async ({ t, request, proxy, dial }) => {
    await proxy({ address: `127.0.0.1:${await deaf(t)}`, timeouts: { connect: 200 } });
    (await dial()).send(request);
  },
  "the server's name does not exist": async ({ request, proxy, dial }) => {
    await proxy({ address: "does-not-exist.invalid:80" });
    (await dial()).send(request);
  },
  "the server accepts, and never answers the TLS handshake": async ({ t, request, proxy, dial }) => {
    const origin = await RawOrigin.start(t);
    await proxy({ address: origin.address, tls: {}, timeouts: { connect: 200 } });
    (await dial()).send(request);
  },
  "the server breaks off the TLS handshake": async ({ t, request, proxy, dial }) => {
    const origin = await RawOrigin.start(t, ({ socket }) => {
      socket.on("data", () => socket.end());
    });
    await proxy({ address: origin.address, tls: {} });
    (await dial()).send(request);
  },
  "the server does not speak TLS": async ({ t, request, proxy, dial }) => {
    const origin = await RawOrigin.start(t, (connection) => {
      connection.socket.on("data", () => connection.send("HTTP/1.1 400 Bad Request\r\n\r\n"));
    });
    await proxy({ address: origin.address, tls: {} });
    (await dial()).send(request);
  },
  "the certificate is expired": secure(expired.options, [expired.certificate]),
  "the certificate is not valid yet": secure(early.options, [early.certificate]),
  "the certificate is for another host": secure(good.options, [good.certificate], "other.internal"),
  "the certificate is of an unknown CA": secure(good.options, []),
  "the server wants a client certificate and gets none": secure(
    { ...good.options, requestCert: true, rejectUnauthorized: true, ca: good.certificate },
    [good.certificate],
  ),
  "the connections to the server are all in use for too long": async ({ t, proxy, dial }) => {
    const origin = await RawOrigin.start(t);
    await proxy({ address: origin.address, limits: { connections: 1 }, timeouts: { connect: 200 } });
    const first = await dial();
    first.send(get);
    const upstream = await origin.connection(0);
    await upstream.got("\r\n\r\n");
    const second = await dial();
    second.send(get);
    await second.got("HTTP/1.1 ");
    upstream.send(answer);
    await first.got("ok");
  },

  "the server closes instead of answering": onHead(says("", "end")),
  "the server resets instead of answering": onHead(says("", "resetAndDestroy")),
  "the server closes an idle connection just as a GET uses it again": closing(get),
  "the server closes an idle connection just as a POST uses it again": closing(post),
  "the server stalls before the head": onHead(() => {}, { timeouts: { head: 100 } }),
  "the server stalls inside the head": onHead((connection) => connection.send("HTTP/1.1 200 OK\r\nA: b"), {
    timeouts: { head: 100 },
  }),
  "the server sends interim responses without end": onHead((connection) => {
    const more = setInterval(() => connection.send("HTTP/1.1 102 Processing\r\n\r\n".repeat(100)), 1);
    connection.socket.on("close", () => clearInterval(more));
  }),
  "the server closes inside the head": onHead(says("HTTP/1.1 200 OK\r\nContent-Le", "end")),
  "the server resets inside the head": onHead(says("HTTP/1.1 200 OK\r\nContent-Le", "resetAndDestroy")),
  "the server sends garbage": onHead((connection) => connection.send("hello\r\n\r\n")),
  "the server frames its answer in two ways": onHead((connection) =>
    connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
  ),
  "the server sends a head without end": onHead((connection) => {
    connection.send("HTTP/1.1 200 OK\r\n");
    const more = setInterval(() => connection.send(`X: ${"x".repeat(8_000)}\r\n`), 1);
    connection.socket.on("close", () => clearInterval(more));
  }),
  "the server switches protocols unasked": onHead((connection) =>
    connection.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"),
  ),
  "the server answers early, and takes no more of the request": async ({ t, proxy, dial }) => {
    const origin = await RawOrigin.start(t, (connection) => {
      connection.socket.once("data", () => {
        connection.socket.pause();
        connection.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n");
      });
    });
    const upstream = await proxy({ address: origin.address });
    const client = await dial();
    client.send(upload);
    await client.got("HTTP/1.1 413");
    await until(() => upstream.upstreamConnections().open === 0);
  },
  "the server closes while the request's body is sent": async ({ t, proxy, dial }) => {
    const origin = await RawOrigin.start(t, ({ socket }) => {
      socket.once("data", () => socket.destroy());
    });
    await proxy({ address: origin.address });
    const client = await dial();
    client.send(`${upload}${"a".repeat(100_000)}`);
  },
  "the server does not read the request's body": async ({ t, proxy, dial }) => {
    const origin = await RawOrigin.start(t, ({ socket }) => {
      socket.pause();
    });
    await proxy({ address: origin.address, timeouts: { idle: 200 } });
    const client = await dial();
    client.send(upload);
    const more = setInterval(() => {
      if (client.socket.writableLength < 1_000_000) client.send("a".repeat(1_000_000));
    }, 1);
    client.socket.on("close", () => clearInterval(more));
    t.after(() => clearInterval(more));
    await client.got("HTTP/1.1 ");
    clearInterval(more);
  },

  "the server closes inside a body of known length": onHead(says(half, "end")),
  "the server resets inside a body of known length": onHead(says(half, "resetAndDestroy")),
  "the server closes inside a chunked body": onHead(
    says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", "end"),
  ),
  "the server resets inside a body that its close would end": onHead(
    says("HTTP/1.1 200 OK\r\n\r\nhalf", "resetAndDestroy"),
  ),
  "the server sends garbage for a chunk": onHead((connection) => {
    connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n");
    setTimeout(() => connection.send("zzz\r\n"), 10);
  }),
  "the server stalls inside the body": onHead((connection) => connection.send(half), {
    timeouts: { idle: 100 },
  }),
  "the server goes on for longer than the exchange may take": onHead(
    (connection) => {
      connection.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
      const drip = setInterval(() => connection.send("drip"), 20);
      connection.socket.on("close", () => clearInterval(drip));
    },
    { timeouts: { total: 200 } },
  ),
  "the server sends more than it announced": onHead((connection) => connection.send(`${answer}more`)),

  "the client leaves inside its head": async ({ t, proxy, dial }) => {
    const origin = await RawOrigin.start(t);
    const { server } = await proxy({ address: origin.address });
    const client = await dial();
    client.send(get.slice(0, -4));
    await until(() => server.connections === 1);
    client.socket.resetAndDestroy();
    await until(() => server.connections === 0);
    assert.equal(origin.connections.length, 0);
  },
  "the client stalls inside its head": async ({ proxy, dial }) => {
    await proxy({ address: "unix:/nowhere" }, { timeouts: { head: 100 } });
    (await dial()).send(get.slice(0, -4));
  },
  "the client leaves while a connection is opened": async ({ t, proxy, dial }) => {
    const { server } = await proxy({ address: `127.0.0.1:${await deaf(t)}` });
    const client = await dial();
    client.send(get);
    await until(() => server.exchanges === 1);
    client.socket.resetAndDestroy();
    await until(() => server.exchanges === 0);
  },
  "the client leaves while it waits for a connection": async ({ t, proxy, dial }) => {
    const origin = await RawOrigin.start(t);
    const { server } = await proxy({ address: origin.address, limits: { connections: 1 } });
    const first = await dial();
    first.send(get);
    const upstream = await origin.connection(0);
    await upstream.got("\r\n\r\n");
    const second = await dial();
    second.send(get);
    await until(() => server.exchanges === 2);
    second.socket.resetAndDestroy();
    await until(() => server.exchanges === 1);
    upstream.send(answer);
    await first.got("ok");
    assert.equal(origin.connections.length, 1);
  },
  "the client leaves inside its body": leaves(post.slice(0, -2), "bo", "", ""),
  "the client ends its side inside its body": async ({ t, proxy, dial }) => {
    const origin = await RawOrigin.start(t);
    await proxy({ address: origin.address });
    const client = await dial();
    client.send(post.slice(0, -2));
    const upstream = await origin.connection(0);
    await upstream.got("bo");
    client.socket.end();
    await upstream.end();
  },
  "the client stalls inside its body": async ({ t, proxy, dial }) => {
    const origin = await RawOrigin.start(t);
    await proxy({ address: origin.address }, { timeouts: { idle: 100 } });
    (await dial()).send(post.slice(0, -2));
    await (await origin.connection(0)).end();
  },
  "the client sends garbage for a chunk": async ({ t, proxy, dial }) => {
    const origin = await RawOrigin.start(t);
    await proxy({ address: origin.address });
    (await dial()).send(
      "POST / HTTP/1.1\r\nHost: site\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzzz\r\n",
    );
    assert.ok(!(await (await origin.connection(0)).end()).includes("0\r\n\r\n"));
  },
  "the client leaves before the head": leaves(get, "\r\n\r\n", "", ""),
  "the client leaves inside the head": leaves(get, "\r\n\r\n", "HTTP/1.1 200 OK\r\nA: b", ""),
  "the client leaves inside the response's body": leaves(get, "\r\n\r\n", half, "half"),
  "the client does not read the response": async ({ t, proxy, dial }) => {
    const origin = await RawOrigin.start(t, (connection) => {
      const chunk = "a".repeat(100_000);
      void connection.got("\r\n\r\n").then(() => {
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n");
        const more = (): void => {
          while (!connection.socket.destroyed && connection.socket.write(chunk));
        };
        connection.socket.on("drain", more);
        more();
      });
    });
    const { server } = await proxy({ address: origin.address }, { timeouts: { idle: 200 } });
    const client = await dial();
    client.send(get);
    await client.got("HTTP/1.1 200");
    client.socket.pause();
    await until(() => server.exchanges === 0);
    client.socket.resume();
  },
};

/** A kept connection that the server closes when its second request comes. */
function closing(second: string): Fault {
  return async ({ t, proxy, dial }) => {
    const origin = await RawOrigin.start(t, (connection, index) => {
      let requests = 0;
      connection.socket.on("data", () => {
        requests++;
        if (index === 0 && requests === 2) connection.socket.destroy();
        else connection.send(answer);
      });
    });
    await proxy({ address: origin.address });
    const first = await dial();
    first.send(get);
    await first.got("ok");
    (await dial()).send(second);
  };
}

for (const { fault, gets, code } of readRows()) {
  test(`when ${fault}, the client gets ${gets}`, async (t) => {
    const scene = new Scene(t, get);
    await scene.play(fault);
    assert.equal(await outcome(scene.client), gets);
    const { proxy } = scene;
    if (code !== "") await until(() => Object.keys(proxy.errors).length > 0);
    assert.deepEqual(proxy.errors, code === "" ? {} : { [code]: 1 });
    if (gets === "200" || gets === "413") return;
    await until(() => proxy.upstreamConnections().open === proxy.upstreamConnections().idle);
  });
}

for (const { fault, again } of readRows()) {
  if (again === undefined) continue;
  test(`when ${fault}, with retries ${again} is sent to another server`, async (t) => {
    const good = await RawOrigin.start(t, (connection) => {
      void connection.got("\r\n\r\n").then(() => connection.send(answer));
    });
    const sent: string[] = [];
    for (const request of [get, post]) {
      const scene = new Scene(t, request, good.address);
      await scene.play(fault);
      if ((await outcome(scene.client)) === "200") sent.push(request.slice(0, request.indexOf(" ")));
    }
    const words = sent.length === 2 ? "any request" : (sent[0] ?? "nothing");
    assert.equal(words, again);
    assert.equal(good.connections.length, sent.length);
  });
}

test("each fault that can be made is documented", () => {
  const documented = readRows().map(({ fault }) => fault);
  assert.deepEqual(
    Object.keys(faults).filter((fault) => !documented.includes(fault)),
    [],
  );
});

/** A proxy in front of a server with a fault, and its clients. */
class Scene {
  readonly #t: TestContext;
  readonly #request: string;
  readonly #other: string | null;
  readonly #clients: RawClient[] = [];
  #proxy: TestProxy | null = null;

  /** @param other the address of a good server, which is tried after the other one */
  constructor(t: TestContext, request: string, other: string | null = null) {
    this.#t = t;
    this.#request = request;
    this.#other = other;
  }

  async play(fault: string): Promise<void> {
    const act = faults[fault];
    assert.ok(act, `no case makes this fault: ${fault}`);
    await act({
      t: this.#t,
      request: this.#request,
      proxy: async (external, http) => {
        const options = this.#other === null ? external : withRetries(external, this.#other);
        this.#proxy = await TestProxy.start(this.#t, { external: options, ...(http && { http }) });
        return this.#proxy;
      },
      dial: async () => {
        const client = await RawClient.connect(this.#t, this.proxy.port);
        this.#clients.push(client);
        return client;
      },
    });
  }

  get proxy(): TestProxy {
    assert.ok(this.#proxy);
    return this.#proxy;
  }

  /** The last one. */
  get client(): RawClient {
    const client = this.#clients.at(-1);
    assert.ok(client);
    return client;
  }
}

function withRetries({ address = "", tls, ...rest }: External, other: string): External {
  const first = tls === undefined ? address : { address, tls };
  return {
    ...rest,
    addresses: [first, other],
    retries: { attempts: 1, on: ["connect", "reset", "timeout"] },
  };
}

/** How the exchange ended for the client. */
async function outcome(client: RawClient): Promise<string> {
  if (client.socket.destroyed) return "nothing";
  let status = "";
  await until(() => {
    status = /HTTP\/1\.1 ([2-5]\d\d) .*\r\n\r\n/s.exec(client.received)?.[1] ?? "";
    return status !== "" || client.closed;
  });
  if (status !== "200") return status;
  await until(() => client.ended || client.closed || client.received.endsWith("ok"));
  return client.received.endsWith("ok") ? "200" : "broken off";
}

interface Row {
  readonly fault: string;
  readonly gets: string;
  readonly code: string;
  /** Whatever `retries` sends to another server; undefined where the table does not tell. */
  readonly again: string | undefined;
}

/** The tables of docs/faults.md. */
function readRows(): Row[] {
  const text = readFileSync(new URL("../../docs/faults.md", import.meta.url), "utf8");
  return [...text.matchAll(/^\| (the [^|]*?) \| ([^|]*?) \| (?:`([^|]*?)`)? ?\|(?: ([^|]*?) ?\|)?$/gm)].map(
    ([, fault = "", gets = "", code = "", again]) => ({
      fault,
      gets,
      code,
      again: again === "" ? undefined : again,
    }),
  );
}

async function listens(t: TestContext, server: net.Server): Promise<void> {
  const sockets = new Set<net.Socket>();
  server.on("connection", (socket) => sockets.add(socket));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
}

function addressOf(server: net.Server): string {
  return `127.0.0.1:${(server.address() as net.AddressInfo).port}`;
}

/** A port whose queue of connections is full: the kernel answers no SYN to it. */
async function deaf(t: TestContext): Promise<number> {
  const program = `
    const server = require("node:net").createServer();
    server.listen(0, "127.0.0.1", 1, () => {
      require("node:fs").writeSync(1, String(server.address().port));
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
    });`;
  const child = spawn(process.execPath, ["-e", program], { stdio: ["ignore", "pipe", "inherit"] });
  t.after(() => child.kill("SIGKILL"));
  const [bytes] = (await once(child.stdout, "data")) as [Buffer];
  const port = Number(bytes);
  // As many connections as wait at most, and more: those that come later hang.
  const fillers = Array.from({ length: 4 }, () => net.connect(port, "127.0.0.1").on("error", () => {}));
  t.after(() => {
    for (const socket of fillers) socket.destroy();
  });
  await until(() => fillers.filter((socket) => !socket.connecting).length >= 2);
  return port;
}
