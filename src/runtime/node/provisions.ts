import { part } from "../part.ts";
import { $asyncCaught, $asyncFrame, $asyncKeep, $asyncResume } from "../web/async-context.ts";
import { defineLazy } from "../web/globals.ts";
import { ObjectDefineProperty } from "../web/primordials.ts";

interface NodePart {
  moduleFor(name: string, functions: string): unknown;
}

/** What opens connections for the Worker. */
interface Connector {
  connect(binding: number, address: unknown, options?: unknown): unknown;
}

let env: Record<string, unknown> = {};
let outbound: Connector;

/** A socket of `cloudflare:sockets` through the Worker's global outbound. */
export function workerConnect(address: unknown, options: unknown): unknown {
  return outbound.connect(0, address, options);
}

/** The Worker's bindings, of which `process.env` shows the texts. */
export function workerEnv(): Record<string, unknown> {
  return env;
}

/** Globals that `nodejs_compat` brings, by the part that holds them. */
const globals = {
  Buffer: "node-buffer",
  clearImmediate: "node-timers",
  process: "node-process",
  setImmediate: "node-timers",
  setInterval: "node-timers",
  setTimeout: "node-timers",
};

/** What the modules that the host provides for Node's take (src/isolate/loader/node-modules.ts). */
export function nodeProvisions(
  scope: Record<string, unknown>,
  bindings: Record<string, unknown>,
  connector: Connector,
) {
  env = bindings;
  outbound = connector;
  return {
    node: (name: string, functions: string): unknown => part<NodePart>("node").moduleFor(name, functions),
    nodeGlobals(): void {
      defineLazy(scope, globals);
      ObjectDefineProperty(scope, "global", {
        __proto__: null,
        value: scope,
        writable: true,
        configurable: true,
      } as PropertyDescriptor);
    },
    asyncContext() {
      part<{ track(): void }>("node-async_hooks").track();
      return { $asyncCaught, $asyncFrame, $asyncKeep, $asyncResume };
    },
  };
}
