import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { RpcBench } from "./rpc-harness.ts";

let bench: RpcBench | null = null;
afterEach(() => {
  bench?.bench.stop();
  bench = null;
});

async function run(caller: string, callee: string): Promise<unknown> {
  bench = await RpcBench.start(caller, callee);
  const result = await bench.json();
  await bench.idle();
  return result;
}

test("a Worker calls methods of another with arguments and gets results", async () => {
  const result = await run(
    `return Response.json([await env.X.add(1, 2), await env.X.greet("Ada"), await env.X.nothing()]);`,
    `export default class extends WorkerEntrypoint {
      add(a, b) { return a + b; }
      async greet(name) { return "Hello " + name; }
      nothing() {}
    }`,
  );
  assert.deepEqual(result, [3, "Hello Ada", null]);
});
