import assert from "node:assert/strict";
import { once } from "node:events";
import * as net from "node:net";
import { type TestContext, test } from "node:test";
import { parseForwarded, parseHop } from "../../src/http/forwarded-fields.ts";
import { TestProxy } from "./http-harness.ts";

/** An origin that answers with the head that it got, after the bytes in `before`. */
async function origin(t: TestContext, before = ""): Promise<string> {
  const server = net.createServer((socket) => {
    t.after(() => socket.destroy());
    socket.on("error", () => {});
    socket.on("data", (bytes) => {
      const text = bytes.toString("latin1");
      socket.write(
        `${before}HTTP/1.1 200 OK\r\nVia: 1.1 origin\r\nContent-Length: ${text.length}\r\n\r\n${text}`,
      );
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  return `127.0.0.1:${(server.address() as net.AddressInfo).port}`;
}

type Options = Parameters<typeof TestProxy.start>[1];

/** The header lines that the origin sees of a request with these lines, and the client in the access log. */
async function seen(
  t: TestContext,
  lines: string,
  http: NonNullable<Options["http"]> = {},
  external: Partial<NonNullable<NonNullable<Options["external"]>["http"]>> = {},
): Promise<{ lines: string[]; client: unknown; head: string }> {
  const proxy = await TestProxy.start(t, {
    http,
    external: { address: await origin(t), http: { forwarded: "x-forwarded", ...external } },
  });
  const raw = await proxy.dial(t);
  raw.send(`GET / HTTP/1.1\r\nHost: site.test:81\r\n${lines}\r\n`);
  const text = await raw.got("\r\n\r\nGET ");
  await raw.got("Host: ");
  const [head = "", body = ""] = text.split(/\r\n\r\n(?=GET )/);
  return {
    head,
    lines: body.split("\r\n").filter((line) => /^(x-forwarded|forwarded|via|client-cert)/i.test(line)),
    client: proxy.context.accesses[0]?.client,
  };
}

const own = ["X-Forwarded-For: 127.0.0.1", "X-Forwarded-Proto: http", "X-Forwarded-Host: site.test:81"];
const forged =
  "X-Forwarded-For: 6.6.6.6\r\nx-FORWARDED-proto: https\r\nX-Forwarded-Host: evil\r\nX-Forwarded-Port: 1\r\n" +
  "Forwarded: for=6.6.6.6;proto=https\r\n";

test("a server is told the client's address, scheme and host", async (t) => {
  assert.deepEqual(await seen(t, "").then(({ lines }) => lines), own);
});

test("what an untrusted client tells of itself is discarded", async (t) => {
  const { lines, client } = await seen(t, forged);
  assert.deepEqual(lines, own);
  assert.equal(client, "127.0.0.1");
  const other = await seen(t, forged, { trustedProxies: ["10.0.0.0/8"] });
  assert.deepEqual(other.lines, own);
});

test("what reads like such a header where - and _ are one is discarded with it", async (t) => {
  const { lines } = await seen(
    t,
    "X_Forwarded_For: 6.6.6.6\r\nX-Forwarded_Proto: https\r\nClient_Cert: :Zm9yZ2Vk:\r\nX_Edge: 6\r\nX_Other: 1\r\n",
    { injectRequestHeaders: { "x-edge": "1" } },
    { clientCertificateHeader: "client-cert" },
  );
  assert.deepEqual(lines, own);
  const proxy = await TestProxy.start(t, {
    http: { injectRequestHeaders: { "x-edge": "1" }, forwardedProtoHeader: "x-scheme" },
    external: { address: await origin(t) },
  });
  const raw = await proxy.dial(t);
  raw.send("GET / HTTP/1.1\r\nHost: site\r\nX_Edge: 6\r\nX_Scheme: https\r\nX_Other: 1\r\n\r\n");
  const text = await raw.got("x-edge: 1");
  assert.doesNotMatch(text, /X_Edge|X_Scheme/i);
  assert.match(text, /X_Other: 1\r\n/);
});

test("the hops of trusted proxies are walked to the first that is not trusted", async (t) => {
  const http = { trustedProxies: ["127.0.0.0/8", "10.0.0.0/8"] };
  const told = "X-Forwarded-Proto: https\r\nX-Forwarded-Host: shop.test\r\n";
  const { lines, client } = await seen(
    t,
    `X-Forwarded-For: 6.6.6.6, 192.0.2.7:4711\r\nX-Forwarded-For: 10.1.2.3\r\n${told}`,
    http,
  );
  assert.deepEqual(lines, [
    "X-Forwarded-For: 192.0.2.7, 10.1.2.3, 127.0.0.1",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Host: shop.test",
  ]);
  assert.equal(client, "192.0.2.7");
  for (const [value, expected] of [
    ["10.0.0.1, 10.0.0.2", "10.0.0.1"],
    ["192.0.2.1, unknown", "127.0.0.1"],
    ["[2001:db8::1]:443", "2001:db8::1"],
    ["2001:db8::2", "2001:db8::2"],
    ["", "127.0.0.1"],
  ] as const) {
    assert.equal((await seen(t, `X-Forwarded-For: ${value}\r\n`, http)).client, expected, value);
  }
});

test("with trustedHeader: forwarded, X-Forwarded-For counts for nothing", async (t) => {
  const http = { trustedProxies: ["127.0.0.1"], trustedHeader: "forwarded" as const };
  const { lines, client } = await seen(
    t,
    'X-Forwarded-For: 6.6.6.6\r\nForwarded: for="[2001:db8::7]:80";proto=https;host=shop.test\r\n',
    http,
    { forwarded: "both" },
  );
  assert.equal(client, "2001:db8::7");
  assert.deepEqual(lines, [
    "X-Forwarded-For: 2001:db8::7, 127.0.0.1",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Host: shop.test",
    'Forwarded: for="[2001:db8::7]";proto=https;host="shop.test", for=127.0.0.1',
  ]);
});

test("Forwarded alone, nothing, and headers that config sets", async (t) => {
  assert.deepEqual((await seen(t, "", {}, { forwarded: "forwarded" })).lines, [
    'Forwarded: for=127.0.0.1;proto=http;host="site.test:81"',
  ]);
  assert.deepEqual((await seen(t, forged, {}, { forwarded: "none" })).lines, []);
  const set = await seen(t, forged, { injectRequestHeaders: { "x-forwarded-host": "public.test" } });
  assert.deepEqual(set.lines.toSorted(), [
    "X-Forwarded-For: 127.0.0.1",
    "X-Forwarded-Proto: http",
    "x-forwarded-host: public.test",
  ]);
  assert.deepEqual(
    (await seen(t, "Client-Cert: :Zm9yZ2Vk:\r\n", {}, { clientCertificateHeader: "client-cert" })).lines,
    own,
  );
});

test("Via is told both ways, and a request that comes back is refused", async (t) => {
  const { lines, head } = await seen(t, "Via: 1.0 first\r\n", { via: "edge-1" });
  assert.deepEqual(lines.slice(0, 2), ["Via: 1.0 first", "Via: 1.1 edge-1"]);
  assert.match(head, /Via: 1\.1 origin\r\nVia: 1\.1 edge-1/);
  const proxy = await TestProxy.start(t, { http: { via: "edge-1" }, external: { address: "127.0.0.1:1" } });
  const raw = await proxy.dial(t);
  raw.send("GET / HTTP/1.1\r\nHost: site\r\nVia: 1.1 other, 1.1 edge-1\r\n\r\n");
  await raw.got("HTTP/1.1 508");
});

test("103 Early Hints come through before the answer", async (t) => {
  const hints = "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n";
  const proxy = await TestProxy.start(t, { external: { address: await origin(t, hints) } });
  const raw = await proxy.dial(t);
  raw.send("GET / HTTP/1.1\r\nHost: site\r\n\r\n");
  const text = await raw.got("HTTP/1.1 200 OK");
  assert.ok(text.startsWith(hints), text);
});

test("hops and elements of Forwarded are read as RFC 7239 writes them", () => {
  assert.deepEqual(parseHop('"[2001:db8::1]:8080"'), { address: "2001:db8::1", port: 8080 });
  assert.deepEqual(parseHop(" 192.0.2.1:99999"), { address: "192.0.2.1", port: 0 });
  const elements = parseForwarded('For="a,b;c";Proto=http, for=x;host="q\\"q"');
  assert.equal(elements.length, 2);
  assert.equal(elements[0]?.get("for"), "a,b;c");
  assert.equal(elements[1]?.get("host"), 'q"q');
});
