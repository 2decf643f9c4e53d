// Fuzzes the HTTP/1.1 parsers against llhttp, and WebSocket frames against a plain reading: node scripts/fuzz.mjs [--seconds N] [--seed S]
import { parseArgs } from "node:util";
import { Campaign } from "../test/fuzz/campaign.ts";
import { WebSocketCampaign } from "../test/fuzz/websocket-campaign.ts";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "60" },
    seed: { type: "string", default: String(Date.now() % 1_000_000_000) },
  },
});
const seconds = Number(values.seconds);
const seed = Number(values.seed);
if (!(seconds > 0) || !Number.isInteger(seed)) {
  console.error("cannot fuzz: --seconds takes a positive number, --seed a whole one");
  process.exit(2);
}

const campaigns = [
  new Campaign("requests", seed),
  new Campaign("responses", seed),
  new WebSocketCampaign(seed),
];
const end = Date.now() + seconds * 1000;
try {
  for (const campaign of campaigns) await campaign.replay();
  while (Date.now() < end) {
    for (const campaign of campaigns) await campaign.run(500);
  }
} catch (error) {
  console.error(error.message);
  console.error(error.cause);
  process.exitCode = 1;
}
for (const { side, tally } of campaigns) {
  const { inputs, agreed, refused, stricter } = tally;
  console.log(
    `${side}: seed ${seed}, ${inputs} inputs, ${refused} refused (${stricter} by us alone), ${agreed} messages read alike`,
  );
}
