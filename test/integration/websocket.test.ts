import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "../support/shard.ts";
import { echo, today, WebSocketStage } from "./websocket-harness.ts";

test("a Worker accepts a WebSocket, and text and bytes go both ways", async (t) => {
  const stage = await WebSocketStage.start(t, { workers: { main: today(echo) } });
  const client = await stage.connect();
  assert.equal(await client.ask("hello"), "hello");
  assert.equal(await client.ask("grüße 🎈"), "grüße 🎈");
  assert.deepEqual(await client.ask(Buffer.from([0, 1, 255])), Buffer.from([0, 1, 255]));
  assert.equal(await client.ask(""), "");
  client.socket.close(3001, "bye");
  assert.deepEqual(await client.closed, { code: 3001, reason: "" });
  await eventually("the Worker hears of the close", () => stage.logs.length > 0);
  assert.deepEqual(stage.logs, ["closed 3001 bye true 3"]);
  await eventually("nothing is left", () => stage.bench.worker().inHand === 0);
});
