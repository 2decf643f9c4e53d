import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Protocol, Work } from "../workload.ts";
import type { Candidate, Running, Surroundings, Task } from "./candidate.ts";
import { startProgram } from "./program.ts";

/** A proxy written with a package from npm, in one Node.js process. */
class NodeProgram implements Candidate {
  readonly name: string;
  readonly works: ReadonlySet<Work>;
  readonly protocols: ReadonlySet<Protocol> = new Set(["http"]);
  readonly #file: string;
  readonly #package: string;

  constructor(name: string, file: string, packagePath: string, works: readonly Work[]) {
    this.name = name;
    this.works = new Set(works);
    this.#file = fileURLToPath(new URL(`./programs/${file}`, import.meta.url));
    this.#package = fileURLToPath(new URL(`../${packagePath}`, import.meta.url));
  }

  missing(): string | null {
    return existsSync(this.#package) ? null : "its package is not installed";
  }

  start({ work }: Task, surroundings: Surroundings): Promise<Running> {
    return startProgram("node", surroundings, (_place, port) => ({
      command: process.execPath,
      args: ["--no-deprecation", this.#file, String(port), String(surroundings.originPort), work],
      env: { NODE_ENV: "production" },
    }));
  }
}

export const nodePrograms: readonly Candidate[] = [
  new NodeProgram("node+undici", "undici.mjs", "../node_modules/undici", ["plain", "string", "edit", "json"]),
  new NodeProgram("http-proxy", "http-proxy.mjs", "node_modules/http-proxy", ["plain", "edit"]),
];
