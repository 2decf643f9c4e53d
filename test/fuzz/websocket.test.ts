import assert from "node:assert/strict";
import { test } from "node:test";
import { WebSocketCampaign } from "./websocket-campaign.ts";

test("frames of a WebSocket, mutated and split, are read as RFC 6455 says", async () => {
  const campaign = new WebSocketCampaign(20_261_122);
  await campaign.run(1_500);
  const { agreed, inputs, refused } = campaign.tally;
  assert.ok(agreed > inputs / 2 && refused > inputs / 10, `${agreed} read, ${refused} refused of ${inputs}`);
});
