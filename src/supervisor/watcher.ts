import { type FSWatcher, watch } from "node:fs";
import { dirname, resolve } from "node:path";

/** Editors write a file in several steps; so long must pass without another before it is read. */
const quietMs = 100;

/**
 * Calls back when one of a set of files changes. It watches their directories, since most editors put a new file in the
 * place of the old one, and so that a file which is missing yet is seen when it appears.
 */
export class FileWatcher {
  readonly #changed: () => void;
  readonly #directories: Map<string, FSWatcher> = new Map();
  #files: ReadonlySet<string> = new Set();
  #timer: NodeJS.Timeout | undefined;

  constructor(changed: () => void) {
    this.#changed = changed;
  }

  /** Watches these files, and no longer those named before. */
  watch(files: Iterable<string>): void {
    this.#files = new Set(Array.from(files, (file) => resolve(file)));
    const wanted = new Set(Array.from(this.#files, (file) => dirname(file)));
    for (const [directory, watcher] of this.#directories) {
      if (wanted.has(directory)) continue;
      watcher.close();
      this.#directories.delete(directory);
    }
    for (const directory of wanted) {
      if (!this.#directories.has(directory)) this.#open(directory);
    }
  }

  close(): void {
    clearTimeout(this.#timer);
    for (const watcher of this.#directories.values()) watcher.close();
    this.#directories.clear();
  }

  #open(directory: string): void {
    try {
      const watcher = watch(directory, (_event, name) => {
        // Some systems do not say which file it was: then any may have changed.
        if (name !== null && !this.#files.has(resolve(directory, name))) return;
        clearTimeout(this.#timer);
        this.#timer = setTimeout(this.#changed, quietMs);
      });
      watcher.on("error", () => {
        watcher.close();
        this.#directories.delete(directory);
      });
      this.#directories.set(directory, watcher);
    } catch {
      // The directory is gone. The next reload names the files anew.
    }
  }
}
