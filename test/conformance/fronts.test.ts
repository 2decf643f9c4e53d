import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { unused } from "../support/client.ts";
import { missing, startHaProxy, startNginx } from "../support/peer-program.ts";
import { RawHttp } from "../support/raw-http.ts";
import { startSluice } from "../support/sluice.ts";
import { gadgets } from "./gadgets.ts";
import { Tap } from "./tap.ts";

// http-rules 1, with the proxy as the server behind another: what a proxy in front sends as one request is one here, also where
// nobody reads its body (RFC 9112 §9.3, §11.2). Every head that the one in front writes has a line X-Front.

type Start = (t: TestContext, port: number, to: string) => Promise<void>;

const fronts: ReadonlyArray<readonly [name: string, skip: string | false, start: Start]> = [
  [
    "nginx",
    missing("nginx"),
    (t, port, to) =>
      startNginx(
        t,
        port,
        `upstream sluice { server ${to}; keepalive 4; }
  server { listen 127.0.0.1:${port};
    location / { proxy_pass http://sluice; proxy_http_version 1.1; proxy_request_buffering off; proxy_set_header Connection ""; proxy_set_header X-Front 1; } }`,
      ),
  ],
  [
    "HAProxy",
    missing("haproxy"),
    (t, port, to) =>
      startHaProxy(
        t,
        port,
        `frontend web
  mode http
  bind 127.0.0.1:${port}
  http-request set-header x-front 1
  default_backend sluice
backend sluice
  mode http
  http-reuse always
  server one ${to}
`,
      ),
  ],
];

const unread = "export default { fetch: (request) => new Response(new URL(request.url).pathname) };";

for (const [name, skip, start] of fronts) {
  test(`what is one request to ${name} in front is one here`, { skip, timeout: 120_000 }, async (t) => {
    const sluice = await startSluice(
      t,
      `sockets: { main: { address: "127.0.0.1:0", service: worker } }
services: { worker: { worker: { main: ./w.js, compatibilityDate: 2026-11-01 } } }
log: { access: false }
`,
      { files: { "w.js": unread } },
    );
    const tap = await Tap.start(t, Number(new URL(sluice.url).port));
    const port = await unused();
    await start(t, port, tap.address);
    const all = gadgets("/g");
    let passed = 0;
    const ask = async (bytes: string, index: number): Promise<void> => {
      const client = await RawHttp.open(t, `http://127.0.0.1:${port}`);
      client.send(`${bytes}GET /probe/${index} HTTP/1.1\r\nHost: site\r\nConnection: close\r\n\r\n`);
      // HAProxy takes the end of a client's side for its leaving.
      const late = setTimeout(() => client.socket.end(), 200);
      await client.ended();
      clearTimeout(late);
      const own = new RegExp(`^(?://\\w+)?/(?:g|probe)/${index}(?!\\d)|^/smuggled$|^/$`);
      for (const [, path = ""] of client.pending.matchAll(/^(\/[^\r\n]*?)(?:HTTP\/1\.1|\r|$)/gm)) {
        assert.match(path, own);
        passed++;
      }
    };
    for (let at = 0; at < all.length; at += 16) {
      await Promise.all(all.slice(at, at + 16).map(({ bytes }, offset) => ask(bytes, at + offset)));
    }
    for (const [index, asked] of tap.asked.entries()) {
      const sent = asked.match(/^x-front: 1\r$/gim)?.length ?? 0;
      const answers = tap.answered[index]?.match(/HTTP\/1\.1 [2-5]\d\d /g)?.length ?? 0;
      assert.ok(answers <= sent, `${answers} answers to ${sent} requests: ${JSON.stringify(asked)}`);
    }
    assert.ok(passed > 40, `${passed} passed`);
  });
}
