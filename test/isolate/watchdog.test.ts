import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { type TestContext, test } from "node:test";
import { parseReport, readBlackBox } from "../../src/isolate/watchdog.ts";
import { directoryOf } from "./files.ts";

const watched = new URL("./fixtures/watched.ts", import.meta.url).pathname;
const flags = ["--no-node-snapshot", "--no-turboshaft-loop-unrolling"];

interface Death {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly report: string;
  readonly errors: string;
  readonly lastWorker: number;
}

/** Runs a shard-like process that does `what`, and tells how it ended. */
async function run(t: TestContext, what: string): Promise<Death> {
  const blackBox = openSync(join(directoryOf(t, {}), "black-box"), "w+");
  t.after(() => closeSync(blackBox));
  const child: ChildProcess = spawn(process.execPath, [...flags, watched, what], {
    stdio: ["ignore", "ignore", "pipe", "pipe", blackBox],
  });
  t.after(() => child.kill("SIGKILL"));
  const [report, errors, [code, signal]] = await Promise.all([
    text(child.stdio[3] as Readable),
    text(child.stderr as Readable),
    once(child, "close") as Promise<[number | null, NodeJS.Signals | null]>,
  ]);
  return { code, signal, report, errors, lastWorker: readBlackBox(blackBox) };
}

test("a process whose entries end in time ends by itself", async (t) => {
  assert.deepEqual(await run(t, "idle"), { code: 0, signal: null, report: "", errors: "", lastWorker: 2 });
});

test("a busy process with many short entries is left alone", async (t) => {
  assert.deepEqual(await run(t, "busy"), { code: 0, signal: null, report: "", errors: "", lastWorker: 1 });
});

for (const what of ["native", "getter"]) {
  test(`an entry that ignores its timeout (${what}) ends the process, with the Worker's name`, async (t) => {
    const death = await run(t, what);
    assert.equal(death.signal, "SIGKILL");
    const report = parseReport(death.report);
    assert.equal(report?.event, "stuck");
    assert.equal(report?.worker, 5);
    assert.equal(death.lastWorker, 5);
  });
}

test("a process above its memory limit is ended, with the Worker's name", async (t) => {
  const death = await run(t, "memory");
  assert.equal(death.signal, "SIGKILL");
  const report = parseReport(death.report);
  assert.equal(report?.event, "memory");
  assert.equal(report?.worker, 5);
});

test("the black box of a process that V8 ended names the Worker", async (t) => {
  const death = await run(t, "abort");
  assert.equal(death.signal, "SIGABRT");
  assert.equal(death.report, "");
  assert.equal(death.lastWorker, 3);
});

test("a closed watchdog keeps nothing open", async (t) => {
  assert.equal((await run(t, "close")).code, 0);
});

test("a black box that nobody wrote to, or that is closed, names no Worker", (t) => {
  const fd = openSync(join(directoryOf(t, {}), "black-box"), "w+");
  assert.equal(readBlackBox(fd), -1);
  closeSync(fd);
  assert.equal(readBlackBox(fd), -1);
});

test("a report is read strictly", () => {
  assert.deepEqual(parseReport('{"event":"stuck","worker":1,"ms":350}\n'), {
    event: "stuck",
    worker: 1,
    ms: 350,
  });
  assert.deepEqual(parseReport('{"event":"memory","worker":-1,"bytes":9}'), {
    event: "memory",
    worker: -1,
    bytes: 9,
  });
  for (const line of [
    "",
    "{",
    "null",
    "7",
    "[]",
    '{"event":"stuck"}',
    '{"event":"other","worker":1,"ms":1}',
  ]) {
    assert.equal(parseReport(line), null);
  }
});
