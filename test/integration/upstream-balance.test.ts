import assert from "node:assert/strict";
import { test } from "node:test";
import { unused } from "../support/client.ts";
import { TestProxy, until } from "./http-harness.ts";
import { answers, ask, namedOrigins, tally } from "./upstream-harness.ts";

const [one, two, three] = [0, 1, 2];

test("requests go to the addresses in turn, smoothly by weight", async (t) => {
  const origins = await namedOrigins(t, 3);
  const proxy = await TestProxy.start(t, {
    external: {
      addresses: [
        { address: origins[one]?.address ?? "", weight: 5 },
        origins[two]?.address ?? "",
        { address: origins[three]?.address ?? "", weight: 1 },
      ],
    },
  });
  assert.equal(await answers(proxy, 14), "aabacaa".repeat(2));
  assert.ok(proxy.context.accesses.every(({ attempts }) => attempts === undefined));
});

test("an address without weight gets nothing", async (t) => {
  const origins = await namedOrigins(t, 2);
  for (const balance of ["roundRobin", "leastRequests", "random2", "hash"] as const) {
    const proxy = await TestProxy.start(t, {
      external: {
        balance,
        addresses: [{ address: origins[one]?.address ?? "", weight: 0 }, origins[two]?.address ?? ""],
      },
    });
    assert.equal(await answers(proxy, 6), "bbbbbb");
  }
});

test("what cannot be connected to is tried elsewhere, whatever the method", async (t) => {
  const [origin] = await namedOrigins(t, 1);
  const proxy = await TestProxy.start(t, {
    external: {
      addresses: [`127.0.0.1:${await unused()}`, origin?.address ?? "", `127.0.0.1:${await unused()}`],
    },
  });
  for (const method of ["GET", "POST", "DELETE", "POST", "POST"]) {
    const { status, body } = await ask(proxy, { method, body: "x".repeat(100_000) });
    assert.deepEqual([status, body], [200, "a"]);
  }
  assert.ok(proxy.upstreamMetric("retries_total", 'kind="connect"') > 0);
  await until(() => proxy.context.accesses.length === 5);
  assert.ok(proxy.context.accesses.some(({ attempts }) => attempts === 2));
});

test("with no address that can be connected to, the client gets the 502", async (t) => {
  const proxy = await TestProxy.start(t, {
    external: { addresses: [`127.0.0.1:${await unused()}`, `127.0.0.1:${await unused()}`] },
  });
  assert.equal((await ask(proxy)).status, 502);
  assert.deepEqual(proxy.errors, { upstream_unreachable: 1 });
});

test("backups take requests only while no primary can", async (t) => {
  const origins = await namedOrigins(t, 3);
  const [a, b, c] = origins;
  const proxy = await TestProxy.start(t, {
    external: {
      addresses: [a?.address ?? "", b?.address ?? "", { address: c?.address ?? "", backup: true }],
      health: { passive: { failures: 1, ejection: "50ms" } },
    },
  });
  assert.deepEqual(tally(await answers(proxy, 6)), { a: 3, b: 3 });
  await a?.stop();
  assert.equal(await answers(proxy, 4), "bbbb");
  await b?.stop();
  // The one request finds out; those after it go to the backup at once, until an ejection is over.
  assert.equal(await answers(proxy, 4), "cccc");
});
