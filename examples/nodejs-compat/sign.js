import { Buffer } from "node:buffer";
import { createHmac } from "node:crypto";
import process from "node:process";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as wait } from "node:timers/promises";
import { events, forRequest, log } from "./log.js";

export default {
  fetch(request, env) {
    const id = request.headers.get("x-request-id") ?? "none";
    return forRequest(id, () => signed(request, env));
  },
};

/** The app's answer with a signature of its body, as its clients check it with any HMAC-SHA256. */
async function signed(request, env) {
  const answer = await env.APP.fetch(request);
  const hmac = createHmac("sha256", process.env.SIGNING_KEY);
  const chunks = [];
  await pipeline(Readable.fromWeb(answer.body), async (body) => {
    for await (const chunk of body) {
      hmac.update(chunk);
      chunks.push(chunk);
      await wait(1);
    }
  });
  const body = Buffer.concat(chunks);
  events.emit("signed", body.length);
  const response = new Response(body, answer);
  response.headers.set("x-signature", hmac.digest("base64url"));
  log("answered");
  return response;
}
