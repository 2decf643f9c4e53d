import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { RawHttp } from "../support/raw-http.ts";
import { startSluice } from "../support/sluice.ts";

// http-rules 11: what a network does not permit is reached by no way round. Its rules stand in test/integration/network-*.test.ts,
// and the spellings of addresses in attacks-forward.test.ts.

const worker = `export default { async fetch(request) {
  const url = new URL(request.url).searchParams.get("url");
  try {
    const response = await fetch(url, { redirect: "follow" });
    return new Response(response.status + " " + (await response.text()));
  } catch (error) {
    return new Response("refused");
  }
} };`;

test("11. a redirect is judged as its first request was", async (t) => {
  let reached = 0;
  const inside = createServer((_request, response) => {
    reached++;
    response.end("SECRET");
  });
  // An address that the network does not permit, on the same machine.
  inside.listen(0, "127.0.0.2");
  await once(inside, "listening");
  const { port } = inside.address() as AddressInfo;
  const outside = createServer((request, response) => {
    const to = decodeURIComponent((request.url ?? "").slice(1));
    if (to === "") response.end("open");
    else response.writeHead(302, { location: to }).end();
  });
  outside.listen(0, "127.0.0.1");
  await once(outside, "listening");
  t.after(() => {
    for (const server of [inside, outside]) {
      server.close();
      server.closeAllConnections();
    }
  });
  const open = `http://127.0.0.1:${(outside.address() as AddressInfo).port}/`;
  const sluice = await startSluice(
    t,
    `sockets:
  main: { address: "127.0.0.1:0", service: worker }
  proxy: { address: "127.0.0.1:0", service: net, http: { style: proxy } }
services:
  net: { network: { allow: [ 127.0.0.1/32 ] } }
  worker: { worker: { main: ./w.js, compatibilityDate: 2026-11-01, globalOutbound: net } }
`,
    { files: { "w.js": worker } },
  );
  const ask = async (url: string): Promise<string | undefined> => {
    const client = await RawHttp.open(t, sluice.url);
    client.send(`GET /?url=${encodeURIComponent(url)} HTTP/1.1\r\nHost: site\r\n\r\n`);
    const answer = await client.answer();
    client.socket.destroy();
    return answer?.body;
  };
  assert.equal(await ask(open), "200 open");
  assert.equal(
    await ask(`${open}${encodeURIComponent(open)}`),
    "200 open",
    "a redirect to what is permitted is followed",
  );

  const targets = [
    `http://127.0.0.2:${port}/`,
    `http://[::ffff:127.0.0.2]:${port}/`,
    `http://[::ffff:7f00:2]:${port}/`,
    `http://2130706434:${port}/`,
    `http://0x7f000002:${port}/`,
    `http://0177.0.0.2:${port}/`,
    `http://127.2:${port}/`,
    `http://[64:ff9b::7f00:2]:${port}/`,
    `http://[2002:7f00:2::]:${port}/`,
    `//127.0.0.2:${port}/`,
    `http:127.0.0.2:${port}/`,
    `http:\\\\127.0.0.2:${port}\\`,
    `http://127.0.0.1@127.0.0.2:${port}/`,
    `http://0.0.0.0:${port}/`,
    "http://169.254.169.254/latest/meta-data/",
    "file:///etc/passwd",
    "data:text/plain,SECRET",
  ];
  for (const target of targets) {
    await t.test(`a redirect to ${target} leads nowhere`, async () => {
      const answer = await ask(`${open}${encodeURIComponent(target)}`);
      assert.doesNotMatch(answer ?? "", /SECRET|^200/, target);
      // Through another redirect just the same.
      const twice = `${open}${encodeURIComponent(`${open}${encodeURIComponent(target)}`)}`;
      assert.doesNotMatch((await ask(twice)) ?? "", /SECRET|^200/, target);
    });
  }
  assert.equal(reached, 0);

  await t.test("a forward proxy hands a redirect back and goes nowhere itself", async () => {
    const client = await RawHttp.open(t, await sluice.listening("proxy"));
    client.send(`GET ${open}${encodeURIComponent(`http://127.0.0.2:${port}/`)} HTTP/1.1\r\nHost: x\r\n\r\n`);
    assert.equal((await client.answer())?.status, 302);
    client.send(`GET http://127.0.0.2:${port}/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`);
    assert.equal((await client.answer())?.status, 403);
    assert.equal(reached, 0);
  });
});
