import type { TestContext } from "node:test";
import ivm from "isolated-vm";
import type { CompiledWorker } from "../../src/isolate/environment.ts";

/** Stands in for what the runtime provides. */
const provided: Record<string, string> = {
  "cloudflare:workers": "export class WorkerEntrypoint {} export const env = { from: 'the platform' };",
};

/** Runs a bundled Worker in an isolate and gives the result of `probe`, an expression over its namespace `worker`. */
export function runWorker(t: TestContext, worker: CompiledWorker, probe: string): unknown {
  const isolate = new ivm.Isolate();
  t.after(() => isolate.dispose());
  const context = isolate.createContextSync();
  if (worker.syntax === "script") {
    context.evalSync(worker.code, { filename: worker.name });
    return settle(context, probe);
  }
  worker.assets.forEach((asset, index) => {
    context.evalSync(`globalThis.asset${index} = undefined`);
    const copy = new ivm.ExternalCopy(new Uint8Array(asset.bytes).buffer).copyInto();
    context.global.setSync(`asset${index}`, copy);
    if (asset.kind === "wasm") context.evalSync(`asset${index} = new WebAssembly.Module(asset${index})`);
  });
  const main = isolate.compileModuleSync(worker.code, { filename: worker.name });
  const entry = isolate.compileModuleSync('import * as worker from "worker"; globalThis.worker = worker;');
  entry.instantiateSync(context, (specifier) => {
    if (specifier === "worker") return main;
    const asset = /^sluice:asset\/(\d+)$/.exec(specifier);
    const source = asset === null ? provided[specifier] : `export default globalThis.asset${asset[1]};`;
    if (source === undefined) throw new Error(`nothing provides ${specifier}`);
    return isolate.compileModuleSync(source);
  });
  entry.evaluateSync();
  return settle(context, probe);
}

/** What the guest throws has the frames of the isolate. */
function settle(context: ivm.Context, probe: string): unknown {
  context.evalSync(
    `globalThis.outcome = "pending";
     (async () => (${probe}))().then(
       (value) => { outcome = JSON.stringify(value); },
       (error) => { outcome = JSON.stringify({ message: String(error), stack: String(error?.stack) }); },
     );`,
  );
  const outcome = context.evalSync("outcome") as string;
  return outcome === undefined || outcome === "pending" ? outcome : JSON.parse(outcome);
}
