import assert from "node:assert/strict";
import { test } from "node:test";
import { FaultOrigin } from "../support/fault-origin.ts";
import { RawHttp } from "../support/raw-http.ts";
import { runSluice, startSluice } from "../support/sluice.ts";
import { TemporaryDirectory } from "../support/temporary.ts";

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const smuggled = "GET /smuggled HTTP/1.1\r\nHost: site\r\n\r\n";
const passing = "export default { fetch(request, env) { return env.APP.fetch(request); } };";

function post(fields: string, rest: string, version = "1.1"): string {
  return `POST /p HTTP/${version}\r\nHost: site\r\n${fields}\r\n\r\n${rest}`;
}

function chunked(rest: string): string {
  return post("Transfer-Encoding: chunked", rest);
}

function hosted(host: string): string {
  return `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n${smuggled}`;
}

function target(text: string): string {
  return `GET ${text} HTTP/1.1\r\nHost: site\r\n\r\n${smuggled}`;
}

/** What is refused with its status, and what would follow on the connection is never read as a request. */
const refused: ReadonlyArray<readonly [name: string, status: number, bytes: string]> = [
  ["two framings", 400, post("Transfer-Encoding: chunked\r\nContent-Length: 4", `0\r\n\r\n${smuggled}`)],
  [
    "identity and a length",
    400,
    post("Transfer-Encoding: identity\r\nContent-Length: 4", `0\r\n\r\n${smuggled}`),
  ],
  ["an empty coding", 400, post("Transfer-Encoding:\r\nContent-Length: 5", `0\r\n\r\n${smuggled}`)],
  ...[
    "\tchunked",
    "\x0bchunked",
    "xchunked",
    "chunked, identity",
    ",chunked",
    "chunked;q=1",
    '"chunked"',
  ].map(
    (coding) =>
      [
        `coding ${JSON.stringify(coding)}`,
        400,
        post(`Transfer-Encoding:${coding}`, `0\r\n\r\n${smuggled}`),
      ] as const,
  ),
  [
    "a coding after white space that is none",
    400,
    post("Transfer-Encoding: chunked\xa0", `0\r\n\r\n${smuggled}`),
  ],
  [
    "chunked twice",
    400,
    post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", `0\r\n\r\n${smuggled}`),
  ],
  ["an unknown coding", 501, post("Transfer-Encoding: gzip, chunked", `0\r\n\r\n${smuggled}`)],
  [
    "a coding in HTTP/1.0",
    400,
    post("Transfer-Encoding: chunked\r\nConnection: keep-alive", `0\r\n\r\n${smuggled}`, "1.0"),
  ],
  ["a space before the colon", 400, post("Transfer-Encoding : chunked", `0\r\n\r\n${smuggled}`)],
  ["a folded field", 400, post("Transfer-Encoding:\r\n chunked", `0\r\n\r\n${smuggled}`)],
  ...["+3", "-1", "3 3", "3, 3", "0x3", "", "99999999999999999999", "3\xa0"].map(
    (length) =>
      [`length ${JSON.stringify(length)}`, 400, post(`Content-Length: ${length}`, `abc${smuggled}`)] as const,
  ),
  ["a length twice", 400, post("Content-Length: 3\r\nContent-Length: 3", `abc${smuggled}`)],
  ["LF for a line's end", 400, post("X: a\nTransfer-Encoding: chunked", `0\r\n\r\n${smuggled}`)],
  ["CR within a value", 400, post("X: a\rTransfer-Encoding: chunked", `0\r\n\r\n${smuggled}`)],
  ["NUL within a value", 400, post("X: a\0b", smuggled)],
  ["ESC within a value", 400, post("User-Agent: \x1b[31m", smuggled)],
  ...["X\0", "X\xe9", "", "X Y"].map(
    (name) => [`name ${JSON.stringify(name)}`, 400, post(`${name}: b`, smuggled)] as const,
  ),
  ["no colon", 400, post("XY", smuggled)],
  ["a fold before the first field", 400, "GET / HTTP/1.1\r\n Host: evil\r\nHost: site\r\n\r\n"],
  ...["0x3", "+3", "3 ", "10000000000000003", "ffffffffffffffff", "3;a\rb", `3;${"a".repeat(9000)}`].map(
    (size) =>
      [
        `chunk size ${JSON.stringify(size.slice(0, 20))}`,
        400,
        chunked(`${size}\r\nabc\r\n0\r\n\r\n${smuggled}`),
      ] as const,
  ),
  ["LF after a chunk size", 400, chunked(`3\nabc\r\n0\r\n\r\n${smuggled}`)],
  ["LF after a chunk extension", 400, chunked(`3;a\nxx\r\nabc\r\n0\r\n\r\n${smuggled}`)],
  ["a chunk that is too long", 400, chunked(`3\r\nabcX0\r\n\r\n${smuggled}`)],
  ["a malformed trailer", 400, chunked(`0\r\nX y: 1\r\n\r\n${smuggled}`)],
  ["CONNECT where no proxy is", 405, `CONNECT site:80 HTTP/1.1\r\nHost: site:80\r\n\r\n${smuggled}`],
  [
    "CONNECT with a body",
    400,
    `CONNECT site:80 HTTP/1.1\r\nHost: site\r\nContent-Length: 5\r\n\r\nabcde${smuggled}`,
  ],
  ["nearly the HTTP/2 preface", 505, "PRI / HTTP/2.0\r\n\r\nSM\r\n\r\n"],
  ["HTTP/0.9", 400, "GET /\r\n"],
  ["another case of the version", 400, "GET / http/1.1\r\nHost: site\r\n\r\n"],
  ["an unknown expectation", 417, post("Expect: y 100-continue\r\nContent-Length: 3", `abc${smuggled}`)],
  ["no Host", 400, `GET / HTTP/1.1\r\n\r\n${smuggled}`],
  ["two Hosts", 400, `GET / HTTP/1.1\r\nHost: site\r\nHost: evil\r\n\r\n${smuggled}`],
  ...["u@site", "a b", "a/b", "a,b", "a:b", "a:0", "a%00", "\xe9", "[::1%lo]"].map(
    (host) => [`Host ${host}`, 400, hosted(host)] as const,
  ),
  ...[
    "http://u@real/",
    "ftp://real/",
    "http://real/#x",
    "http://real\\@evil/",
    "http:/real/",
    "/a\tb",
    " /a",
    "/\xe9",
    "/a#b",
    "a",
    "*",
  ].map((text) => [`target ${JSON.stringify(text)}`, 400, target(text)] as const),
  ["a target over its bound", 414, target(`/${"a".repeat(100_000)}`)],
  ["a field over the bound", 431, post(`X: ${"a".repeat(70_000)}`, "")],
  ["too many fields", 431, post("X: a\r\n".repeat(300).slice(0, -2), "")],
];

/** What is let through, and how its head reaches the origin; Host and what follows are the origin's reading. */
const passed: ReadonlyArray<readonly [name: string, bytes: string, head: string, content: string]> = [
  [
    "case of a coding",
    post("Transfer-Encoding: CHUNKED", "1\r\na\r\n0\r\n\r\n"),
    "POST /p HTTP/1.1\r\nHost: site\r\nTransfer-Encoding: chunked\r\n",
    "a",
  ],
  [
    "Connection that names framing and Host",
    post(
      "Connection: content-length, host, x-forwarded-for\r\nX-Forwarded-For: 1\r\nContent-Length: 3",
      "abc",
    ),
    "POST /p HTTP/1.1\r\nHost: site\r\nContent-Length: 3\r\n",
    "abc",
  ],
  [
    "zeros before a length",
    post("Content-Length: 003", "abc"),
    "POST /p HTTP/1.1\r\nHost: site\r\nContent-Length: 3\r\n",
    "abc",
  ],
  [
    "trailers that frame and route",
    chunked("1\r\na\r\n0\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\nHost: evil\r\n\r\n"),
    "POST /p HTTP/1.1\r\nHost: site\r\nTransfer-Encoding: chunked\r\n",
    "a",
  ],
  [
    "a request as the body of GET",
    `GET /p HTTP/1.1\r\nHost: site\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}`,
    `GET /p HTTP/1.1\r\nHost: site\r\nContent-Length: ${smuggled.length}\r\n`,
    smuggled,
  ],
  [
    "h2c",
    "GET /p HTTP/1.1\r\nHost: site\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ\r\n\r\n",
    "GET /p HTTP/1.1\r\nHost: site\r\n",
    "",
  ],
  [
    "a full URL against Host",
    "GET http://real/p HTTP/1.1\r\nHost: site\r\n\r\n",
    "GET /p HTTP/1.1\r\nHost: real\r\n",
    "",
  ],
];

test("what could smuggle a request is refused, and nothing after it is read", async (t) => {
  const origin = await FaultOrigin.start(t, {
    p: (request) => request.send(ok),
    smuggled: (request) => request.send(ok),
  });
  const sluice = await startSluice(
    t,
    `sockets:
  app: { address: 127.0.0.1:0, service: app }
  worker: { address: 127.0.0.1:0, service: worker }
services:
  app: { external: { address: "${origin.address}", http: { forwarded: none } } }
  worker: { worker: { main: ./w.js, compatibilityDate: 2026-11-01, bindings: { APP: { service: app } } } }
`,
    { files: { "w.js": passing } },
  );
  for (const socket of ["app", "worker"]) {
    const url = await sluice.listening(socket);
    for (const [name, status, bytes] of refused) {
      const client = await RawHttp.open(t, url);
      client.send(bytes);
      const answer = await client.answer();
      assert.equal(answer?.status, status, `${socket}: ${name}`);
      await client.ended();
      assert.equal(client.pending, "", `${socket}: ${name}`);
      client.socket.destroy();
    }
    assert.equal(origin.requests.has("/smuggled"), false);
    for (const [name, bytes, head, content] of passed) {
      const before = origin.requests.get("/p")?.length ?? 0;
      const client = await RawHttp.open(t, url);
      client.send(bytes);
      assert.equal((await client.answer())?.status, 200, `${socket}: ${name}`);
      const request = await origin.request("/p", before);
      assert.equal(request.head, head, `${socket}: ${name}`);
      assert.equal(request.content, content, `${socket}: ${name}`);
      client.socket.destroy();
    }
    assert.equal(origin.requests.has("/smuggled"), false);
  }
  // Whatever was refused stands in the log as one line of JSON each, without control characters.
  await sluice.stop();
  for (const line of `${sluice.stdout}${sluice.stderr}`.trimEnd().split("\n")) {
    if (line.startsWith("{")) JSON.parse(line);
    assert.doesNotMatch(line, /\p{Cc}/u);
  }
});

test("a client can neither claim TLS nor name a host in the path", async (t) => {
  const origin = await FaultOrigin.start(t, { p: (request) => request.send(ok) });
  const sluice = await startSluice(
    t,
    `sockets:
  app: { address: 127.0.0.1:0, service: app }
  worker: { address: 127.0.0.1:0, service: worker }
services:
  app: { external: { address: "${origin.address}", http: { forwardedProtoHeader: x-forwarded-proto } } }
  worker: { worker: { main: ./w.js, compatibilityDate: 2026-11-01 } }
`,
    { files: { "w.js": "export default { fetch: (request) => new Response(request.url) };" } },
  );
  const app = await RawHttp.open(t, sluice.url);
  app.send("GET https://site/p HTTP/1.1\r\nHost: site\r\nX-Forwarded-Proto: https\r\n\r\n");
  await app.answer();
  assert.match((await origin.request("/p")).head, /^x-forwarded-proto: http\r\n/m);
  const url = await sluice.listening("worker");
  for (const [bytes, seen] of [
    ["GET https://site/p HTTP/1.1\r\nHost: site\r\n\r\n", "http://site/p"],
    ["GET /evil.example/p HTTP/1.0\r\n\r\n", "http://localhost/evil.example/p"],
    ["GET //evil.example/p HTTP/1.1\r\nHost: site\r\n\r\n", "http://site//evil.example/p"],
    ["GET /@evil.example/p HTTP/1.1\r\nHost: site\r\n\r\n", "http://site/@evil.example/p"],
    ["GET /a/../b/%2E%2e/c?d=/../e HTTP/1.1\r\nHost: site\r\n\r\n", "http://site/c?d=/../e"],
    ["GET /a\\..\\b HTTP/1.1\r\nHost: site\r\n\r\n", "http://site/b"],
    ["GET /a//%2f%61..;/.b/c.. HTTP/1.1\r\nHost: site\r\n\r\n", "http://site/a//%2f%61..;/.b/c.."],
    ["OPTIONS * HTTP/1.1\r\nHost: site\r\n\r\n", "http://site/"],
  ] as const) {
    const client = await RawHttp.open(t, url);
    client.send(bytes);
    assert.equal((await client.answer())?.body, seen, bytes);
    client.socket.destroy();
  }
});

test("no spelling of a path comes past a router's rule to the directory behind it", async (t) => {
  const sluice = await startSluice(
    t,
    `sockets:
  main: { address: 127.0.0.1:0, service: site }
services:
  site:
    router:
      - { path: /root/secret/*, service: nothing }
      - { path: /root/*, stripPrefix: /root, service: files }
  files: { disk: { path: ./files } }
  nothing: { disk: { path: ./nothing } }
`,
    {
      files: {
        "files/secret/key.txt": "SECRET",
        "files/open.txt": "open",
        "nothing/none": "",
        "outside.txt": "SECRET",
        "files/.env": "SECRET",
      },
    },
  );
  const paths = [
    "/root/secret/key.txt",
    "/root//secret/key.txt",
    "/root/./secret/key.txt",
    "/root/x/../secret/key.txt",
  ];
  paths.push(
    "/root/%2e/secret/key.txt",
    "/root/x/%2e%2e/secret/key.txt",
    "/root/%73ecret/key.txt",
    "/root%2fsecret/key.txt",
  );
  paths.push(
    "/root/secret%2fkey.txt",
    "/root/secret%5ckey.txt",
    "/root/secret\\key.txt",
    "/root\\secret\\key.txt",
  );
  paths.push(
    "/root/%2fsecret/key.txt",
    "/root/secret;x/key.txt",
    "/root/secret;/../secret/key.txt",
    "/root/;/secret/key.txt",
  );
  paths.push(
    "/root/secret/key.txt%00",
    "/root/open.txt%00/../secret/key.txt",
    "/root/%c0%aesecret/key.txt",
    "/root/%uff0e/x",
  );
  paths.push(
    "/root/%25%32%65%25%32%65/secret/key.txt",
    "/root/%252e%252e/outside.txt",
    "/root/../outside.txt",
    "/root/..",
  );
  paths.push(
    "/root/..%2foutside.txt",
    "/root/..%5coutside.txt",
    "/root/%2e%2e/outside.txt",
    "/root/..;/outside.txt",
  );
  paths.push(
    "/root/%c0%ae%c0%ae/outside.txt",
    "/root/%ef%bc%8e%ef%bc%8e/outside.txt",
    "/root/.env",
    "/root/%2eenv",
    "/root/x/..%00/",
  );
  paths.push(
    "/%72oot/secret/key.txt",
    "/%72oot/%73ecret/key.txt",
    "/x/../root/secret/key.txt",
    "//root/secret/key.txt",
    "/root/%",
  );
  for (const path of paths) {
    const client = await RawHttp.open(t, sluice.url);
    client.send(`GET ${path} HTTP/1.1\r\nHost: site\r\nConnection: close\r\n\r\n`);
    const answer = await client.answer();
    assert.ok(
      answer !== null && [400, 404].includes(answer.status),
      `${path}: ${answer?.status} ${answer?.body}`,
    );
    client.socket.destroy();
  }
  const client = await RawHttp.open(t, sluice.url);
  client.send("GET /root/open.txt HTTP/1.1\r\nHost: site\r\n\r\n");
  assert.equal((await client.answer())?.body, "open");
});

test("clients that are slow or many hold no more than their share", async (t) => {
  const origin = await FaultOrigin.start(t, { p: (request) => request.send(ok) });
  const sluice = await startSluice(
    t,
    `sockets:
  slow: { address: 127.0.0.1:0, service: app, http: { timeouts: { head: 200ms } } }
  many: { address: 127.0.0.1:0, service: app, http: { limits: { connections: 2 } } }
services:
  app: { external: { address: "${origin.address}" } }
`,
  );
  const silent = await RawHttp.open(t, await sluice.listening("slow"));
  const dripping = await RawHttp.open(t, await sluice.listening("slow"));
  dripping.send("GET /p HTTP/1.1\r\nHost: site\r\n");
  const drip = setInterval(() => dripping.send("X: y\r\n"), 20);
  assert.equal((await dripping.answer())?.status, 408);
  clearInterval(drip);
  await silent.ended();
  assert.equal(silent.pending, "");

  const url = await sluice.listening("many");
  const first = await RawHttp.open(t, url);
  const second = await RawHttp.open(t, url);
  for (const client of [first, second]) {
    client.send("GET /p HTTP/1.1\r\nHost: site\r\n\r\n");
    assert.equal((await client.answer())?.status, 200);
  }
  const third = await RawHttp.open(t, url);
  third.send("GET /p HTTP/1.1\r\nHost: site\r\n\r\n");
  await third.ended();
  assert.notEqual((await third.answer())?.status, 200);
  first.send("GET /p HTTP/1.1\r\nHost: site\r\n\r\n");
  assert.equal((await first.answer())?.status, 200);
});

test("a config whose header edits would split a message does not start", async (t) => {
  for (const edit of [
    '{ x: "a\\r\\nb: c" }',
    '{ "x: y\\r\\nb": c }',
    "{ transfer-encoding: chunked }",
    '{ content-length: "0" }',
  ]) {
    const directory = new TemporaryDirectory(t);
    directory.write(
      "proxy.yaml",
      `sockets: { main: { address: "127.0.0.1:0", service: app } }
services: { app: { external: { address: "127.0.0.1:9", http: { injectRequestHeaders: ${edit} } } } }
`,
    );
    const outcome = await runSluice(t, ["check", "proxy.yaml"], {
      cwd: directory.path,
    });
    assert.notEqual(outcome.code, 0, edit);
  }
});
