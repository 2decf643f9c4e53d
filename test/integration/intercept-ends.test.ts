import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import tls from "node:tls";
import { Random } from "../fuzz/random.ts";
import { Authority } from "../support/authority.ts";
import { descriptorsOf, eventually, readMetrics, shardsOf } from "../support/shard.ts";
import { type RunningSluice, startSluice } from "../support/sluice.ts";
import { TemporaryDirectory } from "../support/temporary.ts";
import { SecureSite } from "./forward-harness.ts";

const origins = new Authority("Origins CA");
const good = origins.issue(["localhost"]);

/** How far a client goes before it leaves. */
const stages = ["connect", "tunnel", "hello", "secure", "head", "request", "half", "whole"] as const;

async function start(t: TestContext): Promise<RunningSluice> {
  return startSluice(
    t,
    `
sockets:
  proxy:
    address: 127.0.0.1:0
    service: net
    http: { style: proxy }
    intercept: { hosts: ["*"], notTls: tunnel, handshakeTimeout: 1m }
services:
  net: { network: { allow: [local], trust: [./origins.pem] } }
admin: { address: "unix:./admin.sock" }
`,
    {
      files: { "origins.pem": origins.certificate },
      env: { SLUICE_DATA_DIR: new TemporaryDirectory(t).path },
    },
  );
}

test("clients that leave an intercepted tunnel at each point, in order or with a reset, leave nothing behind", async (t) => {
  const site = await SecureSite.start(t, good, ({ url }, response) => {
    response.on("error", () => {});
    if (url === "/never") return;
    response.writeHead(200, { "content-length": "500000" });
    response.write(Buffer.alloc(250_000));
    if (url === "/whole") response.end(Buffer.alloc(250_000));
  });
  const sluice = await start(t);
  const admin = join(sluice.directory.path, "admin.sock");
  const { hostname, port } = new URL(sluice.url);
  const where = `localhost:${site.port}`;
  const random = new Random(42);

  const visit = async (stage: (typeof stages)[number], reset: boolean, protocol: string): Promise<void> => {
    const socket = net.connect(Number(port), hostname);
    socket.on("error", () => {});
    const closed = new Promise((resolve) => socket.once("close", resolve));
    const leave = async (): Promise<void> => {
      if (reset) socket.resetAndDestroy();
      else socket.destroy();
      await closed;
    };
    await once(socket, "connect");
    if (stage === "connect") return leave();
    socket.write(`CONNECT ${where} HTTP/1.1\r\nHost: ${where}\r\n\r\n`);
    await once(socket, "data");
    if (stage === "tunnel") return leave();
    if (stage === "hello") {
      socket.write(Buffer.from([0x16, 3, 1, 2, 0, 1, 0]));
      await new Promise((resolve) => setTimeout(resolve, random.below(10)));
      return leave();
    }
    const secure = tls.connect({
      socket,
      servername: "localhost",
      rejectUnauthorized: false,
      ALPNProtocols: [protocol],
    });
    secure.on("error", () => {});
    await once(secure, "secureConnect");
    if (stage === "secure") return leave();
    const target = stage === "request" ? "/never" : stage === "half" ? "/half" : "/whole";
    const head = `GET ${target} HTTP/1.1\r\nHost: ${where}\r\n\r\n`;
    secure.write(stage === "head" ? head.slice(0, 20) : head);
    if (stage === "half" || stage === "whole") {
      let length = 0;
      while (length < (stage === "half" ? 100_000 : 500_000) && !secure.destroyed) {
        length += ((await once(secure, "data")) as [Buffer])[0].length;
      }
    } else await new Promise((resolve) => setTimeout(resolve, random.below(20)));
    return leave();
  };

  await visit("whole", false, "http/1.1");
  const [shard = -1] = shardsOf(sluice);
  const isQuiet = async (): Promise<boolean> => {
    const metrics = await readMetrics(admin);
    return (
      metrics.get('sluice_socket_connections{socket="proxy"}') === 0 &&
      metrics.get('sluice_socket_active_exchanges{socket="proxy"}') === 0 &&
      metrics.get('sluice_service_active_exchanges{service="net",kind="network"}') === 0
    );
  };
  await eventually("all is quiet", isQuiet);
  const sockets = (): number => descriptorsOf(shard).filter((each) => each === "socket").length;
  const before = sockets();
  for (let round = 0; round < 6; round++) {
    const all = stages.flatMap((stage) => [visit(stage, false, "http/1.1"), visit(stage, true, "http/1.1")]);
    await Promise.all(all);
  }
  await eventually("all is quiet again", isQuiet);
  // Idle connections to the site go with their keep-alive time.
  await eventually("descriptors are given back", () => sockets() <= before, 20_000);
  assert.equal(shardsOf(sluice)[0], shard, "the shard lives on");
});
