import assert from "node:assert/strict";
import { test } from "node:test";
import { Origin } from "../support/origin.ts";
import { RawHttp } from "../support/raw-http.ts";
import { startSluice } from "../support/sluice.ts";
import { ok, Ways } from "./ways.ts";

// http-rules 9: RFC 9110 §7.7, RFC 3986 §3.3, §6.2.2. The router's own cases stand in test/integration/router-service.test.ts.

/** Spellings that some recipient would tidy up. */
const odd: ReadonlyArray<readonly [clause: string, target: string]> = [
  ["unreserved characters that are escaped", "/%7Euser/%61"],
  ["escapes in either case", "/%c3%A9/%C3%a9"],
  ["an escaped slash or backslash", "/a%2Fb%5Cc"],
  ["empty segments", "//a///b//"],
  ["an escaped NUL", "/a%00b"],
  ["a broken escape", "/a%zz%"],
  ["a double escape", "/%252e%252e%252f"],
  ["parameters", "/a;v=1/..;/b;c"],
  ["characters that a URL has to escape", "/|^`{}\"<>[]'"],
  ["an empty query", "/a?"],
  ["a second question mark", "/a?b?c"],
  ["dots in the query", "/a?x=/../y/./z"],
  ["a query that is no form", '/a?[]{}|\\^`"<>&&=&%zz'],
  ["a plus and an escaped space", "/a+b%20c?d+e%20f"],
];

/** Paths that a URL has in another spelling: a Worker is shown that one, so that one goes on. */
const rewritten: ReadonlyArray<readonly [clause: string, target: string, seen: string]> = [
  ["dot segments", "/a/../b/./c", "/b/c"],
  ["escaped dot segments", "/a/%2e%2E/b/.%2e/c", "/c"],
  ["dot segments past the root", "/../../../b", "/b"],
  ["backslashes", "/a\\b\\..\\c", "/a/c"],
];

test("9. targets", { timeout: 120_000 }, async (t) => {
  const ways = await Ways.start(t);

  for (const [clause, target] of odd) {
    await t.test(`${clause} go on byte for byte`, async () => {
      const path = ways.answering(ok);
      for (const way of ways.all) {
        const place = `${path}/${way.name}${target}`;
        const { answer } = await ways.ask(way, place);
        assert.equal(answer?.status, 200, way.name);
        assert.equal(ways.reached(place).length, 1, way.name);
      }
    });
  }

  for (const [clause, target, seen] of rewritten) {
    await t.test(
      `${clause} go on byte for byte, but a Worker's origin gets what the Worker was shown`,
      async () => {
        const path = ways.answering(ok);
        for (const way of ways.all) {
          const shown = way.name === "worker" || way.name === "filter";
          const place = `${path}/x/x/x/x`;
          const past = target.startsWith("/..");
          await ways.ask(way, place + target);
          const expected = !shown ? place + target : past ? `${path}/x/b` : place + seen;
          assert.equal(
            ways.reached(expected).length,
            way.name === "external" || way.name === "worker" ? 1 : 2,
            way.name,
          );
        }
      },
    );
  }

  await t.test("OPTIONS * is of the server as a whole (RFC 9112 §3.2.4)", async () => {
    const way = ways.way("external");
    const client = await ways.send(way, "OPTIONS * HTTP/1.1\r\nHost: site\r\n\r\n");
    const reached = await ways.origin.request("*");
    assert.equal(reached.line, "OPTIONS * HTTP/1.1");
    client.socket.destroy();
  });
});

/** What a request for each path comes to: the service of the rule, or a status. */
const routed: ReadonlyArray<readonly [clause: string, paths: readonly string[], outcome: string]> = [
  ["a plain path", ["/admin", "/admin/", "/admin/x"], "admin"],
  ["a path beside it", ["/administrator", "/public/admin", "/Admin"], "public"],
  [
    "dot segments that lead to another rule",
    ["/public/../admin", "/./admin", "/admin/../x", "/public/%2e%2e/admin", "/public/.%2E/admin/x"],
    "400",
  ],
  ["dot segments that stay in their rule", ["/admin/../admin/x", "/admin/./x", "/x/../y"], "same"],
  ["escaped letters that lead to another rule", ["/%61dmin", "/adm%69n/x"], "400"],
  ["slashes that some merge", ["//admin", "/admin//x", "/x//admin"], "mixed"],
  ["backslashes that some take for slashes", ["\\admin", "/x\\..\\admin", "/\\admin", "/admin\\x"], "400"],
  ["escaped slashes and backslashes", ["/admin%2fx", "/admin%5cx", "/%2fadmin", "/%5Cadmin"], "400"],
  [
    "escaped slashes beside dot segments",
    ["/public/..%2fadmin", "/public%2f../admin", "/public/..%5cadmin", "/public%5c..%5cadmin"],
    "400",
  ],
  [
    "parameters that some drop",
    [
      "/admin;x",
      "/admin;x/y",
      "/;/admin",
      "/public/..;/admin",
      "/public/..;x=y/admin",
      "/public/%2e%2e;/admin",
      "/public/..%3b/admin",
    ],
    "400",
  ],
  ["a NUL", ["/admin%00", "/public%00/../admin"], "400"],
  ["a broken escape", ["/admin%", "/admin%2", "/admin%zz", "/%u002e%u002e/admin"], "400"],
  ["a double escape is decoded once", ["/%2561dmin", "/public/%252e%252e/admin"], "public"],
];

test("9. routing", { timeout: 120_000 }, async (t) => {
  const sluice = await startSluice(
    t,
    `sockets: { main: { address: "127.0.0.1:0", service: edge } }
services:
  edge:
    router:
      - { path: /admin/*, respond: { body: admin } }
      - { respond: { body: public } }
`,
  );
  const ask = async (path: string): Promise<string> => {
    const client = await RawHttp.open(t, sluice.url);
    client.send(`GET ${path} HTTP/1.1\r\nHost: site\r\n\r\n`);
    const answer = await client.answer();
    client.socket.destroy();
    return answer?.status === 200 ? answer.body : String(answer?.status);
  };
  for (const [clause, paths, outcome] of routed) {
    await t.test(`${clause}: ${outcome}`, async () => {
      for (const path of paths) {
        const expected =
          outcome === "same"
            ? path.startsWith("/admin")
              ? "admin"
              : "public"
            : outcome === "mixed"
              ? path === "/admin//x"
                ? "admin"
                : path === "//admin"
                  ? "400"
                  : "public"
              : outcome;
        assert.equal(await ask(path), expected, path);
      }
    });
  }
});

/** By `ambiguousPaths: canonical` a path has one reading, and the origin gets it; null is 400. */
const canonical: ReadonlyArray<readonly [clause: string, path: string, seen: string | null]> = [
  ["dot segments", "/public/../admin/./x", "/admin/x"],
  ["escaped dot segments", "/public/%2e%2E/admin", "/admin"],
  ["dot segments past the root", "/../../admin", "/admin"],
  ["escaped letters", "/%61dmin", "/admin"],
  ["merged slashes", "//admin///x/", "/admin/x/"],
  ["backslashes", "/public\\..\\admin", "/admin"],
  ["escaped slashes and backslashes", "/public%2f..%5cadmin", "/admin"],
  ["a double escape, which stays one escape", "/%2561dmin", "/%2561dmin"],
  ["escaped delimiters, which stay escaped", "/%61dmin/a%3fb%23c%25d", "/admin/a%3Fb%23c%25d"],
  ["octets that have to be escaped", "/%61dmin/a%20b%c3%a9%0d%0aX:", "/admin/a%20b%C3%A9%0D%0AX:"],
  ["readings that lead to one rule, byte for byte", "/public%3f/../x/%7E", "/public%3f/../x/%7E"],
  ["a NUL", "/admin%00", null],
  ["a broken escape", "/admin%zz", null],
  ["dots that a parameter hides", "/public/..;/admin", null],
  ["dots that an escaped parameter hides", "/public/..%3b/admin", null],
  ["a parameter that hides a rule", "/admin;x", null],
];

test("9. canonical paths", { timeout: 120_000 }, async (t) => {
  const origin = await Origin.start(t, (asked, response) =>
    response.end(`${asked.headers["x-rule"]} ${asked.url}`),
  );
  const external = (rule: string): string =>
    `{ external: { address: "${origin.address}", http: { injectRequestHeaders: { x-rule: ${rule} } } } }`;
  const sluice = await startSluice(
    t,
    `sockets: { main: { address: "127.0.0.1:0", service: edge } }
services:
  edge:
    router:
      ambiguousPaths: canonical
      rules: [{ path: /admin/*, service: admin }, { service: public }]
  admin: ${external("admin")}
  public: ${external("public")}
`,
  );
  for (const [clause, path, seen] of canonical) {
    await t.test(`${clause}: ${seen ?? 400}`, async () => {
      const client = await RawHttp.open(t, sluice.url);
      client.send(`GET ${path}?q=/../%2e HTTP/1.1\r\nHost: site\r\n\r\n`);
      const answer = await client.answer();
      client.socket.destroy();
      assert.equal(answer?.status, seen === null ? 400 : 200, path);
      if (seen === null) return;
      const rule = /^\/admin(?:\/|$)/.test(seen) ? "admin" : "public";
      assert.equal(answer?.body, `${rule} ${seen}?q=/../%2e`, path);
    });
  }
});
