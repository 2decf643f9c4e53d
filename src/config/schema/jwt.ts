import { z } from "zod";
import { jwtAlgorithms } from "../../net/verification-key.ts";
import { cookieName, designator, duration, headerName, oneOf, text } from "./common.ts";

const algorithm = z.enum(jwtAlgorithms);

/** Host and the fields that frame a message are the proxy's own. */
const ownHeader = headerName.refine((value) => value.toLowerCase() !== "host", {
  error: "expected a header other than Host, which belongs to the request's URL",
});

const key = z
  .strictObject({
    pem: text.optional().meta({
      description: "A public key or a certificate, in PEM. Of a private key the public half is used.",
      examples: ["-----BEGIN PUBLIC KEY-----\n…\n-----END PUBLIC KEY-----\n"],
    }),
    jwk: z
      .record(text, z.json())
      .optional()
      .meta({
        description: "A key as JSON Web Key (RFC 7517).",
        examples: [
          { kty: "OKP", crv: "Ed25519", x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", kid: "one" },
        ],
      }),
    secret: text.optional().meta({
      description:
        "The secret of HS256, HS384 or HS512, of at least 32, 48 or 64 bytes. It belongs into a variable of the environment.",
      // biome-ignore lint/suspicious/noTemplateCurlyInString: the config's own substitution
      examples: ["${JWT_SECRET}"],
    }),
    encoding: z
      .enum(["utf8", "base64", "base64url", "hex"])
      .default("utf8")
      .meta({ description: "How `secret` is written.", examples: ["base64"] }),
    kid: text.optional().meta({
      description:
        "The key's name: a token that names another is not tried with it. Default that of the JWK.",
      examples: ["2026-11"],
    }),
    algorithm: algorithm.optional().meta({
      description: "The one algorithm that the key is for. Default each that fits it.",
      examples: ["ES256"],
    }),
  })
  .meta({
    id: "JwtKey",
    title: "Key of tokens",
    description: "Exactly one of `pem`, `jwk` and `secret`.",
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the config's own substitution
    examples: [{ secret: "${JWT_SECRET}" }],
  })
  .refine((value) => [value.pem, value.jwk, value.secret].filter((each) => each !== undefined).length === 1, {
    error: "expected exactly one of pem, jwk and secret",
  });

const jwks = z
  .strictObject({
    service: designator.meta({
      description: "Who has the keys. What stands before it is passed as by any request.",
      examples: ["login"],
    }),
    url: text
      .regex(/^(https?:\/\/[^/\s?#@]+)?\/[\x21-\x7e]*$/, {
        error: 'expected a path that begins with "/", or a whole URL',
      })
      .default("/.well-known/jwks.json")
      .meta({
        description:
          "Where the set is: a path, or a whole URL for a `network` service and for an origin that looks at Host.",
        examples: ["https://login.example.com/.well-known/jwks.json"],
      }),
    ttl: duration.prefault("10m").meta({
      description:
        "How long the keys hold when the answer has no Cache-Control: max-age. Then they are fetched anew, in the background.",
      examples: ["1h"],
    }),
    minPause: duration
      .prefault("30s")
      .refine((value) => value >= 1000, { error: "expected at least 1s" })
      .meta({
        description:
          "The least time between two fetches, whatever Cache-Control and unknown `kid`s ask for. After a failure the next try comes " +
          "after 1s, then 2s, up to this.",
        examples: ["1m"],
      }),
    timeout: duration
      .prefault("10s")
      .refine((value) => value > 0, { error: "expected more than 0" })
      .meta({
        description: "The longest that a fetch may take.",
        examples: ["5s"],
      }),
  })
  .meta({
    id: "Jwks",
    title: "JWK Set",
    description:
      "Public keys that a service publishes (RFC 7517). While it fails, the keys that it gave before hold.",
    examples: [{ service: "login" }],
  });
export type JwksConfig = z.output<typeof jwks>;

const place = z
  .union([
    z.literal("authorization", {
      error: "expected authorization, { header: … }, { cookie: … } or { query: … }",
    }),
    z.strictObject({
      header: headerName.optional().meta({
        description: "A header that has the token and nothing else.",
        examples: ["x-token"],
      }),
      cookie: cookieName.optional().meta({ description: "A cookie.", examples: ["session"] }),
      query: text.optional().meta({
        description:
          "A parameter of the query. It leaves the target before the request goes on, but a middleware before this one sees it, and " +
          "so does the access log when that one refuses the request.",
        examples: ["access_token"],
      }),
    }),
  ])
  .meta({
    id: "TokenPlace",
    title: "Place of a token",
    description:
      "`authorization` (Authorization: Bearer, RFC 6750), or exactly one of a header, a cookie and a parameter.",
    examples: ["authorization", { cookie: "session" }],
  })
  .transform(
    (value, context): "authorization" | { header: string } | { cookie: string } | { query: string } => {
      if (value === "authorization") return value;
      if (oneOf(value, ["header", "cookie", "query"], context)) {
        if (value.header !== undefined) return { header: value.header };
        if (value.cookie !== undefined) return { cookie: value.cookie };
        if (value.query !== undefined) return { query: value.query };
      }
      return z.NEVER;
    },
  );

const several = (examples: string[]) =>
  z
    .union([text, z.array(text).min(1, { error: "expected at least one" })])
    .transform((value) => (typeof value === "string" ? [value] : value))
    .optional()
    .meta({ examples: [examples] });

export const jwt = z
  .strictObject({
    algorithms: z
      .array(algorithm)
      .min(1, { error: "expected at least one algorithm" })
      .meta({
        description:
          "What tokens may be signed with. `none` is not among them, and each key is used with algorithms of its own kind alone.",
        examples: [["ES256"]],
      }),
    keys: z
      .array(key)
      .default([])
      .meta({
        description: "Keys in place.",
        // biome-ignore lint/suspicious/noTemplateCurlyInString: the config's own substitution
        examples: [[{ secret: "${JWT_SECRET}" }]],
      }),
    jwks: jwks.optional(),
    issuer: several(["https://login.example.com/"]).describe("`iss` must be one of these."),
    audience: several(["api"]).describe("`aud` must have one of these."),
    type: text.optional().meta({
      description:
        "`typ` in the token's header must be this, so that tokens made for something else do not pass (RFC 8725 §3.11).",
      examples: ["at+jwt"],
    }),
    requiredClaims: z
      .array(text)
      .default(["exp"])
      .meta({ description: "Claims that a token must have.", examples: [["exp", "sub"]] }),
    scopes: z
      .array(text.regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/, { error: "expected a scope as RFC 6749 writes them" }))
      .default([])
      .meta({
        description:
          "Scopes that a token must have, all of them, in `scope` or `scp`; one without is answered 403.",
        examples: [["orders:read"]],
      }),
    clockTolerance: duration
      .prefault("5s")
      .refine((value) => value <= 300_000, { error: "expected at most 5m" })
      .meta({
        description: "How far the clocks of issuer and proxy may be apart, for `exp`, `nbf` and `iat`.",
        examples: ["30s"],
      }),
    maxAge: duration.prefault(0).meta({
      description: "How old a token may be by its `iat`, which it then must have. 0 is any age.",
      examples: ["1h"],
    }),
    from: z
      .array(place)
      .min(1, { error: "expected at least one place" })
      .prefault(["authorization"])
      .meta({
        description: "Where the token is looked for; the first place that has one counts.",
        examples: [["authorization", { cookie: "session" }]],
      }),
    optional: z
      .boolean()
      .default(false)
      .meta({ description: "Requests without a token pass too, without any claim.", examples: [true] }),
    removeToken: z
      .boolean()
      .default(false)
      .meta({ description: "The service behind does not get the token.", examples: [true] }),
    claimHeaders: z
      .record(ownHeader, text)
      .default({})
      .meta({
        description:
          "Headers for the service behind, each with the name of a claim, or a path with dots. Texts, numbers and booleans stand as " +
          "they are, lists and objects as JSON. What a client sends under these names is removed.",
        examples: [{ "x-user": "sub", "x-roles": "realm_access.roles" }],
      }),
    payloadHeader: ownHeader.optional().meta({
      description:
        "A header for all claims: their JSON, in base64url. What a client sends under this name is removed.",
      examples: ["x-jwt-payload"],
    }),
    cache: duration
      .prefault("1m")
      .refine((value) => value <= 3_600_000, { error: "expected at most 1h" })
      .meta({
        description:
          "How long a token that was verified is known again without another check of its signature, if it does not expire before. " +
          "0 checks each time.",
        examples: ["5m"],
      }),
    realm: text
      .regex(/^[\x20-\x7e]*$/, { error: "expected a text in ASCII" })
      .optional()
      .meta({ description: "The realm in WWW-Authenticate.", examples: ["api"] }),
  })
  .meta({
    id: "Jwt",
    title: "JSON Web Tokens",
    description:
      "Lets requests pass whose token (RFC 7519) is signed by one of the keys and holds now. Others are answered 401, or 403 when a " +
      "scope is missing, with WWW-Authenticate as in RFC 6750 §3. Tunnels are refused.",
    examples: [
      {
        algorithms: ["ES256"],
        jwks: { service: "login" },
        issuer: "https://login.example.com/",
        audience: "api",
      },
    ],
  });
export type JwtConfig = z.output<typeof jwt>;
