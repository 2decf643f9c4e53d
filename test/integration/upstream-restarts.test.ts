import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { type TestContext, test } from "node:test";
import { promisify } from "node:util";
import { unused } from "../support/client.ts";
import { descriptorsOf, eventually, readMetrics, shardsOf, sumOf } from "../support/shard.ts";
import { startSluice } from "../support/sluice.ts";
import { TemporaryDirectory } from "../support/temporary.ts";

const run = promisify(execFile);

function find(names: readonly string[], flag: string): string | undefined {
  return names.find((path) => spawnSync(path, [flag]).error === undefined);
}

const nginx = find(["nginx", "/usr/sbin/nginx"], "-v");
const haproxy = find(["haproxy", "/usr/sbin/haproxy"], "-v");
const wrk = find(["wrk"], "-v");
const h2load = find(["h2load"], "--version");

const missing = Object.entries({ nginx, haproxy, wrk, h2load }).flatMap(([name, path]) =>
  path === undefined ? [name] : [],
);
const skip = missing.length > 0 ? `${missing.join(", ")} not installed` : false;

/** A server on a port of its own that can be killed and started again. */
class Peer {
  readonly port: number;
  readonly #command: readonly [string, ...string[]];
  #child: ChildProcess | null = null;

  private constructor(port: number, command: readonly [string, ...string[]]) {
    this.port = port;
    this.#command = command;
  }

  static async start(
    t: TestContext,
    commandFor: (port: number, directory: TemporaryDirectory) => readonly [string, ...string[]],
  ): Promise<Peer> {
    const port = await unused();
    const peer = new Peer(port, commandFor(port, new TemporaryDirectory(t)));
    t.after(() => peer.kill());
    await peer.start();
    return peer;
  }

  async start(): Promise<void> {
    const [program, ...args] = this.#command;
    this.#child = spawn(program, args, { stdio: ["ignore", "ignore", "ignore"] });
    const end = performance.now() + 10_000;
    while (!(await accepts(this.port))) {
      if (performance.now() > end) throw new Error(`cannot start ${program}: it does not listen`);
      await new Promise((done) => setTimeout(done, 10));
    }
  }

  /** Ends it as a crash does: the kernel closes what it had open. */
  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGKILL");
    await once(child, "exit");
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.on("error", () => resolve(false));
    socket.on("connect", () => {
      socket.destroy();
      resolve(true);
    });
  });
}

/**
 * A response in one piece: of one whose body comes after its head, half may come, and that is broken off. HTTP/2 has the
 * body in a frame of its own, so there the answer has none.
 */
const text = "hello from an origin that may be gone in a moment";

// One process each, without a master that would leave workers behind.

function startNginx(t: TestContext, version: 1 | 2): Promise<Peer> {
  return Peer.start(t, (port, directory) => {
    const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    directory.write(
      "nginx.conf",
      `daemon off; master_process off; pid ${directory.at("pid")}; error_log /dev/null;
events { worker_connections 1024; }
http {
  access_log off;
  ${temporary.map((name) => `${name}_temp_path ${directory.at(name)};`).join(" ")}
  server { listen 127.0.0.1:${port}${version === 2 ? " http2" : ""}; location / { return ${version === 2 ? 204 : `200 "${text}"`}; } }
}
`,
    );
    return [nginx ?? "", "-p", directory.path, "-c", directory.at("nginx.conf")];
  });
}

function startHaproxy(t: TestContext, version: 1 | 2): Promise<Peer> {
  return Peer.start(t, (port, directory) => {
    directory.write(
      "haproxy.cfg",
      `defaults
  mode http
  timeout client 60s
  timeout http-keep-alive 60s
frontend origin
  bind 127.0.0.1:${port}${version === 2 ? " proto h2" : ""}
  http-request return status ${version === 2 ? 204 : `200 content-type text/plain string "${text}"`}
`,
    );
    return [haproxy ?? "", "-db", "-f", directory.at("haproxy.cfg")];
  });
}

function startNode(t: TestContext, version: 1 | 2): Promise<Peer> {
  const script = (port: number) =>
    `require("node:http${version === 2 ? "2" : ""}").createServer((request, response) => response.writeHead(${version === 2 ? 204 : 200}).end(${version === 2 ? "" : JSON.stringify(text)})).listen(${port}, "127.0.0.1")`;
  return Peer.start(t, (port) => [process.execPath, "-e", script(port)]);
}

const edit = `export default {
  fetch(request, { APP }) {
    const headers = new Headers(request.headers);
    headers.set("x-path", new URL(request.url).pathname);
    return APP.fetch(new Request(request, { headers }));
  },
};
`;

for (const version of [1, 2] as const) {
  test(
    `nginx, HAProxy and Node.js are killed and restarted under load, and no idempotent request fails, over HTTP/${version}`,
    {
      skip,
    },
    async (t) => {
      const peers = await Promise.all([
        startNginx(t, version),
        startHaproxy(t, version),
        startNode(t, version),
      ]);
      const directory = new TemporaryDirectory(t);
      const admin = directory.at("admin.sock");
      const config = `
sockets:
  public: { address: "127.0.0.1:0", service: app }
  edited: { address: "127.0.0.1:0", service: edit }
services:
  edit:
    worker: { main: ./edit.js, compatibilityDate: 2026-11-01, bindings: { APP: { service: app } } }
  app:
    external:
      addresses: ${JSON.stringify(peers.map(({ port }) => `127.0.0.1:${port}`))}
      balance: leastRequests
      http: { version: ${version} }
      timeouts: { keepAlive: 1s }
      health:
        check: { interval: 200ms, timeout: 2s }
        passive: { failures: 3, ejection: 200ms, maxEjection: 1s }
      retries: { attempts: 5, on: [connect, reset], budget: { percent: 100 } }
shards: 2
log: { access: false }
admin: { address: "unix:${admin}" }
`;
      const sluice = await startSluice(t, config, { files: { "edit.js": edit } });
      const url = await sluice.listening("public");
      const edited = await sluice.listening("edited");
      const shards = shardsOf(sluice);
      const descriptors = () => shards.flatMap(descriptorsOf).filter((kind) => kind === "socket").length;
      const before = descriptors();

      let isOver = false;
      let kills = 0;
      const restarts = (async () => {
        // Two of the three are always there.
        for (let i = 0; !isOver; i = (i + 1) % peers.length) {
          await peers[i]?.kill();
          kills++;
          await new Promise((done) => setTimeout(done, 150));
          await peers[i]?.start();
          await new Promise((done) => setTimeout(done, 150));
        }
      })();
      const seconds = 5;
      const hammered = await run(h2load ?? "", ["--h1", "-c", "32", "-D", String(seconds), `${url}/`]);
      const waved = await run(wrk ?? "", ["-c", "32", "-t", "1", "-d", `${seconds}s`, edited]);
      isOver = true;
      await restarts;

      assert.ok(kills >= peers.length);
      assert.match(hammered.stdout, / 0 failed, 0 errored, 0 timeout\n/);
      assert.match(hammered.stdout, /status codes: [1-9]\d* 2xx, 0 3xx, 0 4xx, 0 5xx\n/);
      assert.doesNotMatch(waved.stdout, /Non-2xx|Socket errors/);
      assert.match(waved.stdout, /^ *[1-9]\d* requests in /m);

      const metrics = await readMetrics(admin);
      assert.ok(sumOf(metrics, "sluice_upstream_retries_total") > 0, "requests were sent again");
      assert.ok(sumOf(metrics, "sluice_upstream_health_changes_total") > 0, "endpoints went and came back");
      t.diagnostic(
        `${kills} kills, ${sumOf(metrics, "sluice_service_requests_total", 'class="2xx"')} requests, ` +
          `${sumOf(metrics, "sluice_upstream_retries_total")} sent again`,
      );
      await eventually("all that was made for the requests is gone", async () => {
        const now = await readMetrics(admin);
        return (
          sumOf(now, "sluice_upstream_connections", 'state="open"') === 0 &&
          sumOf(now, "sluice_service_active_exchanges") === 0 &&
          sumOf(now, "sluice_upstream_endpoint_active") === 0 &&
          sumOf(now, "sluice_upstream_pending") === 0 &&
          // Checks go on, each with a connection of its own for a moment.
          descriptors() <= before + peers.length * shards.length
        );
      });
      assert.equal((await sluice.stop()).code, 0);
    },
  );
}
