import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import http from "node:http";
import { test } from "node:test";
import { promisify } from "node:util";
import { Agent, request as undiciRequest } from "undici";
import { ProxyError } from "../../src/errors/proxy-error.ts";
import { type BodySink, BytesBody } from "../../src/http/body.ts";
import type { Exchange } from "../../src/http/exchange.ts";
import { HeaderBlock } from "../../src/http/header-block.ts";
import { ResponseHead } from "../../src/http/message.ts";
import { Collector } from "../support/collector.ts";
import { FunctionService, TestProxy, until } from "./http-harness.ts";

const run = promisify(execFile);

/** Answers with the request's body, or with method and target. */
function echo(exchange: Exchange): void {
  const body = exchange.takeBody();
  const { method, target } = exchange.request;
  exchange.respond(new ResponseHead(200), body ?? BytesBody.text(`${method} ${target}`));
}

function get(target: string, more = ""): string {
  return `GET ${target} HTTP/1.1\r\nHost: site\r\n${more}\r\n`;
}

test("curl, undici and Node's client get their answers", async (t) => {
  const proxy = await TestProxy.start(t, { service: new FunctionService(echo) });
  const { stdout } = await run("curl", ["-s", "-d", "hello", `${proxy.url}/curl`]);
  assert.equal(stdout, "hello");
  const dispatcher = new Agent();
  t.after(() => dispatcher.close());
  const answer = await undiciRequest(`${proxy.url}/undici`, { dispatcher });
  assert.equal(await answer.body.text(), "GET /undici");
  const text = await new Promise<string>((resolve, reject) => {
    const sent = http.request(`${proxy.url}/node`, { method: "POST", agent: false }, (response) => {
      let all = "";
      response.setEncoding("utf8").on("data", (part: string) => {
        all += part;
      });
      response.on("end", () => resolve(all));
    });
    sent.on("error", reject);
    sent.write("in ");
    sent.end("chunks");
  });
  assert.equal(text, "in chunks");
});

test("64 pipelined requests are answered in order", async (t) => {
  const proxy = await TestProxy.start(t, {
    service: new FunctionService((exchange) => {
      // Every other answer comes later, so that order is not had by luck.
      const index = Number(exchange.request.target.slice(1));
      if (index % 2 === 0) echo(exchange);
      else setImmediate(echo, exchange);
    }),
  });
  const client = await proxy.dial(t);
  let all = "";
  for (let i = 0; i < 64; i++) all += get(`/${i}`);
  client.send(all);
  await client.got("GET /63");
  const order = [...client.received.matchAll(/GET \/(\d+)/g)].map((match) => Number(match[1]));
  assert.deepEqual(
    order,
    Array.from({ length: 64 }, (_, i) => i),
  );
});

test("a malformed request behind a good one waits for its turn, and closes the connection", async (t) => {
  let waiting: Exchange | undefined;
  const proxy = await TestProxy.start(t, {
    service: new FunctionService((exchange) => {
      waiting = exchange;
    }),
  });
  const client = await proxy.dial(t);
  client.send(`${get("/good")}BAD\r\n\r\n`);
  await until(() => waiting !== undefined);
  assert.equal(client.received, "");
  if (waiting !== undefined) echo(waiting);
  const text = await client.end();
  assert.match(
    text,
    /^HTTP\/1\.1 200 [\s\S]*GET \/goodHTTP\/1\.1 400 Bad Request\r\n[\s\S]*id: [0-9a-z]+\n$/,
  );
});

test("what is not HTTP gets a 4xx with an id, which the log has too", async (t) => {
  const proxy = await TestProxy.start(t, { service: new FunctionService(echo) });
  for (const [input, status] of [
    ["GET / HTTP/1.1\r\n\r\n", 400],
    [`${get("/").slice(0, -2)}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n`, 400],
    [get("/", "Expect: 200-maybe\r\n"), 417],
    [get(`/${"a".repeat(20_000)}`), 414],
    [get("/", `X: ${"a".repeat(70_000)}\r\n`), 431],
    ["GET / HTTP/3.0\r\nHost: site\r\n\r\n", 505],
  ] as const) {
    const client = await proxy.dial(t);
    client.send(input);
    const text = await client.end();
    assert.ok(text.startsWith(`HTTP/1.1 ${status} `), `${JSON.stringify(input.slice(0, 60))} got ${text}`);
    const id = /id: ([0-9a-z]+)\n/.exec(text)?.[1];
    assert.ok(proxy.context.lines.some(({ fields }) => fields?.id === id));
    client.socket.destroy();
  }
});

test("HEAD has the length and no body, and the connection goes on", async (t) => {
  const proxy = await TestProxy.start(t, {
    service: new FunctionService((exchange) => {
      const head = new ResponseHead(200);
      head.announcedLength = 42;
      exchange.respond(head, exchange.request.method === "HEAD" ? null : BytesBody.text("body"));
    }),
  });
  const client = await proxy.dial(t);
  client.send(`HEAD / HTTP/1.1\r\nHost: site\r\n\r\n${get("/")}`);
  const text = await client.got("\r\n\r\nbody");
  assert.match(text, /^HTTP\/1\.1 200 OK\r\nContent-Length: 42\r\n/);
  assert.equal(text.split("HTTP/1.1 200").length, 3);
  assert.equal(text.match(/body/g)?.length, 1);
});

test("204 and 304 have neither body nor length, whatever the service gives", async (t) => {
  const proxy = await TestProxy.start(t, {
    service: new FunctionService((exchange) => {
      const status = Number(exchange.request.target.slice(1));
      exchange.respond(new ResponseHead(status), BytesBody.text("no body"));
    }),
  });
  const client = await proxy.dial(t);
  client.send(get("/204") + get("/304") + get("/200"));
  const text = await client.got("no body");
  assert.equal(text.match(/no body/g)?.length, 1);
  assert.equal(text.match(/Content-Length/g)?.length, 1);
});

test("a body without a length goes in chunks, with its trailers; to HTTP/1.0 until the connection closes", async (t) => {
  const proxy = await TestProxy.start(t, {
    service: new FunctionService((exchange) => {
      exchange.respond(
        new ResponseHead(200),
        new PartsBody(["ab", "cde"], HeaderBlock.from([["x-sum", "1"]])),
      );
    }),
  });
  const client = await proxy.dial(t);
  client.send(get("/"));
  const text = await client.got("x-sum");
  assert.match(
    text,
    /Transfer-Encoding: chunked\r\n[\s\S]*\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\nx-sum: 1\r\n\r\n$/,
  );
  const old = await proxy.dial(t);
  old.send("GET / HTTP/1.0\r\n\r\n");
  assert.match(await old.end(), /Connection: close\r\n[\s\S]*\r\n\r\nabcde$/);
});

test("a request in chunks reaches the service whole, with its trailers", async (t) => {
  let got = "";
  const proxy = await TestProxy.start(t, {
    service: new FunctionService((exchange) => {
      const sink: BodySink = {
        write: (chunk) => {
          got += Buffer.from(chunk).toString();
          return true;
        },
        end: (trailers) => {
          got += ` ${trailers?.get("x-sum")}`;
          exchange.respond(new ResponseHead(200), null);
        },
        fail: () => {},
      };
      exchange.takeBody()?.pipe(sink);
    }),
  });
  const client = await proxy.dial(t);
  const head = "POST / HTTP/1.1\r\nHost: site\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (const part of [head, "3\r\nab", "c\r\n", "2\r\nde\r\n0\r\n", "X-Sum: 5\r\n", "\r\n"]) {
    client.send(part);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await client.got("HTTP/1.1 200");
  assert.equal(got, "abcde 5");
});

test("a client that expects 100 gets it when the body is first wanted", async (t) => {
  const proxy = await TestProxy.start(t, {
    service: new FunctionService((exchange) => {
      const body = exchange.takeBody();
      assert.ok(body !== null && exchange.request.expectContinue);
      new Collector(body, 1000, (_, bytes) => exchange.respond(new ResponseHead(200), new BytesBody(bytes)));
    }),
  });
  const client = await proxy.dial(t);
  client.send("POST / HTTP/1.1\r\nHost: site\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
  assert.equal(await client.got("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client.send("body");
  await client.got("\r\n\r\nbody");
});

test("a client that expects 100 and gets a final answer is told that the connection ends", async (t) => {
  const proxy = await TestProxy.start(t, {
    service: new FunctionService((exchange) => exchange.respond(new ResponseHead(401), null)),
  });
  const client = await proxy.dial(t);
  client.send("POST / HTTP/1.1\r\nHost: site\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
  const text = await client.end();
  assert.match(text, /^HTTP\/1\.1 401 /);
  assert.match(text, /Connection: close\r\n/);
});

test("103 goes to an HTTP/1.1 client and not to an HTTP/1.0 one", async (t) => {
  const proxy = await TestProxy.start(t, {
    service: new FunctionService((exchange) => {
      exchange.inform(new ResponseHead(103, HeaderBlock.from([["link", "</a>"]])));
      echo(exchange);
    }),
  });
  const client = await proxy.dial(t);
  client.send(get("/"));
  assert.match(await client.got("GET /"), /^HTTP\/1\.1 103 Early Hints\r\nlink: <\/a>\r\n\r\nHTTP\/1\.1 200/);
  const old = await proxy.dial(t);
  old.send("GET / HTTP/1.0\r\n\r\n");
  assert.match(await old.end(), /^HTTP\/1\.1 200/);
});

test("a small unread request body is read for the sake of the connection, a large one ends it", async (t) => {
  const proxy = await TestProxy.start(t, {
    service: new FunctionService((exchange) => exchange.respond(new ResponseHead(200), null)),
  });
  const client = await proxy.dial(t);
  const post = (length: number): string =>
    `POST / HTTP/1.1\r\nHost: site\r\nContent-Length: ${length}\r\n\r\n`;
  client.send(post(1000));
  await client.got("HTTP/1.1 200");
  client.send("a".repeat(1000) + get("/again"));
  await until(() => client.received.split("HTTP/1.1 200").length === 3);
  client.send(post(1_000_000) + "a".repeat(500_000));
  await client.end();
  assert.equal(client.received.split("HTTP/1.1 200").length, 4);
});

test("a body over the limit is refused, announced or not", async (t) => {
  const service = new FunctionService((exchange) => {
    const body = exchange.takeBody();
    if (body !== null) new Collector(body, 1_000_000, () => {});
  });
  const proxy = await TestProxy.start(t, { service, http: { limits: { bodyBytes: 1000 } } });
  const announced = await proxy.dial(t);
  announced.send("POST / HTTP/1.1\r\nHost: site\r\nContent-Length: 1001\r\n\r\n");
  assert.match(await announced.end(), /^HTTP\/1\.1 413 /);
  assert.equal(service.exchanges, 0);
  const chunked = await proxy.dial(t);
  chunked.send("POST / HTTP/1.1\r\nHost: site\r\nTransfer-Encoding: chunked\r\n\r\n");
  await until(() => service.exchanges === 1);
  chunked.send(`3e9\r\n${"a".repeat(1001)}\r\n0\r\n\r\n`);
  assert.match(await chunked.end(), /^HTTP\/1\.1 413 /);
  assert.equal(service.aborts[0]?.code, "request_body_too_large");
});

test("a service's error becomes its status and an id; the message stays in the log", async (t) => {
  const proxy = await TestProxy.start(t, {
    service: new FunctionService((exchange) => {
      exchange.fail(new ProxyError("upstream_busy", "cannot connect to secret.internal: all are in use"));
    }),
  });
  const client = await proxy.dial(t);
  client.send(get("/one") + get("/two"));
  await until(() => client.received.split("HTTP/1.1 503").length === 3);
  assert.match(client.received, /Retry-After: \d+\r\n/);
  assert.ok(!client.received.includes("secret"));
  const ids = [...client.received.matchAll(/id: ([0-9a-z]+)/g)].map((match) => match[1]);
  assert.equal(new Set(ids).size, 2);
  assert.deepEqual(
    proxy.context.lines.map(({ fields }) => fields?.id),
    ids,
  );
  assert.deepEqual(proxy.errors, { upstream_busy: 2 });
});

test("a body that breaks off breaks the connection, with a reset where its close would be the end", async (t) => {
  const proxy = await TestProxy.start(t, {
    service: new FunctionService((exchange) => {
      exchange.respond(new ResponseHead(200), new PartsBody(["half"], "breaks"));
    }),
  });
  const client = await proxy.dial(t);
  client.send(get("/"));
  const text = await client.end();
  assert.ok(text.includes("4\r\nhalf\r\n") && !text.includes("0\r\n\r\n"));
  const old = await proxy.dial(t);
  old.send("GET / HTTP/1.0\r\n\r\n");
  await until(() => old.closed);
  assert.equal(old.error?.code, "ECONNRESET");
});

test("a service that gives more or less than it announced breaks the connection", async (t) => {
  const proxy = await TestProxy.start(t, {
    service: new FunctionService((exchange) => {
      const body = new PartsBody(["1234"], null);
      body.length = Number(exchange.request.target.slice(1));
      exchange.respond(new ResponseHead(200), body);
    }),
  });
  for (const length of [3, 5]) {
    const client = await proxy.dial(t);
    client.send(get(`/${length}`) + get("/4"));
    await client.end();
    assert.equal(client.received.split("HTTP/1.1 200").length, 2);
    client.socket.destroy();
  }
});

test("header edits of the socket apply to requests and responses", async (t) => {
  const proxy = await TestProxy.start(t, {
    http: {
      forwardedProtoHeader: "X-Forwarded-Proto",
      injectRequestHeaders: { "X-Edge": "1", "x-debug": null },
      injectResponseHeaders: { server: "sluice", "X-Powered-By": null },
    },
    service: new FunctionService((exchange) => {
      const { request } = exchange;
      const fields = new HeaderBlock("X-POWERED-BY: php\r\nServer: other\r\n");
      exchange.respond(
        new ResponseHead(200, fields),
        BytesBody.text(`${request.scheme}|${request.headers.text}`),
      );
    }),
  });
  const client = await proxy.dial(t);
  client.send(get("/", "X-Debug: yes\r\nx-edge: forged\r\nx-forwarded-proto: https\r\nA: b\r\n"));
  const text = await client.got("https|A: b\r\nX-Edge: 1\r\n");
  assert.match(text, /server: sluice\r\n/);
  assert.ok(!/powered|other/i.test(text));
});

test("host style takes full URLs, whose authority replaces Host, and refuses CONNECT", async (t) => {
  const proxy = await TestProxy.start(t, {
    service: new FunctionService((exchange) => {
      exchange.respond(new ResponseHead(200), BytesBody.text(exchange.request.url));
    }),
  });
  const client = await proxy.dial(t);
  client.send("GET http://other:81/p?q HTTP/1.1\r\nHost: site\r\n\r\n");
  await client.got("http://other:81/p?q");
  client.send("CONNECT site:443 HTTP/1.1\r\nHost: site\r\n\r\n");
  await client.end();
  assert.match(client.received, /HTTP\/1\.1 405 /);
});

test("one line for the access log is written for each exchange", async (t) => {
  const proxy = await TestProxy.start(t, { service: new FunctionService(echo) });
  const client = await proxy.dial(t);
  client.send(get("/logged"));
  await client.got("GET /logged");
  const [line] = proxy.context.accesses;
  assert.equal(proxy.context.accesses.length, 1);
  assert.equal(line?.socket, "public");
  assert.equal(line?.client, "127.0.0.1");
  assert.equal(line?.method, "GET");
  assert.equal(line?.host, "site");
  assert.equal(line?.target, "/logged");
  assert.equal(line?.status, 200);
  assert.equal(line?.bytes, 11);
});

test("the access log counts the body of an error too", async (t) => {
  const proxy = await TestProxy.start(t, {
    service: new FunctionService((exchange) => {
      exchange.fail(new ProxyError("upstream_unreachable", "cannot connect"));
    }),
  });
  const client = await proxy.dial(t);
  client.send("GET /failed HTTP/1.1\r\nHost: site\r\nConnection: close\r\n\r\n");
  const text = await client.end();
  const [line] = proxy.context.accesses;
  assert.equal(line?.status, 502);
  assert.equal(line?.bytes, text.length - text.indexOf("\r\n\r\n") - 4);
});

test("connections over the limit are answered 503 and closed; the others go on", async (t) => {
  const proxy = await TestProxy.start(t, {
    service: new FunctionService(echo),
    http: { limits: { connections: 2 } },
  });
  const first = await proxy.dial(t);
  const second = await proxy.dial(t);
  await until(() => proxy.server.connections === 2);
  const third = await proxy.dial(t);
  assert.match(await third.end(), /^HTTP\/1\.1 503 [\s\S]*Retry-After/);
  first.send(get("/first"));
  await first.got("GET /first");
  second.socket.destroy();
  await until(() => proxy.server.connections === 1);
  const fourth = await proxy.dial(t);
  fourth.send(get("/fourth"));
  await fourth.got("GET /fourth");
});

/** A body in parts, which ends with trailers, or breaks off. */
class PartsBody {
  length = -1;
  readonly #parts: string[];
  readonly #ending: HeaderBlock | null | "breaks";

  constructor(parts: string[], ending: HeaderBlock | null | "breaks") {
    this.#parts = parts;
    this.#ending = ending;
  }

  pipe(sink: BodySink): void {
    setImmediate(() => {
      for (const part of this.#parts) sink.write(Buffer.from(part));
      if (this.#ending === "breaks") sink.fail(new ProxyError("upstream_truncated", "cannot go on"));
      else sink.end(this.#ending);
    });
  }

  resume(): void {}
  cancel(): void {}
}
