import assert from "node:assert/strict";
import { type Answer, get } from "../support/client.ts";
import { shardsOf } from "../support/shard.ts";
import type { RunningSluice } from "../support/sluice.ts";

/** The code of a Worker that does `code` when it is asked for /attack, and says "ok" else. */
export function attacker(code: string, top = ""): string {
  return `${top}
export default { async fetch(request, env, ctx) {
  if (!request.url.endsWith("/attack")) return new Response("ok");
  ${code}
  return new Response("done");
} };`;
}

/** A config with each Worker on a socket of its own name, and one named `good` that harms nobody. */
export function configOf(names: readonly string[], more = ""): string {
  const sockets = ["good", ...names].map((name) => `  ${name}: { address: "127.0.0.1:0", service: ${name} }`);
  const services = ["good", ...names].map(
    (name) => `  ${name}: { worker: { main: ./${name}.js, compatibilityDate: 2026-11-01 } }`,
  );
  return `sockets:\n${sockets.join("\n")}\nservices:\n${services.join("\n")}\n${more}`;
}

export const good = 'export default { fetch() { return new Response("good") } }';

/** Files of the Workers, and of the good one. */
export function filesOf(workers: Readonly<Record<string, string>>): Record<string, string> {
  const files: Record<string, string> = { "good.js": good };
  for (const [name, code] of Object.entries(workers)) files[`${name}.js`] = code;
  return files;
}

/** What a client may see of a failure: the status, an id to look for in the log, and nothing else. */
export function assertPlainFailure(answer: Answer, status = 500): string {
  assert.equal(answer.status, status);
  const id = /^\d{3} [A-Za-z ]+\nid: ([a-z0-9]{12})\n$/.exec(answer.body)?.[1];
  assert.ok(id !== undefined, `the client saw ${JSON.stringify(answer.body)}`);
  return id;
}

/** Asks the good Worker again and again until told to stop; each answer must be its own. */
export function keepAsking(url: string): { stop(): Promise<number> } {
  let asked = 0;
  let stopped = false;
  const loop = (async () => {
    while (!stopped) {
      const answer = await get(url);
      assert.equal(answer.body, "good");
      asked++;
    }
  })();
  return {
    async stop() {
      stopped = true;
      await loop;
      return asked;
    },
  };
}

/** The one shard of a proxy. */
export function soleShard(sluice: RunningSluice): number {
  const [pid, ...others] = shardsOf(sluice);
  assert.ok(pid !== undefined);
  assert.deepEqual(others, []);
  return pid;
}
