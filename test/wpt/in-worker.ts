import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { worker as workerSchema } from "../../src/config/schema/worker.ts";
import { BytesBody } from "../../src/http/body.ts";
import { HeaderBlock } from "../../src/http/header-block.ts";
import { ResponseHead } from "../../src/http/message.ts";
import type { CompiledWorker, IsolateEnvironment } from "../../src/isolate/environment.ts";
import { loadRuntime } from "../../src/isolate/loader/runtime.ts";
import { Metrics } from "../../src/observability/traffic.ts";
import type { ServiceContext } from "../../src/services/context.ts";
import { createWorker, type WorkerService } from "../../src/services/worker/worker.ts";
import { collect } from "../integration/network-harness.ts";
import { FakeService } from "../integration/worker-harness.ts";
import { echoPath, preamble, reporter, scriptsOf } from "./program.ts";
import type { Suite } from "./suite.ts";
import { type FileResult, type Subtest, statusOf, type TestFile, wholeFile } from "./test-file.ts";

/** Begins the log lines that carry results. Not text, so that no test logs it by chance. */
const mark = "\u0001wpt ";

/** Runs test files in Workers, each in an isolate of its own, in this process. */
export class WorkerRunner {
  readonly #suite: Suite;
  readonly #runtime: IsolateEnvironment["runtime"];
  readonly #code = new Map<string, Uint8Array>();

  private constructor(suite: Suite, runtime: IsolateEnvironment["runtime"]) {
    this.#suite = suite;
    this.#runtime = runtime;
  }

  static async create(suite: Suite): Promise<WorkerRunner> {
    return new WorkerRunner(suite, await loadRuntime());
  }

  async run(test: TestFile): Promise<FileResult> {
    const subtests: Subtest[] = [];
    let completed = false;
    const context = this.#context(this.#compile(test), (text) => {
      const [name, code, message] = JSON.parse(text) as [string | null, number, string];
      if (name !== null) subtests.push({ name, status: statusOf(code), message });
      else {
        completed = true;
        if (code !== 0) subtests.push({ name: wholeFile, status: "fail", message });
      }
    });
    // Tests wait in loops for the clock to move.
    const parsed = workerSchema.parse({
      main: "test.js",
      compatibilityDate: "2026-01-01",
      preciseTimers: true,
    });
    const limits = {
      ...parsed.limits,
      cpuMs: test.timeout,
      wallMs: test.timeout + 10_000,
      memoryMb: 512,
      subrequests: 10_000,
      startupMs: 5000,
    };
    const service = createWorker("test", { ...parsed, limits }, context) as WorkerService;
    service.link(() => this.#files());
    try {
      const answer = await collect(service, { target: `/${test.path}` });
      if (!completed || answer.text !== "") {
        const message = answer.error?.message ?? answer.text;
        subtests.push({ name: wholeFile, status: "fail", message });
      }
    } finally {
      service.close();
    }
    return { name: test.name, subtests };
  }

  /**
   * The scripts stand in one function, since a Worker may set timers and fetch in a handler only. What they declare is
   * local to it, which scripts of one page share all the same.
   */
  #compile(test: TestFile): CompiledWorker {
    const [harness, ...scripts] = scriptsOf(this.#suite, test);
    const code = `
      ${preamble(test)}
      (() => {
        const { fetch: fetchNative, console: { log } } = globalThis;
        const { stringify } = JSON;
        globalThis.fetch = (input, init) =>
          fetchNative(typeof input === "string" ? new URL(input, location.href).href : input, init);
        const run = function (send) {
          ${harness?.code}
          ;${reporter};
          (function () {
            ${isStrict(scripts.at(-1)?.code ?? "") ? '"use strict";' : ""}
            ${scripts.map(({ code }) => `${code}\n;`).join("\n")}
          }).call(globalThis);
        };
        addEventListener("fetch", (event) => {
          event.respondWith(new Promise((resolve) => {
            const finish = (problem) => {
              clearTimeout(timer);
              resolve(new Response(problem));
            };
            const timer = setTimeout(() => {
              globalThis.timeout?.();
              finish("it took too long");
            }, ${test.timeout});
            const send = (result) => {
              log(${JSON.stringify(mark)} + stringify(result));
              if (result[0] === null) finish("");
            };
            try {
              run.call(globalThis, send);
            } catch (error) {
              finish("it threw " + String(error?.stack ?? error));
            }
          }));
        });
      })();
    `;
    return { name: "test", syntax: "script", code, sourceMap: "", assets: [], hash: test.name, inputs: [] };
  }

  #context(compiled: CompiledWorker, take: (result: string) => void): ServiceContext {
    return {
      log: {
        accessEnabled: false,
        access() {},
        log(_level, event, message) {
          if (message.startsWith(mark)) take(message.slice(mark.length));
          else if (process.env.WPT_LOG) process.stderr.write(`${event} ${message}\n`);
        },
      },
      metrics: new Metrics(),
      now: () => performance.now(),
      secret: new Uint8Array(32),
      isolates: {
        runtime: this.#runtime,
        codeCache: {
          get: (source) => this.#code.get(source) ?? null,
          put: (source, data) => {
            if (source !== compiled.code) this.#code.set(source, data);
          },
        },
        watchdog: { enter() {}, leave() {} },
        quarantined: new Set(),
        indexOf: () => 0,
        compiled: () => compiled,
      },
    };
  }

  /** Answers what tests fetch: files of the suite, and an echo. */
  #files(): FakeService {
    return new FakeService("files", (exchange) => {
      const path = decodeURIComponent(exchange.request.target.replace(/[?#].*$/, ""));
      if (path === echoPath) {
        exchange.respond(new ResponseHead(200, HeaderBlock.from([])), exchange.takeBody());
        return;
      }
      readFile(join(this.#suite.directory, join("/", path))).then(
        (bytes) => {
          const type = path.endsWith(".wasm") ? "application/wasm" : "application/octet-stream";
          exchange.respond(
            new ResponseHead(200, HeaderBlock.from([["content-type", type]])),
            new BytesBody(bytes),
          );
        },
        () => exchange.respond(new ResponseHead(404, HeaderBlock.from([])), null),
      );
    });
  }
}

/** A directive counts at the head of a function only, which is not where the test's own text begins. */
function isStrict(code: string): boolean {
  return /^(?:\s|\/\/.*\n|\/\*[\s\S]*?\*\/)*(["'])use strict\1/.test(code);
}
