import assert from "node:assert/strict";
import { test } from "node:test";
import {
  block,
  DATA,
  END_HEADERS,
  END_STREAM,
  FrameClient,
  frame,
  GOAWAY,
  HEADERS,
  RST_STREAM,
} from "../support/http2-frames.ts";
import { answerOf, Http2Clients } from "./http2-clients.ts";
import { ok, type Way, Ways } from "./ways.ts";

// http-rules 1, 2, 6, 7 and 13 where HTTP/2 becomes HTTP/1.1: RFC 9113 §8, §10.3. What makes a request malformed stands in
// test/integration/http2-requests.test.ts; here is what an origin gets to see.

const PROTOCOL_ERROR = 1;
const PADDED = 8;

type Fields = ReadonlyArray<readonly [name: string, value: string]>;

function headers(method: string, way: Way, path: string, more: Fields = []): Buffer {
  return block([
    [":method", method],
    [":scheme", "http"],
    [":authority", way.authority],
    [":path", path],
    ...more,
  ]);
}

test("HTTP/2 to HTTP/1.1", { timeout: 120_000 }, async (t) => {
  const ways = await Ways.start(t);
  const clients = new Http2Clients(t);
  const dial = (way: Way): Promise<FrameClient> => FrameClient.connect(t, Number(new URL(way.url).port));

  await t.test("6. Host is :authority, once and first (§8.3.1)", async () => {
    const path = ways.answering(ok);
    for (const way of ways.all) {
      for (const [index, more] of [
        [],
        [["host", way.authority]],
        [["host", way.authority.toUpperCase()]],
      ].entries()) {
        const place = `${path}/${way.name}/${index}`;
        const client = await dial(way);
        client.send(
          frame(HEADERS, END_HEADERS | END_STREAM, 1, headers("GET", way, place, more as unknown as Fields)),
        );
        await client.frame(DATA, 1);
        client.socket.destroy();
        const head = ways.reached(place)[0]?.head ?? "";
        assert.match(head, new RegExp(`^GET [^\r]+\r\nhost: ${way.authority}\r\n`, "i"), place);
        assert.equal(head.match(/^host:/gim)?.length, 1, place);
      }
    }
  });

  await t.test("6. without :authority, Host names it", async () => {
    const path = ways.answering(ok);
    for (const way of ways.all) {
      const place = `${path}/${way.name}`;
      const client = await dial(way);
      const fields = block([
        [":method", "GET"],
        [":scheme", "http"],
        [":path", place],
        ["host", way.authority],
      ]);
      client.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, fields));
      await client.frame(DATA, 1);
      client.socket.destroy();
      assert.match(ways.reached(place)[0]?.head ?? "", new RegExp(`^host: ${way.authority}\r$`, "im"), place);
    }
  });

  const split: ReadonlyArray<readonly [clause: string, fields: (way: Way, path: string) => Buffer]> = [
    ["a line end in :path", (way, path) => headers("GET", way, `${path} HTTP/1.1\r\nX-Bad: 1`)],
    ["a space in :path", (way, path) => headers("GET", way, `${path} HTTP/1.1`)],
    ["a line end in :method", (way, path) => headers(`GET ${path} HTTP/1.1\r\nX-Bad: 1\r\nX: `, way, "/")],
    ["a space in :method", (way, path) => headers(`GET ${path}`, way, "/")],
    ["an empty :method", (way, path) => headers("", way, path)],
    [
      "a line end in :authority",
      (way, path) => headers("GET", { ...way, authority: "site\r\nX-Bad: 1" }, path),
    ],
    [
      "a path in :authority",
      (way, path) => headers("GET", { ...way, authority: `${way.authority}/x` }, path),
    ],
    ["a URL in :path", (way, path) => headers("GET", way, `http://evil${path}`)],
    [
      "a URL in :scheme",
      (way, path) =>
        block([
          [":method", "GET"],
          [":scheme", "http://evil/?"],
          [":authority", way.authority],
          [":path", path],
        ]),
    ],
    ["an octet that is not ASCII in :path", (way, path) => headers("GET", way, `${path}\xe9`)],
    ["Transfer-Encoding", (way, path) => headers("POST", way, path, [["transfer-encoding", "chunked"]])],
    ["Connection", (way, path) => headers("GET", way, path, [["connection", "x"]])],
    ["Upgrade", (way, path) => headers("GET", way, path, [["upgrade", "h2c"]])],
    ["HTTP2-Settings", (way, path) => headers("GET", way, path, [["http2-settings", "AAMAAABk"]])],
    [
      "two lengths",
      (way, path) =>
        headers("POST", way, path, [
          ["content-length", "1"],
          ["content-length", "1"],
        ]),
    ],
    ["a list of lengths", (way, path) => headers("POST", way, path, [["content-length", "1, 1"]])],
    ["a signed length", (way, path) => headers("POST", way, path, [["content-length", "+1"]])],
    ["a Host that is another", (way, path) => headers("GET", way, path, [["host", "evil"]])],
  ];
  for (const [clause, fields] of split) {
    await t.test(`1. ${clause} resets its stream, and no origin hears of it (§8.2, §8.3)`, async () => {
      const path = ways.answering(ok);
      for (const way of ways.all) {
        const client = await dial(way);
        client.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, fields(way, path)));
        assert.equal(await client.code(RST_STREAM, 1), PROTOCOL_ERROR, way.name);
        client.send(frame(HEADERS, END_HEADERS | END_STREAM, 3, headers("GET", way, `${path}/after`)));
        await client.frame(DATA, 3);
        client.socket.destroy();
      }
      assert.equal(ways.reached(path).length, 0);
      for (const [place, requests] of ways.origin.requests) {
        for (const { head } of requests) assert.doesNotMatch(head, /x-bad/i, place);
      }
    });
  }

  await t.test("1. fields that could end a line go no further (§8.2.1)", async () => {
    const path = ways.answering(ok);
    // nghttp2 leaves such fields out, and the request is served without them.
    const bad: Fields = [
      ["x", "y\r\nx-bad: 1"],
      ["x", "y\nx-bad: 1"],
      ["x", "y\0x-bad"],
      ["x-bad: 1\r\nx", "y"],
      ["x-bad y", "z"],
      ["", "x-bad"],
    ];
    for (const way of ways.all) {
      for (const [index, field] of bad.entries()) {
        const place = `${path}/${way.name}/${index}`;
        const client = await dial(way);
        client.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, headers("GET", way, place, [field])));
        await client.until(() => client.frames.some(({ stream }) => stream === 1), "an answer");
        client.socket.destroy();
        for (const { head } of ways.reached(place)) assert.doesNotMatch(head, /x-bad/i, place);
      }
    }
  });

  await t.test(
    "1. DATA that is longer or shorter than Content-Length never makes a whole request (§8.1.1)",
    async () => {
      const path = ways.on(() => {});
      const smuggled = "GET /smuggled HTTP/1.1\r\nHost: site\r\n\r\n";
      for (const way of ways.all) {
        for (const length of ["0", "1", String(smuggled.length + 1)]) {
          const place = `${path}/${way.name}/${length}`;
          const client = await dial(way);
          client.send(
            frame(HEADERS, END_HEADERS, 1, headers("POST", way, place, [["content-length", length]])),
            frame(DATA, END_STREAM, 1, Buffer.from(smuggled)),
          );
          const ended = (): boolean =>
            client.frames.some(({ type }) => type === RST_STREAM || type === GOAWAY);
          await client.until(() => ended() || client.closed, "the end");
          for (const reached of ways.reached(place))
            if (length !== "0") assert.equal(await reached.read(), false, place);
        }
      }
      assert.equal(ways.reached("/smuggled").length, 0);
    },
  );

  await t.test(
    "1. a body without a length goes in chunks, one with a length has it, whatever the method",
    async () => {
      const path = ways.answering(ok);
      const smuggled = "GET /smuggled HTTP/1.1\r\nHost: site\r\n\r\n";
      for (const way of ways.all) {
        for (const method of ["POST", "GET", "DELETE"]) {
          const place = `${path}/${way.name}/${method}`;
          await clients.ask(way, { ":method": method, ":path": place }, smuggled);
          await clients.ask(
            way,
            { ":method": method, ":path": place, "content-length": smuggled.length },
            smuggled,
          );
          const [chunked, counted] = ways.reached(place);
          assert.match(chunked?.head ?? "", /^transfer-encoding: chunked\r$/im, place);
          assert.match(
            counted?.head ?? "",
            new RegExp(`^content-length: ${smuggled.length}\r$`, "im"),
            place,
          );
          assert.deepEqual([chunked?.content, counted?.content], [smuggled, smuggled], place);
        }
      }
      assert.equal(ways.reached("/smuggled").length, 0);
    },
  );

  await t.test("1. padding is no part of a body (§6.1)", async () => {
    const path = ways.answering(ok);
    for (const way of ways.all) {
      const place = `${path}/${way.name}`;
      const client = await dial(way);
      const padded = Buffer.from("\x05abc\0\0\0\0\0", "latin1");
      client.send(
        frame(HEADERS, END_HEADERS, 1, headers("POST", way, place)),
        frame(DATA, PADDED | END_STREAM, 1, padded),
      );
      await client.frame(DATA, 1);
      client.socket.destroy();
      assert.equal(ways.reached(place)[0]?.content, "abc", place);
    }
  });

  await t.test("2. cookies in pieces become one line (§8.2.3)", async () => {
    const path = ways.answering(ok);
    for (const way of ways.all) {
      const place = `${path}/${way.name}`;
      const client = await dial(way);
      const more: Fields = [
        ["cookie", "a=1"],
        ["x", "y"],
        ["cookie", "b=2"],
      ];
      client.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, headers("GET", way, place, more)));
      await client.frame(DATA, 1);
      client.socket.destroy();
      assert.deepEqual(ways.reached(place)[0]?.head.match(/^cookie: .*$/gim), ["cookie: a=1; b=2"], place);
    }
  });

  await t.test(
    "2. trailers stay trailers both ways, without those that frame, route or authenticate",
    async () => {
      const path = ways.on(async (asked) => {
        await asked.read();
        asked.send(
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\nSet-Cookie: a=b\r\n\r\n",
        );
      });
      for (const way of ways.all) {
        const place = `${path}/${way.name}`;
        const stream = clients.open(way, { ":method": "POST", ":path": place, te: "trailers" }, false);
        const answered = answerOf(stream);
        stream.on("wantTrailers", () =>
          stream.sendTrailers({ "x-sum": "5", authorization: "x", "x-forwarded-for": "6.6.6.6" }),
        );
        stream.end("x");
        const answer = await answered;
        assert.deepEqual([answer.status, answer.body, answer.trailers["x-sum"]], [200, "ok", "7"], place);
        assert.equal(answer.trailers["set-cookie"], undefined, place);
        assert.doesNotMatch(ways.reached(place)[0]?.head ?? "", /x-sum|authorization|6\.6\.6\.6/i, place);
        assert.doesNotMatch(ways.reached(place)[0]?.body ?? "", /authorization|6\.6\.6\.6/i, place);
      }
    },
  );

  await t.test("2. fields of an origin's connection do not come into HTTP/2 (§8.2.2)", async () => {
    const path = ways.answering(
      "HTTP/1.1 200 OK\r\nConnection: x-own, keep-alive\r\nX-Own: 1\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\n" +
        "Upgrade: h2c\r\nTransfer-Encoding: chunked\r\nX-Yours: 2\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    );
    for (const way of ways.all) {
      const { fields, body } = await clients.ask(way, { ":path": path });
      assert.equal(body, "ok", way.name);
      const names = Object.keys(fields).sort();
      assert.deepEqual(names, [":status", "date", "x-yours"], way.name);
    }
  });

  await t.test("7. 103 is forwarded on its stream, and a body waits for its 100", async () => {
    const hints = ways.answering(`HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${ok}`);
    const waiting = ways.on(async (asked) => {
      if (/^expect/im.test(asked.head)) asked.send("HTTP/1.1 100 Continue\r\n\r\n");
      await asked.read();
      asked.send(ok);
    });
    for (const way of ways.all) {
      if (way.name === "external" || way.name === "network") {
        const stream = clients.open(way, { ":path": hints });
        let link: unknown;
        stream.on("headers", (fields) => {
          link = fields.link;
        });
        assert.equal((await answerOf(stream)).status, 200, way.name);
        assert.equal(link, "</a>", way.name);
      }
      const fields = { ":method": "POST", ":path": `${waiting}/${way.name}`, expect: "100-continue" };
      const stream = clients.open(way, fields, false);
      const answered = answerOf(stream);
      stream.on("continue", () => stream.end("abc"));
      assert.equal((await answered).status, 200, way.name);
      assert.equal(ways.reached(`${waiting}/${way.name}`)[0]?.content, "abc", way.name);
    }
  });

  await t.test("9. targets go on byte for byte", async () => {
    const path = ways.answering(ok);
    for (const way of ways.all) {
      for (const target of ["/%7E/%2F%5c%00", "//a", "/%zz", "/;a/..;/b", '/a?[]{}|^`"<>&%zz', "/a?"]) {
        const place = `${path}/${way.name}${target}`;
        assert.equal((await clients.ask(way, { ":path": place })).status, 200, place);
        assert.equal(ways.reached(place).length, 1, place);
      }
    }
  });

  await t.test("13. an origin that breaks off resets the stream, and no other one (§8.1)", async () => {
    const path = ways.on((asked) => {
      asked.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
      asked.socket.end();
    });
    const good = ways.answering(ok);
    for (const way of ways.all) {
      const [broken, whole] = await Promise.all([
        clients.ask(way, { ":path": path }),
        clients.ask(way, { ":path": good }),
      ]);
      assert.notEqual(broken.code, 0, way.name);
      assert.deepEqual([whole.code, whole.body], [0, "ok"], way.name);
    }
  });

  await t.test("13. a client that takes its request back ends the exchange with the origin", async () => {
    const path = ways.on(() => {});
    for (const way of ways.all) {
      const stream = clients.open(way, { ":path": `${path}/${way.name}` });
      stream.on("error", () => {});
      const reached = await ways.origin.request(`${path}/${way.name}`);
      stream.close(8);
      await reached.left();
    }
  });
});

test(
  "HTTP/2: what a client tells of itself is discarded as in HTTP/1.1 (RFC 7239 §8.1)",
  { timeout: 60_000 },
  async (t) => {
    const ways = await Ways.start(t, "", "forwarded: both");
    const clients = new Http2Clients(t);
    const path = ways.answering(ok);
    for (const name of ["external", "worker"]) {
      await clients.ask(ways.way(name), {
        ":path": `${path}/${name}`,
        "x-forwarded-for": "6.6.6.6",
        "x-forwarded-host": "evil",
        x_forwarded_for: "6.6.6.6",
        forwarded: "for=6.6.6.6",
      });
      const head = ways.reached(`${path}/${name}`)[0]?.head ?? "";
      assert.doesNotMatch(head, /6\.6\.6\.6|evil|_/, name);
      assert.match(head, /^x-forwarded-for: 127\.0\.0\.1\r$/im, name);
    }
  },
);
