import assert from "node:assert/strict";
import { test } from "node:test";
import { FaultOrigin } from "../support/fault-origin.ts";
import { RawHttp } from "../support/raw-http.ts";
import { startSluice } from "../support/sluice.ts";

const poison = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nPOISON";

function ok(fields: string, rest: string): string {
  return `HTTP/1.1 200 OK\r\n${fields}\r\n\r\n${rest}`;
}

/** What no recipient can read in one way only: 502, whoever reads it. */
const malformed: ReadonlyArray<readonly [name: string, bytes: string]> = [
  ["two framings", ok("Content-Length: 2\r\nTransfer-Encoding: chunked", "0\r\n\r\n")],
  ["lengths that differ", ok("Content-Length: 2\r\nContent-Length: 3", "abc")],
  ["a signed length", ok("Content-Length: +2", "ab")],
  ["an empty length", ok("Content-Length:", "ab")],
  ["a coding that is not chunked", ok("Transfer-Encoding: gzip", "ab")],
  ["chunked twice", ok("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "0\r\n\r\n")],
  ["a folded field", ok("X: a\r\n b\r\nContent-Length: 2", "ab")],
  ["LF for line ends", "HTTP/1.1 200 OK\nContent-Length: 2\n\nab"],
  ["LF within a value", ok("X: a\nSet-Cookie: x\r\nContent-Length: 2", "ab")],
  ["CR within a value", ok("X: a\rSet-Cookie: x\r\nContent-Length: 2", "ab")],
  ["CR within the reason", "HTTP/1.1 200 OK\rSet-Cookie: x\r\nContent-Length: 2\r\n\r\nab"],
  ["NUL within a value", ok("X: a\0\r\nContent-Length: 2", "ab")],
  ["a space before the colon", ok("Content-Length : 2", "ab")],
  [
    "a switch that nobody asked for",
    `HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n${poison}`,
  ],
  ["a bare 101", `HTTP/1.1 101 Switching\r\n\r\n${poison}`],
  ["an interim response with a body", `HTTP/1.1 100 C\r\nContent-Length: 5\r\n\r\nabcde${poison}`],
  ["a flood of interim responses", `${"HTTP/1.1 103 E\r\nLink: x\r\n\r\n".repeat(100)}${poison}`],
  ["status 99", "HTTP/1.1 99 X\r\nContent-Length: 0\r\n\r\n"],
  ["status 000", "HTTP/1.1 000 X\r\nContent-Length: 0\r\n\r\n"],
  ["status 600", "HTTP/1.1 600 X\r\nContent-Length: 0\r\n\r\n"],
  ["another protocol", "ICY 200 OK\r\n\r\n"],
  ["HTTP/2", "HTTP/2 200\r\n\r\n"],
  ["a head over the bound", ok(`X: ${"a".repeat(200_000)}`, "")],
];

/** A response, and bytes after it that must never be another's answer. */
const followed: ReadonlyArray<readonly [name: string, method: string, status: number, bytes: string]> = [
  ["after a length", "GET", 200, ok("Content-Length: 2", `ab${poison}`)],
  ["after no content", "GET", 200, ok("Content-Length: 0", poison)],
  ["after the last chunk", "GET", 200, ok("Transfer-Encoding: chunked", `2\r\nab\r\n0\r\n\r\n${poison}`)],
  [
    "as the content of 204",
    "GET",
    204,
    `HTTP/1.1 204 N\r\nContent-Length: ${poison.length}\r\n\r\n${poison}`,
  ],
  [
    "as the chunk of 204",
    "GET",
    204,
    "HTTP/1.1 204 N\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nPOISON\r\n0\r\n\r\n",
  ],
  [
    "as the content of 304",
    "GET",
    304,
    `HTTP/1.1 304 N\r\nContent-Length: ${poison.length}\r\n\r\n${poison}`,
  ],
  ["as the content for HEAD", "HEAD", 200, ok(`Content-Length: ${poison.length}`, poison)],
  ["as a line end", "GET", 200, ok("Content-Length: 2", "ab\r\n")],
];

/** What breaks off, or is found broken, when its head has gone on. */
const broken: ReadonlyArray<readonly [name: string, bytes: string]> = [
  ["a signed chunk size", ok("Transfer-Encoding: chunked", "2\r\nab\r\n+2\r\nab\r\n0\r\n\r\n")],
  ["LF after a chunk size", ok("Transfer-Encoding: chunked", "2\r\nab\r\n2\nab\n0\n\n")],
  ["a chunk that is too long", ok("Transfer-Encoding: chunked", "2\r\nab\r\n1\r\nabX\r\n0\r\n\r\n")],
];

test("an origin's answer that could split or poison others stays with who asked for it", async (t) => {
  const origin = await FaultOrigin.start(t, {
    good: (request) => request.send(ok("Content-Length: 4", "good")),
    malformed: (request) => request.send(malformed[Number(request.path.split("/")[2])]?.[1] ?? ""),
    followed: (request) => request.send(followed[Number(request.path.split("/")[2])]?.[3] ?? ""),
    broken: (request) => request.send(broken[Number(request.path.split("/")[2])]?.[1] ?? ""),
    late: (request) => request.send(ok("Content-Length: 2", "ab")),
  });
  const sluice = await startSluice(
    t,
    `sockets:
  app: { address: 127.0.0.1:0, service: app }
  worker: { address: 127.0.0.1:0, service: worker }
  proxy: { address: 127.0.0.1:0, service: net, http: { style: proxy } }
services:
  app: { external: { address: "${origin.address}", limits: { connections: 1 } } }
  net: { network: { allow: [ local ] } }
  worker: { worker: { main: ./w.js, compatibilityDate: 2026-11-01, bindings: { APP: { service: app } } } }
`,
    { files: { "w.js": "export default { fetch(request, env) { return env.APP.fetch(request); } };" } },
  );
  for (const socket of ["app", "worker", "proxy"]) {
    const url = await sluice.listening(socket);
    const prefix = socket === "proxy" ? `http://${origin.address}` : "";
    const ask = async (path: string, method = "GET") => {
      const client = await RawHttp.open(t, url);
      client.send(`${method} ${prefix}${path} HTTP/1.1\r\nHost: site\r\n\r\n`);
      const answer = await client.answer(method);
      client.socket.destroy();
      return { answer, pending: client.pending };
    };
    const unharmed = async (name: string) => {
      const { answer } = await ask(`/good/${socket}`);
      assert.equal(answer?.body, "good", `${socket}: after ${name}`);
    };
    for (const [index, [name]] of malformed.entries()) {
      const { answer, pending } = await ask(`/malformed/${index}/${socket}`);
      assert.equal(answer?.status, 502, `${socket}: ${name}`);
      assert.ok((answer?.interim.length ?? 0) <= 32, `${socket}: ${name}`);
      assert.doesNotMatch(`${answer?.head}${answer?.body}${pending}`, /POISON|Set-Cookie/);
      await unharmed(name);
    }
    for (const [index, [name, method, status]] of followed.entries()) {
      const { answer, pending } = await ask(`/followed/${index}/${socket}`, method);
      assert.equal(answer?.status, status, `${socket}: ${name}`);
      assert.doesNotMatch(`${answer?.body}${pending}`, /POISON/, `${socket}: ${name}`);
      await unharmed(name);
    }
    for (const [index, [name]] of broken.entries()) {
      const { answer } = await ask(`/broken/${index}/${socket}`);
      assert.equal(answer?.whole, false, `${socket}: ${name}`);
      await unharmed(name);
    }
    // Bytes that come while the connection is idle: it is closed before another request is sent on it.
    await ask(`/late/${socket}`);
    const late = await origin.request(`/late/${socket}`);
    late.send(poison);
    await late.left();
    await unharmed("late bytes");
  }
});
