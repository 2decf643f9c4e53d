import { randomBytes } from "node:crypto";
import { statSync } from "node:fs";
import { type CertificateFiles, type Keypair, readKeypair } from "../config/certificates.ts";
import { type ConfigHost, machine } from "../config/host.ts";
import type { LogFields, LogLevel } from "../observability/log.ts";
import type { TlsChange, TlsHandover } from "../shard/protocol.ts";
import type { Revision } from "./revision.ts";

/** What the keeper tells. */
export interface KeeperHost {
  /** Shards of the current revision are to use this from now on. */
  onTlsChange(change: TlsChange): void;
  event(level: LogLevel, event: string, message: string, fields: LogFields): void;
}

/**
 * How often the files are looked at. What watches files for changes does not see a symbolic link on their way put into
 * another place, which is how Kubernetes and certbot renew them.
 */
const lookMs = 2_000;

/** Node.js takes one set of keys for session tickets at a time: who comes with an older ticket shakes hands in full. */
const rotateMs = 12 * 3_600_000;

/** Keys of AES and HMAC, and their name (48 bytes, as `tls.Server.setTicketKeys` wants them). */
const ticketKeyBytes = 48;

/**
 * The certificates of the running revision as they stand in their files now, and the keys of session tickets that all
 * shards share. Files that do not go together, because one of them is still being written, change nothing.
 */
export class CertificateKeeper {
  readonly #host: KeeperHost;
  readonly #files: ConfigHost;
  #ticketKeys: Uint8Array = randomBytes(ticketKeyBytes);
  #revision: Revision | null = null;
  /** Since the revision was loaded, by socket. */
  #changed: Record<string, readonly Keypair[]> = {};
  /** What the files looked like when they were last read. */
  #seen = "";
  #timer: NodeJS.Timeout | undefined;
  #rotation: NodeJS.Timeout | undefined;

  constructor(host: KeeperHost, files: ConfigHost = machine) {
    this.#host = host;
    this.#files = files;
  }

  /** Looks after the files of this revision from now on, and after those of no other. */
  adopt(revision: Revision): void {
    this.#revision = revision;
    this.#changed = {};
    clearInterval(this.#timer);
    clearInterval(this.#rotation);
    if (!Object.values(revision.config.sockets).some((socket) => socket.tls !== undefined)) return;
    this.#rotation = setInterval(() => this.#rotate(), rotateMs);
    if (revision.certificates.length === 0) return;
    // A file may have changed since the revision was read: the first look reads all of them.
    this.#seen = "";
    this.#timer = setInterval(() => this.#look(), lookMs);
  }

  /** What a shard that starts is to use beyond its config. */
  handover(revision: Revision): TlsHandover {
    return {
      ticketKeys: this.#ticketKeys,
      certificates: revision === this.#revision ? this.#changed : {},
    };
  }

  close(): void {
    clearInterval(this.#timer);
    clearInterval(this.#rotation);
  }

  #look(): void {
    const revision = this.#revision;
    if (revision === null) return;
    const seen = looks(revision.certificates);
    if (seen === this.#seen) return;
    this.#seen = seen;
    const bySocket = Object.groupBy(revision.certificates, ({ socket }) => socket);
    const changed: Record<string, readonly Keypair[]> = {};
    for (const [socket, files] of Object.entries(bySocket)) {
      const before = this.#changed[socket] ?? revision.config.sockets[socket]?.tls?.certificates;
      const now = this.#read(socket, files ?? []);
      if (now !== null && JSON.stringify(now) !== JSON.stringify(before)) changed[socket] = now;
    }
    if (Object.keys(changed).length === 0) return;
    this.#changed = { ...this.#changed, ...changed };
    this.#host.onTlsChange({ type: "tls", certificates: changed });
    for (const socket of Object.keys(changed)) {
      this.#host.event("info", "tls.certificates_changed", "the certificates of a socket were read again", {
        socket,
      });
    }
  }

  #read(socket: string, files: readonly CertificateFiles[]): readonly Keypair[] | null {
    try {
      return files.map((each) => readKeypair(each, this.#files));
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#host.event("warn", "tls.certificates_unusable", `${reason}; the certificates before stay`, {
        socket,
      });
      return null;
    }
  }

  #rotate(): void {
    this.#ticketKeys = randomBytes(ticketKeyBytes);
    this.#host.onTlsChange({ type: "tls", ticketKeys: this.#ticketKeys });
  }
}

/** A text that is another when one of the files is, or stands somewhere else. */
function looks(files: readonly CertificateFiles[]): string {
  return files
    .flatMap(({ certificate, key, ocsp }) => (ocsp === null ? [certificate, key] : [certificate, key, ocsp]))
    .map((path) => {
      const stat = statSync(path, { throwIfNoEntry: false });
      return stat === undefined ? "" : `${stat.dev}:${stat.ino}:${stat.size}:${stat.mtimeMs}`;
    })
    .join(" ");
}
