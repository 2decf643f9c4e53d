import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { promisify } from "node:util";
import { WebSocket } from "ws";
import { startSluice } from "../support/sluice.ts";
import { Client, echo } from "./websocket-harness.ts";

const config = `
sockets: { public: { address: "127.0.0.1:0", service: main } }
services:
  main: { worker: { main: ./main.js, compatibilityDate: 2026-11-01, webSockets: { maxMessageBytes: 1KiB } } }
drainTimeout: 20s
`;

async function connect(url: string): Promise<Client> {
  const client = new Client(new WebSocket(url.replace("http:", "ws:")));
  await once(client.socket, "open");
  return client;
}

test("sockets of a Worker close with 1001 on reload and on shutdown, which they do not hold up", async (t) => {
  const sluice = await startSluice(t, config, { files: { "main.js": echo } });
  const first = await connect(sluice.url);
  assert.equal(await first.ask("one"), "one");
  sluice.signal("SIGHUP");
  assert.equal((await first.closed).code, 1001);
  const second = await connect(sluice.url);
  assert.equal(await second.ask("two"), "two");
  second.socket.send("x".repeat(1025));
  assert.equal((await second.closed).code, 1009);
  const third = await connect(sluice.url);
  const begun = performance.now();
  const ended = sluice.stop();
  assert.equal((await third.closed).code, 1001);
  assert.equal((await ended).code, 0);
  assert.ok(performance.now() - begun < 20_000, "the socket is not waited for");
});

test("curl opens a WebSocket", async (t) => {
  const sluice = await startSluice(t, config, { files: { "main.js": echo } });
  const headers = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"];
  headers.push("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==");
  const args = [
    "-si",
    "--max-time",
    "2",
    "--http1.1",
    ...headers.flatMap((header) => ["-H", header]),
    sluice.url,
  ];
  const output = await promisify(execFile)("curl", args).catch((error: { stdout: string }) => error);
  assert.match(
    output.stdout,
    /^HTTP\/1\.1 101 .*\r\n(?:.*\r\n)*sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=/i,
  );
});
