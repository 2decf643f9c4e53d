import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BindingConfig, worker as workerSchema } from "../../src/config/schema/worker.ts";
import type { Exchange } from "../../src/http/exchange.ts";
import { DiskCodeCache } from "../../src/isolate/code-cache.ts";
import type { CompiledWorker, IsolateEnvironment, RuntimeScript } from "../../src/isolate/environment.ts";
import { bundleWorker } from "../../src/isolate/loader/bundle.ts";
import { loadRuntime } from "../../src/isolate/loader/runtime.ts";
import { TrustedStore } from "../../src/isolate/trusted-store.ts";
import type { LogFields, Logger, LogLevel } from "../../src/observability/log.ts";
import { Metrics } from "../../src/observability/traffic.ts";
import type { ServiceContext } from "../../src/services/context.ts";
import type { Designator, JsonValue, Service, Tunnel } from "../../src/services/service.ts";
import { createWorker, type WorkerService } from "../../src/services/worker/worker.ts";

export interface LogLine {
  readonly level: LogLevel;
  readonly event: string;
  readonly message: string;
  readonly fields: LogFields;
}

/** A service that a test answers for. */
export class FakeService implements Service {
  readonly kind = "external";
  readonly name: string;
  readonly exchanges: Exchange[] = [];
  readonly tunnels: Tunnel[] = [];
  readonly #handle: (exchange: Exchange) => void;
  readonly #connect: (tunnel: Tunnel) => void;

  constructor(
    name: string,
    handle: (exchange: Exchange) => void,
    connect: (tunnel: Tunnel) => void = () => {},
  ) {
    this.name = name;
    this.#handle = handle;
    this.#connect = connect;
  }

  handle(exchange: Exchange): void {
    this.exchanges.push(exchange);
    this.#handle(exchange);
  }

  connect(tunnel: Tunnel): void {
    this.tunnels.push(tunnel);
    this.#connect(tunnel);
  }

  at(): Service {
    return this;
  }

  close(): void {}
}

export interface WorkerSource {
  /** The main module, or a script when `script` is true. */
  readonly code: string;
  readonly script?: boolean;
  /** Other files of the Worker, by name. */
  readonly files?: Readonly<Record<string, string | Uint8Array>>;
  readonly bindings?: Readonly<Record<string, BindingConfig>>;
  readonly flags?: readonly string[];
  readonly preciseTimers?: boolean;
  readonly unsafeEval?: boolean;
  readonly limits?: Partial<Record<"cpuMs" | "memoryMb" | "subrequests" | "startupMs" | "wallMs", number>>;
  readonly isolates?: { readonly idleTimeout?: string | number };
  readonly webSockets?: Readonly<Record<string, string | number>>;
  /** The compatibility date. */
  readonly date?: string;
}

/** As in a shard: what one test has compiled, the next finds. */
const codeCache = new DiskCodeCache(TrustedStore.open());
let runtime: Promise<RuntimeScript> | null = null;

/** Workers in real isolates, linked to one another and to fake services, in this process. */
export class WorkerBench {
  readonly workers: Map<string, WorkerService> = new Map();
  readonly services: Map<string, Service> = new Map();
  readonly logs: LogLine[] = [];
  readonly metrics: Metrics = new Metrics();
  readonly context: ServiceContext;
  readonly #directory = mkdtempSync(join(tmpdir(), "sluice-worker-"));

  /** Milliseconds by which the shard's clock is ahead of the machine's. */
  ahead = 0;

  private constructor(
    compiled: ReadonlyMap<string, CompiledWorker>,
    runtime: IsolateEnvironment["runtime"],
    settings: Partial<IsolateEnvironment>,
  ) {
    const names = [...compiled.keys()];
    const log: Logger = {
      accessEnabled: false,
      access() {},
      log: (level, event, message, fields = {}) => {
        this.logs.push({ level, event, message, fields });
      },
    };
    this.context = {
      log,
      metrics: this.metrics,
      secret: new Uint8Array(32),
      now: () => performance.now() + this.ahead,
      isolates: {
        runtime,
        codeCache,
        watchdog: { enter() {}, leave() {} },
        quarantined: new Set(),
        indexOf: (name) => names.indexOf(name),
        compiled: (name) => {
          const worker = compiled.get(name);
          if (worker === undefined) throw new Error(`no Worker "${name}"`);
          return worker;
        },
        ...settings,
      },
    };
  }

  static async start(
    sources: Readonly<Record<string, WorkerSource>>,
    fakes: readonly Service[] = [],
    settings: Partial<IsolateEnvironment> = {},
  ): Promise<WorkerBench> {
    const compiled = new Map<string, CompiledWorker>();
    runtime ??= loadRuntime();
    const bench = new WorkerBench(compiled, await runtime, settings);
    for (const fake of fakes) bench.services.set(fake.name, fake);
    for (const [name, source] of Object.entries(sources)) {
      const main = bench.#write(name, "main.ts", source.code);
      for (const [file, content] of Object.entries(source.files ?? {})) bench.#write(name, file, content);
      const parsed = workerSchema.parse({
        ...(source.script ? { script: main } : { main }),
        compatibilityDate: source.date ?? "2026-01-01",
        compatibilityFlags: source.flags ?? [],
        limits: source.limits ?? {},
        isolates: source.isolates ?? {},
        webSockets: source.webSockets ?? {},
        preciseTimers: source.preciseTimers,
        unsafeEval: source.unsafeEval,
      });
      const config = { ...parsed, bindings: { ...source.bindings } };
      const outcome = await bundleWorker(name, config, { store: null });
      if (outcome.worker === null)
        throw new Error(outcome.problems.map((problem) => problem.text).join("; "));
      compiled.set(name, outcome.worker);
      const service = createWorker(name, config, bench.context) as WorkerService;
      bench.workers.set(name, service);
      bench.services.set(name, service);
    }
    for (const service of bench.workers.values()) service.link((designator) => bench.#resolve(designator));
    return bench;
  }

  worker(name = "main"): WorkerService {
    const worker = this.workers.get(name);
    if (worker === undefined) throw new Error(`no Worker "${name}"`);
    return worker;
  }

  /** The log lines of one event. */
  logged(event: string): LogLine[] {
    return this.logs.filter((line) => line.event === event);
  }

  counter(key: string): number {
    return this.metrics.gauges.counters.get(key) ?? 0;
  }

  stop(): void {
    for (const worker of this.workers.values()) worker.close();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #write(worker: string, file: string, content: string | Uint8Array): string {
    const path = join(this.#directory, `${worker}.${file}`);
    writeFileSync(path, content);
    return path;
  }

  #resolve(designator: Designator): Service {
    const service = this.services.get(designator.name);
    if (service !== undefined) return service.at(designator.entrypoint, designator.props);
    return new FakeService(designator.name, () => {});
  }
}

/** A designator as config gives it. */
export function to(name: string, entrypoint: string | null = null, props: JsonValue = {}): Designator {
  return { name, entrypoint, props };
}
