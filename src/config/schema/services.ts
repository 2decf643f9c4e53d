import { z } from "zod";
import { designator, duration, headerEdits, httpStyle } from "./common.ts";
import { worker } from "./worker.ts";

export const external = z.strictObject({
  address: z.string().min(1),
  http: z
    .strictObject({
      style: httpStyle.default("host"),
      forwardedProtoHeader: z.string().min(1).optional(),
      injectRequestHeaders: headerEdits.default({}),
      injectResponseHeaders: headerEdits.default({}),
    })
    .prefault({}),
  tls: z
    .strictObject({
      trust: z.array(z.string()).default([]),
      certificateHost: z.string().min(1).optional(),
      keypair: z.strictObject({ certificate: z.string(), key: z.string() }).optional(),
    })
    .optional(),
  tcp: z.strictObject({}).optional(),
  timeouts: z
    .strictObject({
      connect: duration.default(5_000),
      head: duration.default(60_000),
      idle: duration.default(60_000),
      total: duration.default(0),
      keepAlive: duration.default(60_000),
    })
    .prefault({}),
  limits: z
    .strictObject({
      connections: z.int().positive().default(1024),
      idleConnections: z.int().nonnegative().default(256),
    })
    .prefault({}),
});
export type ExternalConfig = z.output<typeof external>;

export const network = z.strictObject({
  allow: z.array(z.string()).default(["public"]),
  deny: z.array(z.string()).default([]),
});
export type NetworkConfig = z.output<typeof network>;

export const disk = z.strictObject({
  path: z.string().min(1),
  writable: z.boolean().default(false),
  allowDotfiles: z.boolean().default(false),
  index: z.array(z.string().min(1)).default(["index.html"]),
});
export type DiskConfig = z.output<typeof disk>;

export const route = z.strictObject({
  host: z.string().min(1).optional(),
  path: z.string().startsWith("/").optional(),
  methods: z.array(z.string().min(1)).optional(),
  headers: z.record(z.string().min(1), z.string().nullable()).optional(),
  stripPrefix: z.string().startsWith("/").optional(),
  service: designator,
});
export type RouteConfig = z.output<typeof route>;

export const router = z.array(route).min(1);
export type RouterConfig = z.output<typeof router>;

export const service = z.union([
  z.strictObject({ worker }),
  z.strictObject({ external }),
  z.strictObject({ network }),
  z.strictObject({ disk }),
  z.strictObject({ router }),
]);
export type ServiceConfig = z.output<typeof service>;
