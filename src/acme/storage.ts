import { randomBytes } from "node:crypto";
import {
  chmodSync,
  closeSync,
  fsyncSync,
  globSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { readOrNull } from "../tls/data-directory.ts";
import { AcmeError } from "./acme-error.ts";
import { checkIssued, type IssuedCertificate } from "./issued-certificate.ts";
import { type AcmeSettings, nameSet, shortHash } from "./settings.ts";
import { StorageLock } from "./storage-lock.ts";

/** An account with an authority. */
export interface StoredAccount {
  /** PEM. */
  readonly key: string;
  /** Where the authority keeps it; null until it has been registered. */
  readonly url: string | null;
  /** The email address that the authority was told; empty for none. */
  readonly email: string;
  /** The external account that it is bound to; empty for none. */
  readonly eab: string;
}

/**
 * Where account and certificates of one authority are kept: `<storage>/<authority>/account.json` and
 * `<storage>/<authority>/<name>-<hash>.pem`, which holds the key, then the certificate, so that they change as one. Only the
 * owner can read them.
 */
export class AcmeStorage {
  readonly #directory: string;

  constructor({ storage, directory }: AcmeSettings) {
    const host = new URL(directory).host.replaceAll(":", "_");
    this.#directory = join(storage, `${host}-${shortHash(directory)}`);
  }

  /** Makes the directory, if there is none. @throws Error with the system's reason */
  open(): void {
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
    chmodSync(this.#directory, 0o700);
  }

  /** The account, or null when there is none. @throws Error `cannot read "…": reason` */
  account(): StoredAccount | null {
    const path = this.#accountPath;
    const text = readOrNull(path);
    if (text === null) return null;
    try {
      const { key, url, email, eab } = JSON.parse(text) as Record<string, unknown>;
      if (typeof key !== "string" || (url !== null && typeof url !== "string")) throw new Error();
      return { key, url, email: String(email ?? ""), eab: String(eab ?? "") };
    } catch {
      throw new Error(`cannot read ${JSON.stringify(path)}: it is no account`);
    }
  }

  keepAccount(account: StoredAccount): void {
    write(this.#accountPath, `${JSON.stringify(account, null, 2)}\n`);
  }

  /** The certificate for the names, or null when there is none that could be used. @throws Error with the system's reason */
  certificate(settings: AcmeSettings): IssuedCertificate | null {
    return readCertificate(this.pathOf(settings), nameSet(settings));
  }

  /**
   * Certificates for other sets of names, of any authority, that hold some of these names and have not expired; what
   * lasts longest first. They serve until the one for all is there.
   */
  similar(settings: AcmeSettings, now: number): IssuedCertificate[] {
    const found: IssuedCertificate[] = [];
    for (const path of globSync("*/*.pem", { cwd: settings.storage })) {
      for (const name of nameSet(settings)) {
        const issued = readCertificate(join(settings.storage, path), [name]);
        if (issued === null || issued.notAfter <= now) continue;
        found.push(issued);
        break;
      }
    }
    return found.sort((a, b) => b.notAfter - a.notAfter);
  }

  keepCertificate(settings: AcmeSettings, { certificate, key }: IssuedCertificate): void {
    write(this.pathOf(settings), `${key.trim()}\n${certificate}`);
  }

  /** The file of the certificate for these names. */
  pathOf(settings: AcmeSettings): string {
    return join(this.#directory, `${this.#stem(settings)}.pem`);
  }

  /** Keeps other proxies from ordering a certificate for the same names. Null while one of them does. */
  lock(settings: AcmeSettings): StorageLock | null {
    return StorageLock.take(join(this.#directory, `${this.#stem(settings)}.lock`));
  }

  /** Keeps other proxies from registering an account. Null while one of them does. */
  lockAccount(): StorageLock | null {
    return StorageLock.take(join(this.#directory, "account.lock"));
  }

  get #accountPath(): string {
    return join(this.#directory, "account.json");
  }

  #stem(settings: AcmeSettings): string {
    const names = nameSet(settings);
    return `${settings.domains[0]}-${shortHash(names.join(" "))}`;
  }
}

/** The certificate with its key in a file; null when there is none that could be used for the names. */
function readCertificate(path: string, names: readonly string[]): IssuedCertificate | null {
  const text = readOrNull(path);
  if (text === null) return null;
  const at = text.indexOf("-----BEGIN CERTIFICATE-----");
  if (at < 0) return null;
  try {
    return checkIssued(text.slice(at), text.slice(0, at), names);
  } catch {
    return null;
  }
}

/**
 * Puts the file in the place of what was there, whole or not at all, also when the machine loses power.
 * @throws AcmeError
 */
function write(path: string, text: string): void {
  const draft = `${path}.${randomBytes(6).toString("hex")}`;
  try {
    const fd = openSync(draft, "wx", 0o600);
    try {
      writeSync(fd, text);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(draft, path);
  } catch (error) {
    const { message } = error as Error;
    throw new AcmeError(`cannot keep ${JSON.stringify(path)}: ${message}`, { reached: false });
  } finally {
    rmSync(draft, { force: true });
  }
}
