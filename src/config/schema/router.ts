import { z } from "zod";
import { designator, duration, headerName, headerValue, oneOf, size, text } from "./common.ts";
import { clientTrait, middlewares } from "./middleware.ts";

const path = text.startsWith("/", { error: 'expected a path that begins with "/"' });

/** What a rule does with a request; each rule has exactly one. */
export const routeActions = ["service", "split", "redirect", "respond"] as const;

const branch = z
  .strictObject({
    service: designator.meta({ description: "Who answers.", examples: ["canary"] }),
    weight: z
      .number()
      .nonnegative()
      .max(1_000_000)
      .meta({ description: "Its share, in proportion to the sum of all weights.", examples: [5] }),
  })
  .meta({ id: "Branch", title: "Branch of a split" });

const redirect = z
  .strictObject({
    to: text
      .regex(/^(\{path\}|\/|(https?|\{scheme\}):\/\/(\{host\}|\{authority\}|[0-9A-Za-z_[]))[\x21-\x7e]*$/, {
        error: "expected a path or an http or https URL, escaped where URLs are",
      })
      .meta({
        description:
          "The new place: a path or a whole URL, with `{scheme}`, `{host}` (without a port), `{authority}`, `{path}`, `{query}` " +
          "(with its question mark, or nothing) and `{rest}` (what the star at the end of the rule's path stood for).",
        examples: ["https://{host}{path}{query}"],
      }),
    status: z
      .union([z.literal(301), z.literal(302), z.literal(303), z.literal(307), z.literal(308)], {
        error: "expected 301, 302, 303, 307 or 308",
      })
      .default(302)
      .meta({ description: "301 and 308 are for good, 307 and 308 keep the method.", examples: [308] }),
  })
  .meta({
    id: "Redirect",
    title: "Redirect",
    description: "Sends the client elsewhere.",
    examples: [{ to: "https://{host}{path}{query}", status: 308 }],
  });
export type RedirectConfig = z.output<typeof redirect>;

/** RFC 9110 §6.4.1, §15.3.6. */
const bodiless: ReadonlySet<number> = new Set([204, 205, 304]);

const respond = z
  .strictObject({
    status: z
      .int()
      .min(200)
      .max(599)
      .default(200)
      .meta({ description: "The status.", examples: [200] }),
    headers: z
      .record(headerName, headerValue)
      .default({})
      .meta({ description: "The headers.", examples: [{ "content-type": "text/plain" }] }),
    body: z
      .string()
      .default("")
      .meta({ description: "The body, in UTF-8.", examples: ["ok\n"] }),
  })
  .refine(({ status, body }) => body === "" || !bodiless.has(status), {
    error: "expected no body: a response of this status has none",
    path: ["body"],
  })
  .meta({
    id: "FixedResponse",
    title: "Fixed response",
    description: "Answers by itself.",
    examples: [{ status: 200, body: "ok\n" }],
  });
export type RespondConfig = z.output<typeof respond>;

const mirror = z
  .strictObject({
    service: designator.meta({ description: "The shadow.", examples: ["next-version"] }),
    percent: z
      .number()
      .min(0)
      .max(100)
      .default(100)
      .meta({ description: "How many of a hundred requests are copied.", examples: [10] }),
    bodyBytes: size.prefault("64KiB").meta({
      description: "The longest body that is copied; a request with a longer one is not mirrored.",
      examples: ["64KiB"],
    }),
    concurrent: z
      .int()
      .positive()
      .default(64)
      .meta({
        description: "Copies under way at a time; while there are so many, requests are not mirrored.",
        examples: [64],
      }),
  })
  .meta({
    id: "Mirror",
    title: "Mirror",
    description:
      "Sends a copy of each request to a second service, and throws its answer away. Neither its failure nor its slowness " +
      "reaches the client.",
    examples: [{ service: "next-version", percent: 10 }],
  });
export type MirrorConfig = z.output<typeof mirror>;

export const route = z
  .strictObject({
    host: text.optional().meta({
      description:
        "The host of the request, in any case; `*.example.com` is every name below it, and `:port` after it asks for that " +
        "port. A tunnel has a host alone, so a rule with a path, headers or a query does not take it.",
      examples: ["api.example.com", "*.example.com"],
    }),
    path: path.optional().meta({
      description:
        "The path of the request, decoded once and without dot segments. `/v1/*` is `/v1` and everything below it; a `*` " +
        "elsewhere stands for any characters of one segment. Case counts.",
      examples: ["/v1/*"],
    }),
    methods: z
      .array(text)
      .min(1, { error: "expected at least one method" })
      .optional()
      .meta({ description: "Methods, in capitals. GET takes HEAD too.", examples: [["GET", "HEAD"]] }),
    headers: z
      .record(headerName, headerValue.nullable())
      .refine((value) => !Object.keys(value).some((name) => name.toLowerCase() === "host"), {
        error: "expected headers other than Host, for which there is host",
      })
      .optional()
      .meta({
        description:
          "Headers with the value that each must have; `*` is any value, `null` means that it must be absent.",
        examples: [{ "x-beta": "*" }],
      }),
    query: z
      .record(text, z.string().nullable())
      .optional()
      .meta({
        description:
          "Parameters of the query with the value that each must have, decoded; `*` is any value, `null` means that it must " +
          "be absent.",
        examples: [{ version: "2" }],
      }),
    stripPrefix: path.optional().meta({
      description: "Taken off the front of the path before the service sees it.",
      examples: ["/static"],
    }),
    rewrite: path
      .regex(/^[\x21-\x7e]*$/, { error: "expected a path, escaped where URLs are" })
      .optional()
      .meta({
        description:
          "The path that the service sees in place of the request's. With `/*` at its end the rest goes on that the star at the " +
          "end of `path` stood for; the query stays.",
        examples: ["/api/v2/*"],
      }),
    middleware: middlewares.optional(),
    bodyLimit: size
      .refine((value) => value > 0, { error: "expected a size of at least one byte" })
      .optional()
      .meta({
        description: "The largest body of a request; a larger one is answered 413.",
        examples: ["1MiB"],
      }),
    timeout: duration.prefault(0).meta({
      description:
        "From the request's head to the response's, middlewares included; then the answer is 504. 0 is no limit.",
      examples: ["10s"],
    }),
    mirror: mirror.optional(),
    service: designator.optional().meta({ description: "Who answers.", examples: ["gateway"] }),
    split: z
      .array(branch)
      .min(1, { error: "expected at least one branch" })
      .optional()
      .meta({
        description:
          "Several services by weight, for a canary or an A/B test. A client stays with its branch, see `splitBy`.",
        examples: [
          [
            { service: "stable", weight: 95 },
            { service: "canary", weight: 5 },
          ],
        ],
      }),
    splitBy: clientTrait.prefault("client").meta({
      description:
        "What a client's branch depends on. A cookie is set for a client that has none, so it needs a name of its own.",
      examples: [{ cookie: "branch" }],
    }),
    redirect: redirect.optional(),
    respond: respond.optional(),
  })
  .meta({
    id: "Route",
    title: "Rule of a router",
    description:
      "A condition (`host`, `path`, `methods`, `headers` and `query`, all of which must hold), exactly one of `service`, " +
      "`split`, `redirect` and `respond`, and what is done on the way.",
    examples: [{ host: "api.example.com", path: "/v1/*", methods: ["GET"], service: "gateway" }],
  })
  .transform((value, context) => {
    oneOf(value, routeActions, context);
    return value;
  });
export type RouteConfig = z.output<typeof route>;

const rules = z.array(route).min(1, { error: "expected at least one rule" });

export const router = z
  .union([
    rules,
    z
      .strictObject({
        ambiguousPaths: z
          .enum(["reject", "canonical"])
          .default("reject")
          .meta({
            description:
              "What becomes of a request whose path leads to different rules when it is read in different ways, as `/a/..%2Fadmin` " +
              "may: `reject` answers 400; `canonical` decides by the canonical path (escapes decoded once, `\\` and `%2F` as slashes, " +
              "empty and dot segments removed), and that is what goes on. A path with NUL, `#` or a broken escape is rejected in any case.",
            examples: ["canonical"],
          }),
        rules: rules.meta({ description: "The rules.", examples: [[{ service: "gateway" }]] }),
      })
      .meta({ id: "RouterWithPolicy", title: "Router with a policy for paths" }),
  ])
  .meta({
    id: "Router",
    title: "Router",
    description:
      "Rules from top to bottom; the first that holds names the service. When none does, the answer is 404. In place of the list, a " +
      "map with the list as `rules`.",
    examples: [[{ path: "/static/*", stripPrefix: "/static", service: "assets" }, { service: "gateway" }]],
  });
export type RouterConfig = z.output<typeof router>;
