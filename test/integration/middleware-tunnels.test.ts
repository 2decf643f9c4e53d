import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import * as net from "node:net";
import { type TestContext, test } from "node:test";
import { SignJWT } from "jose";
import { WebSocket, WebSocketServer } from "ws";
import { readMetrics, sumOf } from "../support/shard.ts";
import { type RunningSluice, startSluice } from "../support/sluice.ts";

const secret = "0123456789abcdef0123456789abcdef";

/** Each built-in so that it lets everybody pass whom it can judge, and so that it refuses if it can. */
const middlewares = {
  ip: ["ip: { allow: [local] }", "ip: { deny: [local] }"],
  rate: ["rateLimit: { requests: 1000, per: 1h }", "rateLimit: { requests: 1, per: 1h, burst: 1 }"],
  maintenance: ["maintenance: { pass: [local] }", "maintenance: {}"],
  basic: [
    `basicAuth: { users: { ada: "\${SECRET}" }, userHeader: x-user }`,
    `basicAuth: { users: { bob: "\${SECRET}" } }`,
  ],
  jwt: [
    `jwt: { algorithms: [HS256], keys: [{ secret: "\${SECRET}" }], from: [{ query: token }], claimHeaders: { x-user: sub } }`,
    `jwt: { algorithms: [HS256], keys: [{ secret: "\${SECRET}" }], from: [{ query: token }], scopes: [none] }`,
  ],
  forward: [
    "forwardAuth: { service: yes-man, copyHeaders: [x-user] }",
    "forwardAuth: { service: no-man, copyHeaders: [x-user] }",
  ],
  cors: ["cors: { origins: ['https://a.example'] }", null],
  compression: ["compression: { minBytes: 1 }", null],
  headers: ["headers: { request: { x-user: ada }, response: { x-more: '1' } }", null],
  body: ["bodyLimit: 1B", null],
  id: ["requestId: { header: x-user }", null],
} as const;
type Kind = keyof typeof middlewares;
const kinds = Object.keys(middlewares) as Kind[];
/** A tunnel has no head, so these refuse every one. */
const headOnly: readonly Kind[] = ["basic", "jwt", "forward"];

interface Rig {
  readonly sluice: RunningSluice;
  /** The request of the last WebSocket that came to the origin. */
  readonly seen: () => IncomingMessage | null;
}

async function start(context: TestContext): Promise<Rig> {
  let seen: IncomingMessage | null = null;
  const http = createServer((_request, response) => response.end());
  const sockets = new WebSocketServer({ server: http });
  sockets.on("connection", (socket, request) => {
    seen = request;
    socket.on("message", (data) => socket.send(`echo ${data}`));
  });
  const echo = net.createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => {});
    socket.pipe(socket);
  });
  const port = async (server: net.Server): Promise<number> => {
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return (server.address() as net.AddressInfo).port;
  };
  const [web, raw] = [await port(http), await port(echo)];
  context.after(() => {
    for (const socket of sockets.clients) socket.terminate();
    http.closeAllConnections();
    http.close();
    echo.close();
  });
  let listeners = "";
  let services = "";
  for (const kind of kinds) {
    for (const [way, middleware] of Object.entries({
      pass: middlewares[kind][0],
      refuse: middlewares[kind][1],
    })) {
      if (middleware === null) continue;
      const name = `${kind}-${way}`;
      listeners += `  ${name}-web: { address: "127.0.0.1:0", service: ${name}-web }\n`;
      listeners += `  ${name}-connect: { address: "127.0.0.1:0", http: { style: proxy }, service: ${name}-raw }\n`;
      listeners += `  ${name}-tcp: { address: "127.0.0.1:0", tcp: {}, service: ${name}-raw }\n`;
      services += `  ${name}-web: { external: { address: "127.0.0.1:${web}" }, middleware: [{ ${middleware} }] }\n`;
      services += `  ${name}-raw: { external: { address: "127.0.0.1:${raw}", tcp: {} }, middleware: [{ ${middleware} }] }\n`;
    }
  }
  const sluice = await startSluice(
    context,
    `
sockets:
${listeners}
services:
${services}
  yes-man: { router: [{ respond: { status: 204, headers: { x-user: ada } } }] }
  no-man: { router: [{ respond: { status: 403 } }] }
admin: { address: "unix:./admin.sock" }
`,
    { env: { SECRET: secret } },
  );
  return { sluice, seen: () => seen };
}

/** What comes back for `ping`, or the status in place of a WebSocket. */
async function overWebSocket(url: string): Promise<string> {
  const socket = new WebSocket(url.replace("http", "ws"), { auth: `ada:${secret}` });
  const answer = await new Promise<string>((resolve, reject) => {
    socket.on("unexpected-response", (_request, response) => {
      response.resume();
      resolve(`${response.statusCode}`);
    });
    socket.on("open", () => socket.send("ping"));
    socket.on("message", (data) => resolve(`${data}`));
    socket.on("error", reject);
  });
  socket.on("error", () => {});
  socket.terminate();
  return answer;
}

/** The status of CONNECT, and what comes back. */
async function overConnect(url: string): Promise<string> {
  const socket = net.connect(Number(new URL(url).port), "127.0.0.1");
  socket.on("error", () => {});
  socket.write("CONNECT site.example:443 HTTP/1.1\r\nHost: site.example:443\r\n\r\n");
  const [head] = (await once(socket, "data")) as [Buffer];
  const status = head.toString().split(" ", 2)[1] ?? "";
  if (status !== "200") {
    socket.destroy();
    return status;
  }
  socket.write("ping");
  const [answer] = (await once(socket, "data")) as [Buffer];
  socket.destroy();
  return `${answer}`;
}

/** What comes back; empty when the connection ends before. */
async function overTcp(address: string): Promise<string> {
  const socket = net.connect(Number(address.split(":").at(-1)), "127.0.0.1");
  socket.on("error", () => {});
  socket.write("ping");
  let text = "";
  socket.on("data", (chunk: Buffer) => {
    text += chunk;
    socket.destroy();
  });
  await new Promise((resolve) => socket.once("close", resolve));
  return text;
}

test("WebSockets pass middlewares as requests do, and tunnels as far as they can be judged", async (context) => {
  const { sluice, seen } = await start(context);
  const token = await new SignJWT({ sub: "ada", exp: Math.floor(Date.now() / 1000) + 600 })
    .setProtectedHeader({ alg: "HS256" })
    .sign(Buffer.from(secret));
  const refused: Partial<Record<Kind, string>> = {
    ip: "403",
    rate: "429",
    maintenance: "503",
    basic: "401",
    jwt: "403",
    forward: "403",
  };
  for (const kind of kinds) {
    const at = async (name: string) => sluice.listening(`${kind}-${name}`);
    const web = await at("pass-web");
    assert.equal(await overWebSocket(`${web}/?token=${token}`), "echo ping", `${kind}: WebSocket`);
    const user = seen()?.headers["x-user"];
    if (kind === "id") assert.match(String(user), /^[0-9a-f-]{36}$/);
    else if (["basic", "jwt", "forward", "headers"].includes(kind)) assert.equal(user, "ada", kind);
    if (kind === "jwt") assert.equal(seen()?.url, "/");

    const judged = !headOnly.includes(kind);
    assert.equal(await overConnect(await at("pass-connect")), judged ? "ping" : "403", `${kind}: CONNECT`);
    assert.equal(await overTcp(await at("pass-tcp")), judged ? "ping" : "", `${kind}: tcp`);

    const status = refused[kind];
    if (status === undefined) continue;
    const closed = await at("refuse-web");
    if (kind === "rate") assert.equal(await overWebSocket(closed), "echo ping");
    assert.equal(await overWebSocket(`${closed}/?token=${token}`), status, `${kind}: WebSocket refused`);
    if (kind === "rate") {
      // The two sockets lead to one service, whose count they share.
      assert.equal(await overTcp(await at("refuse-tcp")), "ping");
    }
    assert.equal(await overConnect(await at("refuse-connect")), "403", `${kind}: CONNECT refused`);
    assert.equal(await overTcp(await at("refuse-tcp")), "", `${kind}: tcp refused`);
  }
  const metrics = await readMetrics(sluice.directory.at("admin.sock"));
  for (const kind of Object.keys(refused)) {
    const refusals = sumOf(metrics, "sluice_middleware_refusals_total", `service="${kind}-refuse-raw"`);
    assert.equal(refusals, 2, kind);
  }
});
