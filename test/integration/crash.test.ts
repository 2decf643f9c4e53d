import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { get } from "../support/client.ts";
import { Origin } from "../support/origin.ts";
import { type RunningSluice, startSluice } from "../support/sluice.ts";

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
