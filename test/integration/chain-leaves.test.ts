import assert from "node:assert/strict";
import { test } from "node:test";
import { RawHttp } from "../support/raw-http.ts";
import { eventually } from "../support/shard.ts";
import { active, get, leavesNothing, onEachWay, startChain } from "./chain-harness.ts";

test("however a client leaves, what was made for it ends", async (t) => {
  const chain = await startChain(t);
  const upload = (path: string): string =>
    `POST ${path} HTTP/1.1\r\nHost: site\r\nContent-Length: 100000\r\n\r\n${"x".repeat(50_000)}`;

  for (const how of ["destroy", "resetAndDestroy"] as const) {
    await t.test(`within its request's body, by ${how}`, () =>
      onEachWay(chain, async (way) => {
        const path = `/echo/${way}/${how}`;
        const client = await RawHttp.open(t, chain.url(way));
        client.send(upload(path));
        if (way === "read") {
          await eventually("the exchange has begun", async () => (await active(chain, "read-worker")) > 0);
        } else {
          const asked = await chain.origin.request(path);
          client.socket[how]();
          await asked.left();
          assert.ok(!asked.whole);
        }
        client.socket[how]();
      }),
    );

    await t.test(`while it waits for the head, by ${how}`, () =>
      onEachWay(chain, async (way) => {
        const path = `/wait/${way}/${how}`;
        const client = await RawHttp.open(t, chain.url(way));
        client.send(get(path));
        const asked = await chain.origin.request(path);
        client.socket[how]();
        await asked.left();
      }),
    );

    await t.test(`within the response, by ${how}, whether it reads or not`, () =>
      onEachWay(chain, async (way) => {
        for (const reads of [true, false]) {
          const path = `/endless/${way}/${how}/${reads}`;
          const client = await RawHttp.open(t, chain.url(way));
          client.send(get(path));
          const asked = await chain.origin.request(path);
          // Who reads the whole body answers nothing before its end, which here never comes.
          if (reads && way !== "read") await client.until((input) => input.length > 1_000_000);
          else client.socket.pause();
          client.socket[how]();
          await asked.left();
        }
      }),
    );
  }

  await t.test("a client that ends its side after the request has its answer", () =>
    onEachWay(chain, async (way) => {
      const client = await RawHttp.open(t, chain.url(way));
      client.send(get("/slow"));
      client.socket.end();
      const answer = await client.answer();
      assert.equal(answer?.body, "slow");
      await client.ended();
    }),
  );

  await t.test("a failing request among pipelined ones fails alone, and in its turn", () =>
    onEachWay(chain, async (way) => {
      const client = await RawHttp.open(t, chain.url(way));
      const paths = ["/slow", "/refused", "/ok", "/reset-before", "/ok", "/no-head", "/slow"];
      client.send(paths.map(get).join(""));
      const statuses: Array<number | undefined> = [];
      for (const _ of paths) statuses.push((await client.answer())?.status);
      assert.deepEqual(statuses, [200, 502, 200, 502, 200, 504, 200]);
      client.socket.destroy();
    }),
  );

  // Their leaving is nobody's mistake.
  assert.doesNotMatch(chain.sluice.stderr, /client_disconnected/);
  await leavesNothing(chain);
});
