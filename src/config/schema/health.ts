import { z } from "zod";
import { duration, headerName, headerValue, text } from "./common.ts";

const statusText = "expected a status from 200 to 599, or a range such as 200-299";

const statusRange = z
  .union(
    [
      z.int({ error: statusText }).min(200, statusText).max(599, statusText),
      z.string().regex(/^[2-5]\d\d(-[2-5]\d\d)?$/, statusText),
    ],
    { error: statusText },
  )
  .transform((value): readonly [from: number, to: number] => {
    const [from = "", to = from] = String(value).split("-");
    return [Number(from), Number(to)];
  })
  .refine(([from, to]) => from <= to, { error: "expected a range that begins with its lower end" });

const check = z
  .strictObject({
    path: z
      .string()
      .regex(/^\/[\x21-\x7e]*$/, { error: 'expected a path that begins with "/"' })
      .default("/")
      .meta({ description: "Path and query that are asked for.", examples: ["/healthz"] }),
    method: z
      .enum(["GET", "HEAD", "OPTIONS"])
      .default("GET")
      .meta({ description: "The method.", examples: ["HEAD"] }),
    host: text
      .regex(/^[\x21-\x7e]+$/, { error: "expected a host" })
      .optional()
      .meta({ description: "What Host says; by default the address.", examples: ["app.internal"] }),
    headers: z
      .record(headerName, headerValue)
      .refine((value) => !Object.keys(value).some((name) => name.toLowerCase() === "host"), {
        error: "expected headers other than Host, for which there is host",
      })
      .default({})
      .meta({ description: "Headers of the request.", examples: [{ "x-probe": "sluice" }] }),
    status: z
      .array(statusRange)
      .min(1, { error: "expected at least one status" })
      .prefault(["200-299"])
      .meta({ description: "The statuses of a server that is well.", examples: [["200-399", 401]] }),
    interval: duration
      .prefault("10s")
      .refine((value) => value >= 100, { error: "expected a duration of at least 100ms" })
      .meta({
        description: "Time between two checks of an endpoint; each time up to a tenth more or less.",
        examples: ["5s"],
      }),
    timeout: duration
      .prefault("5s")
      .refine((value) => value > 0, { error: "expected a duration above 0" })
      .meta({ description: "How long a check may take, the connection included.", examples: ["2s"] }),
    up: z
      .int()
      .min(1)
      .max(100)
      .default(2)
      .meta({ description: "Good checks in a row until an endpoint that was down is up.", examples: [2] }),
    down: z
      .int()
      .min(1)
      .max(100)
      .default(3)
      .meta({
        description:
          "Failed checks in a row until an endpoint that was up is down. The very first check decides alone.",
        examples: [3],
      }),
  })
  .meta({
    id: "HealthCheck",
    title: "Health check",
    description:
      "Asks each endpoint from time to time, on a connection of its own, whether it is well. For a `tcp` external that is " +
      "whether it takes a connection. Each shard checks for itself.",
    examples: [{ path: "/healthz", interval: "5s" }],
  });
export type CheckConfig = z.output<typeof check>;

const failureText = "expected connect, reset, timeout or a status from 400 to 599";

/** A kind of failure, as retries and passive health name it. */
export const failureKind = z.union(
  [
    z.enum(["connect", "reset", "timeout"], { error: failureText }),
    z.int({ error: failureText }).min(400, failureText).max(599, failureText),
  ],
  { error: failureText },
);

const passive = z
  .strictObject({
    failures: z
      .int()
      .min(1)
      .max(1000)
      .default(5)
      .meta({ description: "Failures in a row after which an endpoint is ejected.", examples: [3] }),
    on: z
      .array(failureKind)
      .min(1, {
        error: "expected at least one of connect, reset, timeout or a status; passive: false turns it off",
      })
      .default(["connect", "reset", "timeout"])
      .meta({
        description:
          "What counts as a failure: no connection (`connect`), one that broke before a response (`reset`), a head or body " +
          "that took too long (`timeout`), or a status.",
        examples: [["connect", "reset", "timeout", 502, 503, 504]],
      }),
    ejection: duration
      .prefault("10s")
      .refine((value) => value > 0, { error: "expected a duration above 0" })
      .meta({
        description:
          "For how long it is out. Each further ejection lasts twice as long, up to `maxEjection`.",
        examples: ["10s"],
      }),
    maxEjection: duration.prefault("5m").meta({ description: "The longest ejection.", examples: ["5m"] }),
  })
  .meta({
    id: "PassiveHealth",
    title: "Passive health",
    description: "Watches what becomes of requests, and leaves out an endpoint that fails again and again.",
    examples: [{ failures: 3, ejection: "30s" }],
  });
export type PassiveConfig = z.output<typeof passive>;

export const health = z
  .strictObject({
    check: check.optional(),
    passive: z
      .union([passive, z.literal(false, { error: "expected a map, or false" })])
      .prefault({})
      .meta({
        description:
          "Failures of requests. `false` turns it off. With one endpoint alone there is nothing to leave out.",
        examples: [{ failures: 3 }, false],
      }),
    panicThreshold: z
      .number()
      .min(0)
      .max(100)
      .default(0)
      .meta({
        description:
          "When less than this percentage of the endpoints is left, all are used, since the rest would break down under " +
          "the load. With 0 that is when none is left. Backups come first.",
        examples: [50],
      }),
    slowStart: duration.prefault(0).meta({
      description:
        "The time in which the weight of an endpoint that comes back grows from a tenth to all of it.",
      examples: ["30s"],
    }),
  })
  .meta({
    id: "Health",
    title: "Health of endpoints",
    description: "Which endpoints take requests.",
    examples: [{ check: { path: "/healthz" }, slowStart: "30s" }],
  });
