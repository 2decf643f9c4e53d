import { spawnSync } from "node:child_process";
import { accessSync, constants, copyFileSync, existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { fileReason } from "../config/host.ts";
import { caDirectory, LocalCa } from "../tls/local-ca.ts";
import { exitCodes, UsageError } from "./usage.ts";

export interface CertOptions {
  /** `print`, `export`, `install` or `remove`. */
  readonly action: string;
  /** Where `export` writes. */
  readonly file: string | undefined;
  /** `system`, `nss`, or undefined for both. */
  readonly store: string | undefined;
  /** Which of this user's authorities: `development`, or `interception`. */
  readonly ca: string;
}

/** Where Debian and its kin take further authorities from. */
const systemDirectory = "/usr/local/share/ca-certificates";

/** What was done, and what has to be done by somebody who may. */
interface Outcome {
  readonly done: string[];
  readonly todo: string[];
}

/**
 * The CA of this user: shows its certificate, copies it, and makes this machine trust it or forget it.
 *
 * @returns the exit code: 0, or 1 when something is left to do
 * @throws UsageError for an action or store that there is not
 */
export function cert({ action, file, store, ca: kind }: CertOptions): number {
  const { env, stdout, stderr } = process;
  if (store !== undefined && store !== "system" && store !== "nss") {
    throw new UsageError(`cannot run cert: --store is system or nss, not ${JSON.stringify(store)}`);
  }
  if (kind !== "development" && kind !== "interception") {
    throw new UsageError(`cannot run cert: --ca is development or interception, not ${JSON.stringify(kind)}`);
  }
  const directory = caDirectory(kind, env);
  try {
    switch (action) {
      case "print": {
        const ca = LocalCa.open(kind, directory);
        stdout.write(ca.certificate);
        stderr.write(`${ca.certificatePath}\n`);
        return exitCodes.done;
      }
      case "export": {
        if (file === undefined) throw new UsageError("cannot run cert export: it needs a file");
        writeFileSync(file, LocalCa.open(kind, directory).certificate);
        stdout.write(`wrote ${file}\n`);
        return exitCodes.done;
      }
      case "install":
        return tell(change(LocalCa.open(kind, directory), store, true));
      case "remove": {
        const ca = LocalCa.find(kind, directory);
        if (ca === null) {
          stdout.write(`there is no ${kind} CA\n`);
          return exitCodes.done;
        }
        const outcome = change(ca, store, false);
        // As long as a store trusts it, its file tells by which name.
        if (outcome.todo.length === 0 && store === undefined) {
          ca.remove();
          outcome.done.push(`removed ${directory}`);
        }
        return tell(outcome);
      }
      default:
        throw new UsageError(
          `cannot run cert ${JSON.stringify(action)}: expected print, export, install or remove`,
        );
    }
  } catch (error) {
    if (error instanceof UsageError) throw error;
    stderr.write(`sluice: cannot ${action} the ${kind} CA: ${fileReason(error)}\n`);
    return exitCodes.failed;
  }
}

function change(ca: LocalCa, store: string | undefined, install: boolean): Outcome {
  const outcome: Outcome = { done: [], todo: [] };
  if (store !== "nss") changeSystem(ca, install, outcome);
  if (store !== "system") changeNss(ca, install, outcome);
  return outcome;
}

function changeSystem(ca: LocalCa, install: boolean, outcome: Outcome): void {
  const target = join(systemDirectory, `${ca.name}.crt`);
  if (!install && !existsSync(target)) return;
  if (!existsSync(systemDirectory)) {
    outcome.todo.push(`add ${ca.certificatePath} to the trust store of this system, which is not Debian's`);
    return;
  }
  if (!mayWrite(systemDirectory)) {
    const first = install ? `cp ${ca.certificatePath} ${target}` : `rm ${target}`;
    outcome.todo.push(`sudo sh -c '${first} && update-ca-certificates'`);
    return;
  }
  if (install) copyFileSync(ca.certificatePath, target);
  else rmSync(target);
  if (runs("update-ca-certificates", install ? [] : ["--fresh"])) {
    outcome.done.push(`${install ? "the system trusts it" : "the system has forgotten it"} (${target})`);
  } else outcome.todo.push("update-ca-certificates");
}

/** The store of Chromium and its kin. */
function changeNss(ca: LocalCa, install: boolean, outcome: Outcome): void {
  const database = join(process.env.HOME ?? homedir(), ".pki", "nssdb");
  const at = ["-d", `sql:${database}`];
  if (!install) {
    if (!existsSync(database)) return;
    if (runs("certutil", ["-D", ...at, "-n", ca.name])) outcome.done.push("Chromium has forgotten it");
    return;
  }
  const add = ["-A", ...at, "-t", "C,,", "-n", ca.name, "-i", ca.certificatePath];
  if (!runs("certutil", ["-H"], true)) {
    outcome.todo.push(`apt-get install libnss3-tools, for Chromium; then: certutil ${add.join(" ")}`);
    return;
  }
  if (!existsSync(database)) {
    mkdirSync(database, { recursive: true, mode: 0o700 });
    runs("certutil", ["-N", ...at, "--empty-password"]);
  }
  if (runs("certutil", add)) outcome.done.push(`Chromium trusts it (${database})`);
  else outcome.todo.push(`certutil ${add.join(" ")}`);
}

function mayWrite(directory: string): boolean {
  try {
    accessSync(directory, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** @param present it is enough that the program is there */
function runs(program: string, args: readonly string[], present = false): boolean {
  const { error, status } = spawnSync(program, args, { stdio: "ignore", timeout: 60_000 });
  return present ? error === undefined : status === 0;
}

function tell({ done, todo }: Outcome): number {
  for (const line of done) process.stdout.write(`${line}\n`);
  if (todo.length === 0) return exitCodes.done;
  process.stderr.write(
    `sluice: not all could be done here; still to do:\n${todo.map((line) => `  ${line}\n`).join("")}`,
  );
  return exitCodes.failed;
}
