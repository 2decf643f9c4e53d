import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { once } from "node:events";
import http, { type RequestListener } from "node:http";
import { Readable, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Origin } from "../support/origin.ts";

const size = 256 * 1024 * 1024;
const megabyte = 1024 * 1024;

/** A proxy in another process, before an origin. */
class Watched {
  readonly #child;
  port = 0;
  baseline = 0;
  peak = 0;

  constructor(t: TestContext, address: string) {
    this.#child = fork(fileURLToPath(new URL("http-stream-process.ts", import.meta.url)), [address]);
    t.after(() => this.#child.disconnect());
  }

  static async start(t: TestContext, answer: RequestListener): Promise<Watched> {
    const origin = await Origin.start(t, answer);
    const watched = new Watched(t, origin.address);
    const [{ port }] = (await once(watched.#child, "message")) as [{ port: number }];
    watched.port = port;
    return watched;
  }

  async sample(): Promise<void> {
    this.#child.send("sample");
    const [{ rss }] = (await once(this.#child, "message")) as [{ rss: number }];
    // The first megabytes fill the buffers that every connection has.
    if (this.baseline === 0) this.baseline = rss;
    this.peak = Math.max(this.peak, rss);
  }

  get growth(): number {
    return Math.round((this.peak - this.baseline) / megabyte);
  }
}

/** Takes everything, more slowly than it could come, and samples the proxy's memory every 16 MiB. */
class SlowReader extends Writable {
  bytes = 0;
  readonly #watched: Watched;
  #next = 16 * megabyte;

  constructor(watched: Watched) {
    super({ highWaterMark: 65_536 });
    this.#watched = watched;
  }

  override _write(chunk: Buffer, _: string, done: (error?: Error) => void): void {
    this.bytes += chunk.length;
    if (this.bytes < this.#next) {
      done();
      return;
    }
    this.#next += 16 * megabyte;
    setTimeout(() => this.#watched.sample().then(() => done(), done), 20);
  }
}

function* bytes(): Generator<Buffer> {
  const block = Buffer.alloc(65_536, "abcdefgh");
  for (let sent = 0; sent < size; sent += block.length) yield block;
}

test("256 MiB to a slow reader, of known and of unknown length, pass in bounded memory", async (t) => {
  const watched = await Watched.start(t, (request, response) => {
    if (request.url === "/known") response.setHeader("content-length", size);
    Readable.from(bytes()).pipe(response);
  });
  for (const path of ["/known", "/chunked"]) {
    const reader = new SlowReader(watched);
    const sent = http.get({ port: watched.port, host: "127.0.0.1", path, agent: false });
    const [response] = (await once(sent, "response")) as [http.IncomingMessage];
    await pipeline(response, reader);
    assert.equal(reader.bytes, size);
  }
  assert.ok(watched.growth < 32, `resident memory grew by ${watched.growth} MiB`);
});

test("256 MiB from a client to a slow upstream pass in bounded memory", async (t) => {
  let reader: SlowReader | undefined;
  const watched = await Watched.start(t, (request, response) => {
    reader = new SlowReader(watched);
    pipeline(request, reader).then(
      () => response.end("done"),
      () => response.destroy(),
    );
  });
  const sent = http.request({ port: watched.port, host: "127.0.0.1", method: "PUT", agent: false });
  const answered = once(sent, "response");
  await pipeline(Readable.from(bytes()), sent);
  await answered;
  assert.equal(reader?.bytes, size);
  assert.ok(watched.growth < 32, `resident memory grew by ${watched.growth} MiB`);
});
