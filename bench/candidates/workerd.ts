import { existsSync } from "node:fs";
import { arch } from "node:os";
import { fileURLToPath } from "node:url";
import type { Place } from "../machine/place.ts";
import type { Protocol, Work } from "../workload.ts";
import type { Candidate, Running, Surroundings, Task } from "./candidate.ts";
import { startProgram } from "./program.ts";
import { workerSource, workersOf } from "./scripts.ts";

const compatibilityDate = "2026-11-01";

/** The binary lies in workerd's package for the platform; the package that chooses one needs an install script. */
const binary = fileURLToPath(
  new URL(
    `../node_modules/@cloudflare/workerd-linux-${arch() === "x64" ? "64" : arch()}/bin/workerd`,
    import.meta.url,
  ),
);

/** workerd, which has the same model as Sluice, with the same Workers. */
export class Workerd implements Candidate {
  readonly name = "workerd";
  readonly works: ReadonlySet<Work> = new Set(["plain", "string", "pass", "edit", "chain", "json"]);
  readonly protocols: ReadonlySet<Protocol> = new Set(["http"]);

  missing(): string | null {
    return existsSync(binary) ? null : `no binary for ${process.platform} on ${arch()}`;
  }

  start({ work }: Task, surroundings: Surroundings): Promise<Running> {
    return this.serve(surroundings, (place, port) => config(work, place, port, surroundings.originPort));
  }

  /** Serves a config of one's own. @param write gives the text of the config, and writes what that names */
  serve(
    surroundings: Surroundings,
    write: (place: Place, port: number) => string,
    flags: readonly string[] = [],
  ): Promise<Running> {
    return startProgram("workerd", surroundings, (place, port) => {
      const path = place.write("config.capnp", write(place, port));
      return { command: binary, args: ["serve", ...flags, path] };
    });
  }
}

function config(work: Work, place: Place, port: number, originPort: number): string {
  const files = work === "plain" ? [] : workersOf(work);
  const workers = files.map((file, index) => {
    place.write(file, workerSource(file));
    const next =
      index + 1 < files.length
        ? `(name = "NEXT", service = "worker${index + 1}")`
        : '(name = "ORIGIN", service = "origin")';
    return { name: `worker${index}`, file, bindings: [next] };
  });
  return capnp(port, work === "plain" ? "origin" : "worker0", workers, [
    `(name = "origin", external = (address = "127.0.0.1:${originPort}", http = ()))`,
  ]);
}

/** The counterpart of Sluice's `manyWorkers`: a front Worker that hands a request for /W17 to Worker 17 of `count`. */
export function manyWorkers(place: Place, port: number, count: number): string {
  for (const file of ["front.js", "string.js"]) place.write(file, workerSource(file));
  const names = Array.from({ length: count }, (_, index) => `W${index}`);
  const front = names.map((name) => `(name = "${name}", service = "${name}")`);
  return capnp(port, "front", [
    { name: "front", file: "front.js", bindings: front },
    ...names.map((name) => ({ name, file: "string.js", bindings: [] })),
  ]);
}

interface WorkerText {
  readonly name: string;
  readonly file: string;
  readonly bindings: readonly string[];
}

function capnp(
  port: number,
  target: string,
  workers: readonly WorkerText[],
  services: readonly string[] = [],
): string {
  const all = [
    ...services,
    ...workers.map(
      ({ name, file, bindings }) => `(name = "${name}", worker = (
      modules = [(name = "worker.js", esModule = embed "${file}")],
      compatibilityDate = "${compatibilityDate}",
      bindings = [${bindings.join(", ")}]))`,
    ),
  ];
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    ${all.join(",\n    ")}
  ],
  sockets = [(name = "public", address = "127.0.0.1:${port}", http = (), service = "${target}")]
);
`;
}
