import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { eventually } from "../support/shard.ts";
import { startSluice } from "../support/sluice.ts";
import { TemporaryDirectory } from "../support/temporary.ts";

test("what a shard has compiled is kept while it serves, so that its end need not be an orderly one", async (t) => {
  const cache = new TemporaryDirectory(t);
  const config = `
sockets: { public: { address: "127.0.0.1:0", service: app } }
services: { app: { external: { address: "127.0.0.1:1" } } }
`;
  const env = { SLUICE_CACHE_DIR: cache.path, NODE_COMPILE_CACHE: "" };
  const sluice = await startSluice(t, config, { env });
  const files = (): number => readdirSync(cache.at("node"), { recursive: true, withFileTypes: true }).length;
  await eventually("compiled modules lie on the disk", () => files() > 50);
  const { signal } = await sluice.stop("SIGKILL");
  assert.equal(signal, "SIGKILL");
});
