import assert from "node:assert/strict";
import { test } from "node:test";
import { runSluice } from "../support/sluice.ts";
import { TemporaryDirectory } from "../support/temporary.ts";

const config = `
sockets: {}
services:
  hello: { worker: { main: ./hello.ts, compatibilityDate: 2026-11-01, bindings: { SELF: { service: hello } } } }
`;

const worker = `
export default {
  fetch() { return new Response("hi"); },
  async test(controller, env) {
    const text = await (await env.SELF.fetch("http://hello/")).text();
    if (text !== "hi") throw new Error("wrong: " + text);
  },
};
export const wrong = { test() { throw new Error("expected 1 to be 2"); } };
`;

test("sluice test runs each exported test handler and counts them", async (t) => {
  const directory = new TemporaryDirectory(t);
  directory.write("proxy.yaml", config);
  directory.write("hello.ts", worker);
  const all = await runSluice(t, ["test"], { cwd: directory.path });
  assert.equal(all.code, 1);
  assert.match(all.stdout, /^ok hello \(/m);
  assert.match(all.stdout, /^not ok hello\/wrong \(.*\n {2}Error: expected 1 to be 2$/m);
  assert.match(all.stdout, /\n1 passed, 1 failed\n$/);
  assert.match(all.stderr, /hello\.ts:9:/);

  directory.write("hello.ts", worker.replace(/export const wrong.*\n/, ""));
  const passing = await runSluice(t, ["test", "proxy.yaml", "hell"], { cwd: directory.path });
  assert.equal(passing.code, 0);
  assert.match(passing.stdout, /\n1 passed, 0 failed\n$/);

  const none = await runSluice(t, ["test", "proxy.yaml", "other"], { cwd: directory.path });
  assert.equal(none.code, 1);
  assert.match(none.stderr, /no Worker whose name contains "other" exports a handler test/);
});
