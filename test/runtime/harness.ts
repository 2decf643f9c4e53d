import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import ivm from "isolated-vm";
import { type CallOperation, type CallResult, ThreadJob } from "../../src/isolate/calls/call.ts";
import { callOperations } from "../../src/isolate/calls/operations.ts";
import type { RuntimeScript } from "../../src/isolate/environment.ts";
import { GuestFailure } from "../../src/isolate/guest-failure.ts";
import { bundleRuntime } from "../../src/isolate/loader/runtime.ts";
import { Natives } from "../../src/isolate/natives/natives.ts";
import { natives } from "../../src/isolate/natives/registry.ts";
import * as wire from "../../src/wire/ops.ts";
import { parseUrlForGuest, setUrlPartForGuest } from "../../src/wire/url.ts";

/** What a test function gets, in Node and in the isolate alike; it must not refer to anything else of its file. */
export interface Helper {
  /** The name of the error that `action` throws, or a text that says it threw none. */
  error(action: () => unknown): string;
  /** The same for a promise. */
  rejection(promise: unknown): Promise<string>;
  /** A body's or a stream's chunks, each as an array of bytes or as it is. */
  chunks(stream: ReadableStream): Promise<unknown[]>;
  bytes(view: ArrayBuffer | ArrayBufferView): number[];
}

export type Scenario = (t: Helper) => unknown;

function makeHelper(): Helper {
  const nameOf = (error: unknown): string => (error as { name?: string } | null)?.name ?? `thrown ${error}`;
  const bytes = (view: ArrayBuffer | ArrayBufferView): number[] => [
    ...(ArrayBuffer.isView(view)
      ? new Uint8Array(view.buffer, view.byteOffset, view.byteLength)
      : new Uint8Array(view)),
  ];
  return {
    error(action) {
      try {
        action();
        return "nothing thrown";
      } catch (error) {
        return nameOf(error);
      }
    },
    async rejection(promise) {
      try {
        await promise;
        return "not rejected";
      } catch (error) {
        return nameOf(error);
      }
    },
    async chunks(stream) {
      const chunks: unknown[] = [];
      for await (const chunk of stream as unknown as AsyncIterable<unknown>) {
        chunks.push(chunk instanceof Uint8Array ? bytes(chunk) : chunk);
      }
      return chunks;
    },
    bytes,
  };
}

const directory = fileURLToPath(new URL("../../src/runtime/", import.meta.url));
const entry = fileURLToPath(new URL("./fixtures/web.ts", import.meta.url));

let bundled: Promise<RuntimeScript> | null = null;

/** The Web platform and its parts, with what the bridge uses in the global `web`. */
function loadWeb(): Promise<RuntimeScript> {
  bundled ??= bundleRuntime(entry, directory).then(({ runtime }) => runtime);
  return bundled;
}

/** A program as one script that leaves its exports in the global `web`. */
export async function bundleProgram(contents: string): Promise<string> {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: fileURLToPath(new URL(".", import.meta.url)), loader: "ts" },
    bundle: true,
    write: false,
    format: "iife",
    globalName: "web",
    platform: "neutral",
    target: "es2024",
    charset: "utf8",
    mainFields: ["module", "main"],
    conditions: ["workerd", "worker", "import"],
  });
  return outputFiles[0]?.text ?? "";
}

/** One isolate with the Web platform in it. */
export class Guest {
  readonly isolate: ivm.Isolate;
  readonly context: ivm.Context;
  readonly logs: string[] = [];
  readonly exceptions: string[] = [];
  readonly #timers = new Map<number, NodeJS.Timeout>();
  readonly #pending = new Map<number, { resolve(value: string): void; reject(error: Error): void }>();
  readonly #operations = callOperations({
    buffer: { take: () => true, give() {} },
    collect: () => {},
  });
  #lastRun = 0;

  private constructor(script: RuntimeScript) {
    this.isolate = new ivm.Isolate({ memoryLimit: 256 });
    this.context = this.isolate.createContextSync();
    this.context.evalSync(`globalThis.web = (${script.code.replace(/;\s*$/, "")})();`, {
      filename: "runtime.js",
    });
    this.#install(script);
  }

  static async create(): Promise<Guest> {
    return new Guest(await loadWeb());
  }

  #install(script: RuntimeScript): void {
    const scratch = new SharedArrayBuffer(wire.SCRATCH);
    const calls = new Natives(natives, new Uint8Array(scratch));
    const definePart = this.context.evalSync("web.definePart", { reference: true }) as ivm.Reference<
      (factory: unknown) => void
    >;
    this.context.evalClosureSync(
      `const handlers = Object.create(null);
       const { apply: applyTo } = Reflect;
       const { slice } = Uint8Array.prototype;
       let lastCall = 0;
       globalThis.endCall = (call, name, text, bytes) => {
         const handler = handlers[call];
         delete handlers[call];
         if (name === "") handler.done(text, new Uint8Array(bytes));
         else handler.failed(web.errorOf(name, text));
       };
       const [parseUrl, setUrlPart, log, setTimer, clearTimer, random, call, report, settle, native, loadPart, scratch] = [$0, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11];
       web.setNatives(native, new Uint8Array(scratch));
       web.setPartLoader(loadPart);
       web.setHost({
         parseUrl, setUrlPart, log, setTimer, clearTimer, random,
         call(operation, text, bytes, handler) {
           handlers[++lastCall] = handler;
           call(lastCall, operation, text, applyTo(slice, bytes, []).buffer);
         },
         reportException(error) { report(String(error && error.message !== undefined ? error.message : error)); },
       });
       web.installGlobals(globalThis);
       web.applyOptions(globalThis, { unsafeEval: false, preciseTimers: true });
       const { then } = Promise.prototype;
       const { apply } = Reflect;
       const { stringify } = JSON;
       globalThis.finish = (run, promise) => void apply(then, promise, [
         (value) => settle(run, false, stringify(value) ?? "null"),
         (error) => settle(run, true, String(error?.stack ?? error)),
       ]);
       globalThis.helper = (${makeHelper.toString()})();`,
      [
        new ivm.Callback(parseUrlForGuest),
        new ivm.Callback(setUrlPartForGuest),
        new ivm.Callback((level: string, text: string) => {
          this.logs.push(`${level}: ${text}`);
        }),
        new ivm.Callback((id: number, ms: number) => this.#setTimer(id, ms)),
        new ivm.Callback((id: number) => {
          clearTimeout(this.#timers.get(id));
          this.#timers.delete(id);
        }),
        new ivm.Callback((length: number) =>
          new ivm.ExternalCopy(new Uint8Array(randomBytes(length)).buffer).copyInto(),
        ),
        new ivm.Callback((call: number, operation: number, text: string, bytes: ArrayBuffer) => {
          void this.#call(call, operation, text, new Uint8Array(bytes));
        }),
        new ivm.Callback((message: string) => {
          this.exceptions.push(message);
        }),
        new ivm.Callback((run: number, failed: boolean, text: string) => {
          const waiting = this.#pending.get(run);
          this.#pending.delete(run);
          if (failed) waiting?.reject(new Error(text));
          else waiting?.resolve(text);
        }),
        new ivm.Callback((name: string, amount: number, text: string) => calls.call(name, amount, text)),
        new ivm.Callback((name: string) => {
          const part = this.isolate.compileScriptSync(script.parts[name] ?? "null", { filename: name });
          const factory = part.runSync(this.context, { reference: true }) as ivm.Reference<unknown>;
          definePart.applySync(undefined, [factory.derefInto()]);
        }),
        new ivm.ExternalCopy(scratch).copyInto(),
      ],
    );
  }

  async #call(call: number, operation: number, text: string, bytes: Uint8Array): Promise<void> {
    // As the bridge does it: what the guest asks for is done after its entry.
    await new Promise((resolve) => setImmediate(resolve));
    const end = (name: string, result: string, buffer: ArrayBuffer): void => {
      if (this.isolate.isDisposed) return;
      const copy = new ivm.ExternalCopy(buffer).copyInto();
      this.context.evalClosureSync("endCall($0, $1, $2, $3)", [call, name, result, copy]);
    };
    let result: CallResult;
    try {
      const run = this.#operations.get(operation) as CallOperation;
      const begun = run(text, bytes);
      result = await (begun instanceof ThreadJob ? begun.start() : begun);
    } catch (error) {
      const known = error instanceof GuestFailure;
      end(known ? error.name : "OperationError", known ? error.message : `${error}`, new ArrayBuffer(0));
      return;
    }
    end("", result.text, new Uint8Array(result.bytes).buffer);
  }

  #setTimer(id: number, ms: number): void {
    const timer = setTimeout(() => {
      this.#timers.delete(id);
      this.context.evalSync(`web.fireTimer(${id})`);
    }, ms);
    this.#timers.set(id, timer);
  }

  get pendingTimers(): number {
    return this.#timers.size;
  }

  /** Runs a function in the isolate and gives its result, awaited, as JSON has it. */
  async run(scenario: Scenario | string): Promise<unknown> {
    const run = ++this.#lastRun;
    const text = new Promise<string>((resolve, reject) => {
      this.#pending.set(run, { resolve, reject });
    });
    this.context.evalSync(`finish(${run}, (async () => await (${scenario.toString()})(helper))())`, {
      filename: "scenario.js",
    });
    return JSON.parse(await text);
  }

  dispose(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
    this.isolate.dispose();
  }
}

/** Runs the function here in Node and in the isolate, and demands the same result. */
export async function same(guest: Guest, scenario: Scenario): Promise<void> {
  const expected = JSON.parse(JSON.stringify(await scenario(makeHelper())) ?? "null");
  assert.deepEqual(await guest.run(scenario), expected);
}
