import assert from "node:assert/strict";
import { once } from "node:events";
import * as net from "node:net";
import { type TestContext, test } from "node:test";
import { RawHttp } from "../support/raw-http.ts";
import { startSluice } from "../support/sluice.ts";

// RFC 9112 §11.2: a server that overlooks bodies takes one for its next request, and its answers are off by one from then on.

/** It answers every head with its path, and knows of no bodies. @returns its address */
async function startCareless(t: TestContext): Promise<string> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    let text = "";
    socket.setEncoding("latin1");
    socket.on("error", () => {});
    socket.on("data", (bytes) => {
      text += bytes;
      for (let end = text.indexOf("\r\n\r\n"); end >= 0; end = text.indexOf("\r\n\r\n")) {
        const path = text.split(" ")[1] ?? "";
        text = text.slice(end + 4);
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${path.length}\r\n\r\n${path}`);
      }
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return `127.0.0.1:${(server.address() as net.AddressInfo).port}`;
}

const poison = "GET /poison HTTP/1.1\r\nHost: site\r\n\r\n";

test("a server that overlooks bodies harms nobody where its connections are used once", async (t) => {
  const sluice = await startSluice(
    t,
    `sockets: { main: { address: "127.0.0.1:0", service: app } }
services: { app: { external: { address: "${await startCareless(t)}", limits: { idleConnections: 0 } } } }
`,
  );
  const ask = async (bytes: string): Promise<string | undefined> => {
    const client = await RawHttp.open(t, sluice.url);
    client.send(bytes);
    const answer = await client.answer();
    client.socket.destroy();
    return answer?.body;
  };
  for (let round = 0; round < 20; round++) {
    const lines = `Host: site\r\nContent-Length: ${poison.length}\r\n`;
    const [attack, ...others] = await Promise.all([
      ask(`POST /attack HTTP/1.1\r\n${lines}\r\n${poison}`),
      ...[1, 2, 3].map((index) => ask(`GET /good/${index} HTTP/1.1\r\nHost: site\r\n\r\n`)),
    ]);
    assert.equal(attack, "/attack");
    assert.deepEqual(others, ["/good/1", "/good/2", "/good/3"]);
  }
});
