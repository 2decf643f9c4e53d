import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Suite } from "./suite.ts";
import type { TestFile } from "./test-file.ts";

/** Where the suite seems to be served. */
export const origin = "http://web-platform.test";

/** The one handler of the suite's server that is stood in for: it answers with what it was sent. */
export const echoPath = "/fetch/api/resources/echo-content.py";

/** What a test script finds beside the platform, in a Worker as in Node. */
export function preamble(test: TestFile): string {
  // Left there, they would have testharness.js wait for messages of a page, as in a service worker.
  return `
    delete globalThis.ServiceWorkerGlobalScope;
    delete globalThis.WorkerGlobalScope;
    globalThis.self = globalThis;
    globalThis.GLOBAL = { isWindow: () => false, isWorker: () => false, isShadowRealm: () => false };
    globalThis.location = new URL(${JSON.stringify(`${origin}/${test.path}${test.variant}`)});
    globalThis.META_TITLE = ${JSON.stringify(test.title)};
  `;
}

/** The scripts of a test in their order, testharness.js first. */
export function scriptsOf(
  suite: Suite,
  test: TestFile,
): Array<{ readonly path: string; readonly code: string }> {
  const paths = ["resources/testharness.js", ...test.scripts, test.path];
  return paths.map((path) => ({ path, code: readFileSync(join(suite.directory, path), "utf8") }));
}

/** Runs after testharness.js; \`send\` takes each result, and null with the harness's status at the end. */
export const reporter = `
  add_result_callback((one) => send([one.name, one.status, String(one.message ?? "").slice(0, 300)]));
  add_completion_callback((_tests, harness) => send([null, harness.status, String(harness.message ?? "")]));
`;
