import assert from "node:assert/strict";
import { test } from "node:test";
import { get, unused } from "../support/client.ts";
import { startSluice } from "../support/sluice.ts";

test("an exchange that leads back into a socket of the same config is finished when the proxy stops", async (t) => {
  const port = await unused();
  const sluice = await startSluice(
    t,
    `
sockets:
  public: { address: "127.0.0.1:0", service: slow }
  origin: { address: "127.0.0.1:${port}", service: inside }
services:
  slow:
    worker: { main: ./slow.ts, compatibilityDate: 2026-11-01, bindings: { ORIGIN: { service: app } } }
  app: { external: { address: "127.0.0.1:${port}" } }
  inside: { worker: { main: ./inside.ts, compatibilityDate: 2026-11-01 } }
`,
    {
      files: {
        "slow.ts": `export default { async fetch(request, env) {
          console.log("begun");
          await new Promise((done) => setTimeout(done, 500));
          return env.ORIGIN.fetch(request);
        } };`,
        "inside.ts": `export default { fetch() { return new Response("from inside"); } };`,
      },
    },
  );
  const answer = get(sluice.url);
  await sluice.sees(/begun/);
  const stopped = sluice.stop("SIGTERM");
  assert.deepEqual([(await answer).status, (await answer).body], [200, "from inside"]);
  assert.equal((await stopped).code, 0);
});
