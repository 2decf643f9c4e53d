import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ProxyError } from "../../src/errors/proxy-error.ts";
import { HeaderBlock } from "../../src/http/header-block.ts";
import { HttpDate } from "../../src/http/http1/http-date.ts";
import { RequestParser } from "../../src/http/http1/request-parser.ts";
import { ResponseParser } from "../../src/http/http1/response-parser.ts";
import {
  chunkPrefix,
  chunkSuffix,
  errorResponse,
  interimHead,
  lastChunk,
  type RequestWriting,
  type ResponseWriting,
  requestHead,
  responseHead,
} from "../../src/http/http1/writer.ts";
import { RequestHead, ResponseHead } from "../../src/http/message.ts";
import { defaultLimits, Recorder } from "./recorder.ts";

const dirty =
  "A: 1\r\nContent-Length: 9\r\ntransfer-encoding: chunked\r\nHOST: evil\r\nB: 2\r\nConnection: x\r\nKeep-Alive: 1\r\n" +
  "Proxy-Connection: x\r\nTE: x\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\nExpect: x\r\nC: 3\r\n";

function request(change: (head: RequestHead) => void = () => {}): RequestHead {
  const head = new RequestHead("GET", "http", "example.com:81", "/a?b", new HeaderBlock("X: y\r\n"));
  change(head);
  return head;
}

const plainRequest: RequestWriting = { length: 0, keepAlive: true };
const plainResponse: ResponseWriting = { length: 0, chunked: false, keepAlive: true, minor: 1, date: "" };

function readResponse(text: string, method = "GET"): string[] {
  const recorder = new Recorder(new ResponseParser(defaultLimits), false, [method]);
  recorder.feed(Buffer.from(text, "latin1"));
  return recorder.finish();
}

describe("the writer of requests", () => {
  const cases: Array<[title: string, head: RequestHead, writing: RequestWriting, text: string]> = [
    [
      "puts Host first and the end-to-end fields last",
      request(),
      plainRequest,
      "GET /a?b HTTP/1.1\r\nHost: example.com:81\r\nX: y\r\n\r\n",
    ],
    [
      "writes a known length",
      request(),
      { length: 12, keepAlive: true },
      "GET /a?b HTTP/1.1\r\nHost: example.com:81\r\nContent-Length: 12\r\nX: y\r\n\r\n",
    ],
    [
      "chunks a body of unknown length",
      request(),
      { length: -1, keepAlive: true },
      "GET /a?b HTTP/1.1\r\nHost: example.com:81\r\nTransfer-Encoding: chunked\r\nX: y\r\n\r\n",
    ],
    [
      "says that a POST has no body",
      request((head) => {
        head.method = "POST";
      }),
      plainRequest,
      "POST /a?b HTTP/1.1\r\nHost: example.com:81\r\nContent-Length: 0\r\nX: y\r\n\r\n",
    ],
    [
      "asks for a close",
      request(),
      { length: 0, keepAlive: false },
      "GET /a?b HTTP/1.1\r\nHost: example.com:81\r\nConnection: close\r\nX: y\r\n\r\n",
    ],
    [
      "offers websocket",
      request((head) => {
        head.upgrade = "websocket";
      }),
      plainRequest,
      "GET /a?b HTTP/1.1\r\nHost: example.com:81\r\nConnection: upgrade\r\nUpgrade: websocket\r\nX: y\r\n\r\n",
    ],
    [
      "offers no other protocol",
      request((head) => {
        head.upgrade = "h2c";
      }),
      plainRequest,
      "GET /a?b HTTP/1.1\r\nHost: example.com:81\r\nX: y\r\n\r\n",
    ],
    [
      "says that trailers are taken",
      request((head) => {
        head.acceptsTrailers = true;
      }),
      { length: 0, keepAlive: false },
      "GET /a?b HTTP/1.1\r\nHost: example.com:81\r\nConnection: close, te\r\nTE: trailers\r\nX: y\r\n\r\n",
    ],
    [
      "passes on the wait for 100",
      request((head) => {
        head.expectContinue = true;
      }),
      { length: 1, keepAlive: true },
      "GET /a?b HTTP/1.1\r\nHost: example.com:81\r\nContent-Length: 1\r\nExpect: 100-continue\r\nX: y\r\n\r\n",
    ],
    [
      "does not wait for 100 without a body",
      request((head) => {
        head.expectContinue = true;
      }),
      plainRequest,
      "GET /a?b HTTP/1.1\r\nHost: example.com:81\r\nX: y\r\n\r\n",
    ],
    [
      "writes a full URL for a proxy",
      request(),
      { length: 0, keepAlive: true, form: "absolute" },
      "GET http://example.com:81/a?b HTTP/1.1\r\nHost: example.com:81\r\nX: y\r\n\r\n",
    ],
    [
      "writes OPTIONS * for a proxy as a URL without a path",
      request((head) => {
        head.method = "OPTIONS";
        head.target = "*";
      }),
      { length: 0, keepAlive: true, form: "absolute" },
      "OPTIONS http://example.com:81 HTTP/1.1\r\nHost: example.com:81\r\nX: y\r\n\r\n",
    ],
    [
      "writes CONNECT",
      request((head) => {
        head.method = "CONNECT";
        head.target = "";
      }),
      { length: 0, keepAlive: true, form: "authority" },
      "CONNECT example.com:81 HTTP/1.1\r\nHost: example.com:81\r\nX: y\r\n\r\n",
    ],
    [
      "leaves out what is not the block's to set",
      request((head) => {
        head.headers.text = dirty;
      }),
      plainRequest,
      "GET /a?b HTTP/1.1\r\nHost: example.com:81\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n",
    ],
  ];
  for (const [title, head, writing, text] of cases) {
    test(title, () => assert.equal(requestHead(head, writing), text));
  }

  const unwritable: Array<[title: string, fields: Partial<RequestHead>]> = [
    ["a method with a space", { method: "GET /x HTTP/1.1\r\nA: b\r\n\r\nGET" }],
    ["an empty method", { method: "" }],
    ["a target with a line end", { target: "/a HTTP/1.1\r\nA: b" }],
    ["a target with a character that would be cut to LF", { target: "/a\u010a" }],
    ["a target without a slash", { target: "a" }],
    ["an empty target", { target: "" }],
    ["an authority with a line end", { authority: "a\r\nB: c" }],
    ["an authority with userinfo", { authority: "a@b" }],
  ];
  for (const [title, fields] of unwritable) {
    test(`refuses ${title}`, () => {
      assert.throws(() => requestHead(Object.assign(request(), fields), plainRequest), ProxyError);
    });
  }

  test("refuses a block that is cut off, instead of reading it for ever", () => {
    const head = request((one) => {
      one.headers.text = "A: b";
    });
    assert.throws(() => requestHead(head, plainRequest), ProxyError);
  });

  test("writes what the parser reads", () => {
    const parser = new RequestParser(defaultLimits);
    const recorder = new Recorder(parser, false);
    const head = request((one) => {
      one.acceptsTrailers = true;
      one.expectContinue = true;
    });
    recorder.feed(Buffer.from(requestHead(head, { length: -1, keepAlive: true }), "latin1"));
    recorder.feed(Buffer.from(chunkPrefix(300)));
    recorder.feed(Buffer.alloc(300, "x"));
    recorder.feed(Buffer.from(chunkSuffix));
    recorder.feed(Buffer.from(lastChunk(new HeaderBlock("Sum: 1\r\nContent-Length: 3\r\n")), "latin1"));
    assert.deepEqual(recorder.finish(), [
      "head GET http example.com:81 /a?b length=-1 keep-alive expect-continue accepts-trailers",
      "  X: y",
      `data "${"x".repeat(300)}"`,
      "end",
      "  Sum: 1",
    ]);
  });
});

describe("the writer of responses", () => {
  const head = (status: number, text = "", reason = "") =>
    new ResponseHead(status, new HeaderBlock(text), reason);
  const announcing = (status: number, length: number) => {
    const one = head(status);
    one.announcedLength = length;
    return one;
  };
  const cases: Array<[title: string, head: ResponseHead, writing: Partial<ResponseWriting>, text: string]> = [
    [
      "writes a length and the standard reason",
      head(200, "X: y\r\n"),
      { length: 5 },
      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\n",
    ],
    [
      "keeps the reason that came",
      head(200, "", "Fine \xe9"),
      {},
      "HTTP/1.1 200 Fine \xe9\r\nContent-Length: 0\r\n\r\n",
    ],
    [
      "replaces a reason that would split the message",
      head(404, "", "x\r\nSet-Cookie: a"),
      {},
      "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
    ],
    [
      "leaves an unknown status without a reason",
      head(299),
      {},
      "HTTP/1.1 299 \r\nContent-Length: 0\r\n\r\n",
    ],
    [
      "chunks",
      head(200),
      { length: -1, chunked: true },
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
    [
      "leaves a body that ends with the connection without framing",
      head(200),
      { length: -1, minor: 0, keepAlive: false },
      "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
    ],
    [
      "tells the length that the answer to HEAD announces",
      announcing(200, 7),
      { length: -1 },
      "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n",
    ],
    ["gives 204 no length", head(204), { length: -1 }, "HTTP/1.1 204 No Content\r\n\r\n"],
    [
      "says keep-alive to an HTTP/1.0 client only",
      head(200),
      { minor: 0 },
      "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n",
    ],
    [
      "adds a Date",
      head(200, "Link: a\r\n"),
      { date: "Sun, 22 Nov 2026 07:33:00 GMT" },
      "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nLink: a\r\nDate: Sun, 22 Nov 2026 07:33:00 GMT\r\n\r\n",
    ],
    [
      "keeps the Date of the origin",
      head(200, "Link: a\r\ndAte: x\r\nDatex: z\r\n"),
      { date: "y" },
      "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nLink: a\r\ndAte: x\r\nDatex: z\r\n\r\n",
    ],
    [
      "names the protocol of a 101",
      head(101, "Sec-WebSocket-Accept: x\r\n"),
      { length: -1 },
      "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n",
    ],
    [
      "leaves out what is not the block's to set",
      head(200, dirty),
      {},
      "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n",
    ],
  ];
  for (const [title, one, writing, text] of cases) {
    test(title, () => assert.equal(responseHead(one, { ...plainResponse, ...writing }), text));
  }

  for (const status of [0, 99, 600, 200.5, Number.NaN]) {
    test(`refuses the status ${status}`, () => {
      assert.throws(() => responseHead(head(status), plainResponse), ProxyError);
    });
  }

  test("writes the lowest and the highest status", () => {
    assert.equal(interimHead(head(100)), "HTTP/1.1 100 Continue\r\n\r\n");
    assert.equal(responseHead(head(599), plainResponse), "HTTP/1.1 599 \r\nContent-Length: 0\r\n\r\n");
  });

  test("writes an interim response without framing", () => {
    assert.equal(
      interimHead(head(103, "Link: a\r\nContent-Length: 3\r\n")),
      "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n",
    );
  });

  test("ends a chunked body", () => {
    assert.equal(lastChunk(null), "0\r\n\r\n");
    assert.equal(lastChunk(new HeaderBlock("A: 1\r\nHost: b\r\n")), "0\r\nA: 1\r\n\r\n");
  });

  test("leaves out a trailer that is cut off", () => {
    assert.equal(lastChunk(new HeaderBlock("A: 1\r\nHost: b\r\nB: 2\r\nC: 3")), "0\r\nA: 1\r\nB: 2\r\n\r\n");
    assert.equal(lastChunk(new HeaderBlock("A: 1\r\nB")), "0\r\nA: 1\r\n\r\n");
  });

  test("tells an error with its id and closes", () => {
    assert.deepEqual(readResponse(errorResponse(502, "abc123", { date: "now" })), [
      'head 502 "Bad Gateway" length=27 close',
      "  Content-Type: text/plain; charset=utf-8",
      "  Cache-Control: no-store",
      "  Date: now",
      'data "502 Bad Gateway\\nid: abc123\\n"',
      "end",
    ]);
  });

  test("tells an error in the answer to HEAD without a body", () => {
    assert.deepEqual(
      readResponse(errorResponse(503, "abc", { head: true, keepAlive: true, retryAfter: 2 }), "HEAD"),
      [
        'head 503 "Service Unavailable" length=0 keep-alive announced=32',
        "  Content-Type: text/plain; charset=utf-8",
        "  Cache-Control: no-store",
        "  Retry-After: 2",
        "end",
      ],
    );
  });
});

test("an error says keep-alive to an HTTP/1.0 client only", () => {
  assert.ok(!errorResponse(404, "x", { keepAlive: true }).includes("Connection"));
  assert.ok(errorResponse(404, "x", { keepAlive: true, minor: 0 }).includes("Connection: keep-alive\r\n"));
});

test("the Date changes with the second", () => {
  let now = Date.UTC(2026, 10, 22, 7, 33, 0, 999);
  const date = new HttpDate(() => now);
  assert.equal(date.text(), "Sun, 22 Nov 2026 07:33:00 GMT");
  now++;
  assert.equal(date.text(), "Sun, 22 Nov 2026 07:33:01 GMT");
});
