import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import * as zlib from "node:zlib";
import { BytesBody } from "../../src/http/body.ts";
import { type Answer, collect } from "./network-harness.ts";
import { WorkerBench } from "./worker-harness.ts";

let bench: WorkerBench | null = null;
afterEach(() => {
  bench?.stop();
  bench = null;
});

async function run(body: string, input: Uint8Array | null = null): Promise<Answer> {
  const code = `
    async function get(promise) {
      try { return await promise; } catch (error) { return [error.name, error.message]; }
    }
    async function through(bytes, stream) {
      const writer = stream.writable.getWriter();
      writer.write(bytes).catch(() => {});
      writer.close().catch(() => {});
      return new Uint8Array(await new Response(stream.readable).arrayBuffer());
    }
    export default { async fetch(request) { ${body} } };`;
  bench = await WorkerBench.start({ main: { code } });
  const ask = input === null ? {} : { method: "POST", body: new BytesBody(input) };
  const answer = await collect(bench.worker(), ask);
  assert.equal(answer.error, null);
  return answer;
}

const text = "All work and no play makes Jack a dull boy. ".repeat(20_000);

const formats: ReadonlyArray<
  [format: string, pack: (bytes: Uint8Array) => Buffer, unpack: (bytes: Uint8Array) => Buffer]
> = [
  ["gzip", zlib.gzipSync, zlib.gunzipSync],
  ["deflate", zlib.deflateSync, zlib.inflateSync],
  ["deflate-raw", zlib.deflateRawSync, zlib.inflateRawSync],
  ["brotli", zlib.brotliCompressSync, zlib.brotliDecompressSync],
  ["zstd", zlib.zstdCompressSync, zlib.zstdDecompressSync],
];

for (const [format, pack, unpack] of formats) {
  test(`CompressionStream and DecompressionStream work as zlib does: ${format}`, async () => {
    const bytes = Buffer.from(text);
    const packed = await run(
      `return new Response(request.body.pipeThrough(new CompressionStream("${format}")));`,
      bytes,
    );
    assert.ok(packed.body.length < 10_000);
    assert.ok(unpack(packed.body).equals(bytes));
    bench?.stop();
    const unpacked = await run(
      `return new Response(request.body.pipeThrough(new DecompressionStream("${format}")));`,
      pack(bytes),
    );
    assert.ok(unpacked.body.equals(bytes));
  });

  test(`input that is cut short, damaged or goes on after its end is a TypeError: ${format}`, async () => {
    const packed = pack(Buffer.from("some text that is short"));
    const answer = await run(
      `const packed = await request.bytes();
      const longer = new Uint8Array(packed.length + 3);
      longer.set(packed);
      longer.fill(7, packed.length);
      const inputs = [packed.subarray(0, packed.length - 2), longer, new Uint8Array([7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7])];
      const results = [];
      for (const input of inputs) {
        const result = await get(through(input, new DecompressionStream("${format}")));
        results.push(result[0]);
      }
      return Response.json(results);`,
      packed,
    );
    assert.deepEqual(JSON.parse(answer.text), ["TypeError", "TypeError", "TypeError"]);
  });
}

test("a write of damaged bytes rejects, and so does everything after it", async () => {
  const answer = await run(
    `const stream = new DecompressionStream("gzip");
    const writer = stream.writable.getWriter();
    const reader = stream.readable.getReader();
    const write = get(writer.write(new Uint8Array([1, 2, 3, 4])));
    const read = get(reader.read());
    return Response.json([(await write)[0], (await read)[0], (await get(writer.write(new Uint8Array(1))))[0], (await get(writer.closed))[0]]);`,
  );
  assert.deepEqual(JSON.parse(answer.text), ["TypeError", "TypeError", "TypeError", "TypeError"]);
});

test("formats that do not exist and chunks that are no bytes are TypeErrors that name them", async () => {
  const answer = await run(
    `const fail = (action) => { try { action(); } catch (error) { return [error.name, error.message]; } };
    const bad = new CompressionStream("gzip");
    const writer = bad.writable.getWriter();
    bad.readable.getReader().read().catch(() => {});
    return Response.json([fail(() => new CompressionStream("lzma")), fail(() => new DecompressionStream("GZIP")),
      fail(() => new CompressionStream()), (await get(writer.write("text")))[0], String(bad), CompressionStream.length,
      Object.keys(CompressionStream.prototype)]);`,
  );
  assert.deepEqual(JSON.parse(answer.text), [
    ["TypeError", 'cannot make a CompressionStream: "lzma" is not a format'],
    ["TypeError", 'cannot make a DecompressionStream: "GZIP" is not a format'],
    ["TypeError", "cannot call CompressionStream constructor: 1 argument required, 0 given"],
    "TypeError",
    "[object CompressionStream]",
    1,
    ["readable", "writable"],
  ]);
});

test("what a bomb yields comes no faster than it is read", async () => {
  const answer = await run(
    `const reader = request.body.pipeThrough(new DecompressionStream("gzip")).getReader();
    let size = 0, largest = 0;
    while (size < 50_000_000) {
      const { done, value } = await reader.read();
      if (done) break;
      size += value.length;
      largest = Math.max(largest, value.length);
    }
    await reader.cancel();
    return Response.json([size >= 50_000_000, largest < 1_000_000]);`,
    zlib.gzipSync(Buffer.alloc(200_000_000)),
  );
  assert.deepEqual(JSON.parse(answer.text), [true, true]);
});

test("streams that are left unfinished do not use up what a Worker may have open", async () => {
  const answer = await run(
    `for (let round = 0; round < 12; round++) {
      for (let i = 0; i < 100; i++) {
        const stream = new CompressionStream("gzip");
        stream.readable.getReader().read();
        await stream.writable.getWriter().write(new Uint8Array(10));
      }
      await new Promise((resolve) => setTimeout(resolve, 1));
      let waste = [];
      for (let i = 0; i < 200; i++) waste.push(new Array(10_000).fill(i));
    }
    const { length } = await through(new Uint8Array(1000), new CompressionStream("gzip"));
    return Response.json(length > 10);`,
  );
  assert.equal(JSON.parse(answer.text), true);
});
