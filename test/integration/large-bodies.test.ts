import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { request } from "node:http";
import { test } from "node:test";
import { Origin } from "../support/origin.ts";
import { type RunningSluice, startSluice } from "../support/sluice.ts";

const GIB = 1024 ** 3;
const MIB = 1024 ** 2;

const config = (origin: string): string => `
sockets:
  public: { address: "127.0.0.1:0", service: passing }
services:
  passing:
    worker:
      main: ./worker.ts
      compatibilityDate: 2026-11-01
      bindings: { ORIGIN: { service: app } }
  app: { external: { address: "${origin}" } }
log: { access: false }
`;

const worker = `export default {
  async fetch(request: Request, env: { ORIGIN: { fetch(request: Request): Promise<Response> } }): Promise<Response> {
    const response = await env.ORIGIN.fetch(request);
    return new Response(response.body, response);
  },
};`;

/** Resident memory of the proxy's data plane, in bytes. */
function resident(sluice: RunningSluice): number {
  const children = readdirSync("/proc").filter((entry) => {
    try {
      return (
        /^\d+$/.test(entry) &&
        readFileSync(`/proc/${entry}/stat`, "utf8").split(") ")[1]?.split(" ")[1] === String(sluice.child.pid)
      );
    } catch {
      return false;
    }
  });
  let pages = 0;
  for (const pid of children) pages += Number(readFileSync(`/proc/${pid}/statm`, "utf8").split(" ")[1]);
  return pages * 4096;
}

/** Highest memory above the lowest since `start`, while the work is done. */
class MemoryWatch {
  #most = 0;
  readonly #before: number;
  readonly #timer: NodeJS.Timeout;

  constructor(sluice: RunningSluice) {
    this.#before = resident(sluice);
    this.#timer = setInterval(() => {
      this.#most = Math.max(this.#most, resident(sluice));
    }, 20);
  }

  growth(): number {
    clearInterval(this.#timer);
    return this.#most - this.#before;
  }
}

const chunk = Buffer.alloc(MIB, "sluice");

/** Reads in bursts: pauses for 2 ms after each 4 MiB, so that the proxy's writes meet full buffers. */
async function readSlowly(stream: AsyncIterable<Buffer>): Promise<number> {
  let size = 0;
  let burst = 0;
  for await (const part of stream) {
    size += part.length;
    burst += part.length;
    if (burst < 4 * MIB) continue;
    burst = 0;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  return size;
}

async function* make(size: number): AsyncGenerator<Buffer> {
  for (let sent = 0; sent < size; sent += chunk.length) yield chunk;
}

function download(url: string): Promise<number> {
  return new Promise((resolve, reject) => {
    request(url, { agent: false }, (response) => readSlowly(response).then(resolve, reject))
      .on("error", reject)
      .end();
  });
}

function upload(url: string, size: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = request(
      url,
      { method: "PUT", agent: false, headers: { "content-length": size } },
      (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (part: string) => {
          text += part;
        });
        response.on("end", () => resolve(text));
      },
    );
    sent.on("error", reject);
    void (async () => {
      for await (const part of make(size)) {
        if (!sent.write(part)) await new Promise((drained) => sent.once("drain", drained));
      }
      sent.end();
    })();
  });
}

test("a download of 1 GiB through a Worker to a slow reader takes little memory", async (t) => {
  const origin = await Origin.start(t, async (asked, response) => {
    const size = Number(asked.url?.slice(1)) * MIB;
    response.setHeader("content-length", size);
    for await (const part of make(size)) {
      if (!response.write(part)) await new Promise((drained) => response.once("drain", drained));
    }
    response.end();
  });
  const sluice = await startSluice(t, config(origin.address), { files: { "worker.ts": worker } });
  assert.equal(await download(`${sluice.url}/64`), 64 * MIB);
  const memory = new MemoryWatch(sluice);
  assert.equal(await download(`${sluice.url}/1024`), GIB);
  const growth = memory.growth();
  t.diagnostic(`resident memory grew by ${(growth / MIB).toFixed(1)} MiB`);
  assert.ok(growth < 32 * MIB, `resident memory grew by ${growth / MIB} MiB`);
});

test("an upload of 1 GiB through a Worker to a slow reader takes little memory", async (t) => {
  const origin = await Origin.start(t, (asked, response) => {
    void readSlowly(asked).then((size) => response.end(String(size)));
  });
  const sluice = await startSluice(t, config(origin.address), { files: { "worker.ts": worker } });
  assert.equal(await upload(`${sluice.url}/`, 64 * MIB), String(64 * MIB));
  const memory = new MemoryWatch(sluice);
  assert.equal(await upload(`${sluice.url}/`, GIB), String(GIB));
  const growth = memory.growth();
  t.diagnostic(`resident memory grew by ${(growth / MIB).toFixed(1)} MiB`);
  assert.ok(growth < 32 * MIB, `resident memory grew by ${growth / MIB} MiB`);
});
