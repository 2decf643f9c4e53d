import assert from "node:assert/strict";
import { test } from "node:test";
import { Quarantine } from "../../src/supervisor/quarantine.ts";

function withClock(): { quarantine: Quarantine; pass(ms: number): void } {
  let now = 0;
  return {
    quarantine: new Quarantine(() => now),
    pass(ms) {
      now += ms;
    },
  };
}

test("one death is forgiven", () => {
  const { quarantine } = withClock();
  assert.equal(quarantine.strike("a"), 0);
  assert.deepEqual(quarantine.current(), []);
  assert.equal(quarantine.nextReleaseMs(), -1);
});

test("two deaths within a minute are 30 s of quarantine", () => {
  const { quarantine, pass } = withClock();
  quarantine.strike("a");
  pass(59_000);
  assert.equal(quarantine.strike("a"), 30_000);
  assert.deepEqual(quarantine.current(), ["a"]);
  assert.equal(quarantine.nextReleaseMs(), 30_000);
  pass(30_000);
  assert.deepEqual(quarantine.current(), []);
});

test("two deaths more than a minute apart are no quarantine", () => {
  const { quarantine, pass } = withClock();
  quarantine.strike("a");
  pass(61_000);
  assert.equal(quarantine.strike("a"), 0);
});

test("a Worker that goes on ending shards stays away twice as long each time, at most 10 min", () => {
  const { quarantine, pass } = withClock();
  quarantine.strike("a");
  const terms = [quarantine.strike("a")];
  for (let i = 0; i < 6; i++) {
    pass((terms.at(-1) ?? 0) + 1);
    terms.push(quarantine.strike("a"));
  }
  assert.deepEqual(terms, [30_000, 60_000, 120_000, 240_000, 480_000, 600_000, 600_000]);
});

test("shards that die at once of the same Worker are one event", () => {
  const { quarantine, pass } = withClock();
  quarantine.strike("a");
  assert.equal(quarantine.strike("a"), 30_000);
  assert.equal(quarantine.strike("a"), 0);
  pass(30_001);
  assert.deepEqual(quarantine.current(), []);
});

test("a Worker that behaves for 10 min after its term begins anew", () => {
  const { quarantine, pass } = withClock();
  quarantine.strike("a");
  quarantine.strike("a");
  pass(30_000 + 600_001);
  assert.equal(quarantine.strike("a"), 0);
  assert.equal(quarantine.strike("a"), 30_000);
});

test("Workers are judged one by one, and new code is judged anew", () => {
  const { quarantine } = withClock();
  quarantine.strike("a");
  assert.equal(quarantine.strike("b"), 0);
  assert.equal(quarantine.strike("a"), 30_000);
  quarantine.forget("a");
  assert.deepEqual(quarantine.current(), []);
});
