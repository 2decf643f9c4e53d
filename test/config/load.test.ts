import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type LoadedConfig, loadConfig } from "../../src/config/load.ts";
import type { Overrides } from "../../src/config/overrides.ts";
import type { ProxyConfig } from "../../src/config/schema/proxy.ts";
import { MemoryHost } from "./memory-host.ts";

function loadAll(
  files: Record<string, string | Uint8Array>,
  environment: Record<string, string> = {},
  overrides: Overrides = {},
): LoadedConfig {
  return loadConfig(
    "/config/proxy.yaml",
    environment,
    overrides,
    new MemoryHost(new Map(Object.entries(files))),
  );
}

function load(...args: Parameters<typeof loadAll>): ProxyConfig {
  const { config, diagnostics } = loadAll(...args);
  assert.deepEqual(
    diagnostics.map(({ message }) => message),
    [],
  );
  assert.ok(config !== null);
  return config;
}

const worker = "{ main: ./w.ts, compatibilityDate: 2026-01-01 }";

describe("a config", () => {
  test("has its defaults filled in", () => {
    const config = load({
      "/config/proxy.yaml":
        'sockets: { public: { address: "*:8080", service: app } }\nservices: { app: { external: { address: "app:80" } } }',
    });
    assert.deepEqual(config, {
      include: [],
      sockets: {
        public: {
          address: "*:8080",
          service: { name: "app", entrypoint: null, props: {} },
          http: {
            style: "host",
            trustedProxies: [],
            trustedHeader: "x-forwarded-for",
            injectRequestHeaders: {},
            injectResponseHeaders: {},
            timeouts: { head: 10_000, idle: 60_000, keepAlive: 75_000, request: 0 },
            limits: {
              headerBytes: 65_536,
              headerFields: 200,
              bodyBytes: 0,
              connections: 10_000,
              minBodyRate: 0,
            },
            http2: { enabled: true, concurrentStreams: 128, resets: 50, controlFrames: 100 },
          },
        },
      },
      services: {
        app: {
          external: {
            addresses: [{ address: "app:80", weight: 1, backup: false }],
            balance: { kind: "roundRobin" },
            health: {
              passive: {
                failures: 5,
                on: ["connect", "reset", "timeout"],
                ejection: 10_000,
                maxEjection: 300_000,
              },
              panicThreshold: 0,
              slowStart: 0,
            },
            warm: 0,
            resolve: { servers: [], minTtl: 1_000, maxTtl: 300_000, refresh: 30_000 },
            http: {
              style: "host",
              version: 1,
              pingInterval: 0,
              forwarded: "x-forwarded",
              injectRequestHeaders: {},
              injectResponseHeaders: {},
            },
            timeouts: { connect: 5_000, head: 60_000, idle: 60_000, total: 0, keepAlive: 60_000 },
            limits: { connections: 1024, pending: 0, requests: 0, idleConnections: 1024 },
          },
        },
        internet: { network: { allow: ["public"], deny: [] } },
      },
      shards: 1,
      log: { access: true },
      drainTimeout: 30_000,
      isolates: { max: 1000, idleTimeout: 600_000 },
    });
  });

  test("survives the way to a shard as JSON", () => {
    const config = load({
      "/config/proxy.yaml": `sockets: {}\nservices: { w: { worker: ${worker} } }`,
      "/config/w.ts": "",
    });
    assert.deepEqual(JSON.parse(JSON.stringify(config)), config);
  });

  test("keeps an internet of its own", () => {
    const config = load({
      "/config/proxy.yaml": "sockets: {}\nservices: { internet: { network: { allow: [private] } } }",
    });
    assert.deepEqual(config.services, { internet: { network: { allow: ["private"], deny: [] } } });
  });

  test("gives variables the type that is wanted, and keeps text as text", () => {
    const config = load(
      {
        "/config/proxy.yaml": `
sockets:
  public:
    address: "\${HOST:-127.0.0.1}:\${N}"
    service: w
    http: { timeouts: { head: "\${N}", idle: "\${N}s" }, limits: { headerBytes: "\${N}" } }
services:
  w:
    worker:
      main: ./w.ts
      compatibilityDate: 2026-01-01
      bindings: { PORT: { text: "\${N}" }, DATA: { json: { n: "\${N}", list: ["\${ON}"] } } }
      limits: { cpuMs: "\${N}" }
  files: { disk: { path: "\${DIRECTORY}", writable: "\${ON}" } }
shards: \${N}
log: { access: "\${ON}" }
`,
        "/config/w.ts": "",
        "/files/index.html": "",
      },
      { N: "9", ON: "true", DIRECTORY: "/files" },
    );
    const { address, http } = config.sockets.public ?? assert.fail();
    assert.deepEqual(
      [address, http.timeouts.head, http.timeouts.idle, http.limits.headerBytes],
      ["127.0.0.1:9", 9, 9000, 9],
    );
    const { w, files } = config.services;
    assert.ok(w !== undefined && "worker" in w && files !== undefined && "disk" in files);
    assert.deepEqual(w.worker.bindings, { PORT: { text: "9" }, DATA: { json: { n: "9", list: ["true"] } } });
    assert.deepEqual(
      [w.worker.limits.cpuMs, files.disk.writable, config.shards, config.log.access],
      [9, true, 9, true],
    );
  });

  test("resolves paths against the file that names them", () => {
    const { config, files } = loadAll({
      "/config/proxy.yaml": `include: [team/a.yaml, /elsewhere/b.yaml]\nsockets: { s: { address: unix:./s.sock, service: internet } }`,
      "/config/team/a.yaml": `include: [../shared.yaml]\nservices: { w: { worker: ${worker} }, d: { disk: { path: . } } }`,
      "/config/team/w.ts": "",
      "/config/shared.yaml": "services: { o: { external: { address: unix:run/o.sock } } }",
      "/elsewhere/b.yaml": `include: [../config/shared.yaml]\nservices: { x: { worker: { script: sub/x.js, compatibilityDate: 2026-01-01, bindings: { D: { data: ./d.bin } } } } }`,
      "/elsewhere/sub/x.js": "",
      "/elsewhere/d.bin": new Uint8Array([0, 255, 10]),
    });
    assert.ok(config !== null);
    const { w, d, o, x } = config.services;
    assert.ok(w !== undefined && "worker" in w && d !== undefined && "disk" in d);
    assert.ok(o !== undefined && "external" in o && x !== undefined && "worker" in x);
    assert.equal(w.worker.main, "/config/team/w.ts");
    assert.equal(d.disk.path, "/config/team");
    assert.equal(o.external.addresses[0]?.address, "unix:/config/run/o.sock");
    assert.equal(x.worker.script, "/elsewhere/sub/x.js");
    assert.equal(config.sockets.s?.address, "unix:/config/s.sock");
    assert.deepEqual(x.worker.bindings, { D: { data: "AP8K" } });
    assert.deepEqual(files, [
      "/config/proxy.yaml",
      "/config/team/a.yaml",
      "/config/shared.yaml",
      "/elsewhere/b.yaml",
      "/elsewhere/d.bin",
    ]);
  });

  test("holds the environment's texts, and leaves unset optional ones out", () => {
    const config = load(
      {
        "/config/proxy.yaml": `
sockets: {}
services:
  w:
    worker:
      main: ./w.ts
      compatibilityDate: 2026-01-01
      bindings:
        A: { env: TOKEN }
        B: { env: TOKEN, optional: true }
        C: { env: MISSING, optional: true }
        D: { env: EMPTY }
`,
        "/config/w.ts": "",
      },
      { TOKEN: "$".concat("{NOT_READ_AGAIN}"), EMPTY: "" },
    );
    const { w } = config.services;
    assert.ok(w !== undefined && "worker" in w);
    const token = "$".concat("{NOT_READ_AGAIN}");
    assert.deepEqual(w.worker.bindings, { A: { text: token }, B: { text: token }, D: { text: "" } });
  });

  test("takes services in every place: circles, entrypoints, props", () => {
    const config = load({
      "/config/proxy.yaml": `
sockets:
  a: { address: "127.0.0.1:0", service: { name: one, entrypoint: Admin, props: { role: edge, list: [1, null] } } }
  b: { address: "127.0.0.1:0", service: edge, http: { style: proxy } }
services:
  one: { worker: { main: ./w.ts, compatibilityDate: 2026-01-01, globalOutbound: two, bindings: { SELF: { service: one }, TWO: { service: two } } } }
  two: { worker: { main: ./w.ts, compatibilityDate: 2026-01-01, globalOutbound: { name: one }, bindings: { ONE: { service: { name: one, props: 5 } } } } }
  edge: { router: [{ host: "*.example.com", path: "/a/*", headers: { x-a: null, x-b: "*" }, service: one }, { service: edge }] }
`,
      "/config/w.ts": "",
    });
    assert.deepEqual(config.sockets.a?.service, {
      name: "one",
      entrypoint: "Admin",
      props: { role: "edge", list: [1, null] },
    });
    const { two } = config.services;
    assert.ok(two !== undefined && "worker" in two);
    assert.deepEqual(two.worker.globalOutbound, { name: "one", entrypoint: null, props: {} });
    assert.deepEqual(two.worker.bindings, { ONE: { service: { name: "one", entrypoint: null, props: 5 } } });
  });

  test("gives way to the command line", () => {
    const config = load(
      {
        "/config/proxy.yaml": `
sockets:
  a: { service: app }
  b: { address: "*:1", service: app }
services: { app: { external: { address: "app:1" } }, d: { disk: { path: ./nowhere } } }
shards: 1
`,
        "/files/x": "",
      },
      {},
      {
        socketAddr: { a: "127.0.0.1:7" },
        socketFd: { b: "5" },
        externalAddr: { app: "other:2" },
        directoryPath: { d: "/files" },
        shards: "auto",
        admin: "127.0.0.1:0",
      },
    );
    const { app, d } = config.services;
    assert.ok(app !== undefined && "external" in app && d !== undefined && "disk" in d);
    assert.deepEqual(
      [config.sockets.a?.address, config.sockets.b?.address, app.external.addresses[0]?.address, d.disk.path],
      ["127.0.0.1:7", "fd:5", "other:2", "/files"],
    );
    assert.deepEqual([config.shards, config.admin], ["auto", { address: "127.0.0.1:0" }]);
  });

  test("--external-addr puts one address in place of all", () => {
    const config = load(
      {
        "/config/proxy.yaml":
          'sockets: { s: { address: "*:1", service: app } }\nservices:\n  app:\n    external:\n      addresses: ["a:1", { address: "b:1", backup: true }]\n      sticky: { cookie: id }\n',
      },
      {},
      { externalAddr: { app: "127.0.0.1:7" } },
    );
    const app = config.services.app;
    assert.ok(app !== undefined && "external" in app);
    assert.deepEqual(app.external.addresses, [{ address: "127.0.0.1:7", weight: 1, backup: false }]);
  });

  test("offers the Workers whose code can be compiled although something else is not right", () => {
    const { config, workers } = loadAll({
      "/config/proxy.yaml": `
sockets: { a: { address: nowhere, service: missing } }
services:
  good: { worker: ${worker} }
  dangling: { worker: { main: ./w.ts, compatibilityDate: 2026-01-01, globalOutbound: nothing } }
  unreadable: { worker: { main: ./x.ts, compatibilityDate: 2026-01-01 } }
  wrong: { worker: { main: ./w.ts, compatibilityDate: 2026-01-01, limits: { cpuMs: fast } } }
`,
      "/config/w.ts": "",
    });
    assert.equal(config, null);
    assert.deepEqual(
      workers.map(([name, { main }]) => [name, main]),
      [
        ["good", "/config/w.ts"],
        ["dangling", "/config/w.ts"],
        ["wrong", "/config/w.ts"],
      ],
    );
  });

  test("may begin with a byte order mark and have CRLF line ends", () => {
    const { diagnostics } = loadAll({ "/config/proxy.yaml": "\ufeffsockets: {}\r\nshard: 1\r\n" });
    assert.deepEqual(
      diagnostics.map(({ place }) => [place?.line, place?.column, place?.lineText]),
      [[2, 1, "shard: 1"]],
    );
  });

  test("is refused when it is not UTF-8", () => {
    const { config, diagnostics } = loadAll({ "/config/proxy.yaml": new Uint8Array([0xff, 0xfe, 0x61]) });
    assert.equal(config, null);
    assert.match(diagnostics[0]?.message ?? "", /it is not UTF-8$/);
  });

  test("binds no more data than a shard should be sent", () => {
    const { diagnostics } = loadAll({
      "/config/proxy.yaml": `sockets: {}\nservices: { w: { worker: { main: ./w.ts, compatibilityDate: 2026-01-01, bindings: { D: { data: ./d } } } } }`,
      "/config/w.ts": "",
      "/config/d": new Uint8Array(16 * 1024 * 1024 + 1),
    });
    assert.deepEqual(
      diagnostics.map(({ message }) => message),
      ['cannot bind "./d": it holds 16777217 bytes, at most 16777216 can be'],
    );
  });
});
