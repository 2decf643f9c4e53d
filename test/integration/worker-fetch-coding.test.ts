import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import * as zlib from "node:zlib";
import { ProxyError } from "../../src/errors/proxy-error.ts";
import { type BodySink, type BodySource, BytesBody } from "../../src/http/body.ts";
import { HeaderBlock } from "../../src/http/header-block.ts";
import { ResponseHead } from "../../src/http/message.ts";
import { type Ask, collect } from "./network-harness.ts";
import { FakeService, to, WorkerBench, type WorkerSource } from "./worker-harness.ts";

let bench: WorkerBench | null = null;
afterEach(() => {
  bench?.stop();
  bench = null;
});

const text = "The quick brown fox jumps over the lazy dog. ".repeat(2000);

const encode: Readonly<Record<string, (bytes: Uint8Array) => Buffer>> = {
  gzip: (bytes) => zlib.gzipSync(bytes),
  "x-gzip": (bytes) => zlib.gzipSync(bytes),
  deflate: (bytes) => zlib.deflateSync(bytes),
  "deflate raw": (bytes) => zlib.deflateRawSync(bytes),
  br: (bytes) => zlib.brotliCompressSync(bytes, { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 3 } }),
  zstd: (bytes) => zlib.zstdCompressSync(bytes),
  "gzip, br": (bytes) => zlib.brotliCompressSync(zlib.gzipSync(bytes)),
};

const decode: Readonly<Record<string, (bytes: Uint8Array) => Buffer>> = {
  gzip: zlib.gunzipSync,
  deflate: zlib.inflateSync,
  br: zlib.brotliDecompressSync,
  zstd: zlib.zstdDecompressSync,
};

/** An origin that answers with these bytes under that Content-Encoding. */
function origin(coding: string, bytes: Uint8Array | (() => BodySource)): FakeService {
  return new FakeService("ORIGIN", (exchange) => {
    exchange.takeBody()?.cancel(new ProxyError("internal", "cannot use it"));
    const head = new ResponseHead(200, HeaderBlock.from([["Content-Encoding", coding]]));
    exchange.respond(head, typeof bytes === "function" ? bytes() : new BytesBody(bytes));
  });
}

async function run(
  code: string,
  fake: FakeService,
  options: { limits?: NonNullable<WorkerSource["limits"]>; ask?: Ask } = {},
) {
  const bindings = { ORIGIN: { service: to("ORIGIN") } };
  const { limits = {} } = options;
  bench = await WorkerBench.start({ main: { code, bindings, limits } }, [fake]);
  return collect(bench.worker(), options.ask ?? {});
}

const reading = `export default { async fetch(request, env) {
  const response = await env.ORIGIN.fetch("http://o/");
  const text = await response.text();
  return Response.json([text.length, text.slice(0, 19), response.headers.get("content-encoding")]);
} };`;

for (const [coding, make] of Object.entries(encode)) {
  test(`a Worker reads a body in ${coding} decoded, and the header stays`, async () => {
    const name = coding.split(" raw")[0] as string;
    const answer = await run(reading, origin(name, make(Buffer.from(text))));
    assert.deepEqual(JSON.parse(answer.text), [text.length, "The quick brown fox", name]);
  });
}

test("every way of reading decodes, both halves of a clone and the pieces of a stream too", async () => {
  const answer = await run(
    `export default { async fetch(request, env) {
      const ask = () => env.ORIGIN.fetch("http://o/");
      const bytes = await (await ask()).bytes();
      const buffer = await (await ask()).arrayBuffer();
      const blob = await (await ask()).blob();
      const response = await ask();
      const copy = response.clone();
      const [one, two] = await Promise.all([response.text(), copy.text()]);
      let streamed = 0;
      for await (const chunk of (await ask()).body) streamed += chunk.length;
      return Response.json([bytes.length, buffer.byteLength, blob.size, one.length, two.length, streamed]);
    } };`,
    origin("gzip", zlib.gzipSync(text)),
  );
  assert.deepEqual(JSON.parse(answer.text), new Array(6).fill(text.length));
});

test("a body that passes through keeps its bytes and its Content-Encoding", async () => {
  const bytes = zlib.gzipSync(text);
  const answer = await run(
    `export default { async fetch(request, env) {
      const response = await env.ORIGIN.fetch("http://o/");
      const copy = new Response(response.body, response);
      copy.headers.set("x-seen", "yes");
      return copy;
    } };`,
    origin("GZip", bytes),
  );
  assert.equal(answer.headers.get("content-encoding"), "GZip");
  assert.equal(answer.length, bytes.length);
  assert.ok(answer.body.equals(bytes));
});

test("a coding that is not known is left alone, read or not", async () => {
  const answer = await run(reading, origin("compress", Buffer.from("as it is")));
  assert.deepEqual(JSON.parse(answer.text), [8, "as it is", "compress"]);
});

test("a body goes out decoded when the Worker takes Content-Encoding away, and recoded when it changes it", async () => {
  const code = (to: string): string => `export default { async fetch(request, env) {
    const response = await env.ORIGIN.fetch("http://o/");
    const headers = new Headers(response.headers);
    headers.delete("content-encoding");
    ${to === "" ? "" : `headers.set("content-encoding", "${to}");`}
    return new Response(response.body, { headers });
  } };`;
  const plain = await run(code(""), origin("br", zlib.brotliCompressSync(text)));
  assert.equal(plain.headers.has("content-encoding"), false);
  assert.ok(plain.text === text);
  bench?.stop();
  const other = await run(code("zstd"), origin("gzip", zlib.gzipSync(text)));
  assert.equal(zlib.zstdDecompressSync(other.body).toString().length, text.length);
});

for (const coding of Object.keys(decode)) {
  test(`a body that the Worker makes is encoded as its Content-Encoding says: ${coding}`, async () => {
    const answer = await run(
      `export default { fetch() {
        return new Response(${JSON.stringify(text)}, { headers: { "Content-Encoding": "${coding}" } });
      } };`,
      origin("", new Uint8Array()),
    );
    assert.equal(answer.headers.get("content-encoding"), coding);
    assert.equal(
      (decode[coding] as (bytes: Uint8Array) => Buffer)(answer.body).toString().length,
      text.length,
    );
  });
}

test("a Worker that reads an encoded body and answers with its text under the same headers encodes it anew", async () => {
  const answer = await run(
    `export default { async fetch(request, env) {
      const response = await env.ORIGIN.fetch("http://o/");
      return new Response((await response.text()).toUpperCase(), response);
    } };`,
    origin("gzip", zlib.gzipSync("small")),
  );
  assert.equal(zlib.gunzipSync(answer.body).toString(), "SMALL");
});

test('with encodeBody "manual" the Worker has encoded by itself, and nothing is done', async () => {
  const answer = await run(
    `export default { fetch() {
      const bytes = Uint8Array.from(${JSON.stringify([...zlib.gzipSync("by hand")])});
      return new Response(bytes, { headers: { "Content-Encoding": "gzip" }, encodeBody: "manual" });
    } };`,
    origin("", new Uint8Array()),
  );
  assert.equal(zlib.gunzipSync(answer.body).toString(), "by hand");
});

test('with encodeResponseBody "manual" a Worker reads the bytes as they come', async () => {
  const bytes = zlib.gzipSync(text);
  const answer = await run(
    `export default { async fetch(request, env) {
      const response = await env.ORIGIN.fetch("http://o/", { encodeResponseBody: "manual" });
      return new Response((await response.bytes()), { headers: response.headers, encodeBody: "manual" });
    } };`,
    origin("gzip", bytes),
  );
  assert.ok(answer.body.equals(bytes));
});

test("each piece of a stream that is encoded goes out at once", async () => {
  const answer = await run(
    `export default { fetch() {
      let step = 0;
      const body = new ReadableStream({ async pull(controller) {
        if (step++ === 3) return controller.close();
        controller.enqueue(new TextEncoder().encode("data: " + step + "\\n\\n"));
        await scheduler;
      } });
      const scheduler = null;
      return new Response(body, { headers: { "Content-Encoding": "gzip" } });
    } };`,
    origin("", new Uint8Array()),
  );
  assert.equal(zlib.gunzipSync(answer.body).toString(), "data: 1\n\ndata: 2\n\ndata: 3\n\n");
});

test("a body that is cut short, or is not what its head names, is an error for whoever reads it", async () => {
  const code = `export default { async fetch(request, env) {
    const response = await env.ORIGIN.fetch("http://o/");
    try { return Response.json(["read", await response.text()]); }
    catch (error) { return Response.json([error.name, error.message]); }
  } };`;
  const failed = ["TypeError", "cannot read the body: upstream_malformed"];
  const whole = zlib.gzipSync(text);
  for (const bytes of [whole.subarray(0, whole.length - 9), Buffer.from("not gzip at all")]) {
    const answer = await run(code, origin("gzip", bytes));
    assert.deepEqual(JSON.parse(answer.text), failed);
    bench?.stop();
  }
  const empty = await run(code, origin("gzip", new Uint8Array()));
  assert.deepEqual(JSON.parse(empty.text), ["read", ""]);
});

test("an error of decoding that the handler lets through is the origin's fault", async () => {
  const answer = await run(reading, origin("br", Buffer.from("garbage")));
  assert.equal(answer.error?.code, "upstream_malformed");
});

/** Zeros without end, as they come out of one gzip stream; counts what is taken. */
class Bomb implements BodySource, BodySink {
  readonly length = -1;
  cancelled = false;
  sent = 0;
  #sink: BodySink | null = null;
  readonly #piece = zlib.gzipSync(Buffer.alloc(16 << 20));

  pipe(sink: BodySink): void {
    this.#sink = sink;
    setImmediate(() => this.resume());
  }

  resume(): void {
    if (this.cancelled) return;
    this.sent += this.#piece.length;
    if (this.#sink?.write(Buffer.from(this.#piece)) === true) setImmediate(() => this.resume());
  }

  cancel(): void {
    this.cancelled = true;
  }

  write(): boolean {
    return true;
  }

  end(): void {}
  fail(): void {}
}

test("a few bytes that stand for gigabytes fail to be read whole, and the Worker goes on", async () => {
  const bomb = new Bomb();
  const answer = await run(
    `export default { async fetch(request, env) {
      const response = await env.ORIGIN.fetch("http://o/");
      try { return Response.json(["read", (await response.text()).length]); }
      catch (error) { return Response.json([error.name, error.message]); }
    } };`,
    origin("gzip", () => bomb),
    { limits: { memoryMb: 32 } },
  );
  assert.deepEqual(JSON.parse(answer.text), ["TypeError", "cannot read the body: worker_memory_exceeded"]);
  assert.equal(bomb.cancelled, true);
});

test("a stream that is not read any further takes nothing more of what it decodes", async () => {
  const bomb = new Bomb();
  const answer = await run(
    `export default { async fetch(request, env) {
      const response = await env.ORIGIN.fetch("http://o/");
      const reader = response.body.getReader();
      const { value } = await reader.read();
      await reader.cancel();
      return Response.json([value.length > 0, value.every((byte) => byte === 0)]);
    } };`,
    origin("gzip", () => bomb),
  );
  assert.deepEqual(JSON.parse(answer.text), [true, true]);
  assert.equal(bomb.cancelled, true);
  assert.ok(bomb.sent < 1 << 20, `it took ${bomb.sent} bytes`);
});

test("between Workers a body that one encodes and the other reads is the same text", async () => {
  bench = await WorkerBench.start({
    main: {
      code: `export default { async fetch(request, env) {
        const response = await env.INNER.fetch(request);
        return Response.json([response.headers.get("content-encoding"), (await response.json()).n]);
      } };`,
      bindings: { INNER: { service: to("inner") } },
    },
    inner: {
      code: `export default { fetch() { return Response.json({ n: 5 }, { headers: { "content-encoding": "br" } }); } };`,
    },
  });
  const answer = await collect(bench.worker(), {});
  assert.deepEqual(JSON.parse(answer.text), ["br", 5]);
});

test("the body of a request is neither decoded nor encoded", async () => {
  const bytes = zlib.gzipSync("posted");
  const got: Buffer[] = [];
  const fake = new FakeService("ORIGIN", (exchange) => {
    const body = exchange.takeBody();
    assert.ok(body !== null);
    body.pipe({
      write: (chunk) => {
        got.push(Buffer.from(chunk));
        return true;
      },
      end: () => exchange.respond(new ResponseHead(204), null),
      fail: (error) => exchange.fail(error),
    });
  });
  const answer = await run(
    `export default { async fetch(request, env) {
      const bytes = await request.bytes();
      await env.ORIGIN.fetch("http://o/", { method: "POST", body: bytes, headers: { "content-encoding": "gzip" } });
      return Response.json(bytes.length);
    } };`,
    fake,
    { ask: { method: "POST", headers: [["content-encoding", "gzip"]], body: new BytesBody(bytes) } },
  );
  assert.equal(JSON.parse(answer.text), bytes.length);
  assert.ok(Buffer.concat(got).equals(bytes));
});
