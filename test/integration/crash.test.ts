import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { get, unused } from "../support/client.ts";
import { Origin } from "../support/origin.ts";
import { type RunningSluice, runSluice, startSluice } from "../support/sluice.ts";
import { TemporaryDirectory } from "../support/temporary.ts";

/** The shards' process ids: the supervisor's children. */
function shards(sluice: RunningSluice): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => parentOf(pid) === sluice.child.pid);
}

function parentOf(pid: number): number {
  try {
    return Number(/^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
  } catch {
    return -1;
  }
}

const plain = (origin: string, more = ""): string => `
sockets:
  public: { address: "127.0.0.1:0", service: app }
services:
  app: { external: { address: "${origin}" } }
${more}`;

test("a shard that dies is replaced at once, and a connection that waits meanwhile is served", async (t) => {
  const origin = await Origin.start(t);
  const sluice = await startSluice(t, plain(origin.address));
  const [pid, ...others] = shards(sluice);
  assert.ok(pid !== undefined);
  assert.deepEqual(others, []);
  process.kill(pid, "SIGKILL");
  // The descriptor stays open in the supervisor: nobody is refused between the two shards.
  await sluice.sees(/a shard died: signal SIGKILL; starting another/);
  assert.equal((await get(`${sluice.url}/next`)).body, "GET /next");
  assert.notEqual(shards(sluice)[0], pid);
  assert.equal((await sluice.stop()).code, 0);
});

test("while one shard is replaced, the others serve", async (t) => {
  const origin = await Origin.start(t);
  const sluice = await startSluice(t, plain(origin.address, "shards: 2"));
  const before = shards(sluice);
  assert.equal(before.length, 2);
  process.kill(before[0] ?? -1, "SIGABRT");
  for (let i = 0; i < 20; i++) assert.equal((await get(sluice.url)).status, 200);
  await sluice.sees(/a shard died: signal SIGABRT/);
});

test("a shard that does not answer is killed from outside, and replaced", async (t) => {
  const origin = await Origin.start(t);
  const sluice = await startSluice(t, plain(origin.address));
  process.kill(shards(sluice)[0] ?? -1, "SIGSTOP");
  await sluice.sees(/a shard died: it answered no ping, signal SIGKILL/);
  assert.equal((await get(sluice.url)).status, 200);
});

test("SIGTERM ends the proxy also while a shard is being replaced", async (t) => {
  const origin = await Origin.start(t);
  const sluice = await startSluice(t, plain(origin.address));
  process.kill(shards(sluice)[0] ?? -1, "SIGKILL");
  await sluice.sees(/a shard died/);
  assert.equal((await sluice.stop()).code, 0);
});

/** Long enough for an entry that has to wait for its turn on a busy machine. */
const limits = "limits: { cpuMs: 1000, startupMs: 5000 }";

const workers = (port: number): string => `
sockets:
  bad: { address: "127.0.0.1:0", service: bad }
  good: { address: "127.0.0.1:0", service: good }
services:
  bad: { worker: { main: ./bad.js, compatibilityDate: 2026-11-01, ${limits} } }
  good: { worker: { main: ./good.js, compatibilityDate: 2026-11-01, ${limits} } }
admin: { address: "127.0.0.1:${port}" }
`;
const good = 'export default { fetch() { return new Response("good") } }';

test("a Worker that no timeout stops costs its shard; the second time it is quarantined, and the others go on", async (t) => {
  const port = await unused();
  const sluice = await startSluice(t, workers(port), {
    files: {
      "good.js": good,
      // Sorting a sparse array of this length is one native loop that looks at no interrupt (isolates.md, rule 4).
      "bad.js": `export default { fetch(request) {
        if (request.url.endsWith("/stick")) { const a = []; a.length = 2 ** 32 - 1; a.sort(); }
        return new Response("bad");
      } }`,
    },
  });
  const bad = await sluice.listening("bad");
  const other = await sluice.listening("good");
  assert.equal((await get(bad)).body, "bad");
  await assert.rejects(get(`${bad}/stick`));
  await sluice.sees(/a shard died: a Worker ran on, signal SIGKILL, while Worker \\?"bad\\?" ran/);
  assert.equal((await get(other)).body, "good");
  assert.equal((await get(bad)).body, "bad");

  await assert.rejects(get(`${bad}/stick`));
  await sluice.sees(/Worker \\?"bad\\?" ends shards, and is not run for 30 s/);
  assert.equal((await get(other)).body, "good");
  const refused = await get(bad);
  assert.equal(refused.status, 503);
  assert.doesNotMatch(refused.body, /Worker|bad|shard/);
  const { body } = await get(`http://127.0.0.1:${port}/metrics`);
  assert.match(body, /^sluice_shard_restarts_total\{cause="stuck"\} 2$/m);
  assert.match(body, /^sluice_worker_quarantined\{worker="bad"\} 1$/m);

  // New code is judged anew.
  sluice.directory.write("bad.js", 'export default { fetch() { return new Response("better") } }');
  sluice.signal("SIGHUP");
  await sluice.sees(/reloaded \(SIGHUP\)/);
  assert.equal((await get(bad)).body, "better");
});

test("a Worker that does not start keeps the proxy from starting, and a reload from happening", async (t) => {
  const throwing = 'throw new Error("no luck");\nexport default { fetch() { return new Response("never") } }';
  const directory = new TemporaryDirectory(t);
  const port = await unused();
  directory.write("proxy.yaml", workers(port));
  directory.write("good.js", good);
  directory.write("bad.js", throwing);
  const { code, stderr } = await runSluice(t, ["serve"], { cwd: directory.path });
  assert.equal(code, 1);
  assert.match(stderr, /^sluice: cannot start Worker "bad": .*no luck/m);
  assert.match(stderr, /bad\.js:1:\d+/);
  assert.doesNotMatch(stderr, /listening on/);

  const sluice = await startSluice(t, workers(port), { files: { "good.js": good, "bad.js": good } });
  sluice.directory.write("bad.js", throwing);
  sluice.signal("SIGHUP");
  await sluice.sees(
    /cannot reload \(SIGHUP\): cannot start Worker \\?"bad\\?": .*no luck.*; the running config stays/,
  );
  assert.equal((await get(await sluice.listening("bad"))).body, "good");
});
