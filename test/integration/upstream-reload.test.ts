import assert from "node:assert/strict";
import { test } from "node:test";
import { get } from "../support/client.ts";
import { startSluice } from "../support/sluice.ts";
import { namedOrigins } from "./upstream-harness.ts";

test("a sticky client stays where it is on every shard and after a reload", async (t) => {
  const origins = await namedOrigins(t, 3);
  const config = `
sockets:
  public: { address: "127.0.0.1:0", service: app }
services:
  app:
    external:
      addresses: ${JSON.stringify(origins.map(({ address }) => address))}
      sticky: { cookie: server }
shards: 2
`;
  const sluice = await startSluice(t, config);
  const first = await get(sluice.url);
  const cookie = String(first.headers["set-cookie"]).replace(/;.*/, "");
  const stays = async (): Promise<void> => {
    for (let i = 0; i < 12; i++) {
      const { body, headers } = await get(sluice.url, { headers: { cookie } });
      assert.deepEqual([body, headers["set-cookie"]], [first.body, undefined]);
    }
  };
  await stays();
  const from = sluice.stderr.length;
  sluice.signal("SIGHUP");
  await sluice.sees(/reloaded/, from);
  await stays();
});
