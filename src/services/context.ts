import type { IsolateEnvironment } from "../isolate/environment.ts";
import type { Logger } from "../observability/log.ts";
import type { Metrics } from "../observability/traffic.ts";
import type { Resolve, Service } from "./service.ts";

/** What a shard lends to each of its services: everything that is not pure, so that a test can drive it. */
export interface ServiceContext {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly isolates: IsolateEnvironment;
  /** Random bytes that all shards and generations of a proxy share, until it ends; for what clients get and bring back. */
  readonly secret: Uint8Array;
  /** Milliseconds of a clock that only goes forward. */
  now(): number;
}

/** A service between its making and its use: names are resolved once all services exist, since they may form circles. */
export interface LinkableService extends Service {
  link(resolve: Resolve): void;
  /**
   * Called once after `link`, before the shard takes connections: resolves when the service can answer, rejects with a
   * text for people when it never will (a Worker that does not start). A service without it is ready at once.
   */
  ready?(): Promise<void>;
  /**
   * No connection is taken any more: what would else go on without an end is ended now, in a way that its client
   * understands. Exchanges go on.
   */
  drain?(): void;
}

/** How the registry makes a service of one kind from its config. */
export type ServiceFactory<C> = (name: string, config: C, context: ServiceContext) => LinkableService;
