/**
 * Imports go one way (architecture.md): cli → supervisor → shard → services, bindings → isolate, storage, net, tls →
 * http → errors, wire. `scripts/boundaries.mjs` gives dependency-cruiser the source as JavaScript, once without the
 * imports of types alone, for `values`, and once with them, for `types`.
 */

/** HTTP messages and the HTTP/1.1 engine; the server in http/server/ stands above net/. */
const http = "http/(?!server)";

/** What a folder may import beside itself, as patterns under src/. */
const layers = {
  wire: [],
  runtime: ["wire/"],
  errors: [],
  observability: ["errors/"],
  [http]: ["errors/", "wire/"],
  net: ["errors/", http, "observability/"],
  tls: ["errors/", "net/", "observability/"],
  storage: ["errors/", "net/", "observability/"],
  "http/server": ["errors/", http, "net/", "observability/"],
  isolate: ["errors/", "wire/", http, "net/", "storage/", "observability/", "paths"],
  services: ["errors/", "wire/", http, "net/", "tls/", "storage/", "isolate/", "bindings/", "observability/"],
  forward: ["errors/", http, "http/server/", "net/", "tls/", "services/", "observability/"],
  config: ["errors/", "net/(address|cidr|password|private-names|upstream-proxy|verification-key)", "paths"],
  acme: ["errors/", "net/", "tls/", "observability/"],
  shard: ["(?!supervisor/|acme/|cli/|config/|runtime/|main)"],
  supervisor: ["(?!cli/|runtime/|main)"],
  cli: ["(?!runtime/|main)"],
};

const direction = Object.entries(layers).map(([folder, imports]) => {
  const own = folder === http ? folder : `${folder}/`;
  return {
    name: `${folder === http ? "http" : folder} imports only what lies below it`,
    severity: "error",
    from: { path: `^src/${own}` },
    to: { path: "^src/", pathNot: `^src/(${[own, ...imports].join("|")})` },
  };
});

/** Imports that exist when the program runs. */
export const values = [
  {
    name: "no circles",
    severity: "error",
    from: {},
    to: { circular: true },
  },
  {
    name: "main calls the command line and nothing else",
    severity: "error",
    from: { path: "^src/main\\." },
    to: { path: "^src/", pathNot: "^src/cli/run\\." },
  },
  {
    name: "what runs in an isolate imports no Node.js",
    severity: "error",
    from: { path: "^src/(runtime|wire)/" },
    to: { dependencyTypes: ["core"] },
  },
  {
    name: "messages and the HTTP/1.1 engine do no I/O",
    severity: "error",
    // authority asks node:net whether a text is an IPv6 address, which is arithmetic; module loads a package when it is needed.
    from: { path: "^src/(errors|http)/", pathNot: "^src/http/(server/|http1/authority)" },
    to: { dependencyTypes: ["core"], pathNot: "^(buffer|crypto|module)$" },
  },
  {
    name: "isolated-vm is the business of isolates alone",
    severity: "error",
    from: { path: "^src/", pathNot: "^src/(isolate|services/worker|shard)/" },
    to: { path: "isolated-vm" },
  },
  ...direction,
];

/** Imports of types alone: the parts that are to stand by themselves do so in their types too. */
export const types = [
  {
    name: "guest code knows nothing of the host, not even its types",
    severity: "error",
    from: { path: "^src/(runtime|wire)/" },
    to: { path: "^src/", pathNot: "^src/(runtime|wire)/" },
  },
  {
    name: "messages and the HTTP/1.1 engine know only errors and each other",
    severity: "error",
    from: { path: "^src/http/", pathNot: "^src/http/server/" },
    to: { path: "^src/", pathNot: "^src/(http/(?!server)|errors/|wire/|config/schema/|observability/)" },
  },
  {
    name: "nothing below knows the supervisor or the command line",
    severity: "error",
    from: { path: "^src/", pathNot: "^src/(supervisor|cli|main)" },
    to: { path: "^src/(supervisor|cli)/" },
  },
];
