import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { arch } from "node:os";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { installPeers } from "../../bench/install.ts";
import type { TemporaryDirectory } from "../support/temporary.ts";

/** The day whose behaviour is asked of workerd. */
const compatibilityDate = "2026-11-01";

/** The benchmark's copy; the package that would choose one for the platform needs an install script. */
function binary(): string {
  const platform = arch() === "x64" ? "64" : arch();
  return fileURLToPath(
    new URL(`../../bench/node_modules/@cloudflare/workerd-linux-${platform}/bin/workerd`, import.meta.url),
  );
}

/** Why workerd cannot be run here, or null; installs it where that has not been done. */
export function missingWorkerd(): string | null {
  if (!existsSync(binary())) installPeers();
  return existsSync(binary()) ? null : `no workerd for ${process.platform} on ${arch()}`;
}

/** A Worker as both programs get it. */
export interface ProbeWorker {
  /** One module without imports but those of the platform. */
  readonly code: string;
  readonly node: boolean;
  /** The services that `env` holds: what it is called, and the Worker and its entrypoint. */
  readonly bindings: Readonly<Record<string, { readonly worker: string; readonly entrypoint?: string }>>;
}

/** workerd as a process of its own, with the first of some Workers behind a socket. */
export class Workerd {
  readonly #child: ChildProcess;
  readonly port: number;

  private constructor(child: ChildProcess, port: number) {
    this.#child = child;
    this.port = port;
  }

  static async start(
    directory: TemporaryDirectory,
    workers: Readonly<Record<string, ProbeWorker>>,
  ): Promise<Workerd> {
    for (const [name, { code }] of Object.entries(workers)) directory.write(`${name}.js`, code);
    const config = directory.write("config.capnp", configOf(workers));
    const child = spawn(binary(), ["serve", "--control-fd=3", "--experimental", config], {
      cwd: directory.path,
      stdio: ["ignore", "ignore", "pipe", "pipe"],
    });
    let said = "";
    child.stderr?.on("data", (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-4096);
    });
    const lines = createInterface({ input: child.stdio[3] as Readable });
    const port = await new Promise<number>((resolve, reject) => {
      lines.on("line", (line) => {
        const event = JSON.parse(line) as { event: string; port?: number };
        if (event.event === "listen" && event.port !== undefined) resolve(event.port);
      });
      child.once("error", reject);
      child.once("exit", () => reject(new Error(`cannot start workerd: ${said}`)));
    });
    return new Workerd(child, port);
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const exited = once(this.#child, "exit");
      this.#child.kill("SIGKILL");
      await exited;
    }
  }
}

function configOf(workers: Readonly<Record<string, ProbeWorker>>): string {
  const services = Object.entries(workers).map(([name, { node, bindings }]) => {
    const bound = Object.entries(bindings).map(
      ([key, { worker, entrypoint }]) =>
        `(name = "${key}", service = (name = "${worker}"${entrypoint === undefined ? "" : `, entrypoint = "${entrypoint}"`}))`,
    );
    return `(name = "${name}", worker = (
      modules = [(name = "${name}.js", esModule = embed "${name}.js")],
      compatibilityDate = "${compatibilityDate}",
      compatibilityFlags = ["${node ? "nodejs_compat" : "no_nodejs_compat"}"],
      bindings = [${bound.join(", ")}]))`;
  });
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    ${services.join(",\n    ")}
  ],
  sockets = [(name = "probe", address = "127.0.0.1:0", http = (), service = "${Object.keys(workers)[0]}")]
);
`;
}
