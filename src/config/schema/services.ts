import { z } from "zod";
import { oneOf, text } from "./common.ts";
import { type ExternalConfig, external } from "./external.ts";
import { type MiddlewareConfig, middlewares } from "./middleware.ts";
import { type NetworkConfig, network } from "./network.ts";
import { type RouterConfig, router } from "./router.ts";
import { type WorkerConfig, worker } from "./worker.ts";

export const disk = z
  .strictObject({
    path: text.meta({
      description:
        "The directory. Nothing outside it is reachable, through symbolic links neither. `--directory-path NAME=PATH` puts " +
        "another in its place.",
      examples: ["./public"],
    }),
    writable: z
      .boolean()
      .default(false)
      .meta({ description: "Takes PUT as well.", examples: [true] }),
    allowDotfiles: z
      .boolean()
      .default(false)
      .meta({
        description:
          "Serves files and directories whose name begins with a dot. Off, since .env and .git are there by mistake more often " +
          "than by intent.",
        examples: [true],
      }),
    index: z
      .array(text)
      .default(["index.html"])
      .meta({
        description: "The file that stands for its directory: the first of these that exists.",
        examples: [["index.html"]],
      }),
  })
  .meta({
    id: "Disk",
    title: "Disk",
    description: "A directory, read over HTTP: GET and HEAD, with ranges and conditional requests.",
    examples: [{ path: "./public" }],
  });
export type DiskConfig = z.output<typeof disk>;

/** `middleware` is the kind of a service that has nothing else: a list under a name. */
export const serviceKinds = ["worker", "external", "network", "disk", "router"] as const;

interface Guarded {
  /** What stands before the service. */
  middleware?: MiddlewareConfig[];
}

export type ServiceConfig =
  | ({ worker: WorkerConfig } & Guarded)
  | ({ external: ExternalConfig } & Guarded)
  | ({ network: NetworkConfig } & Guarded)
  | ({ disk: DiskConfig } & Guarded)
  | ({ router: RouterConfig } & Guarded)
  | { middleware: MiddlewareConfig[] };

export const service = z
  .strictObject({
    worker: worker.optional(),
    external: external.optional(),
    network: network.optional(),
    disk: disk.optional(),
    router: router.optional(),
    middleware: middlewares.optional(),
  })
  .meta({
    id: "Service",
    title: "Service",
    description:
      "A named destination, of exactly one kind. `middleware` stands before it, or is the kind of a service that has nothing " +
      "else: then it is a list for others to name.",
    examples: [{ external: { address: "127.0.0.1:9000" } }],
  })
  .transform((value, context): ServiceConfig => {
    const isNamedList =
      value.middleware !== undefined && !serviceKinds.some((kind) => value[kind] !== undefined);
    if (!isNamedList && !oneOf(value, serviceKinds, context)) return z.NEVER;
    return value as ServiceConfig;
  });
