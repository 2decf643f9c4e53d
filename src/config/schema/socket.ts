import { z } from "zod";
import { designator, duration, headerEdits, httpStyle, size } from "./common.ts";

export const socketTimeouts = z.strictObject({
  head: duration.default(10_000),
  idle: duration.default(60_000),
  keepAlive: duration.default(75_000),
  request: duration.default(0),
});

export const socketLimits = z.strictObject({
  headerBytes: size.default(65_536),
  headerFields: z.int().positive().default(200),
  bodyBytes: size.default(0),
  connections: z.int().positive().default(10_000),
  minBodyRate: size.default(0),
});

export const socketHttp = z.strictObject({
  style: httpStyle.default("host"),
  forwardedProtoHeader: z.string().min(1).optional(),
  injectRequestHeaders: headerEdits.default({}),
  injectResponseHeaders: headerEdits.default({}),
  timeouts: socketTimeouts.prefault({}),
  limits: socketLimits.prefault({}),
});

export const socket = z.strictObject({
  address: z.string().min(1),
  service: designator,
  http: socketHttp.prefault({}),
});

export type SocketConfig = z.output<typeof socket>;
