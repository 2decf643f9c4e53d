import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { connect, createServer } from "node:net";
import { test } from "node:test";
import { ListeningSockets } from "../../src/supervisor/listening-sockets.ts";
import { get, unused } from "../support/client.ts";
import { Origin } from "../support/origin.ts";
import { command, runSluice, startSluice } from "../support/sluice.ts";
import { TemporaryDirectory } from "../support/temporary.ts";

/** A proxy that hands everything to the origin. */
const plain = (origin: string, address = "127.0.0.1:0"): string => `
sockets:
  public: { address: "${address}", service: app }
services:
  app: { external: { address: "${origin}" } }
`;

test("a request goes through socket and external to the origin and back", async (t) => {
  const origin = await Origin.start(t);
  const sluice = await startSluice(t, plain(origin.address));
  const { status, body } = await get(`${sluice.url}/hello?x=1`);
  assert.equal(status, 200);
  assert.equal(body, "GET /hello?x=1");
  assert.match(sluice.stderr, /^listening on http:\/\/127\.0\.0\.1:[1-9]\d* \(public → app\)$/m);
});

test("every kind of address listens and is announced: TCP on both families, a unix socket, an abstract one", async (t) => {
  const origin = await Origin.start(t);
  const name = `sluice-test-${process.pid}`;
  const sluice = await startSluice(
    t,
    `
sockets:
  any: { address: "*:0", service: app }
  v6: { address: "[::1]:0", service: app }
  path: { address: "unix:./http.sock", service: app }
  abstract: { address: "unix-abstract:${name}", service: app }
services:
  app: { external: { address: "${origin.address}" } }
`,
  );
  const port = /:(\d+)$/.exec(await sluice.listening("any"))?.[1];
  assert.equal((await get(`http://127.0.0.1:${port}/a`)).body, "GET /a");
  assert.equal((await get(`http://[::1]:${port}/b`)).body, "GET /b");
  assert.equal((await get(`${await sluice.listening("v6")}/c`)).body, "GET /c");
  const path = sluice.directory.at("http.sock");
  assert.equal(await sluice.listening("path"), `unix:${path}`);
  assert.equal((await get("http://x/d", { socketPath: path })).body, "GET /d");
  assert.equal(await sluice.listening("abstract"), `unix-abstract:${name}`);
  assert.equal((await get("http://x/e", { socketPath: `\0${name}` })).body, "GET /e");

  const { code } = await sluice.stop();
  assert.equal(code, 0);
  assert.ok(!existsSync(path), "the socket's file is gone");
});

test("an inherited descriptor is served, by number and by systemd's name", async (t) => {
  const origin = await Origin.start(t);
  // Bound here and handed over, as a service manager does.
  const held = new ListeningSockets({});
  const opened = await held.open({ a: { address: "127.0.0.1:0" }, b: { address: "127.0.0.1:0" } });
  t.after(() => held.closeAll());
  const sluice = await startSluice(
    t,
    `
sockets:
  number: { address: "fd:3", service: app }
  name: { address: "systemd:web", service: app }
services:
  app: { external: { address: "${origin.address}" } }
`,
    { descriptors: opened.map(({ fd }) => fd), env: { LISTEN_FDS: "2", LISTEN_FDNAMES: "other:web" } },
  );
  for (const [index, name] of ["number", "name"].entries()) {
    const url = await sluice.listening(name);
    assert.equal(url, `http://${opened[index]?.shown}`);
    assert.equal((await get(`${url}/${name}`)).body, `GET /${name}`);
  }
});

test("the command line says otherwise than the config", async (t) => {
  const origin = await Origin.start(t);
  const sluice = await startSluice(t, plain("127.0.0.1:1", "127.0.0.1:1"), {
    args: [
      "--socket-addr",
      "public=127.0.0.1:0",
      "--external-addr",
      `app=${origin.address}`,
      "--shards=2",
      "--admin",
      "127.0.0.1:0",
    ],
  });
  assert.equal((await get(`${sluice.url}/x`)).body, "GET /x");
});

test("SIGTERM lets an exchange in progress finish, refuses new connections, and exits 0", async (t) => {
  const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
  const { promise: answer, resolve: release } = Promise.withResolvers<void>();
  const origin = await Origin.start(t, async (_request, response) => {
    ask();
    await answer;
    response.end("finished");
  });
  const sluice = await startSluice(t, plain(origin.address));
  const pending = get(sluice.url);
  await asked;
  sluice.signal("SIGTERM");
  await sluice.sees(/SIGTERM: finishing the exchanges in progress/);
  // The socket is closed once the shard has heard of it too.
  while (!(await refused(sluice.url))) await new Promise(setImmediate);
  release();
  assert.equal((await pending).body, "finished");
  const { code } = await sluice.ended();
  assert.equal(code, 0);
});

test("a drain cuts off what does not finish within drainTimeout, and still exits 0", async (t) => {
  const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
  const origin = await Origin.start(t, () => ask());
  const sluice = await startSluice(t, `drainTimeout: 300ms\n${plain(origin.address)}`);
  const pending = assert.rejects(get(sluice.url));
  await asked;
  const { code, stderr } = await sluice.stop();
  await pending;
  assert.equal(code, 0);
  assert.match(stderr, /had not finished within drainTimeout/);
});

test("a second signal ends at once", async (t) => {
  const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
  const origin = await Origin.start(t, () => ask());
  const sluice = await startSluice(t, plain(origin.address));
  const pending = assert.rejects(get(sluice.url));
  await asked;
  sluice.signal("SIGINT");
  await sluice.sees(/SIGINT: finishing/);
  sluice.signal("SIGTERM");
  const { code } = await sluice.ended();
  assert.equal(code, 1, "a drain that ends by itself has exit code 0");
  await pending;
});

test("a proxy that npx started ends with the shell between them", async (t) => {
  const origin = await Origin.start(t);
  const directory = new TemporaryDirectory(t);
  directory.write("proxy.yaml", plain(origin.address));
  const shell = spawn("sh", ["-c", `"${process.execPath}" "${command}" serve; true`], {
    cwd: directory.path,
    env: { ...process.env, npm_command: "exec" },
    stdio: ["ignore", "ignore", "pipe"],
  });
  let output = "";
  const ended = once(shell.stderr, "close");
  await new Promise<void>((resolve) => {
    shell.stderr.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      if (output.includes("listening on")) resolve();
    });
  });
  shell.kill("SIGTERM");
  // Standard error closes when the proxy, which has it too, is gone.
  await ended;
  assert.match(output, /SIGTERM: finishing/);
});

test("a shard ends with its supervisor, however that dies", async (t) => {
  const origin = await Origin.start(t);
  const sluice = await startSluice(t, plain(origin.address));
  assert.equal((await get(sluice.url)).status, 200);
  await sluice.stop("SIGKILL");
  // Its standard error closes only when the last process that has it is gone: `stop` waits for that.
  assert.ok(await refused(sluice.url));
});

test("a config error exits 1 with the diagnostic, and opens nothing", async (t) => {
  const directory = new TemporaryDirectory(t);
  directory.write("proxy.yaml", "sockets:\n  public: { address: 'unix:./s', service: nowhere }\n");
  const { code, stderr } = await runSluice(t, ["serve"], { cwd: directory.path });
  assert.equal(code, 1);
  assert.match(stderr, /proxy\.yaml:2:\d+: error: .*"nowhere"/);
  assert.ok(!existsSync(directory.at("s")));
});

test("an address that is taken exits 3 and names the socket", async (t) => {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  const address = `127.0.0.1:${(server.address() as { port: number }).port}`;
  const directory = new TemporaryDirectory(t);
  directory.write("proxy.yaml", plain("127.0.0.1:1", address));
  const { code, stderr } = await runSluice(t, ["serve"], { cwd: directory.path });
  assert.equal(code, 3);
  assert.match(
    stderr,
    new RegExp(`^sluice: cannot listen on ${address} \\(socket "public"\\): address already in use$`, "m"),
  );

  directory.write("proxy.yaml", plain("127.0.0.1:1", `127.0.0.1:${await unused()}`));
  const admin = await runSluice(t, ["serve", "--admin", address], { cwd: directory.path });
  assert.equal(admin.code, 3);
  assert.match(admin.stderr, new RegExp(`cannot listen on ${address} \\(admin\\): address already in use`));
});

test("an address on which another process has come to listen exits 3 too, though binding it succeeded", async (t) => {
  // As long as nobody listens, two sockets can be bound to one address (SO_REUSEADDR).
  const [first, second] = [new ListeningSockets({}), new ListeningSockets({})];
  t.after(() => second.closeAll());
  const [rival] = await first.open({ a: { address: "127.0.0.1:0" } });
  const address = rival?.shown ?? "";
  const [ours] = await second.open({ a: { address } });
  const server = createServer();
  server.listen({ fd: rival?.fd });
  await once(server, "listening");
  t.after(() => server.close());
  const directory = new TemporaryDirectory(t);
  directory.write("proxy.yaml", plain("127.0.0.1:1", address));
  const args = ["serve", "--socket-fd", "public=3"];
  const { code, stderr } = await runSluice(t, args, { cwd: directory.path, descriptors: [ours?.fd ?? -1] });
  assert.equal(code, 3);
  assert.match(stderr, /cannot listen on fd:3 \(socket "public"\): address already in use/);
});

test("mistakes on the command line exit 2 with a suggestion", async (t) => {
  for (const [args, text] of [
    [["sreve"], /cannot run "sreve": no such command: did you mean "serve"\?/],
    [["serve", "--wach"], /cannot run serve: it has no flag --wach: did you mean --watch\?/],
    [["serve", "--shards"], /cannot run serve: --shards needs a value/],
    [["serve", "--socket-addr", "public"], /cannot read --socket-addr public: expected NAME=VALUE/],
    [["serve", "a.yaml", "b.yaml"], /cannot run serve: unexpected argument "b\.yaml"/],
    [[], /usage: sluice <command>/],
  ] as const) {
    const { code, stderr, stdout } = await runSluice(t, args);
    assert.equal(code, 2, args.join(" "));
    assert.match(stderr, text);
    assert.equal(stdout, "");
  }
});

test("help and version go to standard output and exit 0", async (t) => {
  for (const [args, text] of [
    [["--help"], /examples:\n {2}sluice init my-proxy/],
    [["serve", "--help"], /usage: sluice serve \[proxy\.yaml\]/],
    [["help", "check"], /usage: sluice check/],
    [["--version"], /^\d+\.\d+\.\d+\n$/],
  ] as const) {
    const { code, stdout } = await runSluice(t, args);
    assert.equal(code, 0);
    assert.match(stdout, text);
  }
});

test("a failure says why before the process ends, also over a pipe", async (t) => {
  const directory = new TemporaryDirectory(t);
  const { code, stderr } = await runSluice(t, ["serve", "missing.yaml"], { cwd: directory.path });
  assert.equal(code, 1);
  assert.match(stderr, /missing\.yaml/);
});

function refused(url: string): Promise<boolean> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    const socket = connect({ host: hostname, port: Number(port) });
    socket.once("connect", () => {
      socket.destroy();
      resolve(false);
    });
    socket.once("error", () => resolve(true));
  });
}
