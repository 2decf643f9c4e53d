import { randomBytes } from "node:crypto";
import { linkSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";

/** The holder tells so often that it lives, and is held to be dead when it has not told for so long. */
const beatMs = 5_000;
const deadMs = 60_000;

interface Holder {
  readonly host: string;
  readonly pid: number;
  /** Of this one taking of the lock. */
  readonly token: string;
}

/** Held by this process; another process with the same number is one that has ended before. */
const own: Set<string> = new Set();

/**
 * A file that at most one process holds. One that ended without giving it back does not hold it any more: its process is
 * gone, or, on another machine that shares the directory, its file grows old.
 */
export class StorageLock {
  readonly #path: string;
  readonly #token: string;
  readonly #timer: NodeJS.Timeout;

  private constructor(path: string, token: string) {
    this.#path = path;
    this.#token = token;
    this.#timer = setInterval(() => this.#beat(), beatMs);
    this.#timer.unref();
    own.add(token);
  }

  /** Takes the lock; null when somebody holds it. @throws Error with the system's reason */
  static take(path: string): StorageLock | null {
    const token = randomBytes(12).toString("hex");
    const draft = `${path}.${token}`;
    const holder: Holder = { host: hostname(), pid: process.pid, token };
    writeFileSync(draft, JSON.stringify(holder), { mode: 0o600, flag: "wx" });
    try {
      if (place(draft, path)) return new StorageLock(path, token);
      if (!removeDead(path)) return null;
      return place(draft, path) ? new StorageLock(path, token) : null;
    } finally {
      rmSync(draft, { force: true });
    }
  }

  /** Lets others have it. Idempotent. */
  release(): void {
    if (!own.delete(this.#token)) return;
    clearInterval(this.#timer);
    // Whoever took it for dead has it now.
    if (read(this.#path)?.token === this.#token) rmSync(this.#path, { force: true });
  }

  #beat(): void {
    try {
      const now = new Date();
      utimesSync(this.#path, now, now);
    } catch {
      // Somebody has removed it. What it protects is harmless when done twice.
    }
  }
}

/** A link fails when the name is there, on network file systems too. */
function place(draft: string, path: string): boolean {
  try {
    linkSync(draft, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

/** Removes a lock whose holder is dead. False when it lives, or somebody else was faster. */
function removeDead(path: string): boolean {
  const holder = read(path);
  const age = Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Number.NaN);
  if (Number.isNaN(age)) return true;
  if (age < deadMs && !(holder !== null && isGone(holder))) return false;
  const aside = `${path}.${randomBytes(6).toString("hex")}`;
  try {
    renameSync(path, aside);
  } catch {
    return false;
  }
  const taken = read(aside);
  // Between the look and the move another one may have removed it too, and taken the lock.
  if (taken !== null && taken.token !== holder?.token) {
    place(aside, path);
    rmSync(aside, { force: true });
    return false;
  }
  rmSync(aside, { force: true });
  return true;
}

function isGone({ host, pid, token }: Holder): boolean {
  if (host !== hostname()) return false;
  if (pid === process.pid) return !own.has(token);
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ESRCH";
  }
}

function read(path: string): Holder | null {
  try {
    const { host, pid, token } = JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>;
    return typeof host === "string" && typeof pid === "number" && typeof token === "string"
      ? { host, pid, token }
      : null;
  } catch {
    return null;
  }
}
