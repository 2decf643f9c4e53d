import assert from "node:assert/strict";
import { once } from "node:events";
import * as http2 from "node:http2";
import { test } from "node:test";
import { BytesBody } from "../../src/http/body.ts";
import { ResponseHead } from "../../src/http/message.ts";
import { FunctionService, TestProxy, until } from "../integration/http-harness.ts";
import { Http2Campaign } from "./http2-campaign.ts";

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
