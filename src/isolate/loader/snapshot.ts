import { createHash } from "node:crypto";
import { lstatSync, readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, isAbsolute, join, resolve, sep } from "node:path";

interface FileProbe {
  readonly kind: "file";
  readonly path: string;
  readonly size: number;
  /** Modification and change time, and inode, as one string. */
  readonly stamp: string;
  readonly hash: string;
}

/** Something that would change what imports resolve to if it appeared or changed. */
interface EntryProbe {
  readonly kind: "listing" | "absent";
  readonly path: string;
  readonly hash: string;
}

/** Everything on disk that a bundle depends on, as it was when the bundle was made. */
export interface Snapshot {
  readonly takenAt: number;
  readonly probes: ReadonlyArray<FileProbe | EntryProbe>;
}

/** Clocks of file systems are this coarse, and no finer: a file that was written later may look unchanged. */
const granularityMs = 2000;
const configNames = ["package.json", "tsconfig.json", "jsconfig.json"];
const modules = `${sep}node_modules${sep}`;

/**
 * Takes a snapshot after a build that began at `since`. Besides the inputs' contents it holds what decides how imports
 * resolve: the names in the directories of the user's sources, package.json and tsconfig.json on the way up, what a
 * tsconfig extends, and which packages are installed. Null when something changed while the build ran.
 *
 * @param files absolute paths of all inputs.
 * @param since milliseconds of the wall clock.
 */
export function takeSnapshot(files: readonly string[], since: number): Snapshot | null {
  const probes = new Map<string, FileProbe | EntryProbe>();
  const directories = new Set<string>();
  for (const file of files) {
    addFile(probes, file);
    directories.add(dirname(file));
  }
  const ancestors = new Set<string>();
  for (const directory of directories) {
    const inPackage = `${directory}${sep}`.includes(modules);
    if (!inPackage) addListing(probes, directory);
    for (let at = directory; !ancestors.has(at); at = dirname(at)) {
      ancestors.add(at);
      for (const name of configNames) addConfig(probes, join(at, name));
      if (!at.endsWith(`${sep}node_modules`)) addListing(probes, join(at, "node_modules"));
    }
  }
  for (const probe of probes.values()) {
    if (probe.kind === "file" && changedSince(probe.path, since)) return null;
    if (probe.kind === "listing" && changedSince(probe.path, since)) return null;
  }
  return { takenAt: Date.now(), probes: [...probes.values()] };
}

/** True when building again would give the same bundle. */
export function isCurrent(snapshot: Snapshot): boolean {
  return snapshot.probes.every((probe) => {
    try {
      return probe.kind === "file"
        ? fileIsSame(probe, snapshot.takenAt)
        : entryHash(probe.path) === probe.hash;
    } catch {
      return false;
    }
  });
}

function fileIsSame(probe: FileProbe, takenAt: number): boolean {
  const stat = statSync(probe.path, { bigint: true });
  const settled =
    Number(stat.mtimeMs) < takenAt - granularityMs && Number(stat.ctimeMs) < takenAt - granularityMs;
  if (settled && stampOf(stat) === probe.stamp) return true;
  return Number(stat.size) === probe.size && hashOf(readFileSync(probe.path)) === probe.hash;
}

function addFile(probes: Map<string, FileProbe | EntryProbe>, path: string): void {
  if (probes.has(path)) return;
  const stat = statSync(path, { bigint: true });
  const hash = hashOf(readFileSync(path));
  probes.set(path, { kind: "file", path, size: Number(stat.size), stamp: stampOf(stat), hash });
}

function addListing(probes: Map<string, FileProbe | EntryProbe>, path: string): void {
  const hash = entryHash(path);
  probes.set(path, { kind: hash === "" ? "absent" : "listing", path, hash });
  if (!path.endsWith(`${sep}node_modules`) || hash === "") return;
  for (const name of readdirSync(path)) {
    if (name.startsWith("@")) probes.set(join(path, name), listing(join(path, name)));
  }
}

function listing(path: string): EntryProbe {
  return { kind: "listing", path, hash: entryHash(path) };
}

function addConfig(probes: Map<string, FileProbe | EntryProbe>, path: string): void {
  if (probes.has(path)) return;
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined || !stat.isFile()) {
    probes.set(path, { kind: "absent", path, hash: entryHash(path) });
    return;
  }
  addFile(probes, path);
  if (!path.endsWith("package.json")) for (const base of extendedBy(path)) addConfig(probes, base);
}

/** The files that a tsconfig.json names in `extends`. It may hold comments, so it is searched and not parsed. */
function extendedBy(path: string): string[] {
  const found: string[] = [];
  const clause = /"extends"\s*:\s*(\[[^\]]*\]|"(?:[^"\\]|\\.)*")/g;
  for (const [, value = ""] of readFileSync(path, "utf8").matchAll(clause)) {
    for (const [, name = ""] of value.matchAll(/"((?:[^"\\]|\\.)*)"/g)) {
      const file = configFile(path, name);
      if (file !== null) found.push(file);
    }
  }
  return found;
}

function configFile(from: string, name: string): string | null {
  if (isAbsolute(name) || name.startsWith(".")) {
    const file = resolve(dirname(from), name);
    return statSync(file, { throwIfNoEntry: false })?.isFile() ? file : `${file}.json`;
  }
  const require = createRequire(from);
  for (const candidate of [name, `${name}.json`, `${name}/tsconfig.json`]) {
    try {
      return require.resolve(candidate);
    } catch {
      // The next spelling.
    }
  }
  return null;
}

/** What a directory lists, with the targets of its links; empty when there is none. */
function entryHash(path: string): string {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return "";
  if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) return "not a directory";
  const hash = createHash("sha256");
  const entries = readdirSync(path, { withFileTypes: true });
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const entry of entries) {
    const link = entry.isSymbolicLink() ? readlinkSync(join(path, entry.name)) : "";
    hash.update(`${entry.name}\0${entry.isDirectory() ? "d" : ""}\0${link}\0`);
  }
  return hash.digest("hex");
}

function changedSince(path: string, since: number): boolean {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat === undefined || Math.max(stat.mtimeMs, stat.ctimeMs) >= since - 10;
}

function stampOf(stat: { mtimeNs: bigint; ctimeNs: bigint; ino: bigint }): string {
  return `${stat.mtimeNs}.${stat.ctimeNs}.${stat.ino}`;
}

function hashOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
