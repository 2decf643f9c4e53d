import { z } from "zod";
import type { Designator } from "../../services/service.ts";
import {
  cookieName,
  designator,
  duration,
  headerEdits,
  headerName,
  json,
  oneOf,
  size,
  text,
} from "./common.ts";
import { type CompressionConfig, compression } from "./compression.ts";
import { type JwtConfig, jwt } from "./jwt.ts";
import { userSource } from "./users.ts";

const addressRules =
  "CIDRs, single addresses, or `public`, `private`, `local`, `network` and `unix` as in a `network` service";

/** Host and the fields that frame a message are the proxy's own. */
const ownHeader = headerName.refine((value) => value.toLowerCase() !== "host", {
  error: "expected a header other than Host, which belongs to the request's URL",
});

const edits = headerEdits.refine(
  (value) => !Object.keys(value).some((name) => name.toLowerCase() === "host"),
  {
    error: "expected headers other than Host, which belongs to the request's URL",
  },
);

/** One trait of a request by which clients are told apart. */
export const clientTrait = z
  .union([
    z.literal("client", { error: "expected client, { header: … } or { cookie: … }" }),
    z.strictObject({
      header: headerName.optional().meta({
        description: "The value of a header, for example an API key.",
        examples: ["x-api-key"],
      }),
      cookie: cookieName.optional().meta({ description: "The value of a cookie.", examples: ["session"] }),
    }),
  ])
  .meta({
    id: "ClientTrait",
    title: "Client trait",
    description:
      "What tells one client from another: `client` is its address (of IPv6 the first 64 bits, which one subscriber has), or " +
      "exactly one of a header and a cookie; a request without it counts for its address.",
    examples: ["client", { header: "x-api-key" }, { cookie: "session" }],
  })
  .transform((value, context): "client" | { header: string } | { cookie: string } => {
    if (value === "client") return value;
    if (oneOf(value, ["header", "cookie"], context)) {
      if (value.header !== undefined) return { header: value.header };
      if (value.cookie !== undefined) return { cookie: value.cookie };
    }
    return z.NEVER;
  });

export const rateLimit = z
  .strictObject({
    requests: z
      .int()
      .positive()
      .meta({ description: "How many requests a client may make within `per`.", examples: [100] }),
    per: duration
      .prefault("1m")
      .refine((value) => value >= 1, { error: "expected a duration of at least 1ms" })
      .meta({ description: "The time that `requests` counts in.", examples: ["1m"] }),
    algorithm: z
      .enum(["tokenBucket", "slidingWindow"])
      .default("tokenBucket")
      .meta({
        description:
          "`tokenBucket`: requests come back one by one, so that a client that waits is let through at an even rate. " +
          "`slidingWindow`: never more than `requests` in any span of `per`, estimated from two windows.",
        examples: ["slidingWindow"],
      }),
    burst: z
      .int()
      .positive()
      .optional()
      .meta({
        description:
          "For `tokenBucket`: how many requests may come at once after a pause. Default `requests`.",
        examples: [20],
      }),
    by: clientTrait.prefault("client"),
    maxKeys: z
      .int()
      .min(1)
      .max(10_000_000)
      .default(100_000)
      .meta({
        description: "How many clients are counted apart, some 150 bytes each; further ones share one count.",
        examples: [100_000],
      }),
    headers: z
      .boolean()
      .default(true)
      .meta({
        description: "Answers tell the state of the limit in RateLimit-Policy and RateLimit.",
        examples: [false],
      }),
  })
  .refine(({ algorithm, burst }) => burst === undefined || algorithm === "tokenBucket", {
    error: "expected no burst: a sliding window has none",
    path: ["burst"],
  })
  .meta({
    id: "RateLimit",
    title: "Rate limit",
    description:
      "Requests above the rate are answered 429 with Retry-After. Counts are kept in memory, by each shard for itself.",
    examples: [{ requests: 100, per: "1m" }],
  });
export type RateLimitConfig = z.output<typeof rateLimit>;

export const basicAuth = z
  .strictObject({
    ...userSource,
    realm: text
      .regex(/^[\x20-\x7e]*$/, { error: "expected a text in ASCII" })
      .default("restricted")
      .meta({ description: "What the browser says that the password is for.", examples: ["staging"] }),
    userHeader: ownHeader.optional().meta({
      description:
        "The header that tells the service the user's name. It is set for every request that passes, so that no client can " +
        "make it up.",
      examples: ["x-user"],
    }),
  })
  .meta({
    id: "BasicAuth",
    title: "Basic authentication",
    description:
      "User name and password (RFC 7617), for sockets with TLS. The service behind does not see the credentials. Tunnels are " +
      "refused.",
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the config's own substitution
    examples: [{ users: { ada: "${ADA_PASSWORD}" } }],
  });
export type BasicAuthConfig = z.output<typeof basicAuth>;

const addressList = z.array(text).default([]);

export const ip = z
  .strictObject({
    allow: addressList.meta({
      description: `Clients that may pass: ${addressRules}. Empty is all.`,
      examples: [["private"]],
    }),
    deny: addressList.meta({
      description: "Clients that may not, although `allow` has them.",
      examples: [["203.0.113.0/24"]],
    }),
  })
  .refine(({ allow, deny }) => allow.length + deny.length > 0, {
    error: "expected allow or deny with at least one rule: without any, everybody passes",
  })
  .meta({
    id: "IpFilter",
    title: "Client addresses",
    description: "Who may pass, by the address that the connection comes from. Others are answered 403.",
    examples: [{ allow: ["10.0.0.0/8"] }],
  });
export type IpConfig = z.output<typeof ip>;

const tokens = (examples: string[]) =>
  z
    .array(
      z.string().regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, { error: "expected a name as HTTP writes them" }),
    )
    .meta({ examples: [examples] });

export const cors = z
  .strictObject({
    origins: z
      .array(
        text.regex(/^(\*|null|[a-z][a-z0-9+.-]*:\/\/(\*\.)?[^/*?#@\s]+)$/i, {
          error: 'expected an origin such as https://app.example.com or https://*.example.com, or "*"',
        }),
      )
      .min(1, { error: "expected at least one origin" })
      .meta({
        description:
          "Whose scripts may read the answers: origins, `https://*.example.com` for every name below one, or `*` for all.",
        examples: [["https://app.example.com"]],
      }),
    methods: tokens(["GET", "POST"])
      .default(["GET", "HEAD", "POST"])
      .describe("Methods that scripts may use."),
    headers: tokens(["content-type", "authorization"])
      .default([])
      .describe(
        "Request headers that scripts may set, beyond the simple ones; `*` is every header that is asked for.",
      ),
    exposeHeaders: tokens(["etag"])
      .default([])
      .describe("Response headers that scripts may read, beyond the simple ones."),
    credentials: z
      .boolean()
      .default(false)
      .meta({
        description: "Scripts may send cookies and other credentials. Not together with the origin `*`.",
        examples: [true],
      }),
    maxAge: duration.prefault("10m").meta({
      description: "How long a browser may keep the answer to a preflight.",
      examples: ["1h"],
    }),
  })
  .refine((value) => !(value.credentials && value.origins.includes("*")), {
    error:
      'expected origins by name: with credentials, "*" would hand every site the answers meant for its visitors',
    path: ["credentials"],
  })
  .refine((value) => !(value.credentials && value.origins.includes("null")), {
    error:
      'expected origins by name: every site can send the origin "null", from a frame in a sandbox, and with credentials ' +
      "would get the answers meant for its visitors",
    path: ["credentials"],
  })
  .meta({
    id: "Cors",
    title: "Cross-origin resource sharing",
    description:
      "Lets scripts of other sites read the answers. Preflights are answered here; what the service says itself is replaced.",
    examples: [{ origins: ["https://app.example.com"] }],
  });
export type CorsConfig = z.output<typeof cors>;

export const headers = z
  .strictObject({
    request: edits.default({}).meta({
      description: "Edits to the headers of each request.",
      examples: [{ "x-edge": "1" }],
    }),
    response: edits.default({}).meta({
      description: "Edits to the headers of each response.",
      examples: [{ "strict-transport-security": "max-age=31536000", "x-powered-by": null }],
    }),
  })
  .refine(({ request, response }) => Object.keys(request).length + Object.keys(response).length > 0, {
    error: "expected request or response with at least one header",
  })
  .meta({
    id: "Headers",
    title: "Header rules",
    description: "Sets and removes headers.",
    examples: [{ response: { "x-powered-by": null } }],
  });
export type HeadersConfig = z.output<typeof headers>;

export const requestId = z
  .strictObject({
    header: ownHeader.default("x-request-id").meta({
      description: "The header that holds it.",
      examples: ["x-request-id"],
    }),
    trust: z
      .boolean()
      .default(false)
      .meta({
        description: "Keeps the id that the client sends. Only behind another proxy that sets it.",
        examples: [true],
      }),
    response: z
      .boolean()
      .default(true)
      .meta({ description: "The answer has it too.", examples: [false] }),
  })
  .meta({
    id: "RequestId",
    title: "Request id",
    description: "Gives each request an id (a random UUID), in a header for every service behind.",
    examples: [{}],
  });
export type RequestIdConfig = z.output<typeof requestId>;

export const maintenance = z
  .strictObject({
    enabled: z
      .boolean()
      .default(true)
      .meta({
        description: "Whether the page is shown. The place for a variable.",
        examples: [true],
      }),
    status: z
      .int()
      .min(400)
      .max(599)
      .default(503)
      .meta({ description: "The status of the answer.", examples: [503] }),
    retryAfter: duration.prefault(0).meta({
      description: "When clients should try again, for Retry-After. 0 says nothing.",
      examples: ["10m"],
    }),
    contentType: z
      .string()
      .regex(/^[\x20-\x7e]+$/, { error: "expected a media type" })
      .default("text/html; charset=utf-8")
      .meta({ description: "The type of `body`.", examples: ["application/json"] }),
    body: z
      .string()
      .default("<!doctype html><title>Maintenance</title><p>We will be back soon.</p>\n")
      .meta({ description: "The page.", examples: ["<!doctype html><p>Back at noon.</p>"] }),
    pass: addressList.meta({
      description: `Clients that are let through all the same: ${addressRules}.`,
      examples: [["10.0.0.0/8"]],
    }),
  })
  .meta({
    id: "Maintenance",
    title: "Maintenance page",
    description: "Answers every request with one page, while it is on. Tunnels are refused.",
    examples: [{ retryAfter: "10m", pass: ["10.0.0.0/8"] }],
  });
export type MaintenanceConfig = z.output<typeof maintenance>;

export const forwardAuth = z
  .strictObject({
    service: designator.meta({ description: "Who is asked.", examples: ["login"] }),
    path: text
      .regex(/^\/[\x21-\x7e]*$/, { error: 'expected a path that begins with "/"' })
      .optional()
      .meta({ description: "Where it is asked. Default: the path of the request.", examples: ["/verify"] }),
    copyHeaders: z
      .array(ownHeader)
      .default([])
      .meta({
        description:
          "Headers of a 2xx that the request gets, in place of what the client sent under these names.",
        examples: [["x-user"]],
      }),
  })
  .meta({
    id: "ForwardAuth",
    title: "Forward authentication",
    description:
      "Asks a service about each request: GET with the request's headers, and its method, scheme, host and target in " +
      "X-Forwarded-Method, -Proto, -Host and -Uri. With a 2xx the request goes on; any other answer is the client's. Tunnels are refused.",
    examples: [{ service: "login", path: "/verify", copyHeaders: ["x-user"] }],
  });
export type ForwardAuthConfig = z.output<typeof forwardAuth>;

/** The config of each built-in middleware, under the key that stands for it in proxy.yaml. */
export interface BuiltInConfigs {
  readonly rateLimit: RateLimitConfig;
  readonly basicAuth: BasicAuthConfig;
  readonly jwt: JwtConfig;
  readonly ip: IpConfig;
  readonly cors: CorsConfig;
  readonly compression: CompressionConfig;
  readonly headers: HeadersConfig;
  readonly bodyLimit: number;
  readonly requestId: RequestIdConfig;
  readonly maintenance: MaintenanceConfig;
  readonly forwardAuth: ForwardAuthConfig;
}

export const builtInKinds = [
  "rateLimit",
  "basicAuth",
  "jwt",
  "ip",
  "cors",
  "compression",
  "headers",
  "bodyLimit",
  "requestId",
  "maintenance",
  "forwardAuth",
] as const satisfies ReadonlyArray<keyof BuiltInConfigs>;

/** One step: a service by name, or exactly one built-in. */
export type MiddlewareConfig =
  | { readonly service: Designator }
  | { readonly [K in keyof BuiltInConfigs]: Pick<BuiltInConfigs, K> }[keyof BuiltInConfigs];

const step = z.strictObject({
  name: text.optional().meta({
    description: "A Worker, or a service of kind `middleware`, as `services` names it.",
    examples: ["guard"],
  }),
  entrypoint: text
    .optional()
    .meta({ description: "With `name`: a named export of the Worker.", examples: ["Guard"] }),
  props: json.optional().meta({
    description: "With `name`: what the Worker sees as `ctx.props`.",
    examples: [{ role: "edge" }],
  }),
  rateLimit: rateLimit.optional(),
  basicAuth: basicAuth.optional(),
  jwt: jwt.optional(),
  ip: ip.optional(),
  cors: cors.optional(),
  compression: compression.optional(),
  headers: headers.optional(),
  bodyLimit: size
    .refine((value) => value > 0, { error: "expected a size of at least one byte" })
    .optional()
    .meta({
      description: "The largest body of a request; a larger one is answered 413.",
      examples: ["1MiB"],
    }),
  requestId: requestId.optional(),
  maintenance: maintenance.optional(),
  forwardAuth: forwardAuth.optional(),
});

const middleware = z
  .union([text, step])
  .meta({
    id: "Middleware",
    title: "Middleware",
    description:
      "One step before a service: the name of a Worker, whose `env.next.fetch(request)` leads to what follows, or of a service " +
      "of kind `middleware`; or exactly one built-in.",
    examples: ["guard", { rateLimit: { requests: 100, per: "1m" } }],
  })
  .transform((value, context): MiddlewareConfig => {
    if (typeof value === "string") return { service: { name: value, entrypoint: null, props: {} } };
    const { name, entrypoint, props, ...builtIn } = value;
    if (!oneOf(value, ["name", ...builtInKinds], context)) return z.NEVER;
    if (name !== undefined) return { service: { name, entrypoint: entrypoint ?? null, props: props ?? {} } };
    return builtIn as MiddlewareConfig;
  });

export const middlewares = z
  .array(middleware)
  .min(1, { error: "expected at least one middleware" })
  .meta({
    id: "Middlewares",
    title: "List of middlewares",
    description:
      "What each exchange passes before the service, from the first to the last: each may answer by itself, or change request " +
      "and response.",
    examples: [["guard", { rateLimit: { requests: 100, per: "1m" } }]],
  });
