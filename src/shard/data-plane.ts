import type { ProxyConfig } from "../config/schema/proxy.ts";
import { type Address, parseAddress } from "../net/address.ts";
import { UserFiles } from "../net/user-files.ts";
import type { Logger } from "../observability/log.ts";
import { Metrics, type MetricsSnapshot } from "../observability/traffic.ts";
import type { LinkableService, ServiceContext } from "../services/context.ts";
import { Chain } from "../services/middleware/chain.ts";
import { createService } from "../services/registry.ts";
import type { Designator, Service } from "../services/service.ts";
import { type SpareIsolates, spareIsolatesOf } from "../services/worker/spare-isolates.ts";
import { WorkerService } from "../services/worker/worker.ts";
import type { AcceptorTls } from "../tls/acceptor.ts";
import { GcPauses } from "./gc-pauses.ts";
import { ShardIsolates } from "./isolates.ts";
import type { ShardInit, TestResult, TlsChange, UsersChange } from "./protocol.ts";
import { ShardSocket } from "./shard-socket.ts";

/** Workers that are started before the shard takes connections: so many take some 100 ms and 100 MB. */
const startedAtOnce = 32;

/** All services and sockets of one revision in one process, from building them to the last close. */
export class DataPlane {
  readonly #metrics: Metrics = new Metrics();
  readonly #gcPauses: GcPauses = new GcPauses(this.#metrics);
  readonly #isolates: ShardIsolates;
  readonly #services: Map<string, LinkableService> = new Map();
  /** What stands before services that have a kind of their own. */
  readonly #chains: Map<string, Chain> = new Map();
  readonly #sockets: ShardSocket[] = [];
  readonly #config: ProxyConfig;
  readonly #spares: SpareIsolates;
  readonly #userFiles: UserFiles;

  /**
   * @param descriptors of the sockets, by name
   * @param askLeaf see `AcceptorTls`
   */
  constructor(
    init: ShardInit,
    descriptors: ReadonlyMap<string, number>,
    log: Logger,
    askLeaf: AcceptorTls["askLeaf"],
  ) {
    this.#isolates = new ShardIsolates(init, log);
    this.#metrics.gauges.gauge("sluice_shard_resident_bytes", () => process.memoryUsage.rss());
    const context: ServiceContext = {
      log,
      metrics: this.#metrics,
      isolates: this.#isolates,
      secret: init.secret,
      now: () => performance.now(),
    };
    this.#userFiles = UserFiles.of(context);
    this.#userFiles.change(init.userFiles);
    this.#config = init.config;
    this.#spares = spareIsolatesOf(context);
    const { services, sockets } = init.config;
    for (const [name, config] of Object.entries(services)) {
      this.#services.set(name, createService(name, config, context));
    }
    for (const [name, { middleware }] of Object.entries(services)) {
      if (middleware === undefined || this.#services.get(name)?.kind === "middleware") continue;
      this.#chains.set(name, new Chain(name, middleware, context));
    }
    for (const service of this.#services.values()) service.link(this.#resolve);
    for (const chain of this.#chains.values()) chain.link(this.#resolve);
    const shared: AcceptorTls = { ticketKeys: init.tls.ticketKeys, askLeaf };
    for (const [name, fd] of descriptors) {
      const config = sockets[name];
      if (config === undefined) {
        throw new Error(`cannot find socket "${name}": it is not part of the revision`);
      }
      this.#sockets.push(new ShardSocket(name, fd, config, this.#resolve(config.service), context, shared));
    }
    this.changeTls({ type: "tls", certificates: init.tls.certificates, challenges: init.tls.challenges });
  }

  /**
   * Resolves when each service can answer, but for Workers in quarantine: starting one could end this shard too. Of many
   * Workers only the first are started; the isolates of the others are made when they are first asked.
   *
   * @throws the reason why one never will
   */
  async ready(): Promise<void> {
    const { quarantined } = this.#isolates;
    const services = [...this.#services.values()].filter((service) => !quarantined.has(service.name));
    const workers = services.filter((service) => service.kind === "worker");
    const { max } = this.#config.isolates;
    const later = new Set(workers.slice(max === 0 ? startedAtOnce : Math.min(startedAtOnce, max)));
    await Promise.all(services.map((service) => (later.has(service) ? undefined : service.ready?.())));
  }

  /** Takes connections on every socket. @throws Error `cannot listen on … (socket "…"): reason` */
  async listen(): Promise<void> {
    for (const socket of this.#sockets) await socket.listen();
    this.#spares.open();
  }

  /**
   * Takes no more connections; resolves when the last exchange is done and its connection closed.
   *
   * @param isLast no other generation takes over: then a socket that an external of the same config leads to stays
   * open until the others are drained, since their exchanges may still have to connect to it
   */
  async drain(graceMs: number, isLast: boolean): Promise<void> {
    const inner = isLast ? this.#innerSockets() : new Set<string>();
    for (const service of this.#services.values()) service.drain?.();
    const { drainTimeout } = this.#config;
    for (const socket of this.#sockets) socket.cutStreams(drainTimeout);
    const outer = this.#sockets.filter((socket) => !inner.has(socket.name));
    await Promise.all(outer.map((socket) => socket.drain(graceMs)));
    const rest = this.#sockets.filter((socket) => inner.has(socket.name));
    await Promise.all(rest.map((socket) => socket.drain(outer.length > 0 ? 0 : graceMs)));
  }

  /** Sockets of this config to which one of its externals leads. */
  #innerSockets(): Set<string> {
    const targets = Object.values(this.#config.services).flatMap((service) =>
      "external" in service ? service.external.addresses.map(({ address }) => parseAddress(address)) : [],
    );
    const inner = Object.entries(this.#config.sockets).filter(([, socket]) => {
      const address = parseAddress(socket.address);
      return targets.some((target) => leadsTo(target, address));
    });
    return new Set(inner.map(([name]) => name));
  }

  /** Closes services, isolates and the watchdog. Nothing then keeps the process alive. */
  async close(): Promise<void> {
    for (const service of this.#services.values()) service.close();
    this.#spares.close();
    this.#gcPauses.close();
    await this.#isolates.close();
  }

  /** Other certificates, other keys of session tickets, or other challenges, for new connections. */
  changeTls({ ticketKeys, certificates, challenges }: TlsChange): void {
    for (const socket of this.#sockets) {
      const own = certificates?.[socket.name];
      if (own !== undefined) socket.useCertificates(own);
      if (ticketKeys !== undefined) socket.useTicketKeys(ticketKeys);
      if (challenges !== undefined) socket.useChallenges(challenges);
    }
  }

  /** Other users in files, for whoever comes next. */
  changeUsers({ files }: UsersChange): void {
    this.#userFiles.change(files);
  }

  setQuarantined(workers: readonly string[]): void {
    this.#isolates.setQuarantined(workers);
  }

  /** Calls the Workers' `test` handlers whose name contains the filter, one after another. */
  async test(filter: string | null): Promise<TestResult[]> {
    const results: TestResult[] = [];
    for (const service of this.#services.values()) {
      if (!(service instanceof WorkerService)) continue;
      for (const entrypoint of service.testable()) {
        const name = entrypoint === "default" ? service.name : `${service.name}/${entrypoint}`;
        if (filter !== null && !name.includes(filter)) continue;
        const begun = performance.now();
        const problem = await service.test(entrypoint);
        results.push({ name, ms: performance.now() - begun, problem });
      }
    }
    return results;
  }

  snapshot(): MetricsSnapshot {
    const snapshot = this.#metrics.snapshot();
    const { user, system } = process.cpuUsage();
    return {
      ...snapshot,
      counters: [...snapshot.counters, ["sluice_shard_cpu_seconds_total", (user + system) / 1e6]],
    };
  }

  #resolve = (designator: Designator): Service => {
    const service = this.#services.get(designator.name);
    if (service === undefined)
      throw new Error(`cannot find service "${designator.name}": config does not define it`);
    const found = service.at(designator.entrypoint, designator.props);
    return this.#chains.get(designator.name)?.before(found) ?? found;
  };
}

/** True when a connection to `target` can arrive at a socket that listens on `address`. */
function leadsTo(target: Address, address: Address): boolean {
  if (target.kind !== "tcp" || address.kind !== "tcp") {
    return JSON.stringify(target) === JSON.stringify(address);
  }
  const local = ["", "localhost", "127.0.0.1", "::1", "0.0.0.0", "::"];
  const sameHost =
    target.host === address.host || (local.includes(target.host) && local.includes(address.host));
  return target.port === address.port && sameHost;
}
