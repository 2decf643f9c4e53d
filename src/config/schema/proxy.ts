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
      .meta({ description: "Serves /healthz, /readyz and /metrics. Without it there is no admin endpoint." }),
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
