import type { LogSettings } from "../observability/process-log.ts";
import type { MetricsSnapshot } from "../observability/traffic.ts";
import type { ShardFailure, TlsChange, TlsHandover, UsersChange } from "../shard/protocol.ts";
import { Backoff } from "./backoff.ts";
import type { OpenSocket } from "./listening-sockets.ts";
import type { Revision } from "./revision.ts";
import { type ShardDeath, type ShardObserver, ShardProcess, type ShardProgram } from "./shard-process.ts";

/** Why a generation cannot serve. */
export class GenerationError extends Error {
  readonly reason: ShardFailure;

  constructor(reason: ShardFailure, message: string) {
    super(message);
    this.reason = reason;
  }
}

/** What a generation lives in, and tells. */
export interface GenerationHost {
  readonly program: ShardProgram;
  /** Random bytes, the same for all generations. */
  readonly secret: Uint8Array;
  /** Milliseconds of a clock that only goes forward. */
  now(): number;
  nextShardId(): number;
  /** A process that was started ahead, once. */
  takeSpare(): ShardProcess | null;
  quarantined(): readonly string[];
  tlsOf(revision: Revision): TlsHandover;
  /** The contents of the revision's files of users as they are now, by absolute path. */
  userFilesOf(revision: Revision): Readonly<Record<string, string>>;
  onLeafWanted(revision: Revision, socket: string, name: string): void;
  onSnapshot(shard: number, snapshot: MetricsSnapshot): void;
  /** A shard is gone. @param restartMs when its successor starts, or -1 when there is none */
  onShardGone(generation: Generation, shard: ShardProcess, death: ShardDeath, restartMs: number): void;
  /** A shard of a generation that serves already could not start; it is tried again. */
  onShardFailed(generation: Generation, text: string): void;
}

/** How often shards are pinged, and how long one may leave a ping unanswered before it is killed. */
const pingMs = 1_000;
const unresponsiveMs = 5_000;
/** A shard that does not say by then that it uses a change of TLS is busy, and uses it when it comes to it. */
const tlsMs = 2_000;
/** A shard that is not ready by then never will be. */
const startMs = 60_000;

/**
 * `starting`: shards build and compile. `ready`: all could serve, none listens. `serving`: they listen, and one that
 * dies is replaced. `draining`: no new connections. `ended`: all processes are gone.
 */
type State = "starting" | "ready" | "serving" | "draining" | "ended";

/** The place of one shard; processes come and go in it. */
interface Slot {
  readonly index: number;
  readonly backoff: Backoff;
  shard: ShardProcess | null;
  startedAt: number;
  /** Whether the shard in it is ready, or listens. */
  stage: "starting" | "ready" | "listening";
  restart: NodeJS.Timeout | null;
}

/** The shards that run one revision. */
export class Generation implements ShardObserver {
  readonly number: number;
  readonly revision: Revision;
  readonly #host: GenerationHost;
  readonly #sockets: readonly OpenSocket[];
  readonly #log: LogSettings;
  readonly #slots: Slot[] = [];
  #state: State = "starting";
  #failure: GenerationError | null = null;
  #target: "ready" | "listening" = "ready";
  #waiting: { resolve(): void; reject(error: GenerationError): void } | null = null;
  #ended: (() => void) | null = null;
  readonly #heartbeat: NodeJS.Timeout;

  constructor(
    number: number,
    revision: Revision,
    sockets: readonly OpenSocket[],
    log: LogSettings,
    host: GenerationHost,
  ) {
    this.number = number;
    this.revision = revision;
    this.#sockets = sockets;
    this.#log = log;
    this.#host = host;
    for (let index = 0; index < revision.shards; index++) {
      this.#slots.push({
        index,
        backoff: new Backoff(),
        shard: null,
        startedAt: 0,
        stage: "starting",
        restart: null,
      });
    }
    this.#heartbeat = setInterval(() => this.#beat(), pingMs);
  }

  get state(): State {
    return this.#state;
  }

  /** The processes that live right now. */
  get shards(): ShardProcess[] {
    return this.#slots.flatMap((slot) => slot.shard ?? []);
  }

  /** Shards that take connections. */
  get listening(): number {
    return this.#slots.filter((slot) => slot.shard !== null && slot.stage === "listening").length;
  }

  /** Starts the processes; resolves when each has compiled its Workers and could serve. @throws GenerationError */
  async start(): Promise<void> {
    for (const slot of this.#slots) this.#launch(slot);
    await this.#all("ready");
    this.#state = "ready";
  }

  /** Lets the shards take connections; resolves when each does. @throws GenerationError */
  async listen(): Promise<void> {
    for (const slot of this.#slots) slot.shard?.send({ type: "listen" });
    await this.#all("listening");
    this.#state = "serving";
  }

  /**
   * Takes no new connections, finishes what runs, and ends.
   *
   * @param timeoutMs after which what is not finished is killed; 0 is never
   * @param graceMs how long an idle connection may still bring a request that was on its way
   * @param isLast no other generation takes over
   * @returns when every process is gone, how many had to be killed
   */
  async drain(graceMs: number, timeoutMs: number, isLast: boolean): Promise<number> {
    if (this.#state === "ended") return 0;
    this.#state = "draining";
    for (const slot of this.#slots) {
      if (slot.restart !== null) clearTimeout(slot.restart);
      slot.restart = null;
      slot.shard?.send({ type: "drain", graceMs, isLast });
    }
    let killed = 0;
    const cutOff = (): void => {
      killed = this.shards.length;
      this.kill();
    };
    const timer = timeoutMs > 0 ? setTimeout(cutOff, timeoutMs) : undefined;
    await this.#end();
    clearTimeout(timer);
    return killed;
  }

  /** Ends every process at once. */
  kill(): void {
    if (this.#state === "ended") return;
    this.#state = "draining";
    for (const slot of this.#slots) {
      if (slot.restart !== null) clearTimeout(slot.restart);
      slot.restart = null;
      slot.shard?.kill();
    }
    this.#settle();
  }

  sendQuarantine(workers: readonly string[]): void {
    for (const shard of this.shards) shard.send({ type: "quarantine", workers });
  }

  /** Resolves when it holds in every shard, or in those that answer in time. */
  async changeTls(change: TlsChange): Promise<void> {
    await Promise.all(this.shards.map((shard) => shard.changeTls(change, tlsMs)));
  }

  sendUsers(change: UsersChange): void {
    for (const shard of this.shards) shard.send(change);
  }

  onReady(shard: ShardProcess): void {
    const slot = this.#slotOf(shard);
    if (slot === undefined) return;
    slot.stage = "ready";
    // A replacement joins a generation that serves; the first shards wait for one another.
    if (this.#state === "serving") shard.send({ type: "listen" });
    this.#settle();
  }

  onListening(shard: ShardProcess): void {
    const slot = this.#slotOf(shard);
    if (slot !== undefined) slot.stage = "listening";
    this.#settle();
  }

  onFailed(shard: ShardProcess, reason: ShardFailure, text: string): void {
    if (this.#state === "starting" || this.#state === "ready") {
      this.#fail(new GenerationError(reason, text));
    } else {
      this.#host.onShardFailed(this, text);
    }
    shard.kill();
  }

  onLeafWanted(socket: string, name: string): void {
    this.#host.onLeafWanted(this.revision, socket, name);
  }

  onSnapshot(shard: ShardProcess, snapshot: MetricsSnapshot): void {
    this.#host.onSnapshot(shard.id, snapshot);
  }

  onExit(shard: ShardProcess, death: ShardDeath): void {
    const slot = this.#slotOf(shard);
    if (slot === undefined) return;
    slot.shard = null;
    let restartMs = -1;
    if (this.#state === "serving") {
      // A Worker that ends shards is quarantined for it, so that others need not wait because of it.
      restartMs = death.suspect === null ? slot.backoff.next(this.#host.now() - slot.startedAt) : 0;
      slot.restart = setTimeout(() => {
        slot.restart = null;
        this.#launch(slot);
      }, restartMs);
    } else if (this.#state === "starting" || this.#state === "ready") {
      this.#fail(new GenerationError("internal", `cannot start a shard: ${describeDeath(death)}`));
    }
    this.#host.onShardGone(this, shard, death, restartMs);
    this.#settle();
  }

  #launch(slot: Slot): void {
    const { config, workers, runtime } = this.revision;
    slot.startedAt = this.#host.now();
    slot.stage = "starting";
    const host = this.#host;
    slot.shard = host.takeSpare() ?? new ShardProcess(host.nextShardId(), host.program, host.now);
    slot.shard.begin(
      {
        sockets: this.#sockets,
        init: {
          generation: this.number,
          shard: slot.index,
          config,
          workers,
          runtime,
          quarantined: host.quarantined(),
          log: this.#log,
          tls: host.tlsOf(this.revision),
          secret: host.secret,
          userFiles: host.userFilesOf(this.revision),
        },
      },
      this,
    );
  }

  #slotOf(shard: ShardProcess): Slot | undefined {
    return this.#slots.find((slot) => slot.shard === shard);
  }

  #beat(): void {
    for (const slot of this.#slots) {
      if (slot.shard === null) continue;
      if (slot.stage !== "starting") slot.shard.heartbeat(unresponsiveMs);
      else if (this.#host.now() - slot.startedAt > startMs) {
        this.onFailed(
          slot.shard,
          "internal",
          `cannot start a shard: it was not ready within ${startMs / 1000} s`,
        );
      }
    }
  }

  #all(stage: "ready" | "listening"): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#target = stage;
      this.#settle();
    });
  }

  #fail(error: GenerationError): void {
    this.#failure ??= error;
    this.#settle();
  }

  /** Tells whoever waits for a stage, or for the end, once it is reached. */
  #settle(): void {
    const waiting = this.#waiting;
    if (waiting !== null) {
      const stages = this.#slots.map((slot) => (slot.shard === null ? "starting" : slot.stage));
      const reached = (each: string) => each === "listening" || each === this.#target;
      if (this.#failure !== null) {
        this.#waiting = null;
        waiting.reject(this.#failure);
      } else if (this.#state === "draining") {
        this.#waiting = null;
        waiting.reject(new GenerationError("internal", "cannot start a shard: it is no longer wanted"));
      } else if (stages.every(reached)) {
        this.#waiting = null;
        waiting.resolve();
      }
    }
    if (this.#state === "draining" && this.shards.length === 0) {
      this.#state = "ended";
      clearInterval(this.#heartbeat);
      this.#ended?.();
    }
  }

  #end(): Promise<void> {
    return new Promise((resolve) => {
      this.#ended = resolve;
      if (this.#state === "ended") resolve();
      this.#settle();
    });
  }
}

/** `signal SIGABRT, while Worker "api" ran`. */
export function describeDeath(death: ShardDeath): string {
  const how = death.signal !== null ? `signal ${death.signal}` : `exit code ${death.code}`;
  const why = { stuck: "a Worker ran on", memory: "memory ran out", unresponsive: "it answered no ping" };
  const cause = death.cause in why ? `${why[death.cause as keyof typeof why]}, ${how}` : how;
  return death.suspect === null ? cause : `${cause}, while Worker "${death.suspect}" ran`;
}
