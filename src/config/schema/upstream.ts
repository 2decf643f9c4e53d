import { z } from "zod";
import { address, duration, headerName, headerValue, size, text } from "./common.ts";
import { clientTrait } from "./middleware.ts";
import { externalTls } from "./tls.ts";

// The policies of an external: which of its endpoints a request goes to, and what happens when one fails.

/** An address as it may stand in the list: with what sets it apart from the others, or alone. */
export const upstreamAddress = z
  .union([
    text,
    z.strictObject({
      address: address.meta({ description: "The server.", examples: ["10.0.0.1:9000"] }),
      weight: z
        .int()
        .min(0)
        .max(1000)
        .default(1)
        .meta({
          description: "Its share of the requests, against the weights of the others. 0 gives it none.",
          examples: [2],
        }),
      backup: z
        .boolean()
        .default(false)
        .meta({ description: "Is used only while no other address can be.", examples: [true] }),
      tls: z
        .union([z.literal(false), externalTls])
        .optional()
        .meta({
          description: "In place of the external's own `tls`; `false` speaks none.",
          examples: [{ certificateHost: "a.internal" }],
        }),
    }),
  ])
  .meta({
    id: "UpstreamAddress",
    title: "Address of an external",
    description: "`host:port` or `unix:/path`, or a map that says more about it.",
    examples: [
      "10.0.0.1:9000",
      { address: "10.0.0.2:9000", weight: 2 },
      { address: "10.0.0.3:9000", backup: true },
    ],
  })
  .transform(
    (value): UpstreamAddress =>
      typeof value === "string" ? { address: value, weight: 1, backup: false } : value,
  );

export interface UpstreamAddress {
  readonly address: string;
  readonly weight: number;
  readonly backup: boolean;
  readonly tls?: z.output<typeof externalTls> | false | undefined;
}

export type HashTrait = "client" | "path" | { readonly header: string } | { readonly cookie: string };
export type Balance =
  | { readonly kind: "roundRobin" | "leastRequests" | "random2" }
  | { readonly kind: "hash"; readonly by: HashTrait };

const hashText = "expected client, path, { header: … } or { cookie: … }";

export const balance = z
  .union([
    z.strictObject({
      hash: z.union([clientTrait, z.literal("path")], { error: hashText }).meta({
        description:
          "What is hashed: the client's address, the path without its query, a header or a cookie. A request without the " +
          "header or cookie counts for its client's address.",
        examples: ["client", "path", { header: "x-user" }, { cookie: "session" }],
      }),
    }),
    z.enum(["roundRobin", "leastRequests", "random2", "hash"], {
      error: "expected roundRobin, leastRequests, random2, hash or { hash: … }",
    }),
  ])
  .meta({
    id: "Balance",
    title: "Balance",
    description:
      "How an endpoint is chosen. `roundRobin`: in turn, smoothly by weight. `leastRequests`: the one with the fewest requests " +
      "under way for its weight. `random2`: the better of two drawn at random. `hash`: always the same one for the same " +
      "client, header, cookie or path; when an endpoint comes or goes, only its own share moves. `hash` alone hashes the " +
      "client's address.",
    examples: ["leastRequests", { hash: { header: "x-user" } }],
  })
  .transform((value): Balance => {
    if (typeof value === "object") return { kind: "hash", by: value.hash };
    return value === "hash" ? { kind: "hash", by: "client" } : { kind: value };
  });

export const sticky = z
  .strictObject({
    cookie: z
      .string()
      .regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, { error: "expected the name of a cookie" })
      .meta({ description: "The cookie's name.", examples: ["server"] }),
    maxAge: duration.prefault(0).meta({
      description: "How long the client keeps the cookie; 0 is until the browser ends.",
      examples: ["1d"],
    }),
    sameSite: z
      .enum(["Strict", "Lax", "None"])
      .default("Lax")
      .meta({ description: "The cookie's SameSite. `None` makes it Secure as well.", examples: ["Strict"] }),
    secure: z
      .boolean()
      .optional()
      .meta({
        description: "Whether it has Secure. By default it has it when the client came over https.",
        examples: [true],
      }),
    httpOnly: z
      .boolean()
      .default(true)
      .meta({ description: "Whether it has HttpOnly, which hides it from scripts.", examples: [false] }),
    secret: z
      .string()
      .min(16, { error: "expected a text of at least 16 characters" })
      .optional()
      .meta({
        description:
          "What the ids in the cookie are made with. Give several proxies the same, and a client stays with its server on all of " +
          "them, and after a restart. Without it one is drawn when Sluice starts.",
        // biome-ignore lint/suspicious/noTemplateCurlyInString: the config's own substitution
        examples: ["${STICKY_SECRET}"],
      }),
  })
  .meta({
    id: "Sticky",
    title: "Sticky cookie",
    description:
      "A cookie keeps a client with the endpoint of its first request. Its value is an id that tells nobody the address. " +
      "While that endpoint is out, another one is chosen, and the cookie issued anew.",
    examples: [{ cookie: "server" }],
  });
export type StickyConfig = z.output<typeof sticky>;

const statusText = "expected a status such as 200, or a range such as 200-299";

const statusRange = z
  .union(
    [
      z.int({ error: statusText }).min(100, statusText).max(599, statusText),
      z.string().regex(/^[1-5]\d\d(-[1-5]\d\d)?$/, statusText),
    ],
    { error: statusText },
  )
  .transform((value): readonly [from: number, to: number] => {
    const [from = "", to = from] = String(value).split("-");
    return [Number(from), Number(to)];
  });

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

const failureKind = z.union(
  [
    z.enum(["connect", "reset", "timeout"], { error: failureText }),
    z.int({ error: failureText }).min(400, failureText).max(599, failureText),
  ],
  { error: failureText },
);
export type FailureKind = z.output<typeof failureKind>;

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

export const retries = z
  .strictObject({
    attempts: z
      .int()
      .min(0)
      .max(10)
      .default(2)
      .meta({ description: "How often a request may be sent again.", examples: [2] }),
    on: z
      .array(failureKind)
      .min(1, { error: "expected at least one of connect, reset, timeout or a status" })
      .default(["connect", "reset"])
      .meta({
        description:
          "After what: no connection (`connect`), one that broke before a response (`reset`), no head in time (`timeout`), or a " +
          "status. Only idempotent methods (GET, HEAD, OPTIONS, TRACE, PUT, DELETE) are sent again, and others after `connect` " +
          "alone, when the server provably did nothing.",
        examples: [["connect", "reset", "timeout", 502, 503, 504]],
      }),
    perTryTimeout: duration.prefault(0).meta({
      description:
        "Until the head of a response, for each attempt; it counts as `timeout`. 0 is `timeouts.head` alone.",
      examples: ["2s"],
    }),
    backoff: duration.prefault("25ms").meta({
      description:
        "The wait before an endpoint is asked that has just failed, doubled each time, with a random part. Another endpoint " +
        "is asked at once.",
      examples: ["25ms"],
    }),
    budget: z
      .strictObject({
        percent: z
          .number()
          .min(0)
          .max(100)
          .default(20)
          .meta({ description: "Of the requests under way, how many may be retries.", examples: [20] }),
        min: z
          .int()
          .min(0)
          .max(1_000_000)
          .default(10)
          .meta({
            description: "So many retries at one time are always allowed, in each shard.",
            examples: [10],
          }),
      })
      .prefault({})
      .meta({
        id: "RetryBudget",
        title: "Retry budget",
        description: "Keeps retries from becoming the load that brings the rest down.",
        examples: [{ percent: 20, min: 10 }],
      }),
    bodyBuffer: size.prefault("64KiB").meta({
      description:
        "How much of a request's body is kept for another attempt. A request whose body is longer is not sent again once " +
        "its body is under way. 0 keeps none.",
      examples: ["64KiB"],
    }),
  })
  .meta({
    id: "Retries",
    title: "Retries",
    description: "What is sent again, and how often. Never after a byte of the response went to the client.",
    examples: [{ attempts: 2, on: ["connect", "reset", 503] }],
  });
export type RetriesConfig = z.output<typeof retries>;

export const resolve = z
  .strictObject({
    servers: z
      .array(
        z
          .string()
          .regex(
            /^(\d{1,3}(\.\d{1,3}){3}|\[[0-9A-Fa-f:.]+\]|[0-9A-Fa-f:]+)(:\d{1,5})?$/,
            "expected an IP address, with a port or without",
          ),
      )
      .default([])
      .meta({
        description:
          "DNS servers to ask in place of the system's. With them, the hosts file and search domains are not used.",
        examples: [["10.0.0.53"], ["127.0.0.1:5353"]],
      }),
    minTtl: duration
      .prefault("1s")
      .refine((value) => value >= 10, { error: "expected a duration of at least 10ms" })
      .meta({ description: "Names are not asked for more often, whatever their TTL.", examples: ["5s"] }),
    maxTtl: duration
      .prefault("5m")
      .refine((value) => value >= 10, { error: "expected a duration of at least 10ms" })
      .meta({ description: "Names are asked for again after this time at the latest.", examples: ["1m"] }),
    refresh: duration
      .prefault("30s")
      .refine((value) => value >= 10, { error: "expected a duration of at least 10ms" })
      .meta({
        description:
          "When names that have no TTL are asked for again: those of the hosts file and of search domains.",
        examples: ["30s"],
      }),
  })
  .meta({
    id: "Resolve",
    title: "Names of an external",
    description: "How host names in its addresses are resolved. Each address of a name is an endpoint.",
    examples: [{ maxTtl: "30s" }],
  });
export type ResolveConfig = z.output<typeof resolve>;
