import { certificateFiles } from "../machine/certificate.ts";
import { toolPath } from "../machine/tools.ts";
import type { Protocol, Work } from "../workload.ts";
import type { Candidate, Running, Surroundings, Task } from "./candidate.ts";
import { startProgram } from "./program.ts";

/** Caddy, which sees one core. It edits headers by directives of its config. */
export class Caddy implements Candidate {
  readonly name = "caddy";
  readonly works: ReadonlySet<Work> = new Set(["plain", "edit"]);
  readonly protocols: ReadonlySet<Protocol> = new Set(["http", "https", "h2c"]);

  missing(): string | null {
    return toolPath("caddy") === null ? "caddy is not installed" : null;
  }

  start({ work, protocol }: Task, surroundings: Surroundings): Promise<Running> {
    return startProgram("caddy", surroundings, (place, port) => {
      const { certificate, key } = certificateFiles(place);
      const tls = protocol === "https" ? `tls ${certificate} ${key}` : "";
      const site = `${protocol === "https" ? "https" : "http"}://127.0.0.1:${port}`;
      const config = place.write("Caddyfile", text(work, site, tls, surroundings.originPort, protocol));
      return {
        command: toolPath("caddy") ?? "",
        args: ["run", "--adapter", "caddyfile", "--config", config],
        env: { HOME: place.path, XDG_CONFIG_HOME: place.path, XDG_DATA_HOME: place.path, GOMAXPROCS: "1" },
      };
    });
  }
}

function text(work: Work, site: string, tls: string, originPort: number, protocol: Protocol): string {
  const edits =
    work === "edit" ? "header_up x-path {http.request.uri.path}\n    header_down x-edited 1\n" : "";
  return `{
  admin off
  auto_https off
  servers {
    protocols h1${protocol === "h2c" ? " h2c" : ""}
  }
}
${site} {
  bind 127.0.0.1
  ${tls}
  reverse_proxy 127.0.0.1:${originPort} {
    ${edits}    transport http {
      keepalive 1h
      keepalive_idle_conns 1024
      keepalive_idle_conns_per_host 1024
    }
  }
}
`;
}
