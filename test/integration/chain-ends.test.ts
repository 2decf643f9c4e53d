import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { type TestContext, test } from "node:test";
import { get } from "../support/client.ts";
import { Origin } from "../support/origin.ts";
import { RawHttp } from "../support/raw-http.ts";
import { eventually, isAlive, shardsOf } from "../support/shard.ts";
import { type RunningSluice, startSluice } from "../support/sluice.ts";

/** A proxy whose Worker passes everything on to the origin through another Worker. */
function start(test: TestContext, origin: Origin): Promise<RunningSluice> {
  const worker = (up: string): string =>
    `{ main: ./pass.js, compatibilityDate: 2026-11-01, bindings: { UP: { service: ${up} } }, limits: { cpuMs: 10000 } }`;
  const config = `
sockets: { public: { address: "127.0.0.1:0", service: front } }
services:
  front: { worker: ${worker("back")} }
  back: { worker: ${worker("app")} }
  app: { external: { address: "${origin.address}" } }
log: { access: false }
`;
  const files = { "pass.js": "export default { fetch: (request, env) => env.UP.fetch(request) };" };
  return startSluice(test, config, { files });
}

/** An origin that answers in two halves, the second when it is told to. */
async function halves(t: TestContext): Promise<{ origin: Origin; release: () => void }> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const origin = await Origin.start(t, async (request, response) => {
    if (request.url !== "/slow") {
      response.end("ok");
      return;
    }
    response.write("first ");
    await promise;
    response.end("second");
  });
  return { origin, release: resolve };
}

test("SIGTERM lets a download through Workers complete, while new clients are refused", async (t) => {
  const { origin, release } = await halves(t);
  const sluice = await start(t, origin);
  const client = await RawHttp.open(t, sluice.url);
  client.send("GET /slow HTTP/1.1\r\nHost: site\r\n\r\n");
  await client.until((input) => input.includes("first"));
  sluice.signal("SIGTERM");
  await eventually("new clients are refused", () =>
    get(sluice.url).then(
      () => false,
      (error: NodeJS.ErrnoException) => error.code === "ECONNREFUSED",
    ),
  );
  release();
  const answer = await client.answer();
  assert.equal(answer?.body, "first second");
  assert.ok(answer.whole);
  assert.equal((await sluice.ended()).code, 0);
});

test("a second SIGTERM ends all at once, whatever goes on", async (t) => {
  const { origin } = await halves(t);
  const sluice = await start(t, origin);
  const shards = shardsOf(sluice);
  const client = await RawHttp.open(t, sluice.url);
  client.send("GET /slow HTTP/1.1\r\nHost: site\r\n\r\n");
  await client.until((input) => input.includes("first"));
  sluice.signal("SIGTERM");
  await sluice.sees(/finishing the exchanges/);
  // A terminal and a script may send the same signal twice within a moment, which is meant once.
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  sluice.signal("SIGTERM");
  assert.equal((await sluice.ended()).code, 1);
  const answer = await client.answer();
  assert.equal(answer?.whole, false, "nobody takes the half for the whole");
  await eventually("the shards are gone", () => !shards.some(isAlive));
});

test("no shard outlives a supervisor that is killed", async (t) => {
  const { origin } = await halves(t);
  const sluice = await start(t, origin);
  const shards = shardsOf(sluice);
  assert.equal(shards.length, 1);
  const client = await RawHttp.open(t, sluice.url);
  client.send("GET /slow HTTP/1.1\r\nHost: site\r\n\r\n");
  await client.until((input) => input.includes("first"));
  await sluice.stop("SIGKILL");
  await eventually("the shards are gone", () => !shards.some(isAlive));
  assert.equal((await client.answer())?.whole, false);
});

test("when a shard is killed under load, connections that wait to be accepted are served by the next", async (t) => {
  const { origin } = await halves(t);
  const sluice = await start(t, origin);
  const { port } = new URL(sluice.url);
  const [shard = -1] = shardsOf(sluice);
  // A stopped shard accepts nothing, so what connects now waits in the queue.
  process.kill(shard, "SIGSTOP");
  const waiting = Array.from({ length: 50 }, () => connect(Number(port), "127.0.0.1"));
  await Promise.all(waiting.map((socket) => once(socket, "connect")));
  const answers = waiting.map(async (socket) => {
    t.after(() => socket.destroy());
    const client = new RawHttp(socket);
    client.send("GET / HTTP/1.1\r\nHost: site\r\n\r\n");
    return (await client.answer())?.body;
  });
  process.kill(shard, "SIGKILL");
  assert.deepEqual(await Promise.all(answers), new Array(50).fill("ok"));
});

test("reloads of Workers under wrk lose no request", async (t) => {
  const load = spawn("wrk", ["--version"], { stdio: "ignore" });
  if (!(await started(load))) return t.skip("wrk is not installed");
  const origin = await Origin.start(t);
  const sluice = await start(t, origin);
  const wrk = spawn("wrk", ["-t1", "-c16", "-d4s", sluice.url], { stdio: ["ignore", "pipe", "inherit"] });
  let report = "";
  wrk.stdout.setEncoding("utf8").on("data", (text: string) => {
    report += text;
  });
  const over = once(wrk, "close").then(() => true);
  for (let done = false; !done; ) {
    const from = sluice.stderr.length;
    sluice.signal("SIGHUP");
    await sluice.sees(/reloaded \(SIGHUP\)/, from);
    done = await Promise.race([over, new Promise<false>((resolve) => setTimeout(resolve, 300, false))]);
  }
  assert.match(report, /\d+ requests in/);
  assert.doesNotMatch(report, /Socket errors|Non-2xx/, report);
  assert.equal((await sluice.stop()).code, 0);
});

function started(child: ChildProcess): Promise<boolean> {
  return Promise.race([once(child, "error").then(() => false), once(child, "exit").then(() => true)]);
}
