import { truncateSync } from "node:fs";
import { ask } from "./load/probe.ts";
import { Child } from "./machine/child.ts";
import type { Cores } from "./machine/cores.ts";
import { pinned } from "./machine/cores.ts";
import { Place } from "./machine/place.ts";
import { freePort } from "./machine/port.ts";
import { toolPath } from "./machine/tools.ts";
import { jsonBytes, largeBytes } from "./workload.ts";

/** Bytes of `/huge`. */
export const hugeBytes = 1024 ** 3;

const small = `${"sluice bench ".repeat(7)}0123456789\n`;

/** 100 items. */
const catalogue = JSON.stringify({
  name: "catalogue",
  items: Array.from({ length: 100 }, (_, index) => ({
    id: 100_000 + index,
    name: `item number ${String(index).padStart(3, "0")}`,
    price: 1000 + index,
    tags: ["sluice", "bench", "json"],
    stock: index % 7,
  })),
});

/** Filled up with the white space that JSON may end with. */
const json = catalogue.padEnd(jsonBytes, "\n");

/**
 * An nginx that answers, on the load's core:
 *
 * - `/small` 102 bytes, `/json` 10 KB, `/large` 1 MiB, `/huge` 1 GiB from a sparse file,
 * - `/sink` `ok\n`, after the request's whole body has come,
 * - `/status` how many connections it has accepted,
 * - `/echo` what came in `x-path`, as the response header `x-saw`, to see that a script really ran.
 */
export class Origin {
  readonly port: number;
  readonly #child: Child;
  readonly #place: Place;
  #asked = 0;

  private constructor(port: number, child: Child, place: Place) {
    this.port = port;
    this.#child = child;
    this.#place = place;
  }

  /** @throws Error when the machine has no nginx */
  static async start(cores: Cores): Promise<Origin> {
    const nginx = toolPath("nginx");
    if (nginx === null) throw new Error("cannot start the origin: nginx is not installed");
    const place = new Place("origin");
    const port = await freePort();
    place.directory("www");
    place.write("www/json", json);
    place.write("www/large", "0123456789abcdef".repeat(largeBytes / 16));
    truncateSync(place.write("www/huge", ""), hugeBytes);
    const config = place.write("nginx.conf", originConfig(place.path, port));
    const child = new Child(pinned(cores.load, nginx, ["-p", place.path, "-e", "stderr", "-c", config]), {
      cwd: place.path,
    });
    await child.listens(port);
    return new Origin(port, child, place);
  }

  /** Connections that it has accepted so far, but for those that asked. @throws Error when its nginx cannot tell */
  async accepts(): Promise<number> {
    const { status, body } = await ask(this.port, "/status");
    const [, accepted] = /server accepts handled requests\s+(\d+)/.exec(body.toString()) ?? [];
    if (status !== 200 || accepted === undefined) throw new Error("cannot count the origin's connections");
    this.#asked++;
    return Number(accepted) - this.#asked;
  }

  async stop(): Promise<void> {
    await this.#child.stop();
    this.#place.remove();
  }
}

/** nginx reads a whole body only for an upstream, so `/sink` has one: a second server, which gets no body. */
function originConfig(directory: string, port: number): string {
  return `daemon off;
master_process off;
pid ${directory}/pid;
error_log stderr crit;
events { worker_connections 8192; multi_accept on; }
http {
  access_log off;
  default_type text/plain;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  tcp_nodelay on;
  sendfile on;
  open_file_cache max=10 inactive=1h;
  client_max_body_size 0;
  client_body_buffer_size 2m;
${["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((kind) => `  ${kind}_temp_path ${directory}/${kind};`).join("\n")}
  upstream drain { server unix:${directory}/drain.sock; keepalive 64; keepalive_requests 1000000000; }
  server {
    listen unix:${directory}/drain.sock;
    return 200 "ok\\n";
  }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    root ${directory}/www;
    location = /small { return 200 "${small.replace("\n", "\\n")}"; }
    location = /json { default_type application/json; }
    location = /large { default_type application/octet-stream; }
    location = /huge { default_type application/octet-stream; }
    location = /status { stub_status; }
    location = /echo { add_header x-saw $http_x_path; return 200 "echo\\n"; }
    location = /sink {
      proxy_pass http://drain;
      proxy_http_version 1.1;
      proxy_set_header connection "";
      proxy_set_header content-length "";
      proxy_pass_request_body off;
    }
  }
}
`;
}
