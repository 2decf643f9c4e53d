import assert from "node:assert/strict";
import { test } from "node:test";
import { NoProxy, parseUpstreamProxy, UpstreamProxies } from "../../src/net/upstream-proxy.ts";

test("the URL of a proxy is read with its port, user and password", () => {
  const read = (text: string): unknown[] => {
    const { kind, host, port, login, resolve } = parseUpstreamProxy(text);
    return [kind, host, port, login === null ? "" : `${login.user}/${login.password}`, resolve];
  };
  assert.deepEqual(read("http://proxy.test"), ["http", "proxy.test", 80, "", null]);
  assert.deepEqual(read("HTTPS://proxy.test/"), ["https", "proxy.test", 443, "", null]);
  assert.deepEqual(read("http://[::1]:3128"), ["http", "::1", 3128, "", null]);
  assert.deepEqual(read("socks5://u%3A:p%40@10.0.0.1"), ["socks5", "10.0.0.1", 1080, "u:/p@", null]);
  assert.deepEqual(read("socks5h://u@h:1"), ["socks5", "h", 1, "u/", "proxy"]);
});

test("what is no proxy's URL is refused in words that quote nothing of it", () => {
  for (const text of [
    "",
    "proxy.test:3128",
    "ftp://secret@proxy.test",
    "http://secret@proxy.test/path",
    "http://secret@proxy.test?query",
    "http://se%0acret@proxy.test",
    "http://se%ccret@proxy.test",
    `http://${"secret".repeat(50)}@proxy.test`,
    "http://secret@proxy.test:99999",
    "socks5://secret@pro%20xy",
    "socks4://secret@proxy.test",
  ]) {
    assert.throws(
      () => parseUpstreamProxy(text),
      (error: Error) => /^expected /.test(error.message) && !error.message.includes("secret"),
      text,
    );
  }
});

test("NO_PROXY stands for names and all below them, addresses, CIDRs and ports", () => {
  for (const [entry, host, port, expected] of [
    ["example.com", "example.com", 80, true],
    ["example.com", "EXAMPLE.com.", 80, true],
    ["example.com", "www.example.com", 80, true],
    ["example.com", "badexample.com", 80, false],
    [".example.com", "example.com", 80, true],
    ["*.example.com", "www.example.com", 80, true],
    ["example.com:8080", "www.example.com", 8080, true],
    ["example.com:8080", "www.example.com", 80, false],
    ["*", "anything", 1, true],
    ["*:443", "anything", 80, false],
    ["10.0.0.0/8", "10.1.2.3", 80, true],
    ["10.0.0.0/8", "11.1.2.3", 80, false],
    ["10.0.0.0/8", "ten.example", 80, false],
    ["192.168.1.1", "192.168.1.1", 80, true],
    ["168.1.1", "192.168.1.1", 80, false],
    ["::1", "::1", 80, true],
    ["[::1]:443", "::1", 443, true],
    ["[::1]:443", "::1", 80, false],
    ["fd00::/8", "fd12::1", 80, true],
  ] as const) {
    assert.equal(new NoProxy([entry]).has(host, port), expected, `${entry} for ${host}:${port}`);
  }
  for (const entry of ["", "a b", "10.0.0.0/99", "http://example.com", "a:b", "example.com:99999"]) {
    assert.throws(() => new NoProxy([entry]), /expected a host, an address, a CIDR or \*/, entry);
  }
});

test("http has its own proxy, and all else the one of https", () => {
  const proxies = new UpstreamProxies({
    http: "http://plain.test",
    https: "socks5h://secure.test",
    noProxy: ["direct.test"],
    resolve: "here",
  });
  assert.equal(proxies.to("a.test", 80, true)?.host, "plain.test");
  assert.equal(proxies.to("a.test", 80, true)?.resolve, "here");
  assert.equal(proxies.to("a.test", 443, false)?.host, "secure.test");
  assert.equal(proxies.to("a.test", 443, false)?.resolve, "proxy");
  assert.equal(proxies.to("direct.test", 443, false), null);
  const half = new UpstreamProxies({ http: "http://plain.test", noProxy: [], resolve: "proxy" });
  assert.equal(half.to("a.test", 443, false), null);
  assert.equal(half.to("a.test", 80, true)?.resolve, "proxy");
});
