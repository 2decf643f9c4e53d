import assert from "node:assert/strict";
import { test } from "node:test";
import { IdTable } from "../../src/isolate/bridge/id-table.ts";

test("a table keeps what a Map would keep, through insertions and deletions in any order", () => {
  let seed = 7;
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fffffff;
    return seed % below;
  };
  const table = new IdTable<string>();
  const map = new Map<number, string>();
  for (let i = 0; i < 50_000; i++) {
    // Numbers of the host are positive, some of a guest's are negative.
    const id = random(300) - 100;
    if (random(2) === 0) {
      assert.equal(table.delete(id), map.delete(id));
    } else {
      table.set(id, String(i));
      map.set(id, String(i));
    }
    assert.equal(table.size, map.size);
    assert.equal(table.get(id), map.get(id));
  }
  const sorted = [...map].sort(([a], [b]) => a - b);
  assert.deepEqual(table.entries(), sorted);
  assert.deepEqual(
    table.values(),
    sorted.map(([, value]) => value),
  );
});

test("a table gives back its slots: thousands that come and go leave nothing behind", () => {
  const table = new IdTable<object>();
  for (let id = 1; id <= 10_000; id++) {
    table.set(id, {});
    if (id > 64) assert.equal(table.delete(id - 64), true);
  }
  assert.equal(table.size, 64);
  assert.equal(table.has(10_000), true);
  assert.equal(table.has(9_000), false);
  table.clear();
  assert.deepEqual([table.size, table.values(), table.get(10_000)], [0, [], undefined]);
});

test("a table holds the least and the greatest numbers that a record can carry", () => {
  const table = new IdTable<number>();
  const ids = [-0x80000000, -1, 0, 1, 0x7fffffff];
  for (const id of ids) table.set(id, id);
  assert.deepEqual(table.values(), ids);
  for (const id of ids) assert.equal(table.get(id), id);
});
