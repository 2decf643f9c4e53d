import { createHash, createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import {
  closeSync,
  constants,
  fstatSync,
  futimesSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";

const keyFile = "key";
const keyBytes = 32;
const macBytes = 32;
const suffix = ".bin";
const maxEntryBytes = 64 * 1024 * 1024;
/** Reading an entry marks it as used, at most this often. */
const touchMs = 60 * 60 * 1000;
/** A temporary file that is older was left by a process that died. */
const staleMs = 60 * 60 * 1000;

export interface TrustedStoreOptions {
  /** Tried in turn; the first that can be used is. */
  readonly directories?: readonly string[];
  /** Bytes on disk; the entries used longest ago go first. */
  readonly maxBytes?: number;
}

/**
 * Entries on disk whose contents are trusted later: V8's code cache, which V8 does not verify, and bundles. The
 * directory belongs to this user and nobody else may write there; each entry carries an HMAC-SHA256 under a random key
 * that only this user can read, over its name and its contents, so that an entry that was altered, renamed, or copied
 * from elsewhere is not found. Synchronous, never throws: what fails is a miss.
 */
export class TrustedStore {
  readonly directory: string;
  readonly #key: Buffer;
  readonly #maxBytes: number;
  /** Bytes written since the directory was last measured; Infinity when it never was. */
  #written = Number.POSITIVE_INFINITY;

  private constructor(directory: string, key: Buffer, maxBytes: number) {
    this.directory = directory;
    this.#key = key;
    this.#maxBytes = maxBytes;
  }

  /** Null when no directory is safe to use, for instance on a read-only file system; `explain` then hears why. */
  static open(options: TrustedStoreOptions = {}, explain?: (text: string) => void): TrustedStore | null {
    for (const directory of options.directories ?? cacheDirectories(process.env)) {
      try {
        mkdirSync(directory, { recursive: true, mode: 0o700 });
        assertPrivate(directory);
        return new TrustedStore(directory, loadKey(directory), options.maxBytes ?? 256 * 1024 * 1024);
      } catch (error) {
        explain?.(`cannot use the cache directory ${JSON.stringify(directory)}: ${reason(error)}`);
      }
    }
    return null;
  }

  /** @param name anything; entries are found by its SHA-256. */
  get(name: string): Buffer | null {
    let fd = -1;
    try {
      fd = openSync(this.#path(name), constants.O_RDONLY | noFollow);
      const stat = fstatSync(fd);
      if (!stat.isFile() || stat.size < macBytes || stat.size > maxEntryBytes) return null;
      const entry = readFileSync(fd);
      const data = entry.subarray(macBytes);
      if (!timingSafeEqual(entry.subarray(0, macBytes), this.#mac(name, data))) return null;
      const now = Date.now();
      if (now - stat.mtimeMs > touchMs) touch(fd, now);
      return data;
    } catch {
      return null;
    } finally {
      if (fd !== -1) closeSync(fd);
    }
  }

  /** Replaces the entry in one step: readers see the old one or the new one. False when it could not be written. */
  put(name: string, data: Uint8Array): boolean {
    if (data.byteLength > maxEntryBytes - macBytes || data.byteLength > this.#maxBytes) return false;
    const temporary = join(this.directory, `${randomBytes(12).toString("hex")}.tmp`);
    try {
      writeFileSync(temporary, Buffer.concat([this.#mac(name, data), data]), { mode: 0o600, flag: "wx" });
      renameSync(temporary, this.#path(name));
    } catch {
      rmSync(temporary, { force: true });
      return false;
    }
    this.#written += data.byteLength + macBytes;
    if (this.#written > this.#maxBytes / 16) this.#prune();
    return true;
  }

  #path(name: string): string {
    return join(this.directory, createHash("sha256").update(name).digest("hex") + suffix);
  }

  #mac(name: string, data: Uint8Array): Buffer {
    const hmac = createHmac("sha256", this.#key);
    hmac
      .update(`${Buffer.byteLength(name)}:`)
      .update(name)
      .update(data);
    return hmac.digest();
  }

  #prune(): void {
    this.#written = 0;
    try {
      const now = Date.now();
      const entries: { path: string; size: number; used: number }[] = [];
      let total = 0;
      for (const file of readdirSync(this.directory)) {
        const path = join(this.directory, file);
        if (file.endsWith(".tmp")) {
          if (now - statSync(path).mtimeMs > staleMs) rmSync(path, { force: true });
        } else if (file.endsWith(suffix)) {
          const stat = statSync(path);
          entries.push({ path, size: stat.size, used: stat.mtimeMs });
          total += stat.size;
        }
      }
      if (total <= this.#maxBytes) return;
      entries.sort((a, b) => a.used - b.used);
      for (const entry of entries) {
        if (total <= this.#maxBytes * 0.8) break;
        rmSync(entry.path, { force: true });
        total -= entry.size;
      }
    } catch {
      // Another process prunes at the same time; the next entry measures again.
      this.#written = Number.POSITIVE_INFINITY;
    }
  }
}

/** Where caches may lie, best first. An explicit directory is the only one. */
export function cacheDirectories(env: Readonly<Record<string, string | undefined>>): string[] {
  if (env.SLUICE_CACHE_DIR) return [env.SLUICE_CACHE_DIR];
  const user = process.getuid?.() ?? 0;
  const home = env.HOME ?? homedir();
  return [
    env.XDG_CACHE_HOME ? join(env.XDG_CACHE_HOME, "sluice") : join(home, ".cache", "sluice"),
    join(tmpdir(), `sluice-${user}`),
  ];
}

const noFollow = constants.O_NOFOLLOW ?? 0;

/** Anyone else who could write here could delete entries, or wait for a key to be made in a directory of theirs. */
function assertPrivate(directory: string): void {
  const stat = lstatSync(directory);
  if (!stat.isDirectory()) throw new Error("it is not a directory");
  if (process.getuid === undefined) return;
  if (stat.uid !== process.getuid()) throw new Error("it belongs to another user");
  if ((stat.mode & 0o022) !== 0) throw new Error("others may write to it");
}

/** The key appears whole or not at all, so that processes that start at once agree on it. */
function loadKey(directory: string): Buffer {
  const path = join(directory, keyFile);
  try {
    return readKey(path);
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
  const temporary = join(directory, `${randomBytes(12).toString("hex")}.tmp`);
  writeFileSync(temporary, randomBytes(keyBytes), { mode: 0o600, flag: "wx" });
  try {
    linkSync(temporary, path);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
  } finally {
    rmSync(temporary, { force: true });
  }
  return readKey(path);
}

function readKey(path: string): Buffer {
  const fd = openSync(path, constants.O_RDONLY | noFollow);
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile()) throw new Error("its key is not a file");
    if (process.getuid !== undefined) {
      if (stat.uid !== process.getuid()) throw new Error("its key belongs to another user");
      if ((stat.mode & 0o077) !== 0) throw new Error("others may read its key");
    }
    const key = readFileSync(fd);
    if (key.length !== keyBytes) throw new Error("its key is damaged");
    return key;
  } finally {
    closeSync(fd);
  }
}

function touch(fd: number, now: number): void {
  try {
    futimesSync(fd, now / 1000, now / 1000);
  } catch {
    // The owner may set times through a descriptor opened for reading; elsewhere age counts from writing.
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
