import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createServer, type IncomingHttpHeaders, type RequestListener, request } from "node:http";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import { promisify } from "node:util";
import * as zlib from "node:zlib";
import { chooseCoding } from "../../src/services/middleware/compression/accept-encoding.ts";
import { eventually } from "../support/shard.ts";
import { type RunningSluice, startSluice } from "../support/sluice.ts";

const decoders = { gzip: zlib.gunzipSync, br: zlib.brotliDecompressSync, zstd: zlib.zstdDecompressSync };

const text = "All work and no play makes a proxy dull. ".repeat(500);

test("a coding is chosen by its weight, and by our order among equals", () => {
  const all = ["zstd", "br", "gzip"] as const;
  const cases: ReadonlyArray<readonly [string, string | null]> = [
    ["gzip, deflate, br, zstd", "zstd"],
    ["gzip, br", "br"],
    ["gzip;q=1, br;q=0.9", "gzip"],
    ["x-gzip", "gzip"],
    ["*", "zstd"],
    ["*;q=0.5, zstd;q=0", "br"],
    ["*;q=0", null],
    ["identity", null],
    ["identity;q=0.5, gzip;q=0.2", null],
    ["identity;q=0, gzip;q=0.2", "gzip"],
    ["", null],
    ["deflate, compress", null],
    ["gzip;q=0", null],
    ["GZIP ; Q=0.3", "gzip"],
    ["gzip;q=2", null],
    ["gzip;q=x, br", "br"],
    ["gzip;level=9;q=0.5", "gzip"],
    [`${"a,".repeat(40)}gzip`, null],
  ];
  for (const [field, expected] of cases) assert.equal(chooseCoding([field], all), expected, field);
  assert.equal(chooseCoding(["gzip", "br"], all), "br");
  assert.equal(chooseCoding([], all), null);
});

async function start(context: TestContext, listener: RequestListener, options = ""): Promise<RunningSluice> {
  const server = createServer(listener);
  server.on("upgrade", (_request, socket) => {
    socket.on("error", () => {});
    socket.end(
      "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\nraw",
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return startSluice(
    context,
    `
sockets: { public: { address: "127.0.0.1:0", service: app } }
services:
  app: { external: { address: "${address}" }, middleware: [{ compression: { ${options} } }] }
log: { access: false }
`,
  );
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly trailers: NodeJS.Dict<string>;
  readonly body: Buffer;
  readonly isWhole: boolean;
  readonly hints: number;
}

/** Asks with node:http, which decodes nothing. */
function ask(
  url: string,
  headers: Readonly<Record<string, string>> = { "accept-encoding": "gzip" },
  method = "GET",
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    let hints = 0;
    const client = request(url, { method, headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", () => {});
      response.on("close", () => {
        const { statusCode: status = 0, headers, trailers, complete: isWhole } = response;
        resolve({ status, headers, trailers, body: Buffer.concat(chunks), isWhole, hints });
      });
    });
    client.on("information", () => hints++);
    client.on("error", reject);
    client.end();
  });
}

test("a response goes out in the coding that the client likes, described as what it is, and HEAD describes the same", async (context) => {
  const sluice = await start(context, (_request, response) => {
    response.setHeader("content-type", "text/html; charset=utf-8");
    response.setHeader("etag", '"one"');
    response.setHeader("vary", "Origin");
    response.setHeader("accept-ranges", "bytes");
    response.setHeader("content-length", text.length);
    response.end(text);
  });
  for (const [coding, decode] of Object.entries(decoders)) {
    const { headers, body, status } = await ask(sluice.url, { "accept-encoding": `${coding}, x;q=0.1` });
    assert.equal(status, 200);
    assert.equal(headers["content-encoding"], coding);
    assert.equal(headers.etag, 'W/"one"');
    assert.equal(headers.vary, "Origin, Accept-Encoding");
    assert.equal(headers["content-length"], undefined);
    assert.equal(headers["accept-ranges"], undefined);
    assert.ok(body.length < text.length / 10, coding);
    assert.equal(decode(body).toString(), text);
    const head = await ask(sluice.url, { "accept-encoding": coding }, "HEAD");
    for (const name of ["content-encoding", "etag", "vary", "content-length", "content-type"]) {
      assert.equal(head.headers[name], headers[name], `${coding} ${name}`);
    }
    assert.equal(head.body.length, 0);
  }
  const plain = await ask(sluice.url, {});
  assert.equal(plain.headers["content-encoding"], undefined);
  assert.equal(plain.headers.etag, '"one"');
  assert.equal(plain.headers.vary, "Origin, Accept-Encoding");
  assert.equal(plain.body.toString(), text);
  const { stdout } = await promisify(execFile)("curl", ["-s", "--compressed", sluice.url]);
  assert.equal(stdout, text);
});

test("what would gain nothing, or must not be touched, stays as it is", async (context) => {
  const sluice = await start(context, (asked, response) => {
    response.setHeader("etag", '"one"');
    response.setHeader("content-type", "text/plain");
    switch (asked.url) {
      case "/coded":
        response.setHeader("content-encoding", "br");
        break;
      case "/no-transform":
        response.setHeader("cache-control", "public, No-Transform");
        break;
      case "/image":
        response.setHeader("content-type", "image/png");
        break;
      case "/untyped":
        response.removeHeader("content-type");
        break;
      case "/range":
        response.writeHead(206, { "content-range": "bytes 0-1/3" });
        break;
      case "/small":
        response.setHeader("content-length", 5);
        response.end("small");
        return;
      case "/none":
        response.writeHead(204).end();
        return;
      case "/same":
        response.writeHead(304).end();
        return;
    }
    response.end(text);
  });
  for (const path of ["/coded", "/no-transform", "/image", "/untyped", "/range", "/small"]) {
    const { headers, body } = await ask(sluice.url + path);
    assert.notEqual(headers["content-encoding"], "gzip", path);
    assert.equal(headers.etag, '"one"', path);
    assert.equal(headers.vary, undefined, path);
    assert.equal(body.toString(), path === "/small" ? "small" : text, path);
  }
  const forbidden = await ask(sluice.url, { "accept-encoding": "gzip", "cache-control": "no-transform" });
  assert.equal(forbidden.headers["content-encoding"], undefined);
  assert.equal((await ask(`${sluice.url}/none`)).headers["content-encoding"], undefined);
  const same = await ask(`${sluice.url}/same`);
  assert.equal(same.status, 304);
  assert.equal(same.headers.etag, 'W/"one"');
});

test("each event of a stream arrives at once, and so does what stands still in any other response", async (context) => {
  let go = (): void => {};
  const sluice = await start(context, (asked, response) => {
    response.setHeader("content-type", asked.url === "/events" ? "text/event-stream" : "text/plain");
    let n = 0;
    go = () => {
      if (++n > 3) response.end();
      else response.write(`data: ${n}\n\n`);
    };
    go();
  });
  for (const [path, coding, decoder] of [
    ["/events", "gzip", zlib.createGunzip()],
    ["/events", "br", zlib.createBrotliDecompress()],
    ["/events", "zstd", zlib.createZstdDecompress()],
    ["/slow", "gzip", zlib.createGunzip()],
    ["/slow", "zstd", zlib.createZstdDecompress()],
  ] as const) {
    const client = request(sluice.url + path, { headers: { "accept-encoding": coding }, agent: false });
    client.on("response", (response) => {
      assert.equal(response.headers["content-encoding"], coding);
      response.pipe(decoder);
    });
    client.end();
    let seen = "";
    // The origin writes the next event only when this one is here.
    for await (const chunk of decoder) {
      seen += chunk;
      go();
    }
    assert.equal(seen, "data: 1\n\ndata: 2\n\ndata: 3\n\n", `${path} ${coding}`);
  }
});

test("a large body streams with backpressure, trailers and early hints pass, and one that breaks off is broken", async (context) => {
  const sluice = await start(context, (asked, response) => {
    response.writeEarlyHints({ link: "</a.css>; rel=preload" });
    response.setHeader("content-type", "text/plain");
    if (asked.url === "/broken") {
      response.setHeader("content-length", 1_000_000);
      response.write(text, () => setTimeout(() => response.destroy(), 50));
      return;
    }
    response.setHeader("trailer", "x-sum");
    let left = 400;
    const fill = (): void => {
      while (left-- > 0) if (!response.write(text)) return void response.once("drain", fill);
      response.addTrailers({ "x-sum": "42" });
      response.end();
    };
    fill();
  });
  for (const [coding, decode] of Object.entries(decoders)) {
    const { body, trailers, isWhole, hints } = await ask(sluice.url, { "accept-encoding": coding });
    assert.ok(isWhole);
    assert.equal(hints, 1);
    assert.equal(trailers["x-sum"], "42");
    assert.equal(decode(body).length, 400 * text.length);
  }
  assert.equal((await ask(`${sluice.url}/broken`)).isWhole, false);
});

test("an upgrade passes as it is", async (context) => {
  const sluice = await start(context, (_request, response) => response.end());
  const received = await new Promise<string>((resolve, reject) => {
    const client = request(sluice.url, {
      headers: {
        "accept-encoding": "gzip",
        connection: "Upgrade",
        upgrade: "websocket",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
        "sec-websocket-version": "13",
      },
    });
    client.on("upgrade", (response, socket, head) => {
      let text = head.toString();
      assert.equal(response.statusCode, 101);
      socket.on("data", (chunk: Buffer) => {
        text += chunk;
      });
      socket.on("end", () => {
        socket.end();
        resolve(text);
      });
    });
    client.on("error", reject);
    client.end();
  });
  assert.equal(received, "raw");
});

test("no more responses are compressed at a time than config says, and a client that leaves frees its coder", async (context) => {
  const sluice = await start(
    context,
    (asked, response) => {
      response.setHeader("content-type", "text/plain");
      if (asked.url !== "/endless") {
        response.end(text);
        return;
      }
      const fill = (): void => {
        while (!response.destroyed && response.write(text));
      };
      response.on("drain", fill);
      fill();
    },
    "concurrent: 1",
  );
  for (let i = 0; i < 3; i++) {
    const endless = request(`${sluice.url}/endless`, { headers: { "accept-encoding": "br" }, agent: false });
    endless.on("error", () => {});
    const begun = Promise.withResolvers<void>();
    endless.on("response", (response) => {
      response.on("error", () => {});
      response.once("data", () => begun.resolve());
    });
    endless.end();
    await begun.promise;
    assert.equal((await ask(sluice.url)).headers["content-encoding"], undefined);
    assert.equal((await ask(sluice.url, undefined, "HEAD")).headers["content-encoding"], "gzip");
    endless.destroy();
    await eventually("the coder is free", async () => {
      const { headers, body } = await ask(sluice.url);
      if (headers["content-encoding"] !== "gzip") return false;
      assert.equal(zlib.gunzipSync(body).toString(), text);
      return true;
    });
  }
});
