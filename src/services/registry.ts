import type { ExternalConfig } from "../config/schema/external.ts";
import type { NetworkConfig } from "../config/schema/network.ts";
import type { RouterConfig } from "../config/schema/router.ts";
import type { DiskConfig, ServiceConfig } from "../config/schema/services.ts";
import type { WorkerConfig } from "../config/schema/worker.ts";
import type { LinkableService, ServiceContext, ServiceFactory } from "./context.ts";
import { createDisk } from "./disk/disk.ts";
import { createExternal } from "./external/external.ts";
import { createChain } from "./middleware/chain-service.ts";
import { createNetwork } from "./network/network.ts";
import { createRouter } from "./router/router.ts";
import { createWorker } from "./worker/worker.ts";

/** The config of each kind, under the key that stands for the kind in proxy.yaml. */
interface Kinds {
  readonly worker: WorkerConfig;
  readonly external: ExternalConfig;
  readonly network: NetworkConfig;
  readonly disk: DiskConfig;
  readonly router: RouterConfig;
}

/** Every kind of service. A new kind is one folder, one line here and one in `Kinds`. */
const factories: { readonly [K in keyof Kinds]: ServiceFactory<Kinds[K]> } = {
  worker: createWorker,
  external: createExternal,
  network: createNetwork,
  disk: createDisk,
  router: createRouter,
};

/** Makes a service of the kind that its config names; it is linked later, see `LinkableService`. */
export function createService(name: string, config: ServiceConfig, context: ServiceContext): LinkableService {
  for (const kind of Object.keys(factories) as Array<keyof Kinds>) {
    const own = (config as Partial<Kinds>)[kind];
    if (own !== undefined) return make(kind, name, own, context);
  }
  return createChain(name, config.middleware ?? [], context);
}

function make<K extends keyof Kinds>(
  kind: K,
  name: string,
  config: Kinds[K],
  context: ServiceContext,
): LinkableService {
  return factories[kind](name, config, context);
}
