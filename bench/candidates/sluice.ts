import { fileURLToPath } from "node:url";
import { certificateFiles } from "../machine/certificate.ts";
import type { Place } from "../machine/place.ts";
import type { Protocol, Work } from "../workload.ts";
import type { Candidate, Running, Surroundings, Task } from "./candidate.ts";
import { startProgram } from "./program.ts";
import { workerSource, workersOf } from "./scripts.ts";

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** What runs as Sluice: the checkout's command, the packaged build, or the launcher that profiles. */
export const programs = {
  source: [at("../../bin/sluice.mjs")],
  dist: [at("../../dist/main.js")],
  profiled: [at("../profiled.ts")],
} as const satisfies Record<string, readonly string[]>;

const compatibilityDate = "2026-11-01";

/** Sluice with one shard, and its access log off as those of the peers. */
export class Sluice implements Candidate {
  readonly name = "sluice";
  readonly works: ReadonlySet<Work> = new Set(["plain", "string", "pass", "edit", "chain", "json"]);
  readonly protocols: ReadonlySet<Protocol> = new Set(["http", "https", "h2c"]);
  readonly #program: readonly string[];
  readonly #env: Record<string, string>;

  constructor(program: readonly string[] = programs.source, env: Record<string, string> = {}) {
    this.#program = program;
    this.#env = env;
  }

  missing(): null {
    return null;
  }

  start(task: Task, surroundings: Surroundings): Promise<Running> {
    return this.serve(surroundings, (place, port) => config(task, place, port, surroundings.originPort));
  }

  /** Serves a config of one's own. @param write gives the text of proxy.yaml, and writes what that names */
  serve(surroundings: Surroundings, write: (place: Place, port: number) => string): Promise<Running> {
    return startProgram("sluice", surroundings, (place, port) => {
      const path = place.write("proxy.yaml", write(place, port));
      return {
        command: process.execPath,
        args: [...this.#program, "serve", path],
        env: { NO_COLOR: "1", ...this.#env },
      };
    });
  }
}

function config({ work, protocol }: Task, place: Place, port: number, originPort: number): string {
  const files = work === "plain" ? [] : workersOf(work);
  const { certificate, key } = certificateFiles(place);
  const tls =
    protocol === "https" ? `, tls: { certificates: [{ certificate: ${certificate}, key: ${key} }] }` : "";
  const lines = [
    "log: { access: false }",
    "sockets:",
    `  public: { address: "127.0.0.1:${port}", service: ${work === "plain" ? "origin" : "worker0"}${tls} }`,
    "services:",
    // As many as nginx's `keepalive` says; with fewer than there are clients, connections would come and go all the time.
    `  origin: { external: { address: "127.0.0.1:${originPort}" } }`,
  ];
  for (const [index, file] of files.entries()) {
    place.write(file, workerSource(file));
    const next =
      index + 1 < files.length ? `NEXT: { service: worker${index + 1} }` : "ORIGIN: { service: origin }";
    lines.push(
      `  worker${index}:`,
      `    worker: { main: ./${file}, compatibilityDate: ${compatibilityDate}, bindings: { ${next} } }`,
    );
  }
  return `${lines.join("\n")}\n`;
}

/** A front Worker that hands a request for /W17 to Worker 17 of `count`. @param adminPort 0 takes any */
export function manyWorkers(place: Place, port: number, count: number, adminPort = 0): string {
  place.write("front.js", workerSource("front.js"));
  place.write("string.js", workerSource("string.js"));
  const names = Array.from({ length: count }, (_, index) => `W${index}`);
  const worker = (file: string) => `main: ./${file}, compatibilityDate: ${compatibilityDate}`;
  return `log: { access: false }
admin: { address: "127.0.0.1:${adminPort}" }
sockets:
  public: { address: "127.0.0.1:${port}", service: front }
services:
  front: { worker: { ${worker("front.js")}, bindings: { ${names.map((name) => `${name}: { service: ${name} }`).join(", ")} } } }
${names.map((name) => `  ${name}: { worker: { ${worker("string.js")} } }`).join("\n")}
`;
}
