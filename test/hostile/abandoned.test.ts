import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { collect } from "../integration/network-harness.ts";
import { WorkerBench } from "../integration/worker-harness.ts";

let bench: WorkerBench | null = null;
afterEach(() => {
  bench?.stop();
  bench = null;
});

/** Left unfinished, with no word to anybody; then one of the same kind that has to work. */
const abandoned: Readonly<Record<string, readonly [leave: string, use: string]>> = {
  CompressionStream: [
    "new CompressionStream('gzip').writable.getWriter().write(new Uint8Array(1000));",
    "await new Response(new Response('x').body.pipeThrough(new CompressionStream('gzip'))).arrayBuffer();",
  ],
  "stream of node:zlib": [
    "zlib.createGzip().write(new Uint8Array(1000));",
    "await new Promise((done, fail) => zlib.gzip('x', (error, data) => (error ? fail(error) : done(data))));",
  ],
  DigestStream: [
    "new crypto.DigestStream('SHA-256').getWriter().write(new Uint8Array(100));",
    "const s = new crypto.DigestStream('SHA-256'); const w = s.getWriter(); w.write(new Uint8Array(4)); await w.close(); await s.digest;",
  ],
};

for (const [what, [leave, use]] of Object.entries(abandoned)) {
  test(`a ${what} that a Worker leaves unfinished holds nothing of the host's for long`, async () => {
    const code = `import * as zlib from "node:zlib";
      export default { async fetch() {
        for (let i = 0; i < 50; i++) { ${leave} }
        await new Promise((done) => setTimeout(done, 1));
        ${use}
        return new Response("ok");
      } };`;
    bench = await WorkerBench.start({ main: { code, flags: ["nodejs_compat"], limits: { cpuMs: 5000 } } });
    for (let i = 0; i < 30; i++) {
      const answer = await collect(bench.worker(), {});
      assert.equal(answer.error?.message, undefined, `after ${i * 50}`);
      assert.equal(answer.text, "ok");
    }
    assert.equal(bench.worker().inHand, 0);
  });
}
