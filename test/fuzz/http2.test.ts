import assert from "node:assert/strict";
import { once } from "node:events";
import * as http2 from "node:http2";
import { test } from "node:test";
import { BytesBody } from "../../src/http/body.ts";
import { ResponseHead } from "../../src/http/message.ts";
import { FunctionService, RawOrigin, TestProxy, until } from "../integration/http-harness.ts";
import { get } from "../support/client.ts";
import { block, frame, SETTINGS } from "../support/http2-frames.ts";
import { Http2Campaign } from "./http2-campaign.ts";
import { Random } from "./random.ts";

test("frames of HTTP/2, random and mutated, end their own connection at most, and leave nothing behind", async (t) => {
  const service = new FunctionService((exchange) => {
    const body = exchange.takeBody();
    exchange.respond(new ResponseHead(200), body ?? BytesBody.text("hello"));
  });
  const proxy = await TestProxy.start(t, { service });
  const neighbour = http2.connect(proxy.url);
  t.after(() => neighbour.destroy());
  const chat = neighbour.request({ ":method": "POST", ":path": "/" });
  let heard = "";
  chat.setEncoding("latin1").on("data", (text: string) => {
    heard += text;
  });
  const campaign = new Http2Campaign(20_261_122, proxy.port);
  for (let round = 1; round <= 10; round++) {
    await campaign.run(150);
    chat.write("x");
    await until(() => heard.length === round);
  }
  const { connections, ended } = campaign.tally;
  const told = JSON.stringify({ ...campaign.tally, exchanges: service.exchanges });
  assert.ok(service.exchanges > connections / 5 && ended > connections / 20, told);
  chat.end();
  await once(chat, "close");
  neighbour.close();
  await until(() => proxy.server.connections === 0 && proxy.server.exchanges === 0);
});

test("frames of an HTTP/2 server, random and mutated, fail their own requests at most", async (t) => {
  const random = new Random(20_261_123);
  const campaign = new Http2Campaign(20_261_123, 0);
  const origin = await RawOrigin.start(t, ({ socket }) => {
    socket.write(frame(SETTINGS, 0, 0));
    socket.once("data", () => {
      const answers = Array.from({ length: 1 + random.below(6) }, (_, at) => {
        if (random.below(2) === 0) return campaign.frame(at);
        const head = frame(
          1,
          4 | random.below(2),
          2 * at + 1,
          block([
            [":status", random.pick(statuses)],
            ["x-a", "1"],
          ]),
        );
        return random.below(4) === 0 ? campaign.mutated(head) : head;
      });
      for (const answer of answers) socket.write(answer);
      setImmediate(() => socket.end());
    });
  });
  const proxy = await TestProxy.start(t, {
    external: { address: origin.address, http: { version: 2 }, timeouts: { head: 2_000, idle: 2_000 } },
  });
  const seen = new Map<number, number>();
  for (let round = 0; round < 40; round++) {
    const asked = Array.from({ length: 5 }, () =>
      get(proxy.url).then(
        ({ status }) => status,
        () => 0,
      ),
    );
    for (const status of await Promise.all(asked)) seen.set(status, (seen.get(status) ?? 0) + 1);
  }
  // Each had an answer of its own, or was told that there is none.
  assert.equal(
    [...seen.values()].reduce((sum, count) => sum + count, 0),
    200,
  );
  assert.ok((seen.get(502) ?? 0) > 20, JSON.stringify([...seen]));
  await until(() => proxy.server.exchanges === 0 && proxy.upstreamConnections().open === 0);
});

const statuses = ["200", "204", "304", "103", "100", "101", "999", "abc", ""];
