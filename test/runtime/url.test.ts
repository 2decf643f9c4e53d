import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { parseUrlForGuest, setUrlPartForGuest } from "../../src/wire/url.ts";
import { Guest, same } from "./harness.ts";

let guest: Guest;
before(async () => {
  guest = await Guest.create();
});
after(() => guest.dispose());

const inputs: readonly (string | [string, string])[] = [
  "http://example.com/",
  "https://example.com/path/to/it?query=1&b=2#fragment",
  "http://example.com",
  "http://example.com?x",
  "http://example.com#x",
  "http://example.com/?",
  "http://example.com/#",
  "http://example.com/?#",
  "http://example.com/a?b?c#d?e",
  "http://example.com/a#b#c",
  "http://EXAMPLE.com/",
  "HTTP://example.com/",
  "http://example.com:80/",
  "http://example.com:443/",
  "https://example.com:443/",
  "http://example.com:8080/a",
  "http://example.com:08080/a",
  "http://example.com:0/",
  "http://example.com:65535/",
  "http://example.com:65536/",
  "http://example.com:/a",
  "http://example.com:8080",
  "http://example.com:80a/",
  "http://user@example.com/",
  "http://user:pass@example.com:81/x",
  "http://:pass@example.com/",
  "http://user:@example.com/",
  "http://@example.com/",
  "http://127.0.0.1/",
  "http://127.0.0.1:3000/x",
  "http://127.1/",
  "http://0x7f.1/",
  "http://0x7f000001/",
  "http://2130706433/",
  "http://127.0.0.01/",
  "http://127.0.0.256/",
  "http://1.2.3/",
  "http://1.2.3.4.5/",
  "http://1.2.3.4./",
  "http://0.0.0.0/",
  "http://256/",
  "http://a.0x1/",
  "http://a.1b/",
  "http://1a.b/",
  "http://a.09/",
  "http://[::1]/",
  "http://[::1]:8080/x",
  "http://[2001:DB8::1]/",
  "http://[::1/",
  "http://a..b/",
  "http://.a/",
  "http://a./",
  "http:///a",
  "http://",
  "http:/a",
  "http:a",
  "http://-a.com/",
  "http://a-.com/",
  "http://xn--nxasmq6b/",
  "http://xn--a/",
  "http://ab--cd.com/",
  "http://a_b.com/",
  "http://a b.com/",
  "http://a%41.com/",
  "http://bücher.example/",
  "http://a\u00adb.com/",
  "http://example.com/./a",
  "http://example.com/a/../b",
  "http://example.com/a/..",
  "http://example.com/a/.",
  "http://example.com/a/...",
  "http://example.com/.hidden",
  "http://example.com/a/%2e/b",
  "http://example.com/a/%2E%2e/b",
  "http://example.com/a/.%2e/b",
  "http://example.com/%2f",
  "http://example.com/%",
  "http://example.com/%zz",
  "http://example.com/a b",
  "http://example.com/a\\b",
  "http://example.com\\a",
  "http://example.com/ä",
  "http://example.com/a?ä=ö",
  "http://example.com/a#ä",
  "http://example.com/a?x='y'",
  "http://example.com/it's",
  'http://example.com/a?x="y"',
  "http://example.com/a?<>",
  "http://example.com/{a}",
  "http://example.com/a?{b}",
  "http://example.com/a#{b}`c`",
  "http://example.com/a^b|c",
  "http://example.com/a?b^c|d",
  "http://example.com/[a]?[b]#[c]",
  "http://example.com/~a/_b-c!$&()*+,;=:@d",
  "http://example.com//a//b",
  "  http://example.com/a  ",
  "http://exa\tmple.com/a\nb",
  "http://example.com/\u0000",
  "http://example.com/a?b\u007f",
  "ftp://example.com:21/a",
  "ws://example.com/a",
  "wss://example.com:443/a",
  "file:///etc/passwd",
  "file://host/share",
  "file:c:\\x",
  "data:text/plain,hello world",
  "data:text/html,<p>#x",
  "mailto:a@b.c",
  "javascript:alert(1)",
  "blob:https://example.com/uuid",
  "blob:ftp://example.com/uuid",
  "about:blank",
  "foo://bar/baz?q#h",
  "foo://user:pw@bar:90/baz",
  "foo:/bar",
  "foo:/.//bar",
  "foo:////bar",
  "foo:bar",
  "foo:",
  "",
  "/",
  "relative",
  "//host/path",
  ["/path", "http://example.com/other?x#y"],
  ["/path?q=1#h", "http://example.com"],
  ["//other/path", "http://example.com/"],
  ["path", "http://example.com/a/b"],
  ["../path", "http://example.com/a/b/c"],
  ["?q", "http://example.com/a?b#c"],
  ["#h", "http://example.com/a?b#c"],
  ["", "http://example.com/a?b#c"],
  ["http://other/", "http://example.com/"],
  ["https:x", "http://example.com/a/"],
  ["http:x", "http://example.com/a/"],
  ["/a/../b", "http://example.com/"],
  ["/ä", "http://example.com/"],
  ["/x", "data:text/plain,a"],
  ["x", "mailto:a"],
  ["#x", "mailto:a"],
  ["/x", "file:///a/b"],
  ["/x", "foo://h/a"],
  ["x", "not a base"],
  ["http://example.com/", "not a base"],
  ["\\x", "http://example.com/"],
  ["/x", "http://EXAMPLE.com:80/"],
];

const parts = "href origin protocol username password host hostname port pathname search hash".split(" ");

test("every input gives what Node's URL gives, on the fast path or through the host", async () => {
  const describe = (Url: typeof URL, input: string | [string, string]): unknown => {
    const [url, base] = typeof input === "string" ? [input] : input;
    try {
      const parsed = base === undefined ? new Url(url) : new Url(url, base);
      const found = parts.map((part) => [part, parsed[part as keyof URL]]);
      return [...found, ["query", [...parsed.searchParams]], ["string", `${parsed}`, JSON.stringify(parsed)]];
    } catch (error) {
      return (error as Error).name;
    }
  };
  const actual = (await guest.run(
    `() => { const parts = ${JSON.stringify(parts)}; return ${JSON.stringify(inputs)}.map((input) => (${describe.toString()})(URL, input)); }`,
  )) as unknown[];
  for (let i = 0; i < inputs.length; i++) {
    const expected = JSON.parse(JSON.stringify(describe(URL, inputs[i] as string)));
    assert.deepEqual(actual[i], expected, `for ${JSON.stringify(inputs[i])}`);
  }
});

test("the fast path takes an ordinary URL, and gives exactly what the host would", async () => {
  const absolute = inputs.filter((input) => typeof input === "string");
  const records = (await guest.run(
    `() => ${JSON.stringify(absolute)}.map((input) => { const r = web.parsePlain(input); return r && [r.protocolEnd, r.usernameEnd, r.passwordEnd, r.hostStart, r.hostEnd, r.pathStart, r.searchStart, r.hashStart, r.href].join(","); })`,
  )) as (string | null)[];
  let taken = 0;
  for (let i = 0; i < absolute.length; i++) {
    if (records[i] === null) continue;
    taken++;
    assert.equal(records[i], parseUrlForGuest(absolute[i], null), `for ${absolute[i]}`);
  }
  assert.ok(taken > 10);
  for (const url of [
    "http://example.com/",
    "http://127.0.0.1:3000/x",
    "https://a.b-c.example:8443/p/a_t%20h?q=[1]#f",
  ]) {
    assert.notEqual(await guest.run(`() => web.parsePlain(${JSON.stringify(url)})`), null, url);
  }
});

test("random URLs made of awkward pieces parse as in Node", async () => {
  const pieces =
    "http:// https:// example.com 1.2.3.4 a.b : 80 8080 / // . .. %2e %41 ? # & = [ ] | ^ ' \" ` { } ~ @ \\ - xn-- ä A 0x1 \t".split(
      " ",
    );
  pieces.push(" ");
  let seed = 12345;
  const next = (bound: number): number => {
    seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
    return (seed >>> 8) % bound;
  };
  const samples: string[] = [];
  for (let i = 0; i < 3000; i++) {
    let url = next(4) === 0 ? "" : "http://example.com";
    for (let j = next(8); j >= 0; j--) url += pieces[next(pieces.length)];
    samples.push(url);
  }
  const actual = (await guest.run(
    `() => ${JSON.stringify(samples)}.map((input) => { const u = URL.parse(input); return u && [u.href, u.host, u.pathname, u.search, u.hash].join(" | "); })`,
  )) as (string | null)[];
  for (let i = 0; i < samples.length; i++) {
    const url = URL.parse(samples[i] as string);
    const expected = url && [url.href, url.host, url.pathname, url.search, url.hash].join(" | ");
    assert.equal(actual[i], expected, `for ${JSON.stringify(samples[i])}`);
  }
});

test("setters change one component as in Node", () =>
  same(guest, () => {
    const results: unknown[] = [];
    const urls = [
      "http://example.com/a?b#c",
      "https://u:p@h.example:8443/x",
      "foo://h/p?q",
      "mailto:x",
      "file:///a",
    ];
    const values: Record<string, string[]> = {
      href: ["http://new.example/", "http://New.example:80/x"],
      protocol: ["https", "https:", "ftp", "foo", "1", ""],
      username: ["me", "m e", ""],
      password: ["secret", "a:b@c", ""],
      host: ["other.example", "other.example:99", "OTHER:80", "a/b", "", "[::1]:8", "x y"],
      hostname: ["other.example", "other:99", "OTHER", "", "1.2.3", "a?b", "xn--a"],
      port: ["81", "80", "443", "", "x", "99999", "8a"],
      pathname: ["/new", "new", "/a/../b", "/a b", "", "/a?b", "/a#b", "//x", "/ä", "/%2e"],
      search: ["?q=1", "q=1", "?", "", "?a b", "?'", "?a#b"],
      hash: ["#h", "h", "#", "", "#a b`"],
    };
    for (const url of urls) {
      for (const [part, list] of Object.entries(values)) {
        for (const value of list) {
          const parsed = new URL(url) as unknown as Record<string, string>;
          try {
            parsed[part] = value;
          } catch (error) {
            results.push((error as Error).name);
          }
          results.push([url, part, value, parsed.href, parsed.pathname, parsed.search, parsed.host]);
        }
      }
    }
    return results;
  }));

test("an invalid href throws and leaves the URL alone", () =>
  same(guest, (t) => {
    const url = new URL("http://a/");
    return [
      t.error(() => {
        url.href = "nonsense";
      }),
      url.href,
    ];
  }));

test("searchParams and search follow one another", () =>
  same(guest, () => {
    const url = new URL("http://example.com/?a=1&b=2#h");
    const params = url.searchParams;
    const steps: unknown[] = [params === url.searchParams];
    params.append("c", "x y&z=ä");
    steps.push(url.href, url.search);
    params.delete("a");
    steps.push(url.href);
    url.search = "?n=1&n=2";
    steps.push(params.getAll("n"), params.size);
    url.href = "http://other/?z";
    steps.push([...params]);
    params.delete("z");
    steps.push(url.href);
    params.set("k", "v");
    steps.push(url.href);
    params.sort();
    const opaque = new URL("foo:bar?x=1");
    opaque.searchParams.append("y", "2");
    steps.push(opaque.href);
    return steps;
  }));

test("URLSearchParams is made from text, pairs, records and others as in Node", () =>
  same(guest, (t) => {
    const show = (init?: unknown): unknown => [...new URLSearchParams(init as string)].concat([]);
    return [
      show(),
      show("a=1&b=2"),
      show("?a=1"),
      show("??a=1"),
      show("a"),
      show("=b"),
      show("a=b=c"),
      show("&&a&&"),
      show("a+b=c+d"),
      show("a%20b=%41%zz%4"),
      show("%c3%a4=%ff"),
      show("%EF%BB%BFa=1"),
      show("ä=ö"),
      show([
        ["a", "1"],
        ["a", "2"],
      ]),
      show(new Map([["x", "y"]])),
      show({ a: 1, b: "2" }),
      show(new URLSearchParams("q=1&q=2")),
      show(undefined),
      t.error(() => new URLSearchParams([["a"]] as never)),
      t.error(() => new URLSearchParams([1] as never)),
      show(null),
      show(12),
      show({ "\ud800": "x" }),
    ];
  }));

test("URLSearchParams methods and serialising are as in Node", () =>
  same(guest, (t) => {
    const params = new URLSearchParams("b=2&a=1&b=3&c=%20");
    const out: unknown[] = [];
    out.push(params.toString(), params.size, params.get("b"), params.get("x"), params.getAll("b"));
    out.push(params.has("b"), params.has("b", "3"), params.has("b", "4"));
    params.set("b", "9");
    out.push(`${params}`);
    params.append("a", "*-._~!'() +&=%\u00e4\ud83d\ude00\ud800");
    out.push(`${params}`);
    params.sort();
    out.push(`${params}`);
    params.delete("a", "1");
    out.push(`${params}`, [...params.keys()], [...params.values()], [...params.entries()]);
    const seen: unknown[] = [];
    params.forEach((value, name, parent) => void seen.push([name, value, parent === params]));
    out.push(
      seen,
      t.error(() => params.forEach(null as never)),
    );
    const live = new URLSearchParams("a=1&b=2");
    const walked: string[] = [];
    for (const [name] of live) {
      walked.push(name);
      if (name === "a") live.append("c", "3");
    }
    out.push(walked, Object.prototype.toString.call(live), Object.prototype.toString.call(live.entries()));
    out.push(URLSearchParams.prototype[Symbol.iterator] === URLSearchParams.prototype.entries);
    out.push(
      t.error(() => (params.get as unknown as () => void)()),
      t.error(() => (params.append as unknown as (a: string) => void)("x")),
    );
    return out;
  }));

test("canParse, parse and the class's shape are as in Node", () =>
  same(guest, (t) => [
    URL.canParse("http://a/"),
    URL.canParse("a"),
    URL.canParse("a", "http://b/"),
    URL.parse("nope"),
    URL.parse("x", "http://b/")?.href,
    t.error(() => new (URL as unknown as new () => URL)()),
    t.error(() => (URL as unknown as () => void)()),
    Object.prototype.toString.call(new URL("http://a/")),
    Object.keys(URL.prototype).includes("href"),
    Object.keys(new URL("http://a/")),
    new URL(new URL("http://a/b")).href,
    new URL("c", new URL("http://a/b")).href,
    t.error(() => Object.getOwnPropertyDescriptor(URL.prototype, "href")?.get?.call({})),
  ]));

test("the host's end refuses whatever is not text, and never throws", () => {
  const hostile: unknown[] = [undefined, null, 1, {}, [], Symbol("x"), "x".repeat(1 << 21)];
  for (const value of hostile) {
    assert.equal(parseUrlForGuest(value, null), "");
    assert.equal(setUrlPartForGuest(value, "hash", "x"), "");
    assert.equal(setUrlPartForGuest("http://a/", value, "x"), "");
    assert.equal(setUrlPartForGuest("http://a/", "hash", value), "");
  }
  assert.equal(parseUrlForGuest("x", 1), "");
  assert.equal(setUrlPartForGuest("http://a/", "constructor", "x"), "");
  assert.equal(setUrlPartForGuest("http://a/", "href", "not a url"), "");
});
