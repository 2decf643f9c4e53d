import { isIP } from "node:net";
import { z } from "zod";
import { address, cookieName, duration, size, text } from "./common.ts";
import { failureKind } from "./health.ts";
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
    cookie: cookieName.meta({ description: "The cookie's name.", examples: ["server"] }),
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
        "Until the head of a response, for each attempt; it counts as `timeout`. While a client has not sent its whole body it " +
        "begins anew. 0 is `timeouts.head` alone.",
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
          )
          .refine(isDnsServer, { error: "expected an IP address, with a port or without" }),
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
  .refine(({ minTtl, maxTtl }) => minTtl <= maxTtl, {
    error: "expected a duration of at least minTtl",
    path: ["maxTtl"],
  })
  .meta({
    id: "Resolve",
    title: "Names of an external",
    description: "How host names in its addresses are resolved. Each address of a name is an endpoint.",
    examples: [{ maxTtl: "30s" }],
  });

/** Node.js refuses others when names are asked for, which is too late. */
function isDnsServer(text: string): boolean {
  if (isIP(text) !== 0) return true;
  const match = /^(?:\[(.+)\]|([^:]+))(?::(\d+))?$/.exec(text);
  const [, six, four, port = "53"] = match ?? [];
  const isAddress = six === undefined ? isIP(four ?? "") === 4 : isIP(six) === 6;
  return isAddress && Number(port) > 0 && Number(port) <= 65_535;
}
export type ResolveConfig = z.output<typeof resolve>;
