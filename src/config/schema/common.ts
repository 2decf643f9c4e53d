import { z } from "zod";
import type { Designator, JsonValue } from "../../services/service.ts";

const units = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** A span of time: `500ms`, `10s`, `5m`, or a number of milliseconds; 0 means none. Parsed to milliseconds. */
export const duration = z
  .union([
    z.number().nonnegative(),
    z.string().regex(/^\d+(\.\d+)?(ms|s|m|h|d)$/, "expected a duration such as 500ms, 10s or 5m"),
  ])
  .transform((value) => {
    if (typeof value === "number") return value;
    const unit = value.replace(/^[\d.]+/, "") as keyof typeof units;
    return Math.round(Number.parseFloat(value) * units[unit]);
  });

const multiples = { B: 1, KB: 1000, MB: 1e6, GB: 1e9, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 } as const;

/** An amount of bytes: `64KiB`, `10MB`, or a number; 0 means no limit. Parsed to bytes. */
export const size = z
  .union([
    z.int().nonnegative(),
    z.string().regex(/^\d+(\.\d+)?(B|KB|MB|GB|KiB|MiB|GiB)$/, "expected a size such as 64KiB or 10MB"),
  ])
  .transform((value) => {
    if (typeof value === "number") return value;
    const unit = value.replace(/^[\d.]+/, "") as keyof typeof multiples;
    return Math.round(Number.parseFloat(value) * multiples[unit]);
  });

export const json: z.ZodType<JsonValue> = z.json() as z.ZodType<JsonValue>;

/** A service by name, or with the entrypoint of a Worker and the props that it sees as `ctx.props`. */
export const designator = z
  .union([
    z.string().min(1),
    z.strictObject({
      name: z.string().min(1),
      entrypoint: z.string().min(1).optional(),
      props: json.optional(),
    }),
  ])
  .transform(
    (value): Designator =>
      typeof value === "string"
        ? { name: value, entrypoint: null, props: {} }
        : { name: value.name, entrypoint: value.entrypoint ?? null, props: value.props ?? {} },
  );

/** Header edits: a text sets the field, null removes it. */
export const headerEdits = z.record(z.string().min(1), z.string().nullable());
export type HeaderEdits = z.output<typeof headerEdits>;

export const httpStyle = z.enum(["host", "proxy"]);
