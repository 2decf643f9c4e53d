import { z } from "zod";
import { address, duration, names, text } from "./common.ts";
import { service } from "./services.ts";
import { socket } from "./socket.ts";

export const log = z
  .strictObject({
    access: z
      .boolean()
      .default(true)
      .meta({
        description: "One line to standard output for each exchange.",
        examples: [false],
      }),
    format: z
      .enum(["json", "text"])
      .optional()
      .meta({
        description:
          "`json` for machines, `text` for people. Without it: text on a terminal, JSON otherwise.",
        examples: ["json"],
      }),
  })
  .meta({ id: "Log", title: "Log", description: "What is logged, and how." });

const isolates = z
  .strictObject({
    max: z
      .int()
      .nonnegative()
      .max(5000)
      .default(1000)
      .meta({
        description:
          "How many isolates a shard keeps, each 2 to 3 MiB when it is idle. Before one more is made, the least recently used " +
          "idle one is ended; when none is idle there are more for a while. 0 is no limit.",
        examples: [200],
      }),
    idleTimeout: duration.prefault("10m").meta({
      description:
        "How long a Worker may be idle before its isolate is ended; its next request starts it again, with its global " +
        "state as at its first. Exchanges, timers, sockets, tunnels and what was given to `waitUntil` count as use. " +
        "0 is never. A Worker's own `isolates` may say otherwise.",
      examples: ["1m", 0],
    }),
  })
  .meta({
    id: "Isolates",
    title: "Isolates",
    description:
      "How long isolates that nobody uses are kept. Idle ones are also ended, the least recently used first, when a shard " +
      "comes near its memory limit. An isolate with work in flight is never ended for any of these reasons.",
  });

export const proxy = z
  .strictObject({
    include: z
      .array(text)
      .default([])
      .meta({
        description:
          "Other files whose sockets and services are added to these. A name that two files define is an error, and so is any " +
          "other key that stands in two files.",
        examples: [["services/auth.yaml"]],
      }),
    sockets: z.record(z.string(), socket).meta({
      ...names,
      description: "The inbound listeners by name. May be `{}`, for a config that only `sluice test` runs.",
      examples: [{ public: { address: "*:8080", service: "gateway" } }],
    }),
    services: z
      .record(z.string(), service)
      .default({})
      .meta({
        ...names,
        description:
          "The destinations by name. `internet` is there unless it is defined: `network: { allow: [public] }`.",
        examples: [{ app: { external: { address: "127.0.0.1:9000" } } }],
      }),
    shards: z
      .union([z.int().positive().max(1024), z.literal("auto")], {
        error: 'expected a number of processes from 1 to 1024, or "auto"',
      })
      .default(1)
      .meta({
        description:
          "How many processes serve. `auto` is one a core. Each has its own isolates, pools and limits.",
        examples: [4, "auto"],
      }),
    isolates: isolates.prefault({}),
    admin: z
      .strictObject({
        address: address.meta({
          description:
            "Where it listens. Give it a loopback address or a unix socket: it asks nobody who they are.",
          examples: ["127.0.0.1:9900"],
        }),
      })
      .meta({ id: "Admin", title: "Admin endpoint" })
      .optional()
      .meta({
        description:
          "Serves /healthz, /readyz, /metrics and /upstreams. Without it there is no admin endpoint.",
      }),
    log: log.prefault({}),
    drainTimeout: duration.prefault("30s").meta({
      description: "How long exchanges may take to finish on a stop or a reload, before they are cut off.",
      examples: ["30s"],
    }),
  })
  .meta({
    id: "Proxy",
    title: "proxy.yaml",
    description: "The whole config: sockets that listen, and services that answer.",
  });

/**
 * The config after loading: includes merged, environment substituted, defaults filled in, relative paths made absolute,
 * durations in milliseconds, sizes in bytes, `env` and `data` bindings and certificates (PEM) in place of their names.
 * Plain JSON: the supervisor sends it to its shards as it is.
 */
export type ProxyConfig = z.output<typeof proxy>;
