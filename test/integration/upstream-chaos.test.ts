import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import { constants, createServer as createHttp2Server, type Http2Server } from "node:http2";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import { TestProxy, until } from "./http-harness.ts";
import { ask } from "./upstream-harness.ts";

/** What came to the origins: how often a request was carried out, by its path. */
class Record {
  readonly carriedOut: Map<string, number> = new Map();
  readonly torn: string[] = [];

  note(path: string): void {
    this.carriedOut.set(path, (this.carriedOut.get(path) ?? 0) + 1);
  }
}

/** An origin that carries requests out, and as often fails before, in the middle of it, or after. */
async function moody(t: TestContext, record: Record): Promise<Server> {
  const server = createServer((request, response) => {
    const mood = Math.random();
    const path = request.url ?? "";
    if (mood < 0.1) {
      request.socket.resetAndDestroy();
      return;
    }
    let body = "";
    request.setEncoding("latin1");
    request.on("data", (text: string) => {
      body += text;
      if (mood < 0.15) request.socket.resetAndDestroy();
    });
    request.on("error", () => {});
    request.on("end", () => {
      if (mood < 0.15) return;
      if (body !== path.repeat(Number(request.headers["x-times"]))) record.torn.push(path);
      record.note(path);
      if (mood < 0.2) request.socket.resetAndDestroy();
      else if (mood < 0.25) request.socket.destroy();
      else if (mood < 0.3) response.writeHead(503).end("busy");
      else if (mood < 0.33) setTimeout(() => response.end(path), 1_500);
      else response.end(path);
      if (mood > 0.9) response.on("finish", () => request.socket.destroy());
    });
  });
  server.listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return server;
}

/** The same over HTTP/2, where a failure is that of one stream. */
async function moodyStreams(t: TestContext, record: Record): Promise<Http2Server> {
  const server = createHttp2Server((request, response) => {
    const mood = Math.random();
    const path = request.url;
    const { stream } = request;
    if (mood < 0.05) {
      stream.close(constants.NGHTTP2_REFUSED_STREAM);
      return;
    }
    if (mood < 0.1) {
      stream.close(constants.NGHTTP2_INTERNAL_ERROR);
      return;
    }
    let body = "";
    request.setEncoding("latin1");
    request.on("data", (text: string) => {
      body += text;
      if (mood < 0.15) stream.close(constants.NGHTTP2_CANCEL);
    });
    request.on("error", () => {});
    response.on("error", () => {});
    stream.on("error", () => {});
    request.on("end", () => {
      if (stream.closed) return;
      if (body !== path.repeat(Number(request.headers["x-times"]))) record.torn.push(path);
      record.note(path);
      if (mood < 0.25) stream.close(constants.NGHTTP2_INTERNAL_ERROR);
      else if (mood < 0.3) response.writeHead(503).end("busy");
      else if (mood < 0.33) setTimeout(() => stream.closed || response.end(path), 1_500);
      else response.end(path);
    });
  });
  server.on("sessionError", () => {});
  server.listen(0, "127.0.0.1");
  await new Promise<void>((resolve) => server.once("listening", resolve));
  t.after(() => server.close());
  return server;
}

for (const version of [1, 2] as const) {
  test(`over HTTP/${version}, however servers fail, what is idempotent succeeds, what is not is carried out once at most, and bodies stay whole`, async (t) => {
    const record = new Record();
    const make = version === 1 ? moody : moodyStreams;
    const servers = [await make(t, record), await make(t, record), await make(t, record)];
    const proxy = await TestProxy.start(t, {
      external: {
        http: { version },
        addresses: servers.map((server) => `127.0.0.1:${(server.address() as AddressInfo).port}`),
        retries: {
          attempts: 10,
          on: ["connect", "reset", "timeout", 503],
          perTryTimeout: "500ms",
          backoff: "1ms",
          budget: { percent: 100 },
        },
        health: { passive: { failures: 3, ejection: "50ms", maxEjection: "100ms" } },
      },
    });
    let next = 0;
    const failed: string[] = [];
    const worker = async (): Promise<void> => {
      while (next < 400) {
        const id = next++;
        const method = ["GET", "PUT", "POST", "DELETE"][id % 4] ?? "";
        const path = `/${method}/${id}`;
        // Node.js frames no body of a GET or DELETE.
        const times = method === "PUT" || method === "POST" ? (id * 37) % 5_000 : 0;
        const headers = {
          "x-times": String(times),
          ...(id % 3 === 0 ? { "transfer-encoding": "chunked" } : {}),
        };
        const answer = await ask(proxy, { method, path, headers, body: path.repeat(times) }).catch(
          () => null,
        );
        if (answer === null) failed.push(`${path}: broken off`);
        else if (answer.status !== 200) failed.push(`${path}: ${answer.status}`);
        else assert.equal(answer.body, path);
      }
    };
    await Promise.all(Array.from({ length: 16 }, worker));
    assert.deepEqual(
      failed.filter((text) => !text.startsWith("/POST/")),
      [],
    );
    for (const [path, count] of record.carriedOut) {
      if (path.startsWith("/POST/")) assert.equal(count, 1, path);
    }
    assert.deepEqual(record.torn, []);
    await until(() => proxy.server.exchanges === 0);
  });
}
