import * as fs from "node:fs";
import { join } from "node:path";
import type { Validators } from "./conditions.ts";

/** Without O_NONBLOCK, to open a FIFO would wait for its other end; with O_NOCTTY a terminal stays just a file. */
const readFlags = fs.constants.O_RDONLY | fs.constants.O_NONBLOCK | fs.constants.O_NOCTTY;

/** Linux names every open descriptor there; a path that begins with one is looked up from that very directory. */
const descriptors = "/proc/self/fd";
const hasDescriptors = process.platform === "linux";

/** A file or directory below the root, open for reading. Whoever holds it closes it. */
export interface OpenFile {
  readonly fd: number;
  readonly directory: boolean;
  readonly size: number;
  readonly validators: Validators;
}

export type OpenResult = (error: NodeJS.ErrnoException | null, file: OpenFile | null) => void;

/**
 * The directory that a disk service shows, and the one place where its names become open files. A symbolic link may
 * lead anywhere below the root, and nowhere else. What was opened is asked for its place, instead of the name before it
 * is opened: a link that is exchanged in between changes nothing then.
 */
export class DiskRoot {
  readonly path: string;
  /** Where the root really is; it may itself be a link that is pointed elsewhere by a deployment. */
  #real = "";

  constructor(path: string) {
    this.path = path;
  }

  /** Opens a regular file or a directory. What leaves the root, or is neither, does not exist (ENOENT). */
  open(segments: readonly string[], done: OpenResult): void {
    const path = join(this.path, ...segments);
    fs.open(path, readFlags, (error, fd) => {
      if (error !== null) {
        done(error, null);
        return;
      }
      if (!this.holds(fd, path)) {
        fs.close(fd, () => done(notFound(), null));
        return;
      }
      fs.fstat(fd, { bigint: true }, (failure, stat) => {
        if (failure !== null || !(stat.isFile() || stat.isDirectory())) {
          fs.close(fd, () => done(failure ?? notFound(), null));
          return;
        }
        const directory = stat.isDirectory();
        done(null, { fd, directory, size: Number(stat.size), validators: validatorsOf(stat) });
      });
    });
  }

  /** True when an open descriptor is the root, or below it. `path` is what was opened. */
  holds(fd: number, path: string): boolean {
    const place = placeOf(fd, path);
    if (place === null) return false;
    if (this.#real !== "" && isBelow(place, this.#real)) return true;
    try {
      this.#real = fs.realpathSync(this.path);
    } catch {
      return false;
    }
    return isBelow(place, this.#real);
  }
}

/** The path of a name in an open directory; on Linux independent of what happens to the directory's own path. */
export function pathIn(directory: number, path: string, name: string): string {
  return hasDescriptors ? `${descriptors}/${directory}/${name}` : join(path, name);
}

/**
 * Inode, size and modification time in nanoseconds: a file that is replaced, as PUT and most tools do, has another tag
 * for certain, so the tag is a strong one (RFC 9110 §8.8.3).
 */
export function validatorsOf(stat: fs.BigIntStats): Validators {
  const etag = `"${stat.ino.toString(36)}-${stat.size.toString(36)}-${stat.mtimeNs.toString(36)}"`;
  return { etag, modified: Number(stat.mtimeMs / 1000n) };
}

/** Where an open file is. To read a link of /proc waits for no disk. */
function placeOf(fd: number, path: string): string | null {
  try {
    if (hasDescriptors) return fs.readlinkSync(`${descriptors}/${fd}`);
    const real = fs.realpathSync(path);
    const [named, opened] = [fs.statSync(real), fs.fstatSync(fd)];
    return named.ino === opened.ino && named.dev === opened.dev ? real : null;
  } catch {
    return null;
  }
}

function isBelow(place: string, root: string): boolean {
  return place === root || root === "/" || place.startsWith(`${root}/`);
}

function notFound(): NodeJS.ErrnoException {
  return Object.assign(new Error("no such file"), { code: "ENOENT" });
}
