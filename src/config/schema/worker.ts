import { z } from "zod";
import type { Designator, JsonValue } from "../../services/service.ts";
import { designator, duration, json, oneOf, text } from "./common.ts";
import { webSockets } from "./websockets.ts";

export const bindingKinds = ["service", "text", "json", "env", "data"] as const;

/**
 * A binding as a shard gets it: shards may not read files or the environment, so the config holds what they would find.
 * An `env` binding has become a text, or is gone when it was optional and unset.
 */
export type BindingConfig =
  | { service: Designator }
  | { text: string }
  | { json: JsonValue }
  /** The bytes of the file in base64. */
  | { data: string };

export const binding = z
  .strictObject({
    service: designator.optional().meta({
      description:
        "A service: the Worker calls `env.NAME.fetch(request)` and `env.NAME.connect(address)`, and when it is a Worker also " +
        "the methods of its entrypoint, `env.NAME.method(value)`.",
      examples: ["app", { name: "auth", entrypoint: "Admin", props: { role: "edge" } }],
    }),
    text: z
      .string()
      .optional()
      .meta({ description: "A string.", examples: ["hello"] }),
    json: json.optional().meta({
      description: "Any JSON value; the Worker gets it parsed.",
      examples: [{ beta: true }],
    }),
    env: text.optional().meta({
      description:
        "A variable of the environment that Sluice runs in, as a string. This is the way for secrets: the file names the " +
        "variable, and the value appears in no diagnostic. A variable that is not set is an error unless `optional`.",
      examples: ["API_TOKEN"],
    }),
    optional: z
      .boolean()
      .optional()
      .meta({
        description:
          "With `env`: when the variable is not set, the binding is absent, `env.NAME === undefined`. Default false.",
        examples: [true],
      }),
    data: text.optional().meta({
      description: "The content of a file as an ArrayBuffer, read when the config is loaded; at most 16 MiB.",
      examples: ["./logo.png"],
    }),
  })
  .meta({
    id: "Binding",
    title: "Binding",
    description:
      "One capability of a Worker, of exactly one kind. What has no binding does not exist for the Worker.",
    examples: [{ service: "app" }, { text: "hello" }, { env: "API_TOKEN" }],
  })
  .transform((value, context): BindingConfig => {
    if (oneOf(value, bindingKinds, context)) {
      if (value.service !== undefined) return { service: value.service };
      if (value.text !== undefined) return { text: value.text };
      if (value.json !== undefined) return { json: value.json };
      if (value.data !== undefined) return { data: value.data };
      // src/config/contents.ts has put a text in place of `env` before, or has reported why not.
      context.addIssue({
        code: "custom",
        message: "expected a resolved binding",
        params: { reportedByKinds: true },
      });
    }
    return z.NEVER;
  });

export const workerLimits = z
  .strictObject({
    cpuMs: z
      .int()
      .positive()
      .default(50)
      .meta({
        description:
          "CPU time in milliseconds that one turn of the Worker may take, before it is stopped and its exchanges get a 500. " +
          "Waiting for an upstream does not count.",
        examples: [50],
      }),
    memoryMb: z
      .int()
      .min(8)
      .default(128)
      .meta({
        description: "Heap of one isolate in MiB. An isolate that holds more is disposed and made anew.",
        examples: [128],
      }),
    subrequests: z
      .int()
      .positive()
      .default(1000)
      .meta({
        description: "Requests that the Worker may send for one request it takes.",
        examples: [1000],
      }),
    startupMs: z
      .int()
      .positive()
      .default(1000)
      .meta({
        description: "CPU time in milliseconds for evaluating the script, before the first request.",
        examples: [1000],
      }),
    wallMs: duration.prefault(0).meta({
      description: "Time from the request to the Worker's response. 0 is no limit.",
      examples: ["30s"],
    }),
  })
  .meta({
    id: "WorkerLimits",
    title: "Limits of a Worker",
    description: "What a Worker may use. One that exceeds them hurts its own exchanges, no other Worker's.",
  });

const workerIsolates = z
  .strictObject({
    idleTimeout: duration.optional().meta({
      description:
        "How long this Worker may be idle before its isolate is ended, in place of what the proxy's `isolates` says. 0 is " +
        "never, but for want of memory or because of `isolates.max`.",
      examples: ["1h"],
    }),
  })
  .meta({
    id: "WorkerIsolates",
    title: "Isolates of a Worker",
    description: "How long its isolate is kept.",
  });

export const worker = z
  .strictObject({
    main: text.optional().meta({
      description:
        "The Worker's main module, TypeScript or JavaScript; it imports other modules, npm packages, and .txt, .json, .bin " +
        "and .wasm files. Exactly one of `main` and `script` is given.",
      examples: ["./src/gateway.ts"],
    }),
    script: text.optional().meta({
      description: 'A script in service-worker syntax in place of `main`: `addEventListener("fetch", …)`.',
      examples: ["./src/legacy.js"],
    }),
    compatibilityDate: text.meta({
      description:
        "The day whose behaviour the Worker was written for: later changes that could break it stay off. Any date up to " +
        "today; for a new Worker, today.",
      examples: ["2026-11-01"],
    }),
    compatibilityFlags: z
      .array(text)
      .default([])
      .meta({
        description:
          "Single changes turned on or off against the date, by the names that workerd gives them. `nodejs_compat` is on from " +
          "2026-08-04.",
        examples: [["nodejs_compat"]],
      }),
    bindings: z
      .record(text, binding)
      .default({})
      .meta({
        description: "What the Worker finds in `env`, by name.",
        examples: [{ ORIGIN: { service: "app" }, GREETING: { text: "hello" } }],
      }),
    globalOutbound: designator.prefault("internet").meta({
      description:
        "Where a plain `fetch()` goes. Name a service that refuses everything to cut the Worker off.",
      examples: ["internet"],
    }),
    limits: workerLimits.prefault({}),
    isolates: workerIsolates.prefault({}),
    webSockets: webSockets.prefault({}),
    preciseTimers: z
      .boolean()
      .default(false)
      .meta({
        description:
          "The clock runs on while the Worker's code runs. By default `Date.now()` and `performance.now()` move on only when " +
          "something reaches the Worker (a request, a response, a chunk, a timer), so that code cannot time what it does.",
        examples: [true],
      }),
    unsafeEval: z
      .boolean()
      .default(false)
      .meta({
        description:
          "Lets the Worker make code of text, with `eval` and `new Function`. Off by default: it turns a text that an attacker " +
          "can choose into the Worker's own code.",
        examples: [true],
      }),
  })
  .meta({
    id: "Worker",
    title: "Worker",
    description: "A script with event handlers that runs in a V8 isolate of its own.",
    examples: [{ main: "./src/worker.ts", compatibilityDate: "2026-11-01" }],
  });
export type WorkerLimits = z.output<typeof workerLimits>;
export type WorkerConfig = z.output<typeof worker>;
