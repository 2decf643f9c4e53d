import { z } from "zod";
import { parseIp, parseRange } from "../../net/cidr.ts";
import type { Designator, JsonValue } from "../../services/service.ts";

// Every schema below carries its manual as metadata: config/proxy.schema.json and docs/config.md are written from it.
// An `error` text that begins with "expected" is shown to the user as it stands.

const units = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** Timers count in 32 bits of milliseconds; a longer span would end at once. */
const maxDuration = 24 * units.d;

const durationText = "expected a duration such as 500ms, 10s or 5m, of at most 24d";

/** A span of time: `500ms`, `10s`, `5m`, or a number of milliseconds; 0 means none. Parsed to milliseconds. */
export const duration = z
  .union(
    [
      z.number({ error: durationText }).nonnegative(durationText).max(maxDuration, durationText),
      z.string().regex(/^(0|\d{1,9}(\.\d{1,9})?(ms|s|m|h|d))$/, durationText),
    ],
    { error: durationText },
  )
  .meta({
    id: "Duration",
    title: "Duration",
    description:
      "A span of time: a number with one of the units ms, s, m, h and d, or a bare number of milliseconds. 0 is none.",
    examples: ["500ms", "10s", "5m", 0],
  })
  .transform((value, context) => {
    if (typeof value === "number") return value;
    const unit = value.replace(/^[\d.]+/, "") as keyof typeof units;
    const milliseconds = value === "0" ? 0 : Math.round(Number.parseFloat(value) * units[unit]);
    if (milliseconds <= maxDuration) return milliseconds;
    context.addIssue(durationText);
    return z.NEVER;
  });

const multiples = { B: 1, KB: 1000, MB: 1e6, GB: 1e9, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 } as const;

const sizeText = "expected a size such as 64KiB or 10MB";

/** An amount of bytes: `64KiB`, `10MB`, or a number; 0 means no limit. Parsed to bytes. */
export const size = z
  .union(
    [
      z.int({ error: sizeText }).nonnegative(sizeText),
      z.string().regex(/^(0|\d{1,6}(\.\d{1,6})?(B|KB|MB|GB|KiB|MiB|GiB)|\d{7,15}B)$/, sizeText),
    ],
    { error: sizeText },
  )
  .meta({
    id: "Size",
    title: "Size",
    description:
      "An amount of bytes: a number with one of the units B, KB, MB, GB (powers of 1000) and KiB, MiB, GiB (powers of " +
      "1024), or a bare number of bytes.",
    examples: ["64KiB", "10MB", 0],
  })
  .transform((value) => {
    if (typeof value === "number") return value;
    if (value === "0") return 0;
    const unit = value.replace(/^[\d.]+/, "") as keyof typeof multiples;
    return Math.round(Number.parseFloat(value) * multiples[unit]);
  });

export const json: z.ZodType<JsonValue> = z
  .json()
  .meta({ id: "Json", title: "JSON value", description: "Any value that JSON has." }) as z.ZodType<JsonValue>;

/**
 * What sockets and services are called: names appear in flags (`NAME=ADDR`), metrics labels and log lines. It stands in
 * the JSON Schema alone; src/config/kinds.ts checks it, since zod does not look at what a wrong key leads to.
 */
export const namePattern = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$/;
export const names = { propertyNames: { type: "string", pattern: namePattern.source } };

/** A text that names something; never empty. */
export const text = z.string().min(1, { error: "expected a text that is not empty" });

/** Where something listens or is reached; src/net/address.ts reads it. */
export const address = text.meta({
  id: "Address",
  title: "Address",
  description:
    "`host:port`, `[v6]:port`, or `unix:/path` and `unix-abstract:name`. A socket may also listen on `*:port` (every " +
    "address of the machine, IPv4 and IPv6), on port 0 (the system picks one and the start-up line shows it), on an " +
    "inherited descriptor `fd:3`, or on a socket that systemd hands over, `systemd:name`. The path of a unix socket is " +
    "relative to the file that names it.",
  examples: ["127.0.0.1:8080", "*:8080", "[::1]:8080", "unix:/run/app.sock", "unix-abstract:app", "fd:3"],
});

/** An address or a CIDR. */
export const addressRange = z.string().refine((value) => isRange(value), {
  error: "expected an address or a CIDR, such as 10.0.0.0/8",
});

function isRange(value: string): boolean {
  if (!value.includes("/")) return parseIp(value) !== null;
  try {
    parseRange(value);
    return true;
  } catch {
    return false;
  }
}

/** A service by name, or with the entrypoint of a Worker and the props that it sees as `ctx.props`. */
export const designator = z
  .union([
    text,
    z
      .strictObject({
        name: text.meta({ description: "The service, as `services` names it.", examples: ["auth"] }),
        entrypoint: text.optional().meta({
          description:
            "A named export of the Worker that takes the request in place of its default export. One Worker can so " +
            "offer several capabilities, and a caller holds only the one it was given.",
          examples: ["Admin"],
        }),
        props: json.optional().meta({
          description:
            "What the Worker sees as `ctx.props`. The caller can neither read nor change it, so that the Worker can " +
            "trust it to tell callers apart.",
          examples: [{ role: "edge" }],
        }),
      })
      .meta({ id: "ServiceWithProps", title: "Service with entrypoint and props" }),
  ])
  .meta({
    id: "ServiceReference",
    title: "Service reference",
    description:
      "The name of a service; or, for a Worker, its name with an `entrypoint` and `props`. The service `internet` exists " +
      "without being defined.",
    examples: ["gateway", { name: "auth", entrypoint: "Admin", props: { role: "edge" } }],
  })
  .transform(
    (value): Designator =>
      typeof value === "string"
        ? { name: value, entrypoint: null, props: {} }
        : { name: value.name, entrypoint: value.entrypoint ?? null, props: value.props ?? {} },
  );

/**
 * Fields that frame a message or belong to one connection are the proxy's own (RFC 9112 §6, RFC 9110 §7.6.1): an edit
 * could make the two sides disagree about where a message ends, which is how requests are smuggled.
 */
const framing: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** A field name (RFC 9110 §5.1) that does not frame the message. */
export const headerName = z
  .string()
  .regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, { error: "expected the name of a header" })
  .refine((value) => !framing.has(value.toLowerCase()), {
    error: "expected a header that does not frame the message: the proxy writes those itself",
  });

/** A field value (RFC 9110 §5.5): a line feed in it would start a header of its own. */
export const headerValue = z.string().regex(/^[\t\x20-\x7e\x80-\xff]*$/, {
  error: "expected the value of a header: Latin-1 without control characters",
});

/** A token (RFC 6265 §4.1.1): anything else would be attributes of the cookie, or a header of its own. */
export const cookieName = z
  .string()
  .regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, { error: "expected the name of a cookie" });

/** Header edits: a text sets the field, null removes it. */
export const headerEdits = z.record(headerName, headerValue.nullable()).meta({
  id: "HeaderEdits",
  title: "Header edits",
  description:
    "Headers by name, in any case: a text sets the header in place of what was there, `null` removes it. Headers that " +
    "frame a message, such as Content-Length, cannot be edited.",
  examples: [{ "x-edge": "1", "x-debug": null }],
});
export type HeaderEdits = z.output<typeof headerEdits>;

export const httpStyle = z.enum(["host", "proxy"]);

/** A map in which exactly one of the keys names the kind; the message for anything else comes from src/config/kinds.ts. */
export function oneOf(value: object, kinds: readonly string[], context: z.RefinementCtx): boolean {
  const present = kinds.filter((kind) => (value as Record<string, unknown>)[kind] !== undefined);
  if (present.length === 1) return true;
  context.addIssue({
    code: "custom",
    message: "expected exactly one kind",
    params: { reportedByKinds: true },
  });
  return false;
}

/** Of a socket whose clients could not read an answer. */
export const connectionLimit = z
  .int()
  .positive()
  .default(10_000)
  .meta({
    description: "Connections of this socket at one time, in each shard. One more is closed at once.",
    examples: [10_000],
  });
