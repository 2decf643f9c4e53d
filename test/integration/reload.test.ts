import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { test } from "node:test";
import { promisify } from "node:util";
import { get } from "../support/client.ts";
import { Origin } from "../support/origin.ts";
import { type RunningSluice, startSluice } from "../support/sluice.ts";

const run = promisify(execFile);

/** A proxy that adds a header, so that its revision shows in each response. */
const config = (origin: string, revision: number | string, more = ""): string => `
sockets:
  public:
    address: "127.0.0.1:0"
    service: app
    http: { injectResponseHeaders: { x-revision: "${revision}" } }
${more}
services:
  app: { external: { address: "${origin}" } }
drainTimeout: 10s
log: { access: false }
`;

async function reload(sluice: RunningSluice): Promise<string> {
  const from = sluice.stderr.length;
  sluice.signal("SIGHUP");
  const [line] = await sluice.sees(/(reloaded|cannot reload) \(SIGHUP\).*/, from);
  return line;
}

test("SIGHUP goes over to the config as it is now, on the same port", async (t) => {
  const origin = await Origin.start(t);
  const sluice = await startSluice(t, config(origin.address, 1));
  assert.equal((await get(sluice.url)).headers["x-revision"], "1");
  sluice.directory.write("proxy.yaml", config(origin.address, 2));
  assert.match(await reload(sluice), /^reloaded/);
  assert.equal((await get(sluice.url)).headers["x-revision"], "2");
});

test("a config that fails keeps the running one, and says why", async (t) => {
  const origin = await Origin.start(t);
  const sluice = await startSluice(t, config(origin.address, 1));
  sluice.directory.write("proxy.yaml", config(origin.address, 2).replace("service: app", "service: ap"));
  assert.match(
    await reload(sluice),
    /^cannot reload \(SIGHUP\): the config has errors; the running config stays/,
  );
  assert.match(sluice.stderr, /proxy\.yaml:\d+:\d+: error: .*did you mean "app"/);
  assert.equal((await get(sluice.url)).headers["x-revision"], "1");

  const taken = `  more: { address: "${origin.address}", service: app }`;
  sluice.directory.write("proxy.yaml", config(origin.address, 3, taken));
  assert.match(await reload(sluice), /cannot listen on .* \(socket \\?"more\\?"\): address already in use/);
  assert.equal((await get(sluice.url)).headers["x-revision"], "1");

  sluice.directory.write("proxy.yaml", config(origin.address, 4));
  assert.match(await reload(sluice), /^reloaded/);
  assert.equal((await get(sluice.url)).headers["x-revision"], "4");
});

test("sockets come and go with the config", async (t) => {
  const origin = await Origin.start(t);
  const sluice = await startSluice(t, config(origin.address, 1));
  sluice.directory.write(
    "proxy.yaml",
    config(origin.address, 2, '  more: { address: "unix:./s", service: app }'),
  );
  await reload(sluice);
  const path = sluice.directory.at("s");
  assert.equal(await sluice.listening("more"), `unix:${path}`);
  assert.equal((await get("http://x/m", { socketPath: path })).body, "GET /m");
  assert.equal((await get(sluice.url)).status, 200);

  sluice.directory.write("proxy.yaml", config(origin.address, 3));
  await reload(sluice);
  await assert.rejects(get("http://x/m", { socketPath: path }), { code: "ENOENT" });
  assert.equal((await get(sluice.url)).headers["x-revision"], "3");
});

test("--watch reloads when the config or a file that it includes changes", async (t) => {
  const origin = await Origin.start(t);
  const included = (address: string): string => `services:\n  app: { external: { address: "${address}" } }\n`;
  const main = (revision: number): string =>
    `include: [app.yaml]\n${config("", revision).replace(/services:\n.*\n/, "")}`;
  const sluice = await startSluice(t, main(1), {
    args: ["--watch"],
    files: { "app.yaml": included("127.0.0.1:1") },
  });
  assert.equal((await get(sluice.url)).status, 502);
  sluice.directory.write("app.yaml", included(origin.address));
  await sluice.sees(/reloaded \(a file changed\)/);
  assert.equal((await get(sluice.url)).headers["x-revision"], "1");
  const from = sluice.stderr.length;
  sluice.directory.write("proxy.yaml", main(2));
  await sluice.sees(/reloaded \(a file changed\)/, from);
  assert.equal((await get(sluice.url)).headers["x-revision"], "2");
});

test("--watch reloads when a module of a Worker changes, and keeps the old one while it does not compile", async (t) => {
  const sluice = await startSluice(
    t,
    `
sockets:
  public: { address: "127.0.0.1:0", service: hello }
services:
  hello: { worker: { main: ./src/hello.ts, compatibilityDate: 2026-11-01, limits: { cpuMs: 1000 } } }
`,
    {
      args: ["--watch"],
      files: {
        "src/hello.ts":
          'import { text } from "./text.ts";\nexport default { fetch: () => new Response(text) };',
        "src/text.ts": 'export const text: string = "one";',
      },
    },
  );
  assert.equal((await get(sluice.url)).body, "one");
  sluice.directory.write("src/text.ts", "export const text: string = ;");
  await sluice.sees(/cannot reload \(a file changed\): the config has errors/);
  assert.match(sluice.stderr, /src\/text\.ts:1:29: error: .*cannot compile/);
  assert.equal((await get(sluice.url)).body, "one");
  sluice.directory.write("src/text.ts", 'export const text: string = "two";');
  await sluice.sees(/reloaded \(a file changed\)/);
  assert.equal((await get(sluice.url)).body, "two");
});

test("an exchange ends on the revision that it began on", async (t) => {
  const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
  const { promise: answer, resolve: release } = Promise.withResolvers<void>();
  const origin = await Origin.start(t, async (_request, response) => {
    response.write("first ");
    ask();
    await answer;
    response.end("second");
  });
  const sluice = await startSluice(t, config(origin.address, 1));
  const pending = get(sluice.url);
  await asked;
  sluice.directory.write("proxy.yaml", config(origin.address, 2));
  await reload(sluice);
  release();
  const { body, headers } = await pending;
  assert.equal(body, "first second");
  assert.equal(headers["x-revision"], "1");
});

test("a request that comes on an idle connection just after a reload is answered, and the connection then closed", async (t) => {
  const origin = await Origin.start(t);
  const sluice = await startSluice(t, config(origin.address, 1));
  const { port } = new URL(sluice.url);
  const socket = connect({ host: "127.0.0.1", port: Number(port) }).setEncoding("utf8");
  t.after(() => socket.destroy());
  let received = "";
  socket.on("data", (text: string) => {
    received += text;
  });
  const ask = async (): Promise<string> => {
    received = "";
    socket.write("GET /x HTTP/1.1\r\nhost: x\r\n\r\n");
    while (!received.endsWith("GET /x")) await once(socket, "data");
    return received;
  };
  assert.doesNotMatch(await ask(), /connection: close/i);
  await reload(sluice);
  const last = await ask();
  assert.match(last, /x-revision: 1/);
  assert.match(last, /connection: close/i);
  if (!socket.closed) await once(socket, "close");
});

test("reloads under h2load lose no request", async (t) => {
  if (!(await has("h2load"))) return t.skip("h2load is not installed");
  const origin = await Origin.start(t);
  const sluice = await startSluice(t, config(origin.address, 0));
  await underLoad(sluice, h2load, (n) => sluice.directory.write("proxy.yaml", config(origin.address, n)));
});

test("reloads of Workers that call one another under h2load lose no request", async (t) => {
  if (!(await has("h2load"))) return t.skip("h2load is not installed");
  const path = "unix:./origin.sock";
  // On a busy machine an entry may have to wait for its turn; how long it may take is no matter of this test.
  const limits = "limits: { cpuMs: 10000 }";
  const sluice = await startSluice(
    t,
    `
sockets:
  public: { address: "127.0.0.1:0", service: front }
  origin: { address: "${path}", service: origin }
services:
  front: { worker: { main: ./front.js, compatibilityDate: 2026-11-01, bindings: { APP: { service: app } }, ${limits} } }
  app: { external: { address: "${path}" } }
  origin: { worker: { main: ./origin.js, compatibilityDate: 2026-11-01, ${limits} } }
shards: 2
log: { access: false }
drainTimeout: 10s
`,
    {
      files: {
        "front.js": "export default { fetch: (request, env) => env.APP.fetch(request) };",
        "origin.js": "export default { fetch: () => new Response('origin') };",
      },
    },
  );
  await underLoad(sluice, h2load, () => {});
});

test("reloads under wrk lose no request", async (t) => {
  if (!(await has("wrk"))) return t.skip("wrk is not installed");
  const origin = await Origin.start(t);
  const sluice = await startSluice(t, config(origin.address, 0));
  const wrk = async (url: string): Promise<void> => {
    const { stdout } = await run("wrk", ["-t", "1", "-c", "16", "-d", "4s", url]);
    assert.doesNotMatch(stdout, /Socket errors|Non-2xx/, stdout);
    assert.match(stdout, /\d+ requests in/);
  };
  await underLoad(sluice, wrk, (n) => sluice.directory.write("proxy.yaml", config(origin.address, n)));
});

async function h2load(url: string): Promise<void> {
  const args = ["--h1", "-n", "15000", "-c", "32", url];
  const { stdout } = await run("h2load", args, { maxBuffer: 1 << 24 });
  const summary = /requests: (\d+) total, .* (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout/;
  assert.deepEqual(summary.exec(stdout)?.slice(1).map(Number), [15_000, 15_000, 0, 0, 0], stdout);
  assert.match(stdout, /status codes: 15000 2xx/);
}

/** Reloads again and again while `load` runs, at least twice. */
async function underLoad(
  sluice: RunningSluice,
  load: (url: string) => Promise<void>,
  change: (reload: number) => void,
): Promise<void> {
  let done = false;
  const finished = load(sluice.url).finally(() => {
    done = true;
  });
  for (let reloads = 1; !done || reloads <= 2; reloads++) {
    change(reloads);
    assert.match(await reload(sluice), /^reloaded/);
  }
  await finished;
  assert.equal((await sluice.stop()).code, 0);
}

async function has(program: string): Promise<boolean> {
  const child = spawn(program, ["--version"], { stdio: "ignore" });
  return Promise.race([once(child, "error").then(() => false), once(child, "exit").then(() => true)]);
}
