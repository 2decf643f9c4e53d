import { z } from "zod";
import { duration } from "./common.ts";
import { service } from "./services.ts";
import { socket } from "./socket.ts";

export const log = z.strictObject({
  access: z.boolean().default(true),
  format: z.enum(["json", "text"]).optional(),
});
export type LogConfig = z.output<typeof log>;

export const proxy = z.strictObject({
  include: z.array(z.string().min(1)).default([]),
  sockets: z.record(z.string().min(1), socket),
  services: z.record(z.string().min(1), service),
  shards: z.union([z.int().positive(), z.literal("auto")]).default(1),
  admin: z.strictObject({ address: z.string().min(1) }).optional(),
  log: log.prefault({}),
  drainTimeout: duration.default(30_000),
});

/**
 * The config after parsing: includes merged, environment substituted, defaults filled in, relative paths made absolute,
 * durations in milliseconds, sizes in bytes. Plain JSON: the supervisor sends it to its shards as it is.
 */
export type ProxyConfig = z.output<typeof proxy>;
