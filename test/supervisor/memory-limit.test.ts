import assert from "node:assert/strict";
import { test } from "node:test";
import { proxy } from "../../src/config/schema/proxy.ts";
import { shardMemoryLimit } from "../../src/shard/memory-limit.ts";

const GiB = 1024 ** 3;

function config(workers: number, shards = 1) {
  const worker = { main: "w.js", compatibilityDate: "2026-11-01", limits: { memoryMb: 512 } };
  const services = Object.fromEntries(Array.from({ length: workers }, (_, i) => [`w${i}`, { worker }]));
  return proxy.parse({ sockets: {}, services, shards });
}

test("a shard may take twice what its Workers may, and a part of its own", () => {
  assert.equal(shardMemoryLimit(config(0), 64 * GiB), 2 * GiB);
  assert.equal(shardMemoryLimit(config(2), 64 * GiB), 4 * GiB);
});

test("all shards together stay below what the machine has", () => {
  assert.equal(shardMemoryLimit(config(2), 2 * GiB), 1.6 * GiB);
  assert.equal(shardMemoryLimit(config(2, 4), 2 * GiB), 0.4 * GiB);
});
