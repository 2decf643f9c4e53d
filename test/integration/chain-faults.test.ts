import assert from "node:assert/strict";
import { test } from "node:test";
import { RawHttp } from "../support/raw-http.ts";
import { get, leavesNothing, onEachWay, startChain, type Way, ways } from "./chain-harness.ts";

interface Case {
  /** The request; by default a GET whose path is the name. */
  readonly request?: string;
  readonly method?: string;
  readonly outcome: string;
  /** What is different on some ways. */
  readonly but?: Partial<Record<Way, string>>;
}

const broken = (code: string): Case => ({
  outcome: '200 "half" broken, closed',
  but: { read: `502 ${code}, kept` },
});

/** Each request is one exchange from its first byte to its last, on each way. */
const cases: Readonly<Record<string, Case>> = {
  ok: { outcome: '200 "ok", kept' },
  refused: { outcome: "502 upstream_unreachable, kept" },
  "reset-before": { outcome: "502 upstream_reset, kept" },
  "end-before": { outcome: "502 upstream_reset, kept" },
  "reset-in-head": { outcome: "502 upstream_truncated, kept" },
  "end-in-head": { outcome: "502 upstream_truncated, kept" },
  "reset-in-body": broken("upstream_truncated"),
  "end-in-body": broken("upstream_truncated"),
  "reset-in-chunks": broken("upstream_truncated"),
  "end-in-chunks": broken("upstream_truncated"),
  "reset-until-close": broken("upstream_truncated"),
  "end-until-close": { outcome: '200 "whole", kept' },
  "no-head": { outcome: "504 upstream_head_timeout, kept" },
  "no-rest": { outcome: '200 "half" broken, closed', but: { read: "504 upstream_idle_timeout, kept" } },
  garbage: { outcome: "502 upstream_malformed, kept" },
  ambiguous: { outcome: "502 upstream_malformed, kept" },
  "bad-chunk": broken("upstream_malformed"),
  "head-only": { method: "HEAD", outcome: '200 "", kept' },
  none: { outcome: '204 "", kept' },
  unchanged: { outcome: '304 "", kept' },
  echo: {
    request: "POST /echo HTTP/1.1\r\nHost: site\r\nContent-Length: 4\r\n\r\nbody",
    outcome: '200 "body", kept',
  },
};

test("whatever an upstream does, each way to it has the same outcome, and nothing is left of it", async (t) => {
  const chain = await startChain(t);
  for (const [name, { request, method = "GET", outcome, but }] of Object.entries(cases)) {
    await t.test(name, () =>
      onEachWay(chain, async (way) => {
        const client = await RawHttp.open(t, chain.url(way));
        client.send(request ?? get(`/${name}`).replace("GET", method));
        const line = await chain.describe(client, await client.answer(method));
        client.socket.destroy();
        assert.equal(line, but?.[way] ?? outcome);
      }),
    );
  }

  await t.test(
    "a connection that closes as it is used again is replaced for a GET, and fails a POST",
    async () => {
      // One way after the other, since what is used again is the connection given back last.
      for (const way of ways) {
        for (const [request, outcome] of [
          [get("/ok/again"), '200 "ok", kept'],
          ["POST /ok/again HTTP/1.1\r\nHost: site\r\nContent-Length: 0\r\n\r\n", "502 upstream_reset, kept"],
        ] as const) {
          const client = await RawHttp.open(t, chain.url(way));
          client.send(get("/closing"));
          assert.equal((await client.answer())?.body, "ok");
          client.send(request);
          assert.equal(await chain.describe(client, await client.answer()), outcome, way);
          client.socket.destroy();
        }
        await chain.settled();
      }
    },
  );

  await t.test("an answer that comes while the request's body goes on reaches the client", () =>
    onEachWay(chain, async (way) => {
      const path = `/early/${way}`;
      const client = await RawHttp.open(t, chain.url(way));
      client.send(
        `POST ${path} HTTP/1.1\r\nHost: site\r\nContent-Length: 40000\r\n\r\n${"x".repeat(20_000)}`,
      );
      // Who reads the whole body has nothing to send before its end.
      if (way !== "read") await client.until((input) => input.includes("413"));
      client.send("x".repeat(20_000));
      const answer = await client.answer();
      assert.equal(await chain.describe(client, answer), '413 "no", kept');
      const asked = await chain.origin.request(path);
      if (way !== "read") assert.ok(!asked.whole, "the origin did not get all");
      client.socket.destroy();
    }),
  );

  await t.test("103 is passed on where no Worker answers in its place", () =>
    onEachWay(chain, async (way) => {
      const client = await RawHttp.open(t, chain.url(way));
      client.send(get("/hints"));
      const answer = await client.answer();
      assert.equal(await chain.describe(client, answer), '200 "ok", kept');
      assert.deepEqual(answer?.interim, way === "plain" ? [103] : []);
      client.socket.destroy();
    }),
  );

  await t.test("100-continue asks the client for the body once it is wanted", () =>
    onEachWay(chain, async (way) => {
      const client = await RawHttp.open(t, chain.url(way));
      client.send(
        "POST /continue HTTP/1.1\r\nHost: site\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n",
      );
      await client.until((input) => input.startsWith("HTTP/1.1 100 "));
      client.send("body");
      const answer = await client.answer();
      assert.equal(await chain.describe(client, answer), '200 "body", kept');
      assert.deepEqual(answer?.interim, [100]);
      client.socket.destroy();
    }),
  );

  await t.test("trailers pass in both directions, unless a Worker makes a body of its own", () =>
    onEachWay(chain, async (way) => {
      const client = await RawHttp.open(t, chain.url(way));
      const head = "POST /trailers HTTP/1.1\r\nHost: site\r\nTE: trailers\r\nConnection: te\r\n";
      client.send(`${head}Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\nx-sum: 1\r\n\r\n`);
      const answer = await client.answer();
      assert.equal(await chain.describe(client, answer), '200 "body", kept');
      const own = way === "read" || way === "transform";
      assert.equal(answer?.trailers, own ? "" : "x-got: x-sum: 1\r\n");
      client.socket.destroy();
    }),
  );

  await leavesNothing(chain);
});
