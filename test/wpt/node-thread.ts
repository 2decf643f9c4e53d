import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { runInThisContext } from "node:vm";
import { parentPort, workerData } from "node:worker_threads";
import { echoPath, origin, preamble, reporter, scriptsOf } from "./program.ts";
import type { Suite } from "./suite.ts";
import type { TestFile } from "./test-file.ts";

const { suite, test } = workerData as { suite: Suite; test: TestFile };
const scope = globalThis as unknown as Record<string, unknown>;
const fetchNative = fetch;
const { href } = new URL(`${origin}/${test.path}`);

scope.fetch = async (input: string | Request, init?: RequestInit): Promise<Response> => {
  const url = new URL(typeof input === "string" ? input : input.url, href);
  if (url.origin !== origin) return fetchNative(input, init);
  if (url.pathname === echoPath) return new Response(await new Response(init?.body ?? null).text());
  const bytes = await readFile(join(suite.directory, decodeURIComponent(url.pathname)));
  const type = url.pathname.endsWith(".wasm") ? "application/wasm" : "application/octet-stream";
  return new Response(bytes, { headers: { "content-type": type } });
};
const port = parentPort;
scope.send = (result: unknown) => port?.postMessage(result);
runInThisContext(preamble(test));
for (const [index, { path, code }] of scriptsOf(suite, test).entries()) {
  runInThisContext(code, { filename: path });
  if (index === 0) runInThisContext(reporter);
}
// A test may wait for what holds no event loop, such as a microtask of another thread; the runner ends this thread.
setTimeout(() => {}, test.timeout);
