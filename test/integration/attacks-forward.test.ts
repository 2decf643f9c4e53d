import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { hostname, networkInterfaces } from "node:os";
import { test } from "node:test";
import { unused } from "../support/client.ts";
import { RawHttp } from "../support/raw-http.ts";
import { startSluice } from "../support/sluice.ts";

/** Ways to write this machine, a metadata service or a private network. */
const inside: readonly string[] = [
  ...[
    "127.0.0.1",
    "127.1",
    "0177.0.0.1",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "017700000001",
    "127.0.0.1.",
  ],
  ...["127.0.0.01", "127.000.000.001", "0", "0.0.0.0", "0.0.0.0.", "[::]", "[::1]", "[0:0:0:0:0:0:0:1]"],
  ...[
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[0:0:0:0:0:ffff:7f00:1]",
    "[::127.0.0.1]",
    "[::ffff:0:127.0.0.1]",
  ],
  ...["[64:ff9b::127.0.0.1]", "[64:ff9b:1::7f00:1]", "[2002:7f00:1::]", "[fe80::1]", "[fd00:ec2::254]"],
  ...["localhost", "LOCALHOST", "localhost.", hostname()],
  ...[
    "169.254.169.254",
    "2852039166",
    "[::ffff:169.254.169.254]",
    "10.0.0.1",
    "172.31.0.1",
    "192.168.0.1",
    "100.64.0.1",
  ],
  ...["224.0.0.1", "255.255.255.255", "192.0.0.170", "198.18.0.1"],
];

/** What is no host. */
const invalid: readonly string[] = [
  ...[
    "[fe80::1%25lo]",
    "[::1%lo]",
    "127.0.0.1%00.example",
    "127.0.0.1,8.8.8.8",
    "a@127.0.0.1",
    "unix:/run/x",
  ],
  ...[
    "127\u30020\u30020\u30021",
    "127.0.0.1#",
    "127.0.0.1\\",
    "[127.0.0.1]",
    "[::1].",
    "[::1]x",
    "[[::1]]",
    "",
    ".",
    "..",
  ],
];

/** Targets of CONNECT and of requests that are refused as they stand. */
const refused: readonly string[] = [
  ...[
    "CONNECT u:p@8.8.8.8:443",
    "CONNECT 127.0.0.1:0",
    "CONNECT 127.0.0.1:65536",
    "CONNECT 127.0.0.1:000080",
  ],
  ...[
    "CONNECT 127.0.0.1",
    "CONNECT http://127.0.0.1:80/",
    "CONNECT /x",
    "CONNECT *",
    "GET file:///etc/passwd",
  ],
  ...[
    "GET gopher://127.0.0.1/",
    "GET unix:/run/x",
    "GET http+unix://x/",
    "GET //127.0.0.1/",
    "GET /",
    "GET http:///x",
  ],
  ...[
    "GET http://8.8.8.8/x#y",
    "GET http://u:p@8.8.8.8/",
    "GET http://8.8.8.8:0/",
    "GET http://8.8.8.8:65536/",
  ],
];

const forwarding = `export default {
  async fetch(request, env) {
    const url = request.headers.get("x-url");
    try {
      return url === null ? await env.NET.fetch(request) : await fetch(url);
    } catch {
      return new Response("refused", { status: 403 });
    }
  },
  async connect(socket, env) {
    const { localAddress } = await socket.opened;
    return env.NET.connect(localAddress);
  },
};`;

test("no spelling of an address leads a proxy's client or a Worker's fetch into this machine", async (t) => {
  let reached = 0;
  const server = createServer((socket) => {
    reached++;
    socket.on("error", () => {});
    socket.end("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nSECRET");
  });
  server.listen(0);
  await once(server, "listening");
  t.after(() => server.close());
  const { port } = server.address() as { port: number };
  const admin = await unused();
  const sluice = await startSluice(
    t,
    `admin: { address: 127.0.0.1:${admin} }
sockets:
  proxy: { address: 127.0.0.1:0, service: internet, http: { style: proxy } }
  filter: { address: 127.0.0.1:0, service: filter, http: { style: proxy } }
services:
  filter: { worker: { main: ./w.js, compatibilityDate: 2026-11-01, bindings: { NET: { service: internet } } } }
`,
    { files: { "w.js": forwarding } },
  );
  const own = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  const hosts = [
    ...inside,
    ...own.map(({ family, address }) => (family === "IPv6" ? `[${address}]` : address)),
  ];
  for (const socket of ["proxy", "filter"]) {
    const url = await sluice.listening(socket);
    const status = async (request: string) => {
      const client = await RawHttp.open(t, url);
      client.send(Buffer.from(`${request}\r\nConnection: close\r\n\r\n`, "utf8").toString("latin1"));
      const answer = await client.answer();
      client.socket.destroy();
      return answer?.status ?? 0;
    };
    const authorities = hosts.map((host) => `${host}:${port}`);
    // The admin endpoint, and the proxy itself.
    authorities.push(
      `127.0.0.1:${admin}`,
      `[::ffff:7f00:1]:${admin}`,
      `localhost:${admin}`,
      new URL(url).host,
    );
    for (const authority of authorities) {
      const asked = [
        `GET http://${authority}/metrics HTTP/1.1\r\nHost: x`,
        `CONNECT ${authority} HTTP/1.1\r\nHost: x`,
      ];
      if (socket === "filter")
        asked.push(`GET http://x/ HTTP/1.1\r\nHost: x\r\nX-Url: http://${authority}/metrics`);
      for (const request of asked) {
        const got = await status(request);
        // 400: a spelling that only some readers take for an address.
        assert.ok([400, 403, 502].includes(got), `${socket}: ${request}: ${got}`);
      }
    }
    for (const host of invalid) {
      assert.equal(
        await status(`GET http://${host}:${port}/ HTTP/1.1\r\nHost: x`),
        400,
        `${socket}: ${host}`,
      );
      assert.equal(await status(`CONNECT ${host}:${port} HTTP/1.1\r\nHost: x`), 400, `${socket}: ${host}`);
    }
    for (const line of refused)
      assert.equal(await status(`${line} HTTP/1.1\r\nHost: x`), 400, `${socket}: ${line}`);
  }
  assert.equal(reached, 0);
});
