import assert from "node:assert/strict";
import { test } from "node:test";
import { get } from "../support/client.ts";
import { startSluice } from "../support/sluice.ts";
import { assertPlainFailure, attacker, configOf, filesOf } from "./attack.ts";

/** What isolated-vm cannot stop: it runs outside the time limit, or in one native call (isolates.md, rule 4). */
const attacks: Readonly<Record<string, string>> = {
  "rejected-getter": attacker(
    'const e = new Error(); Object.defineProperty(e, "message", { get() { for (;;); } }); Promise.reject(e);',
  ),
  "rejected-proxy": attacker("Promise.reject(new Proxy({}, { get() { for (;;); } }));"),
  "rejected-stack": attacker("Error.prepareStackTrace = () => { for (;;); }; Promise.reject(new Error());"),
  sort: attacker("const a = []; a.length = 2 ** 32 - 1; a.sort();"),
  bigint: attacker("const x = 2n ** 100_000_000n; x * x * x * x;"),
};

for (const [name, code] of Object.entries(attacks)) {
  test(`a shard that ${name} ends is replaced, the Worker is quarantined for it, and the others go on`, async (t) => {
    const sluice = await startSluice(t, configOf(["bad"]), { files: filesOf({ bad: code }) });
    const good = await sluice.listening("good");
    const bad = await sluice.listening("bad");
    for (let time = 1; time <= 2; time++) {
      const from = sluice.stderr.length;
      await assert.rejects(get(`${bad}/attack`), "the connection goes with the shard");
      await sluice.sees(/"event":"shard\.died".*"cause":"stuck".*"worker":"bad"/, from);
      // The listening sockets are the supervisor's: whoever asks meanwhile waits for the next shard.
      assert.equal((await get(good)).body, "good");
    }
    await sluice.sees(/"event":"worker\.quarantined".*"worker":"bad"/);
    assertPlainFailure(await get(bad), 503);
    assert.equal((await get(good)).body, "good");
    assert.equal((await sluice.stop()).code, 0);
  });
}

test("several Workers that end shards make nobody wait for longer and longer", async (t) => {
  const names = Object.keys(attacks);
  const sluice = await startSluice(t, configOf(names), { files: filesOf(attacks) });
  const good = await sluice.listening("good");
  for (const name of names) {
    const from = sluice.stderr.length;
    await get(`${await sluice.listening(name)}/attack`).catch(() => {});
    await sluice.sees(/a shard died: [^\n]*; starting another"/, from);
    assert.equal((await get(good)).body, "good");
  }
});
