import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, utimesSync } from "node:fs";
import { hostname } from "node:os";
import { test } from "node:test";
import { StorageLock } from "../../src/acme/storage-lock.ts";
import { TemporaryDirectory } from "../support/temporary.ts";

test("one at a time holds a lock, and nothing is left when it is given back", (t) => {
  const home = new TemporaryDirectory(t);
  const path = home.at("lock");
  const lock = StorageLock.take(path);
  assert.ok(lock);
  assert.equal(StorageLock.take(path), null);
  lock.release();
  lock.release();
  assert.deepEqual(readdirSync(home.path), []);
  StorageLock.take(path)?.release();
  assert.equal(existsSync(path), false);
});

test("a lock is taken over from a holder that is dead, and from no other", async (t) => {
  const home = new TemporaryDirectory(t);
  const child = spawn("sleep", ["60"], { stdio: "ignore" });
  t.after(() => child.kill("SIGKILL"));
  await once(child, "spawn");
  const pid = child.pid ?? 0;
  const old = new Date(Date.now() - 120_000);
  const holder = (host: string, number: number) => JSON.stringify({ host, pid: number, token: "t" });
  const cases: ReadonlyArray<readonly [what: string, text: string, isOld: boolean, isTaken: boolean]> = [
    ["another process", holder(hostname(), pid), false, false],
    ["another process that stands still", holder(hostname(), pid), true, true],
    ["a process before us with our number", holder(hostname(), process.pid), false, true],
    ["a process that is gone", holder(hostname(), 2 ** 30), false, true],
    ["another machine", holder("elsewhere", 1), false, false],
    ["another machine that is gone", holder("elsewhere", 1), true, true],
    ["nobody who could be told", "…", false, false],
    ["nobody who could be told, for long", "…", true, true],
  ];
  for (const [what, text, isOld, isTaken] of cases) {
    const path = home.write("lock", text);
    if (isOld) utimesSync(path, old, old);
    const lock = StorageLock.take(path);
    assert.equal(lock !== null, isTaken, what);
    lock?.release();
    assert.deepEqual(readdirSync(home.path), isTaken ? [] : ["lock"], what);
  }
});

test("whoever lost a lock does not give back that of its successor", (t) => {
  const home = new TemporaryDirectory(t);
  const path = home.at("lock");
  const lock = StorageLock.take(path);
  home.write("lock", JSON.stringify({ host: "elsewhere", pid: 1, token: "other" }));
  lock?.release();
  assert.equal(existsSync(path), true);
});
