import { statSync } from "node:fs";
import { type ConfigHost, fileReason, machine } from "../config/host.ts";
import { readUserFile } from "../net/password.ts";
import type { LogFields, LogLevel } from "../observability/log.ts";
import type { UsersChange } from "../shard/protocol.ts";
import type { Revision } from "./revision.ts";

/** What the keeper tells. */
export interface UserKeeperHost {
  /** Shards of the current revision are to use this from now on. */
  onUsersChange(change: UsersChange): void;
  event(level: LogLevel, event: string, message: string, fields: LogFields): void;
}

/** How often the files are looked at; see `CertificateKeeper`. */
const lookMs = 2_000;

/** The files of users of the running revision as they are now. One that cannot be used changes nothing. */
export class UserFileKeeper {
  readonly #host: UserKeeperHost;
  readonly #files: ConfigHost;
  #revision: Revision | null = null;
  #texts: Readonly<Record<string, string>> = {};
  /** What each file looked like when it was last read. */
  #seen: Map<string, string> = new Map();
  #timer: NodeJS.Timeout | undefined;

  constructor(host: UserKeeperHost, files: ConfigHost = machine) {
    this.#host = host;
    this.#files = files;
  }

  /** Looks after the files of this revision from now on, and after those of no other. */
  adopt(revision: Revision): void {
    clearInterval(this.#timer);
    this.#revision = revision;
    this.#texts = revision.userFiles;
    this.#seen = new Map();
    if (Object.keys(this.#texts).length > 0) this.#timer = setInterval(() => this.#look(), lookMs);
  }

  /** What a shard that starts is to use. */
  handover(revision: Revision): Readonly<Record<string, string>> {
    return revision === this.#revision ? this.#texts : revision.userFiles;
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const changed: Record<string, string> = {};
    for (const [path, before] of Object.entries(this.#texts)) {
      const now = this.#read(path);
      if (now !== null && now !== before) changed[path] = now;
    }
    const paths = Object.keys(changed);
    if (paths.length === 0) return;
    this.#texts = { ...this.#texts, ...changed };
    this.#host.onUsersChange({ type: "users", files: changed });
    for (const file of paths) {
      this.#host.event("info", "users.changed", "a file of users was read again", { file });
    }
  }

  /** Null when the file is as it was, or cannot be used. */
  #read(path: string): string | null {
    const look = lookOf(path);
    if (this.#seen.get(path) === look) return null;
    this.#seen.set(path, look);
    let reason = "";
    try {
      const text = Buffer.from(this.#files.read(path)).toString("utf8");
      try {
        readUserFile(text);
        return text;
      } catch (error) {
        reason = (error as Error).message;
      }
    } catch (error) {
      reason = fileReason(error);
    }
    this.#host.event(
      "warn",
      "users.unusable",
      `cannot use a file of users: ${reason}; the users before stay`,
      {
        file: path,
      },
    );
    return null;
  }
}

/** A text that is another when the file is, or stands somewhere else. */
function lookOf(path: string): string {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat === undefined ? "" : `${stat.dev}:${stat.ino}:${stat.size}:${stat.mtimeMs}`;
}
