import type { ProxyConfig } from "../config/schema/proxy.ts";
import type { CompiledWorker, RuntimeScript } from "../isolate/environment.ts";
import type { LogSettings } from "../observability/process-log.ts";
import type { MetricsSnapshot } from "../observability/traffic.ts";
import type { ServedKeypair } from "../tls/acceptor.ts";
import type { AcmeChallenges } from "../tls/acme-challenges.ts";

/** All that a shard needs to build its data plane, after its sockets have come. It reads no config file by itself. */
export interface ShardInit {
  readonly type: "init";
  readonly generation: number;
  /** Position among the generation's shards. */
  readonly shard: number;
  readonly config: ProxyConfig;
  readonly workers: readonly CompiledWorker[];
  readonly runtime: RuntimeScript;
  readonly quarantined: readonly string[];
  readonly log: LogSettings;
  /** Where the watchdog thread writes its last words before it ends the process. */
  readonly reportFd: number;
  /** Where the watchdog notes which Worker runs, for the time after a crash; null where no such file can be had. */
  readonly blackBoxFd: number | null;
  readonly tls: TlsHandover;
  /** Drawn when the supervisor starts; see `ServiceContext.secret`. */
  readonly secret: Uint8Array;
  /** The contents of files of users, by absolute path as the config has it. */
  readonly userFiles: Readonly<Record<string, string>>;
}

/** What the supervisor keeps of TLS, for all shards alike. */
export interface TlsHandover {
  /** 48 bytes, for session tickets. */
  readonly ticketKeys: Uint8Array;
  /** By socket, in place of those in the config: their files have changed since. */
  readonly certificates: Readonly<Record<string, readonly ServedKeypair[]>>;
  /** What authorities may ask for now; it replaces what was said before. */
  readonly challenges: AcmeChallenges;
}

export type ToShard =
  /**
   * Comes with a descriptor, once for each socket, before `init`: it is bound, and listens from the first shard's
   * `listen` on. Sent and not inherited, so that a process can be started before the config is known.
   */
  | { readonly type: "socket"; readonly name: string }
  | ShardInit
  /** Take connections; sent once every shard of the generation is ready. */
  | { readonly type: "listen" }
  | { readonly type: "ping"; readonly id: number }
  | { readonly type: "metrics"; readonly id: number }
  /** Call the `test` handlers whose name contains the filter, one after another; null calls all. */
  | { readonly type: "test"; readonly filter: string | null }
  /** The Workers that are not to be run for now; replaces what was said before. */
  | { readonly type: "quarantine"; readonly workers: readonly string[] }
  | TlsChange
  | UsersChange
  /** Stop accepting, finish the exchanges, exit. @see ShardDrain */
  | ShardDrain;

/** What is given is used from now on, for new connections. */
export interface TlsChange extends Partial<TlsHandover> {
  readonly type: "tls";
  /** The shard answers `tls` with it as soon as that is so. */
  readonly id?: number;
}

/** Files of users with other contents, which hold for whoever comes next. */
export interface UsersChange {
  readonly type: "users";
  readonly files: Readonly<Record<string, string>>;
}

export interface ShardDrain {
  readonly type: "drain";
  /** For so many milliseconds an idle connection may still bring the request that was on its way. */
  readonly graceMs: number;
  /** No other generation takes over: the proxy is ending. */
  readonly isLast: boolean;
}

/** `listen`: a descriptor does not listen. `worker`: a Worker does not start. `internal`: anything else. */
export type ShardFailure = "listen" | "worker" | "internal";

export type FromShard =
  | { readonly type: "ready" }
  | { readonly type: "listening" }
  | { readonly type: "failed"; readonly reason: ShardFailure; readonly text: string }
  | { readonly type: "pong"; readonly id: number }
  | { readonly type: "metrics"; readonly id: number; readonly snapshot: MetricsSnapshot }
  | { readonly type: "tls"; readonly id: number }
  /** A client wants a certificate of the development CA for this name; it comes as a `TlsChange`. */
  | { readonly type: "leaf"; readonly socket: string; readonly name: string }
  | { readonly type: "tested"; readonly results: readonly TestResult[] }
  /** Nothing is open any more; the process ends by itself after this. */
  | { readonly type: "drained"; readonly snapshot: MetricsSnapshot };

/** How one `test` handler ended. */
export interface TestResult {
  /** The Worker's name, and after a slash that of its entrypoint unless it is the default one. */
  readonly name: string;
  readonly ms: number;
  /** What went wrong, with the mapped stack where there is one; empty when it passed. */
  readonly problem: string;
}
