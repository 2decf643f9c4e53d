import { randomBytes } from "node:crypto";
import { statSync } from "node:fs";
import type { AcmeHost, AcmeKeeper } from "../acme/acme-keeper.ts";
import { type CertificateFiles, readKeypair } from "../config/certificates.ts";
import { type ConfigHost, machine } from "../config/host.ts";
import type { LogFields, LogLevel } from "../observability/log.ts";
import type { TlsChange, TlsHandover } from "../shard/protocol.ts";
import type { ServedKeypair } from "../tls/acceptor.ts";
import { type AcmeChallenges, noChallenges } from "../tls/acme-challenges.ts";
import { expiryMetrics, type SocketCertificates } from "./certificate-metrics.ts";
import { DevelopmentLeaves } from "./development-leaves.ts";
import type { Revision } from "./revision.ts";

/** What the keeper tells. */
export interface KeeperHost {
  /**
   * Shards are to use this from now on: those of the current revision, and those that start on another one.
   * @param changeOf null for a revision that nothing changes for
   * @returns when they do
   */
  changeTls(changeOf: (revision: Revision) => TlsChange | null): Promise<void>;
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

type BySocket = Readonly<Record<string, readonly ServedKeypair[]>>;

/**
 * The certificates of the running revision as they stand in their files now or as an authority has issued them, and the
 * keys of session tickets that all shards share. Files that do not go together, because one of them is still being
 * written, change nothing.
 */
export class CertificateKeeper implements AcmeHost {
  readonly #host: KeeperHost;
  readonly #files: ConfigHost;
  readonly #leaves: DevelopmentLeaves;
  #ticketKeys: Uint8Array = randomBytes(ticketKeyBytes);
  #revision: Revision | null = null;
  /** From files, since the revision was loaded. */
  #changed: BySocket = {};
  /** Null as long as no revision has asked for one. */
  #acme: AcmeKeeper | null = null;
  /** What the files looked like when they were last read. */
  #seen = "";
  #timer: NodeJS.Timeout | undefined;
  #rotation: NodeJS.Timeout | undefined;

  constructor(host: KeeperHost, env: NodeJS.ProcessEnv, files: ConfigHost = machine) {
    this.#host = host;
    this.#leaves = new DevelopmentLeaves(env);
    this.#files = files;
  }

  /** Has every certificate of the revision ready. @throws Error when the storage of some cannot be used */
  async open(revision: Revision): Promise<void> {
    if (revision.acme.length === 0) return;
    const { AcmeKeeper } = await import("../acme/acme-keeper.ts");
    this.#acme ??= new AcmeKeeper(this);
    await this.#acme.open(revision.acme);
  }

  /** Looks after the files and orders of this revision from now on, and after those of no other. */
  adopt(revision: Revision): void {
    this.#revision = revision;
    this.#changed = {};
    clearInterval(this.#timer);
    clearInterval(this.#rotation);
    this.#acme?.adopt(revision.acme);
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
      certificates: {
        ...(revision === this.#revision ? this.#changed : {}),
        ...this.#made(revision),
      },
      challenges: this.#acme?.board.challenges ?? noChallenges,
    };
  }

  /** Numbers for `/metrics`. */
  *metrics(): Iterable<readonly [key: string, value: number]> {
    const revision = this.#revision;
    if (revision === null) return;
    yield* expiryMetrics(this.#shown(revision));
    if (this.#acme !== null) yield* this.#acme.orders;
  }

  /** Ends what is going on. */
  close(): void {
    clearInterval(this.#timer);
    clearInterval(this.#rotation);
    this.#acme?.close();
  }

  showChallenges(challenges: AcmeChallenges): Promise<void> {
    return this.#host.changeTls(() => ({ type: "tls", challenges }));
  }

  onIssued(): Promise<void> {
    return this.#host.changeTls((revision) => ({ type: "tls", certificates: this.#made(revision) }));
  }

  /** Has the development CA sign for a name that a client asks a socket of the revision for. */
  async makeLeaf(revision: Revision, socket: string, name: string): Promise<void> {
    try {
      if (!(await this.#leaves.make(revision, socket, name))) return;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.event("warn", "tls.leaf_failed", `cannot make a development certificate: ${reason}`, { socket });
      return;
    }
    await this.onIssued();
  }

  event(level: LogLevel, event: string, message: string, fields: LogFields): void {
    this.#host.event(level, event, message, fields);
  }

  /** Of every socket for which some are made while it runs: those that its config names first. */
  #made(revision: Revision): BySocket {
    const found: Record<string, readonly ServedKeypair[]> = {};
    for (const acme of revision.acme) {
      const own = this.#fromFiles(revision, acme.socket);
      found[acme.socket] = [...own, ...(this.#acme?.keypairs(acme) ?? [])];
    }
    for (const socket of Object.keys(revision.config.sockets)) {
      const leaves = this.#leaves.of(revision, socket);
      if (leaves.length > 0) found[socket] = [...this.#fromFiles(revision, socket), ...leaves];
    }
    return found;
  }

  #fromFiles(revision: Revision, socket: string): readonly ServedKeypair[] {
    const changed = revision === this.#revision ? this.#changed[socket] : undefined;
    return changed ?? revision.config.sockets[socket]?.tls?.certificates ?? [];
  }

  *#shown(revision: Revision): Iterable<SocketCertificates> {
    for (const [socket, { tls }] of Object.entries(revision.config.sockets)) {
      if (tls === undefined) continue;
      const acme = revision.acme.find((each) => each.socket === socket);
      yield {
        socket,
        keypairs: this.#fromFiles(revision, socket),
        issued:
          acme === undefined
            ? null
            : { names: acme.settings.domains, notAfter: this.#acme?.notAfter(acme) ?? 0 },
      };
    }
  }

  #look(): void {
    const revision = this.#revision;
    if (revision === null) return;
    const seen = looks(revision.certificates);
    if (seen === this.#seen) return;
    this.#seen = seen;
    const bySocket = Object.groupBy(revision.certificates, ({ socket }) => socket);
    const changed: Record<string, readonly ServedKeypair[]> = {};
    for (const [socket, files] of Object.entries(bySocket)) {
      const before = this.#fromFiles(revision, socket);
      const now = this.#read(socket, files ?? []);
      if (now !== null && JSON.stringify(now) !== JSON.stringify(before)) changed[socket] = now;
    }
    if (Object.keys(changed).length === 0) return;
    this.#changed = { ...this.#changed, ...changed };
    const certificates = { ...changed, ...this.#made(revision) };
    void this.#host.changeTls((each) => (each === revision ? { type: "tls", certificates } : null));
    for (const socket of Object.keys(changed)) {
      this.#host.event("info", "tls.certificates_changed", "the certificates of a socket were read again", {
        socket,
      });
    }
  }

  #read(socket: string, files: readonly CertificateFiles[]): readonly ServedKeypair[] | null {
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
    const ticketKeys = randomBytes(ticketKeyBytes);
    this.#ticketKeys = ticketKeys;
    void this.#host.changeTls(() => ({ type: "tls", ticketKeys }));
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
