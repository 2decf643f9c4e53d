import assert from "node:assert/strict";
import { closeSync, openSync, readFileSync } from "node:fs";
import { type TestContext, test } from "node:test";
import { JsonLogger } from "../../src/observability/json-log.ts";
import { LineWriter } from "../../src/observability/line-writer.ts";
import type { Logger } from "../../src/observability/log.ts";
import { TextLogger } from "../../src/observability/text-log.ts";
import { TemporaryDirectory } from "../support/temporary.ts";

const stamp = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g;

/** Logs into a file, and gives back what stands in it, with `<time>` for times. */
function written(t: TestContext, log: (output: LineWriter, errors: LineWriter) => void): [string, string] {
  const directory = new TemporaryDirectory(t);
  const files = ["out", "err"].map((name) => directory.at(name));
  const fds = files.map((file) => openSync(file, "a"));
  const [output, errors] = fds.map((fd) => new LineWriter(fd)) as [LineWriter, LineWriter];
  log(output, errors);
  output.flushSync();
  errors.flushSync();
  fds.forEach(closeSync);
  return files.map((file) => readFileSync(file, "utf8").replace(stamp, "<time>")) as [string, string];
}

const json = (output: LineWriter, errors: LineWriter): Logger =>
  new JsonLogger(output, errors, { access: true, level: "info" });
const text = (output: LineWriter, errors: LineWriter): Logger =>
  new TextLogger(output, errors, { access: true, level: "info", colour: false });

test("access lines go to standard output, everything else to standard error, as one JSON object a line", (t) => {
  const [out, err] = written(t, (output, errors) => {
    const logger = json(output, errors);
    logger.access({ method: "GET", status: 200, target: undefined });
    logger.log("warn", "shard.died", "a shard died", { pid: 7, worker: null });
    logger.log("debug", "unseen", "below the level");
  });
  assert.equal(out, '{"time":"<time>","event":"access","method":"GET","status":200}\n');
  const line =
    '{"time":"<time>","level":"warn","event":"shard.died","message":"a shard died","pid":7,"worker":null}\n';
  assert.equal(err, line);
});

test("the text form is for people", (t) => {
  const [out, err] = written(t, (output, errors) => {
    const logger = text(output, errors);
    logger.access({ method: "GET", target: "/a b", status: 200, bytes: 0 });
    logger.log("info", "reload.done", "reloaded", { generation: 2, worker: null });
    logger.log("error", "worker.exception", "Worker failed", { stack: "Error: x\n    at fetch (a.ts:1:2)" });
  });
  assert.equal(out, '<time> access method=GET target="/a b" status=200 bytes=0\n');
  assert.equal(
    err,
    "<time> info  reloaded generation=2\n<time> error Worker failed\n  Error: x\n        at fetch (a.ts:1:2)\n",
  );
});

test("nothing that a client sends can begin a line, drive a terminal or turn the writing round", (t) => {
  const evil = 'a\r\n{"level":"error"}\u001b[2J\u009b2J\u2028\u202e\u0000"=x';
  for (const make of [json, text]) {
    const [out, err] = written(t, (output, errors) => {
      make(output, errors).access({ target: evil });
      make(output, errors).log("info", "x", evil, { target: evil, stack: evil });
    });
    for (const line of [out, err]) {
      // biome-ignore lint/suspicious/noControlCharactersInRegex: looking for them is the test
      assert.doesNotMatch(line, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u202e]/);
      for (const begin of line.split("\n").slice(1, -1)) assert.match(begin, /^\s+\S|^$/);
    }
    if (make === json) assert.equal(JSON.parse(out).target, evil);
  }
});

test("many lines written in many turns come out whole and in order", async (t) => {
  const directory = new TemporaryDirectory(t);
  const file = directory.at("log");
  const fd = openSync(file, "a");
  const writer = new LineWriter(fd);
  for (let i = 0; i < 2_000; i++) {
    writer.write(`line ${i} ${"x".repeat(i % 100)}`);
    if (i % 50 === 0) await new Promise(setImmediate);
  }
  writer.flushSync();
  // What the thread pool was writing at that moment comes after.
  while (readFileSync(file, "utf8").split("\n").length < 2_001) await new Promise(setImmediate);
  closeSync(fd);
  const numbers = readFileSync(file, "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => Number(line.split(" ")[1]));
  assert.deepEqual(
    numbers.toSorted((a, b) => a - b),
    Array.from({ length: 2_000 }, (_, i) => i),
  );
});
