import assert from "node:assert/strict";
import { createServer } from "node:http";
import * as http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import { unused } from "../support/client.ts";
import { missing, startHaProxy, startNginx } from "../support/peer-program.ts";
import { RawHttp } from "../support/raw-http.ts";
import { type RunningSluice, startSluice } from "../support/sluice.ts";
import { type Gadget, gadgets } from "./gadgets.ts";
import { Tap } from "./tap.ts";

// http-rules 1: what the proxy takes for one request is one request to the origin, whatever the origin makes of odd ones:
// RFC 9112 §11.2. Every head that the proxy writes has one line X-Judged; a request that was smuggled would have none.

type Start = (t: TestContext) => Promise<number>;

const origins: ReadonlyArray<readonly [name: string, skip: string | false, start: Start]> = [
  [
    "node:http",
    false,
    async (t) => {
      const server = createServer((request, response) => {
        response.setHeader("X-Seen", `${request.method} ${request.url}`);
        response.end("ok");
      });
      await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
      t.after(() => {
        server.close();
        server.closeAllConnections();
      });
      return (server.address() as AddressInfo).port;
    },
  ],
  [
    "nginx",
    missing("nginx"),
    async (t) => {
      const port = await unused();
      await startNginx(
        t,
        port,
        `server { listen 127.0.0.1:${port}; underscores_in_headers on; add_header X-Seen "$request_method $request_uri" always;
  location / { return 200 "ok"; } }`,
      );
      return port;
    },
  ],
  [
    "HAProxy",
    missing("haproxy"),
    async (t) => {
      const port = await unused();
      await startHaProxy(
        t,
        port,
        `frontend web
  mode http
  bind 127.0.0.1:${port}
  http-request return status 200 content-type text/plain string ok hdr X-Seen "%[method] %[pathq]"
`,
      );
      return port;
    },
  ],
];

const passing = "export default { fetch: (request, env) => env.APP.fetch(request) };";

/** A proxy before an origin, which marks each request that it has judged. */
function startProxy(t: TestContext, origin: string, more = ""): Promise<RunningSluice> {
  return startSluice(
    t,
    `sockets:
  direct: { address: "127.0.0.1:0", service: app, http: { injectRequestHeaders: { x-judged: "1" } } }
  worker: { address: "127.0.0.1:0", service: worker, http: { injectRequestHeaders: { x-judged: "1" } } }
services:
  app: { external: { address: "${origin}"${more} } }
  worker: { worker: { main: ./w.js, compatibilityDate: 2026-11-01, bindings: { APP: { service: app } } } }
log: { access: false }
`,
    { files: { "w.js": passing } },
  );
}

/** Sends all gadgets, each followed by a request that means no harm, and sees that each client gets its own answers. */
async function sendGadgets(t: TestContext, sluice: RunningSluice): Promise<void> {
  let passed = 0;
  let refused = 0;
  for (const socket of ["direct", "worker"]) {
    const url = await sluice.listening(socket);
    const ask = async (gadget: Gadget, index: number): Promise<void> => {
      const client = await RawHttp.open(t, url);
      client.send(
        `${gadget.bytes}GET /${socket}/probe/${index} HTTP/1.1\r\nHost: site\r\nConnection: close\r\n\r\n`,
      );
      client.socket.end();
      await client.ended();
      // Whoever asks gets an answer to what it asked, or an error.
      const own = new RegExp(
        `^(?:(?:http:)?//\\w+)?/${socket}/(?:probe/)?${index}(?!\\d)|^/smuggled$|^[*/]$`,
      );
      for (const [, seen = ""] of client.pending.matchAll(/^X-Seen: \S+ (\S+)\r$/gim)) {
        assert.match(seen, own, `${socket}: ${gadget.name}`);
        passed++;
      }
      refused += client.pending.match(/^HTTP\/1\.1 (?:400|405|417|501|505)/gm)?.length ?? 0;
    };
    const all = gadgets(`/${socket}`);
    for (let at = 0; at < all.length; at += 8) {
      await Promise.all(all.slice(at, at + 8).map((gadget, offset) => ask(gadget, at + offset)));
    }
  }
  t.diagnostic(`${passed} answers of the origin, ${refused} refusals`);
  assert.ok(passed > 100 && refused > 100, `${passed} passed, ${refused} refused`);
}

for (const [name, skip, start] of origins) {
  test(`what is one request to the proxy is one to ${name}`, { skip, timeout: 120_000 }, async (t) => {
    const tap = await Tap.start(t, await start(t));
    await sendGadgets(t, await startProxy(t, tap.address, ", limits: { connections: 2 }"));
    for (const [index, asked] of tap.asked.entries()) {
      const judged = asked.match(/^x-judged: 1\r$/gm)?.length ?? 0;
      const answers = tap.answered[index]?.match(/HTTP\/1\.[01] [2-5]\d\d /g)?.length ?? 0;
      assert.ok(answers <= judged, `${answers} answers to ${judged} requests: ${JSON.stringify(asked)}`);
    }
  });
}

test("what is one request to the proxy is one stream to node:http2", { timeout: 120_000 }, async (t) => {
  const unjudged: string[] = [];
  const server = http2.createServer();
  const sessions = new Set<http2.ServerHttp2Session>();
  server.on("session", (session) => sessions.add(session));
  server.on("stream", (stream: http2.ServerHttp2Stream, fields) => {
    stream.on("error", () => {});
    if (fields["x-judged"] !== "1" || fields["transfer-encoding"] !== undefined)
      unjudged.push(`${fields[":path"]}`);
    stream.respond({ ":status": 200, "x-seen": `${fields[":method"]} ${fields[":path"]}` });
    stream.end("ok");
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  t.after(() => {
    server.close();
    for (const session of sessions) session.destroy();
  });
  const { port } = server.address() as AddressInfo;
  await sendGadgets(t, await startProxy(t, `127.0.0.1:${port}`, ", http: { version: 2 }"));
  assert.deepEqual(unjudged, []);
});
