import type { AcmeSocket } from "../acme/settings.ts";
import type { CertificateFiles } from "../config/certificates.ts";
import type { ProxyConfig } from "../config/schema/proxy.ts";
import type { CompiledWorker, RuntimeScript } from "../isolate/environment.ts";

/** One immutable loaded configuration: everything that shards are built from. */
export interface Revision {
  readonly config: ProxyConfig;
  /** In the order that fixes a Worker's index for the watchdog. */
  readonly workers: readonly CompiledWorker[];
  readonly runtime: RuntimeScript;
  /** Absolute paths of all files that it was made of, for `--watch`. */
  readonly files: readonly string[];
  /** Where the certificates of its sockets come from. */
  readonly certificates: readonly CertificateFiles[];
  /** Sockets whose certificates an authority issues. */
  readonly acme: readonly AcmeSocket[];
  /** The contents of its files of users, by absolute path. */
  readonly userFiles: Readonly<Record<string, string>>;
  /** How many shards run it. */
  readonly shards: number;
}

/** The kind of each service as config has it, `worker` for Workers. */
export function serviceKind(revision: Revision, name: string): string {
  const service = revision.config.services[name];
  return service === undefined ? "unknown" : (Object.keys(service)[0] ?? "unknown");
}
