import { posix } from "node:path";
import type { ConfigHost } from "../../src/config/host.ts";

/** Files that exist only in a test, on a day that never changes. Directories are whatever lies above a file. */
export class MemoryHost implements ConfigHost {
  readonly #files: ReadonlyMap<string, string | Uint8Array>;
  readonly #day: string;

  constructor(files: ReadonlyMap<string, string | Uint8Array>, day = "2026-11-22T12:00:00Z") {
    this.#files = files;
    this.#day = day;
  }

  read(path: string): Uint8Array {
    const content = this.#files.get(path);
    if (content === undefined) throw failure(this.#isDirectory(path) ? "EISDIR" : "ENOENT");
    if (content === "(unreadable)\n") throw failure("EACCES");
    return typeof content === "string" ? Buffer.from(content) : content;
  }

  kind(path: string): "file" | "directory" | "other" {
    if (this.#isDirectory(path)) return "directory";
    this.read(path);
    return "file";
  }

  now(): Date {
    return new Date(this.#day);
  }

  #isDirectory(path: string): boolean {
    return this.#files.keys().some((file) => posix.dirname(file).startsWith(path));
  }
}

function failure(code: string): Error {
  return Object.assign(new Error(code), { code });
}
