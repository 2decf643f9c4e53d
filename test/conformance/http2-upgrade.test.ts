import assert from "node:assert/strict";
import { test } from "node:test";
import { block, DATA, END_HEADERS, FrameClient, frame, HEADERS } from "../support/http2-frames.ts";
import { type Way, Ways } from "./ways.ts";

// http-rules 8 in HTTP/2: RFC 8441. WebSockets that come about stand in test/integration/http2-tunnels.test.ts.

test("8. extended CONNECT", { timeout: 120_000 }, async (t) => {
  const ways = await Ways.start(t);
  const dial = (way: Way): Promise<FrameClient> => FrameClient.connect(t, Number(new URL(way.url).port));
  const handshake = (way: Way, path: string): Buffer =>
    block([
      [":method", "CONNECT"],
      [":protocol", "websocket"],
      [":scheme", "http"],
      [":authority", way.authority],
      [":path", path],
      ["sec-websocket-version", "13"],
    ]);

  await t.test(
    "8. a WebSocket that an origin does not take up is no 2xx: its body would be the first frames (RFC 8441 §5)",
    async () => {
      const path = ways.answering("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nPOISON");
      for (const way of ways.all) {
        const client = await dial(way);
        client.send(frame(HEADERS, END_HEADERS, 1, handshake(way, path)));
        const { payload } = await client.frame(DATA, 1);
        assert.match(payload.toString("latin1"), /^501 Not Implemented\n/, way.name);
        client.socket.destroy();
      }
    },
  );

  await t.test(
    "8. nor one whose 101 does not prove that the handshake was read, or is to another protocol",
    async () => {
      const accept = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
      for (const fields of [
        "Connection: upgrade\r\nUpgrade: websocket\r\n",
        `Connection: upgrade\r\nUpgrade: websocket\r\n${accept}`,
        `Connection: upgrade\r\nUpgrade: h2c\r\n${accept}`,
      ]) {
        const path = ways.answering(`HTTP/1.1 101 S\r\n${fields}\r\nPOISON`);
        for (const way of ways.all) {
          const client = await dial(way);
          client.send(frame(HEADERS, END_HEADERS, 1, handshake(way, path)));
          const { payload } = await client.frame(DATA, 1);
          assert.match(payload.toString("latin1"), /^502 Bad Gateway\n/, way.name);
          client.socket.destroy();
        }
      }
    },
  );
});
