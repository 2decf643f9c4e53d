import assert from "node:assert/strict";
import * as net from "node:net";
import { test } from "node:test";
import * as tls from "node:tls";
import { Authority } from "../support/authority.ts";
import { unused } from "../support/client.ts";
import {
  block,
  END_HEADERS,
  END_STREAM,
  frame,
  HEADERS,
  preface,
  SETTINGS,
} from "../support/http2-frames.ts";
import { eventually } from "../support/shard.ts";
import { type RunningSluice, startSluice } from "../support/sluice.ts";

const identity = new Authority("Test CA").issue(["localhost"]);
const files = {
  "cert.pem": identity.certificate,
  "key.pem": identity.key,
  "site.js": `export default {
    fetch: (request) => { console.log("reached " + request.url); return new Response("in"); },
    connect: (socket) => { console.log("reached by bytes"); return socket.close(); },
  };`,
};

const rounds = 40;

/** Resolves at a socket's end, whatever it is. */
function closed(socket: net.Socket): Promise<void> {
  return new Promise((resolve) => socket.once("close", () => resolve()));
}

/** Sends and resets at once, so that the connection is reset when, or soon after, it is accepted. */
async function sendAndReset(port: number, bytes: Buffer): Promise<void> {
  const socket = net.connect(port, "127.0.0.1");
  socket.on("error", () => {});
  socket.on("connect", () => socket.write(bytes, () => socket.resetAndDestroy()));
  await closed(socket);
}

/** The same as soon as a handshake is done. */
async function shakeAndReset(port: number, bytes: Buffer): Promise<void> {
  const raw = net.connect(port, "127.0.0.1");
  raw.on("error", () => {});
  const socket = tls.connect({ socket: raw, rejectUnauthorized: false });
  socket.on("error", () => {});
  socket.on("secureConnect", () => socket.write(bytes, () => raw.resetAndDestroy()));
  await closed(raw);
}

function clientsOf(sluice: RunningSluice, socket: string): string[] {
  return sluice.stdout
    .split("\n")
    .filter((line) => line.includes('"access"') && line.includes(`"socket":"${socket}"`))
    .map((line) => (JSON.parse(line) as { client: string }).client);
}

test("a client that sends and resets is known by its address all the same, and rules about addresses hold", async (t) => {
  const [plain, secure, bytes, socks] = await Promise.all([unused(), unused(), unused(), unused()]);
  const sluice = await startSluice(
    t,
    `sockets:
  plain: { address: "127.0.0.1:${plain}", service: guarded }
  secure:
    address: 127.0.0.1:${secure}
    service: guarded
    tls: { certificates: [{ certificate: ./cert.pem, key: ./key.pem }] }
  bytes: { address: "127.0.0.1:${bytes}", service: guarded, tcp: {} }
  socks: { address: "127.0.0.1:${socks}", service: guarded, socks: {} }
services:
  guarded:
    router: [{ service: site, middleware: [{ ip: { deny: [127.0.0.1] } }] }]
  site: { worker: { main: ./site.js, compatibilityDate: 2026-11-01 } }
log: { format: json }
`,
    { files },
  );
  const get = Buffer.from("GET /reset HTTP/1.1\r\nHost: a.test\r\n\r\n");
  const fields = [
    [":method", "GET"],
    [":scheme", "http"],
    [":authority", "a.test"],
    [":path", "/reset"],
  ] as const;
  const http2 = Buffer.concat([
    Buffer.from(preface),
    frame(SETTINGS, 0, 0),
    frame(HEADERS, END_STREAM | END_HEADERS, 1, block(fields)),
  ]);
  const request = Buffer.from([5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1, 0, 80]);
  for (let round = 0; round < rounds; round++) {
    await Promise.all([
      sendAndReset(plain, get),
      sendAndReset(plain, http2),
      sendAndReset(bytes, get),
      sendAndReset(socks, request),
      shakeAndReset(secure, get),
    ]);
  }
  // A connection that stays is answered after all those before it.
  for (const port of [plain, bytes, socks]) {
    const last = net.connect(port, "127.0.0.1");
    last.on("error", () => {});
    last.end(port === socks ? request : get);
    last.resume();
    await closed(last);
  }
  await eventually("every socket tells of its clients", () =>
    ["plain", "secure", "bytes", "socks"].every((socket) => clientsOf(sluice, socket).length > 0),
  );
  for (const socket of ["plain", "secure", "bytes", "socks"]) {
    assert.deepEqual([...new Set(clientsOf(sluice, socket))], ["127.0.0.1"], socket);
  }
  assert.doesNotMatch(sluice.stdout + sluice.stderr, /reached/);
});
