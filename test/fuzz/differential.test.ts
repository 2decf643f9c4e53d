import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Campaign } from "./campaign.ts";

describe("against llhttp, the parser of Node.js", () => {
  for (const side of ["requests", "responses"] as const) {
    test(`we accept no ${side} that it refuses, and read alike what both accept`, async () => {
      const campaign = new Campaign(side, 20_261_122);
      await campaign.replay();
      await campaign.run(3_000);
      const { agreed, inputs } = campaign.tally;
      assert.ok(agreed > inputs / 10, `the mutations leave enough to agree on: ${agreed} of ${inputs}`);
    });
  }
});
