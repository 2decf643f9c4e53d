import { type ChildProcess, type SendHandle, spawn } from "node:child_process";
import { closeSync } from "node:fs";
import type { Readable } from "node:stream";
import { parseReport, readBlackBox } from "../isolate/watchdog.ts";
import type { MetricsSnapshot } from "../observability/traffic.ts";
import type {
  FromShard,
  ShardFailure,
  ShardInit,
  TestResult,
  TlsChange,
  ToShard,
} from "../shard/protocol.ts";
import { openBlackBox } from "./black-box.ts";
import { shardEnvironment } from "./shard-environment.ts";

/** The shard's descriptors: 0–2 standard, 3 the IPC channel, then these. */
const reportFd = 4;
const blackBoxFd = 5;

/** A watchdog's report is one line; more than this is no report. */
const maxReport = 4096;

/** A shard that has drained has this long to end by itself. */
const exitMs = 2_000;

/** Signals by which a process ends because of what ran in it. */
const crashes: ReadonlySet<string> = new Set([
  "SIGABRT",
  "SIGTRAP",
  "SIGSEGV",
  "SIGBUS",
  "SIGILL",
  "SIGFPE",
  "SIGSYS",
]);

/**
 * Why a shard is gone. `stuck` and `memory` come from its watchdog, `unresponsive` is our own SIGKILL after pings
 * without an answer, `crash` a signal that code inside caused, `killed` any other signal, `exit` an exit code.
 */
export type DeathCause = "stuck" | "memory" | "unresponsive" | "crash" | "killed" | "exit";

export interface ShardDeath {
  readonly cause: DeathCause;
  readonly code: number | null;
  readonly signal: string | null;
  /** The Worker that most likely did it, or null. */
  readonly suspect: string | null;
  /** `drained` was heard: it ended because it was told to. */
  readonly drained: boolean;
}

/** What a shard tells its generation. */
export interface ShardObserver {
  onReady(shard: ShardProcess): void;
  onListening(shard: ShardProcess): void;
  onFailed(shard: ShardProcess, reason: ShardFailure, text: string): void;
  onSnapshot(shard: ShardProcess, snapshot: MetricsSnapshot): void;
  onExit(shard: ShardProcess, death: ShardDeath): void;
  /** A client asks a socket for a name of which the development CA may make a certificate. */
  onLeafWanted?(socket: string, name: string): void;
  /** The answer to `test`. */
  onTested?(results: readonly TestResult[]): void;
}

/** How shards are started. */
export interface ShardProgram {
  readonly entry: string;
  readonly flags: readonly string[];
  /** Of which little is passed on; see `shardEnvironment`. */
  readonly env: NodeJS.ProcessEnv;
}

/** What a shard is to serve. */
export interface ShardTask {
  /** All of the message but what this class fills in. */
  readonly init: Omit<ShardInit, "type" | "reportFd" | "blackBoxFd">;
  readonly sockets: ReadonlyArray<{ readonly name: string; readonly handle: object }>;
}

/**
 * One data-plane process, from its start to its end. It is never restarted; a new one takes its place. It begins by
 * loading code, which needs no config, and gets its task when that is known.
 */
export class ShardProcess {
  readonly pid: number;
  /** Never used for another shard of this supervisor. */
  readonly id: number;
  /** How late the last ping was answered, in milliseconds. */
  delayMs = 0;
  readonly #child: ChildProcess;
  #observer: ShardObserver | null = null;
  #workers: readonly string[] = [];
  readonly #now: () => number;
  #blackBox: number | null;
  #report = "";
  #reportEnded = false;
  #exit: { code: number | null; signal: string | null } | null = null;
  #pingedAt = -1;
  #ping = 0;
  #metricsId = 0;
  #metricsWaiting: Array<() => void> = [];
  #tlsId = 0;
  readonly #tlsWaiting: Map<number, () => void> = new Map();
  #unresponsive = false;
  #drained = false;
  #exitTimer: NodeJS.Timeout | undefined;
  #spawnError = "";

  /** @param now milliseconds of a clock that only goes forward */
  constructor(id: number, program: ShardProgram, now: () => number) {
    this.id = id;
    this.#now = now;
    this.#blackBox = openBlackBox();
    this.#child = spawn(process.execPath, [...program.flags, program.entry], {
      stdio: ["ignore", "inherit", "inherit", "ipc", "pipe", this.#blackBox ?? "ignore"],
      serialization: "advanced",
      env: shardEnvironment(program.env),
    });
    this.pid = this.#child.pid ?? -1;
    this.#child.on("message", (message) => this.#onMessage(message as FromShard));
    this.#child.on("error", (error) => this.#onSpawnError(error));
    this.#child.on("exit", (code, signal) => {
      this.#exit = { code, signal };
      this.#finish();
    });
    const report = this.#child.stdio[reportFd] as Readable | undefined;
    report?.setEncoding("utf8");
    report?.on("data", (text: string) => {
      if (this.#report.length < maxReport) this.#report += text;
    });
    report?.on("error", () => {});
    report?.on("close", () => {
      this.#reportEnded = true;
      this.#finish();
    });
  }

  /** Hands over the sockets, which this process keeps too, and all else that the shard needs. Called once. */
  begin(task: ShardTask, observer: ShardObserver): void {
    this.#observer = observer;
    this.#workers = task.init.workers.map((worker) => worker.name);
    for (const { name, handle } of task.sockets) this.send({ type: "socket", name }, handle as SendHandle);
    this.send({
      ...task.init,
      type: "init",
      reportFd,
      blackBoxFd: this.#blackBox === null ? null : blackBoxFd,
    });
    // It may have died while it waited for its task.
    queueMicrotask(() => this.#finish());
  }

  /** Sends, if the shard still lives: an end that comes in between is told by `onExit`. */
  send(message: ToShard, handle?: SendHandle): void {
    if (this.#exit !== null || !this.#child.connected) return;
    this.#child.send(message, handle, {}, () => {});
  }

  kill(): void {
    if (this.#exit === null) this.#child.kill("SIGKILL");
  }

  /** Sends a ping, or kills the shard when the last one is unanswered for `limitMs`. */
  heartbeat(limitMs: number): void {
    const now = this.#now();
    if (this.#pingedAt < 0) {
      this.#pingedAt = now;
      this.send({ type: "ping", id: ++this.#ping });
    } else if (now - this.#pingedAt > limitMs) {
      this.#unresponsive = true;
      this.kill();
    }
  }

  /** Sends the change. Resolves when it holds, the shard ended, or `timeoutMs` passed. */
  changeTls(change: TlsChange, timeoutMs: number): Promise<void> {
    if (this.#exit !== null || this.#drained || !this.#child.connected) return Promise.resolve();
    const id = ++this.#tlsId;
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#tlsWaiting.get(id)?.(), timeoutMs);
      this.#tlsWaiting.set(id, () => {
        this.#tlsWaiting.delete(id);
        clearTimeout(timer);
        resolve();
      });
      this.send({ ...change, id });
    });
  }

  /** Asks for the counts. Resolves when they came (see `onSnapshot`), the shard ended, or `timeoutMs` passed. */
  refreshMetrics(timeoutMs: number): Promise<void> {
    if (this.#exit !== null || this.#drained || !this.#child.connected) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      this.#metricsWaiting.push(() => {
        clearTimeout(timer);
        resolve();
      });
      if (this.#metricsWaiting.length === 1) this.send({ type: "metrics", id: ++this.#metricsId });
    });
  }

  #onMessage(message: FromShard): void {
    switch (message.type) {
      case "ready":
        this.#observer?.onReady(this);
        return;
      case "listening":
        this.#observer?.onListening(this);
        return;
      case "failed":
        this.#observer?.onFailed(this, message.reason, message.text);
        return;
      case "pong":
        if (message.id === this.#ping) {
          this.delayMs = this.#now() - this.#pingedAt;
          this.#pingedAt = -1;
        }
        return;
      case "metrics":
        this.#observer?.onSnapshot(this, message.snapshot);
        this.#releaseMetrics();
        return;
      case "tls":
        this.#tlsWaiting.get(message.id)?.();
        return;
      case "leaf":
        this.#observer?.onLeafWanted?.(message.socket, message.name);
        return;
      case "tested":
        this.#observer?.onTested?.(message.results);
        return;
      case "drained":
        this.#drained = true;
        this.#exitTimer = setTimeout(() => this.kill(), exitMs);
        this.#observer?.onSnapshot(this, message.snapshot);
        this.#releaseMetrics();
        return;
    }
  }

  #releaseMetrics(): void {
    const waiting = this.#metricsWaiting;
    this.#metricsWaiting = [];
    for (const each of waiting) each();
  }

  #onSpawnError(error: Error): void {
    if (this.#child.pid !== undefined) return;
    this.#spawnError = `cannot start a shard: ${error.message}`;
    this.#reportEnded = true;
    this.#exit = { code: null, signal: null };
    this.#finish();
  }

  /** The end is known once the process has exited and its last words are read. */
  #finish(): void {
    const observer = this.#observer;
    if (this.#exit === null || !this.#reportEnded || observer === null) return;
    this.#observer = null;
    if (this.#spawnError !== "") observer.onFailed(this, "internal", this.#spawnError);
    const { code, signal } = this.#exit;
    clearTimeout(this.#exitTimer);
    this.#releaseMetrics();
    for (const release of [...this.#tlsWaiting.values()]) release();
    const report = parseReport(this.#report.split("\n", 1)[0] ?? "");
    let cause: DeathCause = code === null ? "killed" : "exit";
    if (signal !== null && crashes.has(signal)) cause = "crash";
    if (this.#unresponsive) cause = "unresponsive";
    if (report !== null) cause = report.event;
    let index = report?.worker ?? -1;
    if (index < 0 && (cause === "crash" || cause === "unresponsive" || cause === "memory")) {
      index = this.#blackBox === null ? -1 : readBlackBox(this.#blackBox);
    }
    if (this.#blackBox !== null) closeSync(this.#blackBox);
    this.#blackBox = null;
    const suspect = this.#workers[index] ?? null;
    observer.onExit(this, { cause, code, signal, suspect, drained: this.#drained });
  }
}
