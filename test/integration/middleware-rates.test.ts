import assert from "node:assert/strict";
import { test } from "node:test";
import { type Rate, RateTable } from "../../src/services/middleware/rate-table.ts";

const rate = (algorithm: Rate["algorithm"], burst = 4): Rate => ({
  requests: 4,
  per: 1000,
  burst,
  algorithm,
});

test("a token bucket allows its burst, and then one request for each token that comes back", () => {
  const table = new RateTable(rate("tokenBucket", 2), 10);
  assert.deepEqual(
    [0, 0, 0, 249, 250, 251].map((now) => table.take("a", now).allowed),
    [true, true, false, false, true, false],
  );
  const refused = table.take("a", 260);
  assert.equal(refused.retryMs, 240);
  assert.equal(table.take("a", 260 + refused.retryMs).allowed, true);
  assert.equal(table.take("a", 100_000).remaining, 1);
});

test("a sliding window never allows more than its requests in a span, and says when the next may come", () => {
  const table = new RateTable(rate("slidingWindow"), 10);
  for (let i = 0; i < 4; i++) assert.equal(table.take("a", 900).allowed, true);
  const refused = table.take("a", 950);
  assert.equal(refused.allowed, false);
  assert.equal(table.take("a", 950 + refused.retryMs - 2).allowed, false);
  assert.equal(table.take("a", 950 + refused.retryMs + 1).allowed, true);
  assert.equal(table.take("a", 10_000).remaining, 3);
});

test("keys above the bound share one count, and keys that are idle make room", () => {
  const table = new RateTable(rate("tokenBucket", 1), 2);
  assert.equal(table.take("a", 0).allowed, true);
  assert.equal(table.take("b", 0).allowed, true);
  assert.equal(table.take("c", 0).allowed, true);
  assert.equal(table.take("d", 0).allowed, false);
  assert.equal(table.take("a", 0).allowed, false);
  assert.equal(table.size, 2);
  assert.equal(table.take("d", 10_000).allowed, true);
  assert.equal(table.take("e", 10_000).allowed, true);
  assert.equal(table.size, 2);
});
