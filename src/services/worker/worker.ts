import type { WorkerConfig, WorkerLimits } from "../../config/schema/worker.ts";
import { newErrorId } from "../../errors/error-id.ts";
import { ProxyError } from "../../errors/proxy-error.ts";
import { Exchange } from "../../http/exchange.ts";
import type { RpcCall, RpcMessage, RpcRequest, RpcService } from "../../isolate/bridge/guest-rpc-objects.ts";
import type { Entrypoint } from "../../isolate/bridge/incoming.ts";
import { Session } from "../../isolate/bridge/session.ts";
import type { SessionOwner } from "../../isolate/bridge/session-owner.ts";
import type { Turn } from "../../isolate/bridge/turn.ts";
import { type GuestIsolate, type GuestStart, StartFailure } from "../../isolate/guest-isolate.ts";
import { nodeAccess } from "../../isolate/loader/node-modules.ts";
import { type GuestScript, guestScript, mapStack } from "../../isolate/stack.ts";
import type { Histogram } from "../../observability/histogram.ts";
import { metricKey } from "../../observability/metric-key.ts";
import type { Traffic } from "../../observability/traffic.ts";
import type { LinkableService, ServiceContext, ServiceFactory } from "../context.ts";
import type { JsonValue, Resolve, Service, Tunnel } from "../service.ts";
import { CacheService } from "./cache-service.ts";
import { type EvictionReason, type LiveIsolates, type LiveWorker, liveIsolatesOf } from "./live-isolates.ts";
import { LongEntries } from "./long-entries.ts";
import { type SpareIsolates, spareIsolatesOf } from "./spare-isolates.ts";
import { TestExchange } from "./test-exchange.ts";
import { turnOf } from "./turns.ts";

/** Milliseconds during which a Worker that did not start is not tried again. */
const START_PAUSE = 1000;

/**
 * A Worker: its isolate is made when the first exchange comes, and made anew after it broke a limit, or was ended while
 * nobody used it.
 */
export class WorkerService implements LinkableService, RpcService, SessionOwner, LiveWorker {
  readonly kind = "worker";
  readonly name: string;
  readonly context: ServiceContext;
  readonly turn: Turn;
  readonly limits: WorkerLimits;
  readonly webSockets: WorkerConfig["webSockets"];
  readonly entries: Histogram;
  readonly idleTimeout: number;
  services: Service[] = [];
  fallback: Service = this;
  readonly #config: WorkerConfig;
  readonly #traffic: Traffic;
  readonly #main: Entrypoint = { name: "default", props: "{}", next: 0 };
  readonly #bytesIn: string;
  readonly #bytesOut: string;
  readonly #coldStarts: string;
  readonly #live: LiveIsolates;
  readonly #spares: SpareIsolates;
  readonly #longEntries: LongEntries;
  #startedAt = 0;
  #session: Session | null = null;
  #script: GuestScript | null = null;
  #failedUntil = 0;
  #failure: StartFailure | null = null;
  #cache: CacheService | null = null;
  #closed = false;
  /** Nanoseconds of CPU of isolates that are gone. */
  #cpuBefore = 0;

  constructor(name: string, config: WorkerConfig, context: ServiceContext) {
    this.name = name;
    this.context = context;
    this.limits = config.limits;
    this.webSockets = config.webSockets;
    this.turn = turnOf(context);
    this.idleTimeout = config.isolates.idleTimeout ?? context.isolates.idleTimeout ?? 0;
    this.entries = context.metrics.histogram(metricKey("sluice_isolate_entry_seconds", { worker: name }));
    this.#live = liveIsolatesOf(context);
    this.#spares = spareIsolatesOf(context);
    this.#spares.addWorker();
    this.#longEntries = new LongEntries(name, context.log, context.now);
    this.#config = config;
    this.#traffic = context.metrics.traffic("service", name);
    this.#bytesIn = metricKey("sluice_bridge_body_bytes_total", { worker: name, direction: "in" });
    this.#bytesOut = metricKey("sluice_bridge_body_bytes_total", { worker: name, direction: "out" });
    this.#coldStarts = metricKey("sluice_isolate_cold_starts_total", { worker: name });
    const { gauges } = context.metrics;
    gauges.gauge(
      metricKey("sluice_isolate_heap_bytes", { worker: name }),
      () => this.#session?.heapBytes ?? 0,
    );
    gauges.gauge(metricKey("sluice_isolate_cpu_seconds_total", { worker: name }), () => {
      return (this.#cpuBefore + (this.#session?.cpuTime ?? 0)) / 1e9;
    });
  }

  link(resolve: Resolve): void {
    const outbound = resolve(this.#config.globalOutbound);
    const bound: Service[] = [];
    for (const binding of Object.values(this.#config.bindings)) {
      if ("service" in binding) bound.push(resolve(binding.service));
    }
    this.services.unshift(outbound, ...bound);
    this.fallback = outbound;
  }

  handle(exchange: Exchange): void {
    this.dispatch(exchange, this.#main);
  }

  connect(tunnel: Tunnel): void {
    this.dispatchTunnel(tunnel, this.#main);
  }

  at(entrypoint: string | null, props: JsonValue): Service {
    const isMain = entrypoint === null && JSON.stringify(props) === "{}";
    return isMain
      ? this
      : new WorkerEntry(this, { name: entrypoint ?? "default", props: JSON.stringify(props), next: 0 });
  }

  before(next: Service): Service {
    return this.entryBefore(next, this.#main);
  }

  /** An entrypoint as a middleware: its `env.next` leads to `next`. For after `link`. */
  entryBefore(next: Service, { name, props }: Entrypoint): Service {
    return new WorkerEntry(this, { name, props, next: this.services.push(next) - 1 });
  }

  /** Makes the isolate now, so that a Worker that does not start is found before anybody asks for it. */
  async ready(): Promise<void> {
    try {
      this.#begin();
    } catch (error) {
      if (!(error instanceof StartFailure)) throw error;
      const stack = this.mapStack(error.guestStack);
      throw new Error(`${this.#startError(error).message}${stack === "" ? "" : `\n${stack}`}`);
    }
  }

  get cache(): Service {
    this.#cache ??= new CacheService(this.name, this.context);
    return this.#cache;
  }

  drain(): void {
    this.#session?.webSockets.drain();
  }

  close(): void {
    this.#closed = true;
    this.#session?.end("draining", "the proxy is closing");
  }

  /** The entrypoints that have a `test` handler. @throws StartFailure when the Worker does not start. */
  testable(): string[] {
    const found: string[] = [];
    for (const [name, handlers] of this.#begin().entrypoints) if (handlers.includes("test")) found.push(name);
    return found;
  }

  /** Calls the `test` handler of an entrypoint. @returns what went wrong; empty when it passed */
  async test(entrypoint: string): Promise<string> {
    const exchange = new TestExchange();
    this.dispatch(exchange, { name: entrypoint, props: "{}", next: 0 }, "test");
    return (await exchange.outcome)?.message ?? "";
  }

  dispatch(exchange: Exchange, entrypoint: Entrypoint, event: "fetch" | "test" = "fetch"): void {
    this.#traffic.begin();
    if (exchange.depth > Exchange.maxDepth) {
      this.#refuse(
        exchange,
        new ProxyError("service_loop", `cannot enter Worker "${this.name}": services form a loop`),
      );
      return;
    }
    const session = this.#obtain();
    if (session instanceof ProxyError) this.#refuse(exchange, session);
    else session.request(exchange, entrypoint, event);
  }

  dispatchTunnel(tunnel: Tunnel, entrypoint: Entrypoint): void {
    if (tunnel.depth > Exchange.maxDepth) {
      tunnel.refuse(
        new ProxyError("service_loop", `cannot enter Worker "${this.name}": services form a loop`),
      );
      return;
    }
    const session = this.#obtain();
    if (session instanceof ProxyError) tunnel.refuse(session);
    else session.connect(tunnel, entrypoint);
  }

  /** Begins an event with a call over RPC. */
  call(call: RpcCall, message: RpcMessage, request: RpcRequest): void {
    this.dispatchCall(call, message, request, this.#main);
  }

  dispatchCall(call: RpcCall, message: RpcMessage, request: RpcRequest, entrypoint: Entrypoint): void {
    this.#traffic.begin();
    const session =
      call.depth > Exchange.maxDepth
        ? new ProxyError("service_loop", `cannot enter Worker "${this.name}": services form a loop`)
        : this.#obtain();
    if (session instanceof ProxyError) {
      this.#traffic.error(session.code);
      this.#traffic.finish(session.status, 0);
      message.discard(session);
      call.caller.callLost(call, `cannot call over RPC: ${session.code}`);
    } else session.call(call, message, request, entrypoint);
  }

  /** Everything that the isolate was given and is not done with: exchanges, fetches, sockets, streams, bodies, timers. */
  get inHand(): number {
    return this.#session?.inHand ?? 0;
  }

  get isIdle(): boolean {
    return this.#session?.isIdle ?? false;
  }

  get usedAt(): number {
    return Math.max(this.#startedAt, this.#session?.enteredAt ?? 0);
  }

  /** Ends the isolate, which is idle; the next exchange gets a new one. */
  evict(reason: EvictionReason): void {
    if (this.#session === null) return;
    const { log, metrics, now } = this.context;
    const idleMs = Math.round(now() - this.usedAt);
    log.log("debug", "worker.evicted", `the idle isolate of Worker "${this.name}" was ended: ${reason}`, {
      worker: this.name,
      reason,
      idleMs,
    });
    metrics.gauges.add(metricKey("sluice_isolate_evictions_total", { worker: this.name, reason }));
    this.#session.end("draining", "its isolate was idle");
  }

  // What a session asks of its owner.

  isolate(): GuestIsolate {
    return this.#spares.take();
  }

  ended(session: { readonly cpuTime: number }): void {
    this.#cpuBefore += session.cpuTime;
    if (this.#session !== session) return;
    this.#session = null;
    this.#live.delete(this);
    this.#spares.consider();
  }

  tookLong(ms: number, records: number): void {
    this.#longEntries.note(ms, records);
  }

  again(exchange: Exchange, entrypoint: Entrypoint): void {
    this.#traffic.active--;
    this.dispatch(exchange, entrypoint);
  }

  answered(status: number, startedAt: number): void {
    this.#traffic.finish(status, (this.context.now() - startedAt) / 1000);
  }

  countBytes(direction: "in" | "out", bytes: number): void {
    this.context.metrics.gauges.add(direction === "in" ? this.#bytesIn : this.#bytesOut, bytes);
  }

  countLimit(limit: string): void {
    this.context.metrics.gauges.add(
      metricKey("sluice_worker_limit_hits_total", { worker: this.name, limit }),
    );
  }

  mapStack(stack: string): string {
    if (stack === "") return "";
    const worker = this.context.isolates.compiled(this.name);
    this.#script ??= guestScript(worker.name, worker.sourceMap);
    return mapStack(stack, this.#script);
  }

  #refuse(exchange: Exchange, error: ProxyError): void {
    this.#traffic.error(error.code);
    this.#traffic.finish(error.status, 0);
    exchange.fail(error);
  }

  #obtain(): Session | ProxyError {
    const { isolates, now } = this.context;
    if (this.#closed)
      return new ProxyError("draining", `cannot enter Worker "${this.name}": the proxy is closing`);
    if (isolates.quarantined.has(this.name)) {
      return new ProxyError(
        "worker_quarantined",
        `cannot enter Worker "${this.name}": it brought a shard down`,
      );
    }
    if (this.#session !== null) return this.#session;
    if (this.#failure !== null && now() < this.#failedUntil) return this.#startError(this.#failure);
    try {
      return this.#begin();
    } catch (error) {
      const failure = error instanceof StartFailure ? error : new StartFailure(String(error));
      this.#failure = failure;
      this.#failedUntil = now() + START_PAUSE;
      const refusal = this.#startError(failure);
      refusal.id = newErrorId();
      this.context.log.log("error", "worker.start", refusal.message, {
        worker: this.name,
        id: refusal.id,
        stack: this.mapStack(failure.guestStack),
      });
      return refusal;
    }
  }

  #startError(failure: StartFailure): ProxyError {
    return new ProxyError("worker_startup_failed", `cannot start Worker "${this.name}": ${failure.message}`);
  }

  #begin(): Session {
    if (this.#session !== null) return this.#session;
    const { context } = this;
    this.#live.makeRoom();
    const session = new Session(this, context.isolates.compiled(this.name), startOf(this.#config));
    this.#session = session;
    this.#failure = null;
    this.#startedAt = context.now();
    this.#live.add(this);
    this.#spares.consider();
    context.metrics.gauges.add(this.#coldStarts);
    return session;
  }
}

/** A Worker seen through one of its entrypoints, or with props. */
class WorkerEntry implements Service, RpcService {
  readonly kind = "worker";
  readonly name: string;
  readonly #worker: WorkerService;
  readonly #entrypoint: Entrypoint;

  constructor(worker: WorkerService, entrypoint: Entrypoint) {
    this.name = worker.name;
    this.#worker = worker;
    this.#entrypoint = entrypoint;
  }

  handle(exchange: Exchange): void {
    this.#worker.dispatch(exchange, this.#entrypoint);
  }

  connect(tunnel: Tunnel): void {
    this.#worker.dispatchTunnel(tunnel, this.#entrypoint);
  }

  call(call: RpcCall, message: RpcMessage, request: RpcRequest): void {
    this.#worker.dispatchCall(call, message, request, this.#entrypoint);
  }

  at(entrypoint: string | null, props: JsonValue): Service {
    return this.#worker.at(entrypoint, props);
  }

  before(next: Service): Service {
    return this.#worker.entryBefore(next, this.#entrypoint);
  }

  close(): void {}
}

/** The bindings as the guest takes them: services by their number (0 is the global outbound), values as they are. */
function startOf(config: WorkerConfig): GuestStart {
  const { bindings, unsafeEval, preciseTimers } = config;
  const flags = [...config.compatibilityFlags];
  if (nodeAccess(config) === "compat") flags.push("nodejs_compat");
  const options = { unsafeEval, preciseTimers, flags, ...webSocketOptions(config) };
  const records: unknown[] = [];
  const data: Uint8Array[] = [];
  let services = 0;
  for (const [name, binding] of Object.entries(bindings)) {
    if ("service" in binding) records.push([name, "service", ++services]);
    else if ("text" in binding) records.push([name, "value", binding.text]);
    else if ("json" in binding) records.push([name, "value", binding.json]);
    else if ("data" in binding) {
      records.push([name, "data", data.length]);
      data.push(Buffer.from(binding.data, "base64"));
    }
  }
  return { bindings: JSON.stringify(records), data, options: JSON.stringify(options) };
}

/** Behaviours of workerd that came with a date; see src/runtime/web/websocket-defaults.ts. */
function webSocketOptions(config: Pick<WorkerConfig, "compatibilityDate" | "compatibilityFlags">): object {
  const has = (date: string, flag: string, opposite: string): boolean =>
    config.compatibilityFlags.includes(flag) ||
    (config.compatibilityDate >= date && !config.compatibilityFlags.includes(opposite));
  return {
    blobSockets: has("2026-03-17", "websocket_standard_binary_type", "no_websocket_standard_binary_type"),
    repliedClose: has("2026-04-07", "web_socket_auto_reply_to_close", "web_socket_manual_reply_to_close"),
  };
}

export const createWorker: ServiceFactory<WorkerConfig> = (name, config, context) =>
  new WorkerService(name, config, context);
