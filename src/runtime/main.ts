import * as wire from "../wire/ops.ts";
import { Channel } from "./bridge/channel.ts";
import { Dispatcher } from "./bridge/dispatch.ts";
import {
  DurableObject,
  RpcPromise,
  RpcProperty,
  RpcStub,
  RpcTarget,
  WorkerEntrypoint,
  WorkflowEntrypoint,
} from "./bridge/entrypoint.ts";
import { fillEnv } from "./bridge/env.ts";
import { Outbound } from "./bridge/fetcher.ts";
import { BodyReaders } from "./bridge/handle-body.ts";
import { Handlers } from "./bridge/handlers.ts";
import { HostCalls } from "./bridge/host-calls.ts";
import { setNatives } from "./bridge/natives.ts";
import { OutStreams } from "./bridge/out-streams.ts";
import { ScriptListeners } from "./bridge/script-listeners.ts";
import { nodeProvisions } from "./node/provisions.ts";
import { definePart, setPartLoader } from "./part.ts";
import { advanceClock } from "./web/clock.ts";
import { applyOptions, installGlobals, type ScopeOptions } from "./web/globals.ts";
import { setHost } from "./web/host.ts";
import { startPerformance } from "./web/performance.ts";
import {
  ArrayBufferNative,
  DateNow,
  JSONParse,
  JSONStringify,
  ObjectDefineProperty,
  TypedArraySet,
  Uint8ArrayNative,
} from "./web/primordials.ts";

/** What the host enters, in this order; all of it may be called once but `enter` and `definePart`. */
interface Entries {
  /**
   * Fits the scope to the Worker. @param options ScopeOptions as JSON. @param bindings JSON, see bridge/env.ts.
   * @param assets how many of the buffers are contents of its binary imports; the rest are of its data bindings.
   */
  prepare(options: string, bindings: string, assets: number, ...buffers: ArrayBuffer[]): void;
  /** After the Worker's global scope: gives JSON, either `{ problem }` or `{ entrypoints }` with the handlers of each. */
  started(isModule: boolean): string;
  /** See part.ts; called while the guest waits for a part. */
  definePart: typeof definePart;
  /** Runs the batch in the inbox; 0 integers go on with the one before. How far it came stands in the control integers. */
  enter(ints: number, text: string): void;
}

const levels = { debug: 0, log: 1, info: 1, warn: 2, error: 3 } as const;

/**
 * The runtime's entry, called once by the host in a fresh isolate, maybe long before it is known which Worker will run
 * in it. @param shared laid out as wire/ops.ts says.
 */
export function boot(
  drain: (ints: number, text: string, bytes: number) => void,
  parseUrl: (input: string, base: string | null) => string,
  setUrlPart: (href: string, part: string, value: string) => string,
  random: (length: number) => void,
  native: (name: string, amount: number, text: string) => number | string,
  loadPart: (name: string) => void,
  shared: SharedArrayBuffer,
): Entries {
  const channel = new Channel(
    new Int32Array(shared, wire.outboxOffset, wire.INTS),
    new Uint8Array(shared, wire.windowOutOffset, wire.WINDOW),
    drain,
  );
  const readers = new BodyReaders(channel);
  const outs = new OutStreams(channel);
  const outbound = new Outbound(channel, readers, outs);
  const calls = new HostCalls(channel);
  const listeners = new ScriptListeners(() => channel.one(wire.OUT_HEARS, 1));
  const env: Record<string, unknown> = {};
  const handlers = new Handlers(env, () => listeners.current());
  const dispatcher = new Dispatcher({
    inbox: new Int32Array(shared, wire.inboxOffset, wire.INTS),
    shared,
    control: new Int32Array(shared, wire.controlOffset, wire.CONTROL),
    channel,
    readers,
    outs,
    outbound,
    calls,
    handlers,
    listeners,
  });

  setNatives(native, new Uint8Array(shared, wire.scratchOffset, wire.SCRATCH));
  setPartLoader(loadPart);
  setHost({
    parseUrl,
    setUrlPart,
    log(level, text) {
      const at = channel.begin(wire.OUT_LOG);
      channel.ints[at] = levels[level as keyof typeof levels] ?? 1;
      channel.ints[at + 1] = channel.text(text);
    },
    setTimer(id, ms) {
      if (!outbound.open) throw new Error("cannot set a timer in the global scope: only handlers may wait");
      const at = channel.begin(wire.OUT_TIMER);
      channel.ints[at] = id;
      channel.ints[at + 1] = ms;
    },
    clearTimer(id) {
      channel.one(wire.OUT_CLEAR_TIMER, id);
    },
    random(length) {
      random(length);
      const bytes = new ArrayBufferNative(length);
      // The shared memory reaches native code only: a patched method that saw it could write the bridge's records.
      TypedArraySet(new Uint8ArrayNative(bytes), new Uint8ArrayNative(shared, wire.scratchOffset, length));
      return bytes;
    },
    call(operation, text, bytes, handler) {
      calls.call(operation, text, bytes, handler);
    },
    reportException(error) {
      if (!listeners.tellError(error)) dispatcher.exception(0, error);
    },
  });
  installGlobals(globalThis as unknown as Record<string, unknown>);
  listeners.install(globalThis as unknown as Record<string, unknown>);
  defineFetch(outbound);

  let exported: Record<string, unknown> | null = null;
  return {
    prepare(options, bindings, assets, ...buffers) {
      advanceClock(DateNow());
      startPerformance();
      fillEnv(env, bindings, buffers, assets, outbound);
      applyOptions(globalThis as unknown as Record<string, unknown>, JSONParse(options) as ScopeOptions);
      provide({
        hook(worker: Record<string, unknown>): void {
          exported = worker;
        },
        workers: {
          WorkerEntrypoint,
          RpcTarget,
          RpcStub,
          RpcPromise,
          RpcProperty,
          DurableObject,
          WorkflowEntrypoint,
          env,
          waitUntil: (promise: unknown) => dispatcher.waitUntil(promise),
        },
        sockets: {
          connect: (address: unknown, options?: unknown) => outbound.connect(0, address, options),
        },
        ...nodeProvisions(globalThis as unknown as Record<string, unknown>, env, outbound),
        asset: (index: number, kind: string): unknown =>
          kind === "wasm" ? new WebAssembly.Module(buffers[index] as ArrayBuffer) : buffers[index],
      });
    },
    started(isModule) {
      if (isModule && exported === null) {
        return JSONStringify({ problem: "its global scope awaits something that never comes" });
      }
      handlers.loaded(exported);
      outbound.open = true;
      channel.flush();
      return JSONStringify({ entrypoints: handlers.entrypoints() });
    },
    definePart,
    enter(ints, text) {
      dispatcher.enter(ints, text);
    },
  };
}

declare const WebAssembly: { readonly Module: new (bytes: ArrayBuffer) => unknown };

/** What the modules that the runtime provides take; the host deletes it before the Worker's code runs. */
function provide(value: Record<string, unknown>): void {
  ObjectDefineProperty(globalThis, "__sluice", {
    __proto__: null,
    value,
    configurable: true,
  } as PropertyDescriptor);
}

function defineFetch(outbound: Outbound): void {
  const fetch = (input: unknown, init?: unknown): Promise<unknown> => outbound.fetch(0, input, init);
  // Not left to the bundler, which drops the names of functions.
  ObjectDefineProperty(fetch, "name", { value: "fetch" });
  ObjectDefineProperty(fetch, "length", { value: 1 });
  ObjectDefineProperty(globalThis, "fetch", {
    __proto__: null,
    value: fetch,
    writable: true,
    configurable: true,
    enumerable: true,
  } as PropertyDescriptor);
}
