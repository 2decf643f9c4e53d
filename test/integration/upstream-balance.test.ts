import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer as createSecureServer } from "node:https";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { unused } from "../support/client.ts";
import { identity } from "../support/identity.ts";
import { Origin } from "../support/origin.ts";
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

test("leastRequests and random2 stay away from an endpoint that is busy", async (t) => {
  for (const balance of ["leastRequests", "random2"] as const) {
    let release = (): void => {};
    const slow = await Origin.start(t, (_request, response) => {
      release = () => response.end("s");
    });
    const [quick] = await namedOrigins(t, 1);
    const proxy = await TestProxy.start(t, {
      external: { balance, addresses: [slow.address, quick?.address ?? ""] },
    });
    // Whichever draws come first, one request is soon at the slow endpoint, and stays there.
    const held: Array<Promise<unknown>> = [];
    while (slow.requests === 0) {
      const asked = ask(proxy);
      held.push(asked);
      await Promise.race([asked, until(() => slow.requests > 0)]);
    }
    assert.equal(await answers(proxy, 10), "aaaaaaaaaa");
    release();
    await Promise.all(held);
  }
});

test("a hash leads the same client, header, cookie or path to the same endpoint, and spreads different ones", async (t) => {
  const origins = await namedOrigins(t, 3);
  const addresses = origins.map(({ address }) => address);
  const cases = [
    { by: { header: "x-user" }, of: (i: number) => ({ headers: { "x-user": `u${i}` } }) },
    { by: { cookie: "id" }, of: (i: number) => ({ headers: { cookie: `a=b; id=u${i}` } }) },
    { by: "path", of: (i: number) => ({ path: `/p${i}?${Math.random()}` }) },
  ] as const;
  for (const { by, of } of cases) {
    const proxy = await TestProxy.start(t, { external: { balance: { hash: by }, addresses } });
    let all = "";
    for (let i = 0; i < 40; i++) {
      const { body } = await ask(proxy, of(i));
      assert.equal((await ask(proxy, of(i))).body, body);
      all += body;
    }
    assert.deepEqual(Object.keys(tally(all)).sort(), ["a", "b", "c"]);
  }
  const proxy = await TestProxy.start(t, { external: { balance: "hash", addresses } });
  const [first = ""] = await answers(proxy, 1);
  assert.equal(await answers(proxy, 6), first.repeat(6));
});

test("when an endpoint goes, a hash moves its own share alone", async (t) => {
  const origins = await namedOrigins(t, 3);
  const addresses = origins.map(({ address }) => address);
  const ofUser = (i: number) => ({ headers: { "x-user": `u${i}` } });
  const all = await TestProxy.start(t, { external: { balance: { hash: { header: "x-user" } }, addresses } });
  const fewer = await TestProxy.start(t, {
    external: { balance: { hash: { header: "x-user" } }, addresses: addresses.slice(0, 2) },
  });
  for (let i = 0; i < 40; i++) {
    const { body } = await ask(all, ofUser(i));
    if (body !== "c") assert.equal((await ask(fewer, ofUser(i))).body, body);
  }
});

test("a sticky cookie keeps a client with its endpoint, and says nothing of the address", async (t) => {
  const origins = await namedOrigins(t, 3);
  const proxy = await TestProxy.start(t, {
    external: {
      addresses: origins.map(({ address }) => address),
      sticky: { cookie: "srv", maxAge: "1h", sameSite: "Strict" },
      health: { passive: { failures: 1, ejection: "1m" } },
    },
  });
  const first = await ask(proxy);
  const [line = ""] = first.headers["set-cookie"] as string[];
  assert.match(line, /^srv=[\w-]{11}; Path=\/; Max-Age=3600; HttpOnly; SameSite=Strict$/);
  assert.equal(first.headers.vary, "Cookie");
  const headers = { cookie: line.slice(0, line.indexOf(";")) };
  for (let i = 0; i < 5; i++) {
    const again = await ask(proxy, { headers });
    assert.deepEqual([again.body, again.headers["set-cookie"]], [first.body, undefined]);
  }
  // A cookie that is none of ours leads nowhere in particular, and is replaced.
  assert.ok((await ask(proxy, { headers: { cookie: "srv=../../x" } })).headers["set-cookie"] !== undefined);
  const own = origins["abc".indexOf(first.body)];
  await own?.stop();
  const moved = await ask(proxy, { headers });
  assert.notEqual(moved.body, first.body);
  const [other = ""] = moved.headers["set-cookie"] as string[];
  const kept = await ask(proxy, { headers: { cookie: other.slice(0, other.indexOf(";")) } });
  assert.deepEqual([kept.body, kept.headers["set-cookie"]], [moved.body, undefined]);
});

test("sticky ids are the same for the same secret, and others for another", async (t) => {
  const [origin, spare] = await namedOrigins(t, 2);
  const cookieWith = async (secret: string) => {
    const proxy = await TestProxy.start(t, {
      external: {
        addresses: [origin?.address ?? "", { address: spare?.address ?? "", weight: 0 }],
        sticky: { cookie: "srv", secret, sameSite: "None", httpOnly: false },
      },
    });
    return String((await ask(proxy)).headers["set-cookie"]);
  };
  const one = await cookieWith("0123456789abcdef");
  assert.match(one, /; Path=\/; SameSite=None; Secure$/);
  assert.equal(await cookieWith("0123456789abcdef"), one);
  assert.notEqual(await cookieWith("fedcba9876543210"), one);
});

test("an address may speak TLS otherwise than the others", async (t) => {
  const [plain] = await namedOrigins(t, 1);
  const { certificate, key } = identity(["app.internal"]);
  const secure = createSecureServer(
    { cert: certificate, key },
    (_request, response) => void response.end("s"),
  );
  secure.listen(0, "127.0.0.1");
  await once(secure, "listening");
  t.after(() => secure.close());
  const { port } = secure.address() as AddressInfo;
  const proxy = await TestProxy.start(t, {
    external: {
      tls: { trust: [certificate], certificateHost: "app.internal" },
      addresses: [{ address: plain?.address ?? "", tls: false }, `127.0.0.1:${port}`],
    },
  });
  assert.deepEqual(tally(await answers(proxy, 4)), { a: 2, s: 2 });
});

test("without retries, an endpoint that cannot be connected to is not asked twice", async (t) => {
  const [origin] = await namedOrigins(t, 1);
  const gone = `127.0.0.1:${await unused()}`;
  const proxy = await TestProxy.start(t, {
    external: {
      addresses: [gone, { address: origin?.address ?? "", weight: 0 }],
      health: { passive: false },
    },
  });
  assert.equal((await ask(proxy)).status, 502);
  assert.equal(proxy.upstreamMetric("endpoint_requests_total", `endpoint="${gone}"`), 1);
  assert.equal(proxy.upstreamMetric("retries_total", 'kind="connect"'), 0);
});
