import { randomBytes } from "node:crypto";
import type { Diagnostic } from "../config/diagnostic.ts";
import type { ProxyConfig } from "../config/schema/proxy.ts";
import type { SocketConfig } from "../config/schema/socket.ts";
import type { LogFields, LogLevel } from "../observability/log.ts";
import { chooseLogSettings, type LogSettings, ProcessLog } from "../observability/process-log.ts";
import type { MetricsSnapshot } from "../observability/traffic.ts";
import type { TlsChange, TlsHandover, UsersChange } from "../shard/protocol.ts";
import type { AdminServer } from "./admin.ts";
import { CertificateKeeper, type KeeperHost } from "./certificate-keeper.ts";
import { describeDeath, Generation, GenerationError, type GenerationHost } from "./generation.ts";
import { ListenError, ListeningSockets, type OpenSocket } from "./listening-sockets.ts";
import type { MetricsPage } from "./metrics-page.ts";
import { type ConfigSource, type Prepared, prepareRevision } from "./prepare.ts";
import { Quarantine } from "./quarantine.ts";
import type { Revision } from "./revision.ts";
import type { ShardDeath, ShardProcess, ShardProgram } from "./shard-process.ts";
import { SupervisorMetrics, type SupervisorState } from "./supervisor-metrics.ts";
import { UserFileKeeper, type UserKeeperHost } from "./user-file-keeper.ts";
import { FileWatcher } from "./watcher.ts";

export interface SupervisorOptions {
  readonly source: ConfigSource;
  readonly watch: boolean;
  readonly program: ShardProgram;
  /** The first shard, already loading its code while the supervisor loads its own. */
  readonly spare: ShardProcess | null;
  readonly logLevel: LogLevel;
  /** Standard error is a terminal. */
  readonly isTerminal: boolean;
  readonly noColour: boolean;
  /** Writes diagnostics for people to standard error. */
  readonly showDiagnostics: (diagnostics: readonly Diagnostic[]) => void;
  /** Milliseconds of a clock that only goes forward. */
  readonly now: () => number;
}

/** Why serving could not begin. */
export class StartError extends Error {
  /** `config`: its diagnostics are shown already, the message is empty. `listen`: a socket cannot be opened. */
  readonly reason: "config" | "listen" | "shard";

  constructor(reason: "config" | "listen" | "shard", message: string) {
    super(message);
    this.reason = reason;
  }
}

/** How often counts are fetched, so that little is lost when a shard dies. */
const collectMs = 5_000;
/** An idle connection may bring a request that was on its way for at most so long after a drain began. */
const longestGraceMs = 1_000;
/** More generations than this do not drain at once: each holds its shards' memory. */
const maxDraining = 4;

/** Owns the listening sockets, the generations of shards, and the admin endpoint. Parses nothing from a client. */
export class Supervisor implements GenerationHost, KeeperHost, UserKeeperHost {
  readonly program: ShardProgram;
  readonly secret: Uint8Array = randomBytes(32);
  readonly now: () => number;
  readonly #options: SupervisorOptions;
  readonly #sockets: ListeningSockets;
  readonly #metrics: SupervisorMetrics = new SupervisorMetrics();
  readonly #quarantine: Quarantine;
  readonly #certificates: CertificateKeeper;
  readonly #users: UserFileKeeper = new UserFileKeeper(this);
  readonly #watcher: FileWatcher | null;
  readonly #draining: Map<Generation, Promise<unknown>> = new Map();
  #log: ProcessLog | null = null;
  #current: Generation | null = null;
  /** The generation that is being started, by `start` or a reload. */
  #next: Generation | null = null;
  #admin: AdminServer | null = null;
  #spare: ShardProcess | null;
  #generations = 0;
  #shardIds = 0;
  #reloading: Promise<boolean> | null = null;
  #reloadAgain = false;
  #stopping = false;
  #collector: NodeJS.Timeout | undefined;
  #release: NodeJS.Timeout | undefined;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.program = options.program;
    this.now = options.now;
    this.#spare = options.spare;
    this.#sockets = new ListeningSockets(options.source.env);
    this.#certificates = new CertificateKeeper(this, options.source.env);
    this.#quarantine = new Quarantine(options.now);
    this.#watcher = options.watch ? new FileWatcher(() => void this.reload("a file changed")) : null;
  }

  /** Begins to serve: when it resolves, every socket listens. @throws StartError after closing what was opened */
  async start(): Promise<void> {
    try {
      const prepared = await prepareRevision(this.#options.source);
      this.#options.showDiagnostics(prepared.diagnostics);
      const { revision } = prepared;
      if (revision === null) throw new StartError("config", "");
      await this.#begin(revision);
    } catch (error) {
      this.kill();
      this.#closeAll();
      if (error instanceof StartError) throw error;
      const text = error instanceof Error ? error.message : String(error);
      const listen =
        error instanceof ListenError || (error instanceof GenerationError && error.reason === "listen");
      throw new StartError(listen ? "listen" : "shard", text);
    }
    this.#collector = setInterval(() => void this.#metrics.collect(this.#state), collectMs);
  }

  async #begin(revision: Revision): Promise<void> {
    const { config } = revision;
    const sockets = await this.#sockets.open(config.sockets);
    const settings = this.#logSettings(config);
    this.#log = new ProcessLog(settings);
    // Shards take their time in other processes, the endpoint in loading code, so neither waits for the other.
    const launched = this.#launch(revision, sockets, settings);
    const [opened] = await Promise.allSettled([this.#openAdmin(config), launched]);
    if (opened.status === "rejected") throw opened.reason;
    this.#admin = opened.value;
    await launched;
    this.#announce(sockets, config);
    this.#watcher?.watch(revision.files);
  }

  /**
   * Reads the config anew and goes over to it; whatever fails, the running revision stays. A call during a reload makes
   * it run once more.
   *
   * @param cause for the log
   * @returns false when it failed
   */
  reload(cause: string): Promise<boolean> {
    if (this.#stopping || this.#current === null) return Promise.resolve(false);
    if (this.#reloading !== null) {
      this.#reloadAgain = true;
      return this.#reloading;
    }
    this.#reloading = this.#reloadUntilSteady(cause).finally(() => {
      this.#reloading = null;
    });
    return this.#reloading;
  }

  /** Drains and ends everything, within the config's `drainTimeout`. */
  async stop(cause: string): Promise<void> {
    if (this.#stopping) return;
    this.#stopping = true;
    this.takeSpare()?.kill();
    this.#watcher?.close();
    this.#certificates.close();
    this.#next?.kill();
    const current = this.#current;
    if (current !== null) {
      this.#log?.logger.log("info", "supervisor.stopping", `${cause}: finishing the exchanges in progress`);
      this.#drain(current);
    }
    // With the shards' copies closed as they begin to drain, new clients are refused at once and do not wait in vain.
    this.#sockets.closeAll();
    await this.#reloading;
    await Promise.all(this.#draining.values());
    this.#closeAll();
    this.#log?.logger.log("info", "supervisor.stopped", "stopped");
    this.#log?.flushSync();
  }

  /** Ends every shard at once. */
  kill(): void {
    this.takeSpare()?.kill();
    this.#next?.kill();
    this.#current?.kill();
    for (const generation of this.#draining.keys()) generation.kill();
    this.#log?.flushSync();
  }

  /** True when every socket listens and nothing is being ended. */
  get ready(): boolean {
    const current = this.#current;
    return !this.#stopping && current !== null && current.state === "serving" && current.listening > 0;
  }

  /** The counts of all shards, fetched now. */
  metrics(): Promise<MetricsPage> {
    return this.#metrics.page(this.#state);
  }

  upstreams(): Promise<string> {
    return this.#metrics.upstreams(this.#state);
  }

  nextShardId(): number {
    return ++this.#shardIds;
  }

  takeSpare(): ShardProcess | null {
    const spare = this.#spare;
    this.#spare = null;
    return spare;
  }

  quarantined(): readonly string[] {
    return this.#quarantine.current();
  }

  tlsOf(revision: Revision): TlsHandover {
    return this.#certificates.handover(revision);
  }

  async changeTls(changeOf: (revision: Revision) => TlsChange | null): Promise<void> {
    const generations = new Set([this.#current, this.#next]);
    await Promise.all(
      Array.from(generations, (generation) => {
        const change = generation === null ? null : changeOf(generation.revision);
        return change === null ? undefined : generation?.changeTls(change);
      }),
    );
  }

  userFilesOf(revision: Revision): Readonly<Record<string, string>> {
    return this.#users.handover(revision);
  }

  onUsersChange(change: UsersChange): void {
    this.#current?.sendUsers(change);
  }

  onLeafWanted(revision: Revision, socket: string, name: string): void {
    void this.#certificates.makeLeaf(revision, socket, name);
  }

  onSnapshot(shard: number, snapshot: MetricsSnapshot): void {
    this.#metrics.update(shard, snapshot);
  }

  onShardGone(generation: Generation, shard: ShardProcess, death: ShardDeath, restartMs: number): void {
    this.#metrics.retire(shard.id);
    if (restartMs < 0) {
      if (
        generation.state === "draining" &&
        !death.drained &&
        death.code !== 0 &&
        generation !== this.#next
      ) {
        this.event("warn", "shard.killed", `a shard ended before it had drained: ${describeDeath(death)}`, {
          generation: generation.number,
          pid: shard.pid,
        });
      }
      return;
    }
    this.#metrics.restarted(death.cause);
    const again = restartMs === 0 ? "starting another" : `starting another in ${restartMs} ms`;
    this.event("error", "shard.died", `a shard died: ${describeDeath(death)}; ${again}`, {
      generation: generation.number,
      pid: shard.pid,
      cause: death.cause,
      signal: death.signal,
      code: death.code,
      worker: death.suspect,
    });
    if (death.suspect !== null) this.#strike(death.suspect);
  }

  onShardFailed(generation: Generation, text: string): void {
    this.event("error", "shard.failed", text, { generation: generation.number });
  }

  async #reloadUntilSteady(cause: string): Promise<boolean> {
    let done = false;
    do {
      this.#reloadAgain = false;
      done = await this.#reloadOnce(cause);
    } while (this.#reloadAgain && !this.#stopping);
    return done;
  }

  async #reloadOnce(cause: string): Promise<boolean> {
    const old = this.#current;
    if (old === null) return false;
    while (this.#draining.size >= maxDraining) await Promise.race(this.#draining.values());
    let prepared: Prepared | null = null;
    try {
      prepared = await prepareRevision(this.#options.source);
      this.#options.showDiagnostics(prepared.diagnostics);
      const { revision } = prepared;
      if (revision === null) throw new Error("the config has errors");
      await this.#change(old, revision);
    } catch (error) {
      if (this.#stopping) return false;
      this.#sockets.closeOthers(old.revision.config.sockets);
      this.#metrics.reloaded("failed");
      const reason = error instanceof Error ? error.message : String(error);
      this.event("error", "reload.failed", `cannot reload (${cause}): ${reason}; the running config stays`, {
        generation: old.number,
      });
      // The files of both: the next save may mend the new one, or take it back.
      this.#watcher?.watch([...old.revision.files, ...(prepared?.files ?? [])]);
      return false;
    }
    this.#metrics.reloaded("ok");
    this.event("info", "reload.done", `reloaded (${cause})`, { generation: this.#current?.number });
    this.#watcher?.watch(this.#current?.revision.files ?? []);
    return true;
  }

  /** Starts a generation on the revision; when it serves, the old one drains. */
  async #change(old: Generation, revision: Revision): Promise<void> {
    const { config } = revision;
    const sockets = await this.#sockets.open(config.sockets);
    const moved = config.admin?.address !== old.revision.config.admin?.address;
    const admin = moved ? await this.#openAdmin(config) : null;
    const log = this.#logSettings(config);
    try {
      await this.#launch(revision, sockets, log);
    } catch (error) {
      admin?.close();
      throw error;
    }
    if (moved) {
      this.#admin?.close();
      this.#admin = admin;
    }
    this.#log = new ProcessLog(log);
    this.#forgetChanged(old.revision, revision);
    const known = new Set(Object.values(old.revision.config.sockets).map((socket) => socket.address));
    this.#announce(
      sockets.filter((socket) => !known.has(config.sockets[socket.name]?.address ?? "")),
      config,
    );
    this.#drain(old);
    this.#sockets.closeOthers(config.sockets);
  }

  /** Makes the revision the current one, or throws and leaves nothing of it behind. */
  async #launch(revision: Revision, sockets: readonly OpenSocket[], log: LogSettings): Promise<void> {
    const generation = new Generation(++this.#generations, revision, sockets, log, this);
    this.#next = generation;
    try {
      if (this.#stopping)
        throw new GenerationError("internal", "cannot start a shard: it is no longer wanted");
      await this.#certificates.open(revision);
      await generation.start();
      await generation.listen();
      this.#metrics.learn(revision);
      this.#current = generation;
      this.#certificates.adopt(revision);
      this.#users.adopt(revision);
    } catch (error) {
      generation.kill();
      throw error;
    } finally {
      this.#next = null;
    }
  }

  #drain(generation: Generation): void {
    const { drainTimeout } = generation.revision.config;
    // Killing takes a moment too, and all of it must fit into the time that config gives; 0 is no limit.
    const timeout = drainTimeout - Math.min(500, drainTimeout / 10);
    const grace = drainTimeout === 0 ? longestGraceMs : Math.min(longestGraceMs, drainTimeout / 4);
    const ended = generation.drain(grace, timeout, this.#stopping).then((killed) => {
      this.#draining.delete(generation);
      if (killed === 0) return;
      this.event(
        "warn",
        "drain.timeout",
        `${killed} shards had not finished within drainTimeout, and were killed`,
        {
          generation: generation.number,
        },
      );
    });
    this.#draining.set(generation, ended);
  }

  async #openAdmin(config: ProxyConfig): Promise<AdminServer | null> {
    if (config.admin === undefined) return null;
    // Node's HTTP server takes a while to load, and only the endpoint needs it.
    const { AdminServer } = await import("./admin.ts");
    return AdminServer.open(config.admin.address, this);
  }

  #announce(sockets: readonly OpenSocket[], config: ProxyConfig): void {
    for (const { name, shown } of sockets) {
      const socket = config.sockets[name];
      const target = socket?.service.name;
      const url =
        shown.includes(":/") || shown.startsWith("unix-") ? shown : `${schemeOf(socket)}://${shown}`;
      if ((socket?.tls?.development ?? false) !== false) {
        this.#log?.say(
          `the certificate of ${name} is of the development CA: sluice cert install makes this machine trust it`,
        );
      }
      this.#log?.say(`listening on ${url} (${name} → ${target})`);
    }
  }

  #logSettings(config: ProxyConfig): LogSettings {
    const { logLevel, isTerminal, noColour } = this.#options;
    return chooseLogSettings(config.log, logLevel, isTerminal, noColour);
  }

  get #state(): SupervisorState {
    const draining = [...this.#draining.keys()];
    const current = this.#current;
    const serving = current === null || this.#draining.has(current) ? null : current;
    const quarantined = this.#quarantine.current();
    return { serving, draining, quarantined, certificates: this.#certificates.metrics() };
  }

  #strike(worker: string): void {
    const termMs = this.#quarantine.strike(worker);
    if (termMs === 0) return;
    this.#metrics.quarantined(worker);
    this.event(
      "error",
      "worker.quarantined",
      `Worker "${worker}" ends shards, and is not run for ${termMs / 1000} s`,
      {
        worker,
      },
    );
    this.#sendQuarantine();
  }

  /** Tells the shards who is in quarantine, and again when the next term ends. */
  #sendQuarantine(): void {
    clearTimeout(this.#release);
    const workers = this.#quarantine.current();
    this.#current?.sendQuarantine(workers);
    this.#next?.sendQuarantine(workers);
    for (const generation of this.#draining.keys()) generation.sendQuarantine(workers);
    const next = this.#quarantine.nextReleaseMs();
    if (next >= 0) this.#release = setTimeout(() => this.#sendQuarantine(), next + 1);
  }

  #forgetChanged(before: Revision, after: Revision): void {
    const hashes = new Map(after.workers.map((worker) => [worker.name, worker.hash]));
    for (const { name, hash } of before.workers) {
      if (hashes.get(name) !== hash) this.#quarantine.forget(name);
    }
    this.#sendQuarantine();
  }

  event(level: LogLevel, event: string, message: string, fields: LogFields): void {
    this.#log?.logger.log(level, event, message, fields);
  }

  #closeAll(): void {
    clearInterval(this.#collector);
    clearTimeout(this.#release);
    this.#certificates.close();
    this.#users.close();
    this.#watcher?.close();
    this.#admin?.close();
    this.#sockets.closeAll();
  }
}

/** What a socket speaks, as the scheme of a URL. */
function schemeOf(socket: SocketConfig | undefined): string {
  const isSecure = socket?.tls !== undefined;
  if (socket?.tcp !== undefined) return isSecure ? "tls" : "tcp";
  if (socket?.socks !== undefined) return "socks5";
  return isSecure ? "https" : "http";
}
