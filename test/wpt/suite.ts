import { execFileSync } from "node:child_process";
import {
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";

/** The web-platform-tests as they lie on this machine. */
export interface Suite {
  readonly directory: string;
  /** Of the Node.js whose sources they came with. */
  readonly version: string;
}

/** Debian's release whose `nodejs` source package is taken; expectations.json names the version that it has. */
const release = "trixie";

export const cacheDirectory: string = join(
  process.env.XDG_CACHE_HOME || join(homedir(), ".cache"),
  "sluice-wpt",
);

const installed = join(cacheDirectory, "suite");

/**
 * The suite, fetched when it is not there yet: Debian's source package of Node.js carries it under test/fixtures/wpt.
 *
 * @throws Error that says why it cannot be had, as on a machine without apt or without a network.
 */
export function installSuite(): Suite {
  if (!existsSync(join(installed, "sluice-version"))) fetchSuite();
  return { directory: installed, version: readFileSync(join(installed, "sluice-version"), "utf8") };
}

function fetchSuite(): void {
  const sources = sourcesOfMachine();
  if (sources === "") throw new Error("cannot fetch the suite: apt has no Debian archive among its sources");
  const work = mkdtempSync(join(tmpdir(), "sluice-wpt-"));
  try {
    for (const part of ["lists/partial", "cache/archives/partial", "parts"]) {
      mkdirSync(join(work, part), { recursive: true });
    }
    writeFileSync(join(work, "parts", "source.sources"), sources);
    // Everything of apt's goes to the temporary directory: the machine's own lists stay as they are.
    const settings = {
      "Dir::Etc::SourceList": "/dev/null",
      "Dir::Etc::SourceParts": join(work, "parts"),
      "Dir::State::Lists": join(work, "lists"),
      "Dir::Cache": join(work, "cache"),
      "APT::Sandbox::User": "root",
      "Acquire::Retries": "1",
      "Acquire::http::Timeout": "20",
    };
    const options = Object.entries(settings).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
    run("apt-get", [...options, "-q", "update"], work);
    run("apt-get", [...options, "-q", "source", "--download-only", "--tar-only", "nodejs"], work);
    const archive = globSync("nodejs_*.orig.tar.*", { cwd: work })[0];
    if (archive === undefined) throw new Error("cannot fetch the suite: the source package has no archive");
    const unpacked = join(work, "suite");
    mkdirSync(unpacked);
    const what = ["--strip-components=4", "--wildcards", "*/test/fixtures/wpt/*"];
    run("tar", ["-xf", join(work, archive), "-C", unpacked, ...what], work);
    writeFileSync(join(unpacked, "sluice-version"), /^nodejs_([\d.]+)/.exec(archive)?.[1] ?? archive);
    mkdirSync(cacheDirectory, { recursive: true });
    // Copied beside its place first, since a rename does not cross file systems.
    const staged = `${installed}.${process.pid}`;
    run("cp", ["-r", unpacked, staged], work);
    try {
      renameSync(staged, installed);
    } catch (error) {
      rmSync(staged, { recursive: true, force: true });
      // Another process may have been faster.
      if (!existsSync(join(installed, "sluice-version"))) throw error;
    }
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function run(command: string, args: readonly string[], cwd: string): void {
  try {
    execFileSync(command, args, { cwd, stdio: ["ignore", "ignore", "pipe"], timeout: 80_000 });
  } catch (error) {
    const { stderr, message } = error as { stderr?: Buffer; message: string };
    const lines = String(stderr ?? "").split("\n");
    const reason = lines.find((line) => line.startsWith("E:")) ?? message;
    throw new Error(`cannot fetch the suite: ${command} failed (${reason})`);
  }
}

/** A deb822 stanza for the sources of `release`, from the archive and with the keys that this machine's apt uses. */
function sourcesOfMachine(): string {
  const files = ["/etc/apt/sources.list", ...globSync("/etc/apt/sources.list.d/*.{list,sources}")];
  for (const file of files) {
    if (!existsSync(file)) continue;
    const text = readFileSync(file, "utf8");
    const found = file.endsWith(".sources") ? fromStanzas(text) : fromLines(text);
    if (found !== null) return found;
  }
  return "";
}

function stanza(archive: string, signedBy: string | undefined): string {
  const lines = ["Types: deb-src", `URIs: ${archive}`, `Suites: ${release}`, "Components: main"];
  if (signedBy !== undefined) lines.push(`Signed-By: ${signedBy}`);
  return `${lines.join("\n")}\n`;
}

/** The archive of Debian proper: neither its security updates nor another distribution's. */
function isArchive(uri: string): boolean {
  return /\/debian\/?$/.test(uri);
}

function fromStanzas(text: string): string | null {
  for (const one of text.split(/\n\s*\n/)) {
    const field = (name: string): string | undefined => new RegExp(`^${name}:\\s*(.+)$`, "m").exec(one)?.[1];
    const archive = field("URIs")?.split(/\s+/).find(isArchive);
    if (archive !== undefined) return stanza(archive, field("Signed-By"));
  }
  return null;
}

function fromLines(text: string): string | null {
  for (const line of text.split("\n")) {
    const match = /^deb(?:-src)?\s+(?:\[([^\]]*)\]\s+)?(\S+)/.exec(line);
    if (match?.[2] === undefined || !isArchive(match[2])) continue;
    return stanza(match[2], /signed-by=(\S+)/.exec(match[1] ?? "")?.[1]);
  }
  return null;
}
