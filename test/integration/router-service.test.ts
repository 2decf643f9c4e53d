import assert from "node:assert/strict";
import { test } from "node:test";
import { type RouteConfig, router } from "../../src/config/schema/router.ts";
import { HeaderBlock } from "../../src/http/header-block.ts";
import { ResponseHead } from "../../src/http/message.ts";
import { canonicalPath, pathForms } from "../../src/http/path.ts";
import { RouterService } from "../../src/services/router/router.ts";
import type { Service, Tunnel } from "../../src/services/service.ts";
import { TestContextOfServices } from "./http-harness.ts";
import { CollectedTunnel, collect } from "./network-harness.ts";

/** Answers with its own name and the target that it was given. */
class NamedService implements Service {
  readonly name: string;
  readonly kind = "external" as const;

  constructor(name: string) {
    this.name = name;
  }

  handle(exchange: Parameters<Service["handle"]>[0]): void {
    const headers = HeaderBlock.from([
      ["service", this.name],
      ["target", exchange.request.target],
    ]);
    exchange.respond(new ResponseHead(200, headers), null);
  }

  connect(tunnel: Tunnel): void {
    (tunnel as CollectedTunnel).servedBy = this.name;
  }

  at(): Service {
    return this;
  }

  close(): void {}
}

type Rule = Partial<Omit<RouteConfig, "service">> & { readonly to: string };

function makeRouter(...rules: readonly Rule[]): RouterService {
  const router = new RouterService(
    "edge",
    rules.map(({ to, ...rule }) => ({
      timeout: 0,
      splitBy: "client" as const,
      ...rule,
      service: { name: to, entrypoint: null, props: {} },
    })),
    new TestContextOfServices().forServices,
  );
  router.link(({ name }) => (name === "edge" ? router : new NamedService(name)));
  return router;
}

interface Ask {
  readonly method?: string;
  readonly authority?: string;
  readonly scheme?: "http" | "https";
  readonly headers?: ReadonlyArray<readonly [string, string]>;
}

/** `service target`, or the status and code of the failure. */
async function ask(router: RouterService, target: string, options: Ask = {}): Promise<string> {
  const answer = await collect(router, { target, ...options });
  if (answer.error !== null) return `${answer.error.status} ${answer.error.code}`;
  return `${answer.headers.get("service")} ${answer.headers.get("target")}`;
}

test("the first rule that matches wins", async () => {
  const router = makeRouter({ path: "/a/*", to: "first" }, { path: "/a/b", to: "second" }, { to: "rest" });
  assert.equal(await ask(router, "/a/b"), "first /a/b");
  assert.equal(await ask(router, "/b?x=/a/"), "rest /b?x=/a/");
});

test("a request that no rule takes is answered 404", async () => {
  assert.equal(await ask(makeRouter({ path: "/a", to: "a" }), "/b"), "404 route_missing");
});

test("hosts match exactly, below a name, or with a port", async () => {
  const router = makeRouter(
    { host: "API.example.com:8080", to: "port" },
    { host: "api.example.com", to: "api" },
    { host: "*.example.com", to: "below" },
    { host: "bücher.example", to: "idn" },
    { host: "[::1]", to: "v6" },
    { host: "*:8443", to: "any" },
  );
  const cases = [
    ["api.example.com", "api"],
    ["API.Example.COM.", "api"],
    ["api.example.com:80", "api"],
    ["api.example.com:8080", "port"],
    ["a.example.com", "below"],
    ["a.b.example.com:1", "below"],
    ["xn--bcher-kva.example", "idn"],
    ["[::1]:80", "v6"],
    ["other.test:8443", "any"],
  ] as const;
  for (const [authority, service] of cases) {
    assert.equal(await ask(router, "/", { authority }), `${service} /`, authority);
  }
  for (const authority of [
    "example.com",
    "evilexample.com",
    "api.example.com.evil",
    "",
    "other.test:84430",
  ]) {
    assert.equal(await ask(router, "/", { authority }), "404 route_missing", authority);
  }
});

test("a star takes every host, and a request that names none", async () => {
  const router = makeRouter({ host: "*", to: "any" });
  for (const authority of ["", "a.test", "[::1]:80"])
    assert.equal(await ask(router, "/", { authority }), "any /");
});

test("a host without a port has its scheme's", async () => {
  const router = makeRouter({ host: "a.test:443", to: "tls" }, { host: "a.test:80", to: "plain" });
  assert.equal(await ask(router, "/", { authority: "a.test" }), "plain /");
  assert.equal(await ask(router, "/", { authority: "a.test", scheme: "https" }), "tls /");
});

test("paths match exactly, below a directory and within a segment", async () => {
  const router = makeRouter(
    { path: "/exact", to: "exact" },
    { path: "/v1/*", to: "prefix" },
    { path: "/img/*.png", to: "glob" },
    { path: "/u/*/posts/*", to: "posts" },
    { path: "/u/*", to: "users" },
    { path: "/caf\u00e9/*", to: "cafe" },
    { path: "/a%20b", to: "space" },
  );
  const cases = [
    ["/exact", "exact"],
    ["/exact?q", "exact"],
    ["/v1", "prefix"],
    ["/v1/", "prefix"],
    ["/v1/a/b?c=d", "prefix"],
    ["/v1/.well-known/x", "prefix"],
    ["/v1/100%25", "prefix"],
    ["/img/a.png", "glob"],
    ["/img/.png", "glob"],
    ["/u/7/posts", "posts"],
    ["/u/7/posts/1/2", "posts"],
    ["/u/7/other", "users"],
    ["/caf%C3%A9/x", "cafe"],
    ["/caf%c3%a9", "cafe"],
    ["/a%20b", "space"],
  ] as const;
  for (const [target, service] of cases)
    assert.equal(await ask(router, target), `${service} ${target}`, target);
  for (const target of ["/exact/", "/exac", "/v11", "/v", "/img/a/b.png", "/img/a.pn", "/EXACT", "*"]) {
    assert.equal(await ask(router, target), "404 route_missing", target);
  }
});

test("a path that could be read as another rule's is refused", async () => {
  const router = makeRouter(
    { path: "/admin/*", to: "guard" },
    { path: "/static/*", to: "static" },
    { to: "app" },
  );
  const refused = [
    ...[
      "/static/../admin/x",
      "/static/%2e%2e/admin",
      "/static/.%2E/admin",
      "/static/..%2Fadmin",
      "/static/..%5cadmin",
    ],
    ...[
      "/static\\..\\admin",
      "/x/../admin",
      "/./admin",
      "//admin",
      "/%61dmin",
      "/admin%2Fx",
      "/admin%5Cx",
      "/admin\\x",
    ],
    ...[
      "/a%2fb/../../admin",
      "/a//../admin",
      "/x/%2e./admin",
      "/admin/../x",
      "/\\admin",
      "/%2fadmin",
      "/%5cadmin/x",
    ],
    ...[
      "/x%00",
      "/x#/admin",
      "/%",
      "/%4",
      "/%zz",
      "/x%2",
      "/..%2f..%2fadmin",
      "/static/%2e%2e%2fadmin",
      "/.//admin",
    ],
    ...[
      "/static/..;/admin",
      "/static/..;x=/admin",
      "/static/%2e%2e;/admin",
      "/static/..%3b/admin",
      "/admin;x",
      "/admin;x/y",
      "/;/admin",
      "/.;/admin",
      "/;x/static/..;/admin",
    ],
  ];
  for (const target of refused) assert.equal(await ask(router, target), "400 request_malformed", target);
});

test("a path whose readings lead to one rule goes on byte for byte", async () => {
  const router = makeRouter({ path: "/admin/*", to: "guard" }, { to: "app" });
  const kept = [
    "/a/../b",
    "/%7Euser/",
    "/a%2Fb",
    "/a//b",
    "/a\\b",
    "/%252e%252e/admin",
    "/admin/%61/../b",
    "/admin//x",
    "/a;v=1/b;w=2",
    "/admin/x;v=1",
  ];
  for (const target of kept) {
    const service = target.startsWith("/admin") ? "guard" : "app";
    assert.equal(await ask(router, target), `${service} ${target}`, target);
  }
});

test("a rule that names a path parameter says that none is dropped behind it", async () => {
  const router = makeRouter({ path: "/map;v=1/*", to: "map" }, { to: "app" });
  assert.equal(await ask(router, "/map;v=1/x"), "map /map;v=1/x");
  assert.equal(await ask(router, "/map;v=2/x"), "app /map;v=2/x");
});

test("a router without path rules looks at no path", async () => {
  const router = makeRouter({ host: "a.test", to: "a" });
  for (const target of ["/%00", "//", "*"]) {
    assert.equal(await ask(router, target, { authority: "a.test" }), `a ${target}`);
  }
});

test("a stripped prefix leaves a path that begins with a slash, and the query", async () => {
  const router = makeRouter(
    { path: "/static/*", stripPrefix: "/static", to: "files" },
    { path: "/slash/*", stripPrefix: "/slash/", to: "slash" },
    { path: "/caf\u00e9/*", stripPrefix: "/caf\u00e9", to: "cafe" },
    { stripPrefix: "/no", to: "rest" },
  );
  const cases = [
    ["/static/a.css?v=1", "files /a.css?v=1"],
    ["/static?q=/x", "files /?q=/x"],
    ["/static", "files /"],
    ["/static/", "files /"],
    ["/static/%7Ea/b", "files /%7Ea/b"],
    ["/slash/a", "slash /a"],
    ["/caf%c3%A9/a", "cafe /a"],
    ["/nothing", "rest /nothing"],
    ["/no/thing", "rest /thing"],
  ] as const;
  for (const [target, expected] of cases) assert.equal(await ask(router, target), expected, target);
});

test("methods and headers are compared", async () => {
  const router = makeRouter(
    { methods: ["GET"], headers: { "x-beta": "1", "x-any": "*", "x-none": null }, to: "beta" },
    { methods: ["POST", "PUT"], to: "write" },
  );
  const headers = [
    ["X-Beta", "0"],
    ["x-beta", "1"],
    ["x-any", ""],
  ] as const;
  assert.equal(await ask(router, "/", { headers }), "beta /");
  assert.equal(await ask(router, "/", { headers, method: "HEAD" }), "beta /");
  assert.equal(await ask(router, "/", { headers: [...headers, ["x-none", "x"]] }), "404 route_missing");
  assert.equal(await ask(router, "/", { headers: headers.slice(0, 2) }), "404 route_missing");
  assert.equal(await ask(router, "/", { headers: headers.slice(2) }), "404 route_missing");
  assert.equal(await ask(router, "/", { method: "POST" }), "write /");
  assert.equal(await ask(router, "/", { method: "post" }), "404 route_missing");
});

test("a tunnel is routed by its host alone", () => {
  const router = makeRouter(
    { path: "/x", to: "path" },
    { methods: ["GET"], to: "get" },
    { host: "db.test:5432", to: "db" },
    { host: "[2001:db8::1]", to: "v6" },
    { host: "*.test", methods: ["CONNECT"], to: "rest" },
  );
  const served = (host: string, port: number) => {
    const tunnel = new CollectedTunnel(host, port);
    router.connect(tunnel);
    return tunnel.refused?.code ?? tunnel.servedBy;
  };
  assert.equal(served("db.test", 5432), "db");
  assert.equal(served("db.test", 5433), "rest");
  assert.equal(served("2001:db8::1", 1), "v6");
  assert.equal(served("example.com", 443), "route_missing");
});

test("routers that lead back to themselves are stopped", async () => {
  const router = makeRouter({ to: "edge" });
  assert.equal(await ask(router, "/"), "508 service_loop");
  const tunnel = new CollectedTunnel("a.test", 1);
  router.connect(tunnel);
  assert.equal(tunnel.refused?.code, "service_loop");
});

test("a pattern that could never match is refused when the router is made", () => {
  for (const path of ["/a//b", "/a/../b", "/a?b", "/%", "/a\\b", "/./*"]) {
    assert.throws(() => makeRouter({ path, to: "a" }), /^Error: cannot read path pattern /, path);
  }
  for (const host of ["a.*.test", "", ":80", "a:x"]) {
    assert.throws(() => makeRouter({ host, to: "a" }), /^Error: cannot read host pattern /, host);
  }
});

test("an ambiguous path goes on in its canonical form where config wants that, and is then what it is routed by", async () => {
  const rules = router.parse({
    ambiguousPaths: "canonical",
    rules: [
      { path: "/admin/*", service: "guard" },
      { path: "/static/*", service: "static" },
      { path: "/%23", service: "hash" },
      { service: "app" },
    ],
  });
  const edge = new RouterService("edge", rules, new TestContextOfServices().forServices);
  edge.link(({ name }) => new NamedService(name));
  const cases = [
    ["/static/..%2Fadmin?q=..%2F", "guard /admin?q=..%2F"],
    ["/static\\..\\admin\\x", "guard /admin/x"],
    ["//admin/%3Fa%25b%C3%A9 ", "guard /admin/%3Fa%25b%C3%A9%20"],
    ["/%61dmin/%7e", "guard /admin/~"],
    ["/static/%2e%2e/x/../admin/", "guard /admin/"],
    ["/a//../../admin", "guard /admin"],
    // What is read as the same rule in every way goes on byte for byte.
    ["/admin/%7e//x", "guard /admin/%7e//x"],
    ["/x%2Fy", "app /x%2Fy"],
    // The canonical path itself can still be read in two ways.
    ["/x/../%23", "400 request_malformed"],
    ["/static/../x%00", "400 request_malformed"],
    ["/static/../x#/admin", "400 request_malformed"],
    ["/static/../%", "400 request_malformed"],
  ] as const;
  for (const [target, expected] of cases) assert.equal(await ask(edge, target), expected, target);
});

test("a canonical path is its own canonical form, and can be read in one way but for parameters", () => {
  const parts = [
    "/",
    "a",
    "..",
    ".",
    "%2e",
    "%2F",
    "%5c",
    "\\",
    "%61",
    "%25",
    "%2561",
    ";x",
    "%3B",
    "%23",
    "%3f",
    "%c3%a9",
    "*",
    " ",
  ];
  for (const a of parts) {
    for (const b of parts) {
      for (const c of parts) {
        const path = `/${a}${b}${c}`;
        const canonical = canonicalPath(path);
        assert.ok(canonical !== null, path);
        assert.equal(canonicalPath(canonical), canonical, path);
        const [first, ...others] = pathForms(canonical, false) ?? [];
        assert.ok(first !== undefined && !/[\\\0]|\/\/|\/\.{1,2}(\/|$)/.test(first), path);
        if (!/%23|%3F/.test(canonical)) for (const other of others) assert.equal(other, first, path);
      }
    }
  }
  for (const path of ["/%", "/%0", "/%00", "/a#b"]) assert.equal(canonicalPath(path), null);
});
