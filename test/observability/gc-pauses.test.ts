import assert from "node:assert/strict";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Metrics } from "../../src/observability/traffic.ts";
import { GcPauses } from "../../src/shard/gc-pauses.ts";
import { eventually } from "../support/shard.ts";

test("collections of garbage are counted by kind with their pauses, until it is closed", async () => {
  const metrics = new Metrics();
  const pauses = new GcPauses(metrics, 0);
  const major = metrics.histogram('sluice_shard_gc_pause_seconds{kind="major"}');
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  setFlagsFromString("--no-expose-gc");
  const count = (): number => major.counts.reduce((sum, each) => sum + each, 0);
  await eventually("a collection is counted", () => {
    collect();
    return count() > 0;
  });
  assert.ok(major.sum > 0);
  pauses.close();
  await new Promise((resolve) => setTimeout(resolve, 50));
  const before = count();
  collect();
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(count(), before);
});
