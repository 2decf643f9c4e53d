import { certificateFiles } from "../machine/certificate.ts";
import type { Place } from "../machine/place.ts";
import { nginxModule, toolPath } from "../machine/tools.ts";
import type { Protocol, Work } from "../workload.ts";
import type { Candidate, Running, Surroundings, Task } from "./candidate.ts";
import { startProgram } from "./program.ts";

const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];

/** What one flavour of nginx adds to the config. */
interface Flavour {
  readonly name: string;
  /** Files of dynamic modules. */
  readonly modules: readonly string[];
  /** The Debian package, for the word when it is missing. */
  readonly package: string;
  /** Directives of the location, for each work it can do. */
  readonly location: Partial<Record<Work, string>>;
  /** Directives of `http`. */
  readonly http: (place: Place) => string;
}

/** Stands again wherever another header is set: a level that sets one inherits none, and would not keep connections. */
const upstreamHeaders = 'proxy_set_header connection ""; proxy_set_header host $host:$server_port;';

const forward = "proxy_pass http://origin;";

const njsScript = `
function path(r) { return r.uri; }
function edited(r) { r.headersOut["x-edited"] = "1"; }
function text(r) { r.return(200, "Hello from a Worker\\n"); }
async function json(r) {
  const reply = await r.subrequest("/origin" + r.uri);
  const document = JSON.parse(reply.responseText);
  for (let index = 0; index < document.items.length; index++) document.items[index].price *= 2;
  document.edited = true;
  r.headersOut["content-type"] = "application/json";
  r.return(200, JSON.stringify(document));
}
export default { path, edited, text, json };
`;

const flavours: readonly Flavour[] = [
  { name: "nginx", modules: [], package: "nginx", location: { plain: forward }, http: () => "" },
  {
    name: "nginx+njs",
    modules: ["ngx_http_js_module.so"],
    package: "libnginx-mod-http-js",
    location: {
      string: "js_content bench.text;",
      edit: `${upstreamHeaders} proxy_set_header x-path $bench_path; js_header_filter bench.edited; ${forward}`,
      json: "js_content bench.json;",
    },
    http: (place) => {
      place.write("bench.js", njsScript);
      return `js_path ${place.path}; js_import bench from bench.js; js_set $bench_path bench.path; subrequest_output_buffer_size 64k;`;
    },
  },
  {
    name: "nginx+lua",
    modules: ["ndk_http_module.so", "ngx_http_lua_module.so"],
    package: "libnginx-mod-http-lua",
    location: {
      string: 'content_by_lua_block { ngx.print("Hello from a Worker\\n") }',
      edit: `access_by_lua_block { ngx.req.set_header("x-path", ngx.var.uri) }
      header_filter_by_lua_block { ngx.header["x-edited"] = "1" }
      ${forward}`,
    },
    http: () => "",
  },
];

/** nginx with a master and one worker, and enough connections to the origin kept. */
class Nginx implements Candidate {
  readonly name: string;
  readonly works: ReadonlySet<Work>;
  readonly protocols: ReadonlySet<Protocol> = new Set(["http", "https", "h2c"]);
  readonly #flavour: Flavour;

  constructor(flavour: Flavour) {
    this.name = flavour.name;
    this.works = new Set(Object.keys(flavour.location) as Work[]);
    this.#flavour = flavour;
  }

  missing(): string | null {
    const isThere =
      toolPath("nginx") !== null && this.#flavour.modules.every((file) => nginxModule(file) !== null);
    return isThere ? null : `${this.#flavour.package} is not installed`;
  }

  start(task: Task, surroundings: Surroundings): Promise<Running> {
    return startProgram("nginx", surroundings, (place, port) => {
      const config = place.write("nginx.conf", this.#config(place, port, surroundings.originPort, task));
      return { command: toolPath("nginx") ?? "", args: ["-p", place.path, "-e", "stderr", "-c", config] };
    });
  }

  #config(place: Place, port: number, originPort: number, { work, protocol }: Task): string {
    const { modules, location, http } = this.#flavour;
    const files = certificateFiles(place);
    const tls =
      protocol === "https" ? `ssl_certificate ${files.certificate}; ssl_certificate_key ${files.key};` : "";
    return `daemon off;
worker_processes 1;
pid ${place.path}/pid;
error_log stderr crit;
${process.getuid?.() === 0 ? "user root;" : ""}
${modules.map((file) => `load_module ${nginxModule(file)};`).join("\n")}
events { worker_connections 8192; }
http {
  access_log off;
  default_type text/plain;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  client_max_body_size 0;
  ${temporary.map((kind) => `${kind}_temp_path ${place.path}/${kind};`).join(" ")}
  proxy_http_version 1.1;
  ${upstreamHeaders}
  proxy_buffers 16 32k;
  proxy_max_temp_file_size 0;
  proxy_request_buffering off;
  ${http(place)}
  upstream origin { server 127.0.0.1:${originPort}; keepalive 1024; keepalive_requests 1000000000; keepalive_timeout 1h; }
  server {
    listen 127.0.0.1:${port} ${protocol === "https" ? "ssl " : protocol === "h2c" ? "http2 " : ""}backlog=4096;
    ${tls}
    location / {
      ${location[work] ?? ""}
    }
    location /origin/ {
      internal;
      proxy_pass http://origin/;
    }
  }
}
`;
  }
}

export const nginxes: readonly Candidate[] = flavours.map((flavour) => new Nginx(flavour));
