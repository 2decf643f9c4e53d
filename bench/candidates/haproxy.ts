import { certificateFiles } from "../machine/certificate.ts";
import { toolPath } from "../machine/tools.ts";
import type { Protocol, Work } from "../workload.ts";
import type { Candidate, Running, Surroundings, Task } from "./candidate.ts";
import { startProgram } from "./program.ts";

/** HAProxy with one thread. It edits headers by rules of its config. */
export class HaProxy implements Candidate {
  readonly name = "haproxy";
  readonly works: ReadonlySet<Work> = new Set(["plain", "edit"]);
  readonly protocols: ReadonlySet<Protocol> = new Set(["http", "https"]);

  missing(): string | null {
    return toolPath("haproxy") === null ? "haproxy is not installed" : null;
  }

  start({ work, protocol }: Task, surroundings: Surroundings): Promise<Running> {
    return startProgram("haproxy", surroundings, (place, port) => {
      const bind =
        protocol === "http"
          ? `127.0.0.1:${port}`
          : `127.0.0.1:${port} ssl crt ${certificateFiles(place).both} alpn http/1.1`;
      const config = place.write("haproxy.cfg", text(work, bind, surroundings.originPort));
      return { command: toolPath("haproxy") ?? "", args: ["-db", "-f", config] };
    });
  }
}

function text(work: Work, bind: string, originPort: number): string {
  const edits =
    work === "edit"
      ? "  http-request set-header x-path %[path]\n  http-response set-header x-edited 1\n"
      : "";
  return `global
  nbthread 1
  maxconn 8192
defaults
  mode http
  http-reuse always
  timeout connect 5s
  timeout client 1h
  timeout server 1h
frontend public
  bind ${bind}
${edits}  default_backend origin
backend origin
  server origin 127.0.0.1:${originPort} pool-max-conn 1024
`;
}
