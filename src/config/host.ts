import { accessSync, constants, readFileSync, statSync } from "node:fs";

/** What config reading needs of the machine, so that a test can stand in for it. */
export interface ConfigHost {
  /** @throws as node:fs, with a `code` */
  read(path: string): Uint8Array;
  /** What is there and may be read. @throws as node:fs, with a `code` */
  kind(path: string): "file" | "directory" | "other";
  now(): Date;
}

export const machine: ConfigHost = {
  read: (path) => readFileSync(path),
  kind(path) {
    const stat = statSync(path);
    accessSync(path, constants.R_OK);
    return stat.isFile() ? "file" : stat.isDirectory() ? "directory" : "other";
  },
  now: () => new Date(),
};

const reasons: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  ENOTDIR: "part of the path is no directory",
  EACCES: "permission denied",
  EPERM: "permission denied",
  EISDIR: "it is a directory",
  ELOOP: "its symbolic links form a circle",
  ENAMETOOLONG: "the name is too long",
  EMFILE: "too many files are open",
};

/** A file error in words, without the path: that may hold a variable's value. */
export function fileReason(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" ? (reasons[code] ?? code) : "it cannot be read";
}
