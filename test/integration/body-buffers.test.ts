import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { Agent, type IncomingMessage, request } from "node:http";
import { test } from "node:test";
import { Origin } from "../support/origin.ts";
import { startSluice } from "../support/sluice.ts";

const config = (origin: string, service: string): string => `
sockets:
  public: { address: "127.0.0.1:0", service: ${service} }
services:
  passing:
    worker:
      main: ./worker.js
      compatibilityDate: 2026-11-01
      bindings: { ORIGIN: { service: app } }
  app: { external: { address: "${origin}" } }
log: { access: false }
`;

const worker = `export default {
  async fetch(request, env) {
    const answer = await env.ORIGIN.fetch(request);
    return request.headers.has("x-read") ? new Response(await answer.bytes()) : answer;
  },
};`;

/** Around the bounds at which bytes are joined to text, copied, kept and lent. */
const sizes = [
  1, 4_095, 4_096, 4_097, 10_240, 12_287, 12_288, 12_289, 16_384, 16_385, 65_535, 65_536, 65_537, 200_000,
];

async function collect(incoming: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function send(agent: Agent, url: string, body: Buffer, isChunked: boolean, isRead: boolean): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const headers = {
      ...(isChunked ? { "transfer-encoding": "chunked" } : { "content-length": body.length }),
      ...(isRead ? { "x-read": "1" } : {}),
    };
    const outgoing = request(url, { agent, method: "PUT", headers }, (incoming) => {
      collect(incoming).then(resolve, reject);
    });
    outgoing.on("error", reject);
    // In two parts, so that the second meets a connection whose first part waits for the Worker.
    const middle = Math.floor(body.length / 3);
    outgoing.write(body.subarray(0, middle));
    setImmediate(() => outgoing.end(body.subarray(middle)));
  });
}

test("bodies of all sizes that pass at the same time come back as they were sent", async (t) => {
  const origin = await Origin.start(t, (asked, response) => {
    void collect(asked).then((body) => {
      if (body.length % 2 === 0) response.setHeader("content-length", body.length);
      response.write(body.subarray(0, body.length >> 1));
      response.end(body.subarray(body.length >> 1));
    });
  });
  const plain = await startSluice(t, config(origin.address, "app"), { files: { "worker.js": worker } });
  const through = await startSluice(t, config(origin.address, "passing"), { files: { "worker.js": worker } });
  const agent = new Agent({ keepAlive: true, maxSockets: 24 });
  t.after(() => agent.destroy());
  const jobs = [];
  for (let round = 0; round < 4; round++) {
    for (const size of sizes) {
      for (const { url } of [plain, through]) {
        const body = randomBytes(size);
        const answer = send(agent, url, body, round % 2 === 1, round > 1);
        jobs.push(answer.then((bytes) => assert.ok(bytes.equals(body), `${size} bytes in round ${round}`)));
      }
    }
  }
  await Promise.all(jobs);
});
