import assert from "node:assert/strict";
import { test } from "node:test";
import { ok, request, type Way, Ways } from "./ways.ts";

// http-rules 1: RFC 9112 §2.2, §5, §6, §7.1, §11.2. What a reverse proxy refuses stands in test/integration/attacks.test.ts and
// test/wire; here are the forward proxy, bodies that turn malformed on the way, and origins.

const smuggled = "GET /smuggled HTTP/1.1\r\nHost: site\r\n\r\n";
const empty = `0\r\n\r\n${smuggled}`;

/** A request that is refused by its head: what a proxy-style socket says, and what follows is never read. */
const refusedHeads: ReadonlyArray<
  readonly [clause: string, status: number, lines: string, rest?: string, version?: string]
> = [
  ["both framings", 400, "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", empty],
  [
    "both framings, one of them named by Connection",
    400,
    "Connection: content-length\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n",
    empty,
  ],
  ["a last coding other than chunked", 400, "Transfer-Encoding: chunked, gzip\r\n", empty],
  ["identity", 400, "Transfer-Encoding: identity\r\n", smuggled],
  ["an unknown coding before chunked", 501, "Transfer-Encoding: gzip, chunked\r\n", empty],
  ["chunked twice", 400, "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", empty],
  ["Transfer-Encoding in HTTP/1.0", 400, "Transfer-Encoding: chunked\r\n", empty, "1.0"],
  ["a signed length", 400, "Content-Length: +3\r\n", `abc${smuggled}`],
  ["an empty length", 400, "Content-Length:\r\n", smuggled],
  ["differing lengths", 400, "Content-Length: 3\r\nContent-Length: 4\r\n", `abc${smuggled}`],
  ["a list of lengths", 400, "Content-Length: 3, 3\r\n", `abc${smuggled}`],
  ["a length that overflows", 400, "Content-Length: 18446744073709551619\r\n", `abc${smuggled}`],
  ["white space before a colon", 400, "Content-Length : 3\r\n", `abc${smuggled}`],
  ["a folded line", 400, "X: a\r\n b\r\n", smuggled],
  ["a CR in a value", 400, "X: a\rb: c\r\n", smuggled],
  ["a LF in a value", 400, "X: a\nb: c\r\n", smuggled],
  ["a NUL in a value", 400, "X: a\0b\r\n", smuggled],
];

/** Chunks that turn malformed after the head has gone on. */
const brokenChunks: ReadonlyArray<readonly [clause: string, bytes: string]> = [
  ["a size that is not hexadecimal", "2\r\nab\r\nxyz\r\nab\r\n0\r\n\r\n"],
  ["a size with 0x", "2\r\nab\r\n0x2\r\nab\r\n0\r\n\r\n"],
  ["a signed size", "2\r\nab\r\n+2\r\nab\r\n0\r\n\r\n"],
  ["a size that overflows", "2\r\nab\r\n10000000000000002\r\nab\r\n0\r\n\r\n"],
  ["white space around a size", "2\r\nab\r\n2 \r\nab\r\n0\r\n\r\n"],
  ["a size line that ends in LF alone", "2\r\nab\r\n2\nab\r\n0\r\n\r\n"],
  ["a chunk longer than its size", "2\r\nab\r\n1\r\nab\r\n0\r\n\r\n"],
  ["extensions past their bound", `2\r\nab\r\n2;x=${"y".repeat(5000)}\r\nab\r\n0\r\n\r\n`],
  ["a LF in an extension", "2\r\nab\r\n2;x\n\r\nab\r\n0\r\n\r\n"],
  ["a malformed trailer", "2\r\nab\r\n0\r\nX y: 1\r\n\r\n"],
  ["a last chunk without its empty line", `2\r\nab\r\n0\r\n${smuggled}X`],
];

test("1. framing of requests", { timeout: 120_000 }, async (t) => {
  const ways = await Ways.start(t);
  const proxies = ways.all.filter(({ prefix }) => prefix !== "");

  for (const [clause, status, lines, rest, version] of refusedHeads) {
    await t.test(`${clause} to a forward proxy: ${status}, and the connection ends`, async () => {
      const path = ways.answering(ok);
      for (const way of proxies) {
        const asked = {
          method: "POST",
          lines,
          ...(rest === undefined ? {} : { rest }),
          ...(version === undefined ? {} : { version }),
        };
        const { answer, client } = await ways.ask(way, path, asked);
        assert.equal(answer?.status, status, way.name);
        assert.match(answer?.head ?? "", /^Connection: close\r/m, way.name);
        await client.ended();
        assert.equal(client.pending, "", way.name);
      }
      assert.equal(ways.reached(path).length, 0);
      assert.equal(ways.reached("/smuggled").length, 0);
    });
  }

  for (const [clause, bytes] of brokenChunks) {
    await t.test(`${clause} breaks the request off: 400, and the origin never has a whole one`, async () => {
      const path = ways.on(() => {});
      for (const way of ways.all) {
        const { answer, client } = await ways.ask(way, `${path}/${way.name}`, {
          method: "POST",
          lines: "Transfer-Encoding: chunked\r\n",
          rest: bytes,
        });
        assert.equal(answer?.status, 400, way.name);
        await client.ended();
        assert.equal(client.pending, "", way.name);
        for (const reached of ways.reached(`${path}/${way.name}`))
          assert.equal(await reached.read(), false, way.name);
      }
      assert.equal(ways.reached("/smuggled").length, 0);
    });
  }

  await t.test(
    "a body cut off by the client's end is 400, and the origin never has a whole one (§8)",
    async () => {
      const path = ways.on(() => {});
      for (const way of ways.all) {
        for (const [index, rest] of ["abc", "9\r\nabc", "3\r\nabc\r\n", "3\r\nabc\r\n0\r\n"].entries()) {
          const lines = index === 0 ? "Content-Length: 9\r\n" : "Transfer-Encoding: chunked\r\n";
          const place = `${path}/${way.name}/${index}`;
          const client = await ways.send(way, request(way, place, { method: "POST", lines, rest }));
          const reached = await ways.origin.request(place);
          client.socket.end();
          assert.equal((await client.answer())?.status, 400, place);
          assert.equal(await reached.read(), false, place);
        }
      }
    },
  );

  await t.test("framing is written anew, whatever spelling it had (§6, §7.1)", async () => {
    const path = ways.answering(ok);
    for (const way of ways.all) {
      const place = `${path}/${way.name}`;
      await ways.ask(way, place, { method: "POST", lines: "content-LENGTH:   0003  \r\n", rest: "abc" });
      await ways.ask(way, place, {
        method: "POST",
        lines: "TRANSFER-encoding:  ChunkeD \r\n",
        rest: '0001;a;b=c;d="e\\"f"\r\na\r\n02\r\nbc\r\n000;x\r\n\r\n',
      });
      const [counted, chunked] = ways.reached(place);
      assert.match(counted?.head ?? "", /^content-length: 3\r$/im, way.name);
      assert.match(chunked?.head ?? "", /^transfer-encoding: chunked\r$/im, way.name);
      assert.doesNotMatch(chunked?.head ?? "", /content-length/i, way.name);
      assert.doesNotMatch(chunked?.body ?? "", /[;"]/, way.name);
      assert.deepEqual([counted?.content, chunked?.content], ["abc", "abc"], way.name);
    }
  });

  await t.test("a method that expects a body says that it has none (RFC 9110 §8.6)", async () => {
    const path = ways.answering(ok);
    for (const way of ways.all) {
      for (const method of ["POST", "PUT", "PATCH"]) {
        const place = `${path}/${way.name}/${method}`;
        await ways.ask(way, place, { method });
        assert.match(ways.reached(place)[0]?.head ?? "", /^content-length: 0\r$/im, `${way.name} ${method}`);
      }
      const place = `${path}/${way.name}/GET`;
      await ways.ask(way, place);
      assert.doesNotMatch(ways.reached(place)[0]?.head ?? "", /content-length|transfer-encoding/i, way.name);
    }
  });

  await t.test("a body of any method is framed, and never read as a request (§6)", async () => {
    const path = ways.answering(ok);
    for (const way of ways.all) {
      for (const method of ["GET", "DELETE", "OPTIONS", "TRACE", "BREW"]) {
        const place = `${path}/${way.name}/${method}`;
        const { answer } = await ways.ask(way, place, {
          method,
          lines: `Content-Length: ${smuggled.length}\r\n`,
          rest: smuggled,
        });
        assert.equal(answer?.status, 200, `${way.name} ${method}`);
        const [reached] = ways.reached(place);
        assert.equal(await reached?.read(), true);
        assert.equal(reached?.content, smuggled, `${way.name} ${method}`);
      }
    }
    assert.equal(ways.reached("/smuggled").length, 0);
  });

  await t.test(
    "requests sent at once are answered in order, and none after Connection: close (§9.3.2, §9.6)",
    async () => {
      const path = ways.on(async (asked) => {
        // The first takes longer than the second would.
        if (asked.path.endsWith("/1")) await new Promise((done) => setImmediate(done));
        asked.send(`HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n${asked.path.slice(-1)}`);
      });
      for (const way of ways.all) {
        const place = `${path}/${way.name}`;
        const lines = "Connection: close\r\n";
        const client = await ways.send(
          way,
          request(way, `${place}/1`) + request(way, `${place}/2`, { lines }) + request(way, `${place}/3`),
        );
        assert.equal((await client.answer())?.body, "1", way.name);
        assert.equal((await client.answer())?.body, "2", way.name);
        await client.ended();
        assert.equal(client.pending, "", way.name);
        assert.equal(ways.reached(`${place}/3`).length, 0, way.name);
      }
    },
  );
});

/** Heads that no recipient can read in one way only: 502. */
const refusedAnswers: ReadonlyArray<readonly [clause: string, bytes: string]> = [
  ["a coding before chunked", answer("Transfer-Encoding: gzip, chunked", "2\r\nab\r\n0\r\n\r\n")],
  ["a coding after chunked", answer("Transfer-Encoding: chunked, gzip", "2\r\nab\r\n0\r\n\r\n")],
  ["identity and a length", answer("Transfer-Encoding: identity\r\nContent-Length: 2", "ab")],
  ["an empty Transfer-Encoding", answer("Transfer-Encoding:", "ab")],
  ["a control character before chunked", answer("Transfer-Encoding: \x0bchunked", "2\r\nab\r\n0\r\n\r\n")],
  ["equal lengths", answer("Content-Length: 2\r\nContent-Length: 2", "ab")],
  ["a list of lengths", answer("Content-Length: 2, 2", "ab")],
  ["a negative length", answer("Content-Length: -2", "ab")],
  ["a hexadecimal length", answer("Content-Length: 0x2", "ab")],
  ["a length that overflows", answer("Content-Length: 18446744073709551618", "ab")],
  ["white space within a length", answer("Content-Length: 2 2", "ab")],
  ["a field without a name", answer(": x\r\nContent-Length: 2", "ab")],
  ["a name that is no token", answer("X@: x\r\nContent-Length: 2", "ab")],
  ["a line without a colon", answer("X\r\nContent-Length: 2", "ab")],
  ["a control character in a value", answer("X: a\x01b\r\nContent-Length: 2", "ab")],
  ["a status line that ends in LF alone", "HTTP/1.1 200 OK\nContent-Length: 2\r\n\r\nab"],
  ["a body without a head", "<h1>hello</h1>\r\n\r\n"],
  ["another major version", "HTTP/3.0 200 OK\r\nContent-Length: 2\r\n\r\nab"],
];

/** The same for bodies, whose heads have gone on. */
const brokenAnswers: ReadonlyArray<readonly [clause: string, bytes: string]> = [
  ["a size with 0x", "2\r\nab\r\n0x2\r\nab\r\n0\r\n\r\n"],
  ["a size that overflows", "2\r\nab\r\n10000000000000002\r\nab\r\n0\r\n\r\n"],
  ["white space after a size", "2\r\nab\r\n2 \r\nab\r\n0\r\n\r\n"],
  ["a chunk without a size", "2\r\nab\r\n\r\n0\r\n\r\n"],
  ["a LF in an extension", "2\r\nab\r\n2;x\nyy\r\nab\r\n0\r\n\r\n"],
  ["a malformed trailer", "2\r\nab\r\n0\r\nX y: 1\r\n\r\n"],
  ["a trailer that ends in LF alone", "2\r\nab\r\n0\r\nX: 1\n\r\n"],
];

test("1. framing of responses", { timeout: 120_000 }, async (t) => {
  const ways = await Ways.start(t);

  const refuse = async (way: Way, bytes: string, close = false): Promise<void> => {
    const path = ways.on((asked) => {
      asked.send(bytes);
      if (close) asked.socket.end();
    });
    const { answer: got, client } = await ways.ask(way, path);
    assert.equal(got?.status, 502, way.name);
    assert.doesNotMatch(`${got?.head}${got?.body}${client.pending}`, /\bab\b|hello|X:/, way.name);
    await ways.reached(path)[0]?.left();
  };

  for (const [clause, bytes] of refusedAnswers) {
    await t.test(`${clause} from an origin: 502, and its connection is dropped`, async () => {
      await Promise.all(ways.all.map((way) => refuse(way, bytes, clause.includes("without a head"))));
    });
  }

  await t.test("Transfer-Encoding in an HTTP/1.0 response is 502 (§6.1)", async () => {
    const bytes = "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n";
    // A network does not learn the version; it reads the chunks, and writes its own framing.
    for (const name of ["external", "worker"]) await refuse(ways.way(name), bytes, true);
  });

  for (const [clause, chunks] of brokenAnswers) {
    await t.test(`${clause} in a response breaks it off`, async () => {
      const path = ways.answering(answer("Transfer-Encoding: chunked", chunks));
      await Promise.all(
        ways.all.map(async (way) => {
          const place = `${path}/${way.name}`;
          const { answer: got, client } = await ways.ask(way, place);
          assert.equal(got?.whole, false, way.name);
          await client.ended();
          await ways.reached(place)[0]?.left();
        }),
      );
    });
  }

  await t.test("chunk extensions past their bound break a response off", async () => {
    const path = ways.answering(
      answer("Transfer-Encoding: chunked", `2;x=${"y".repeat(5000)}\r\nab\r\n0\r\n\r\n`),
    );
    // undici reads extensions of any length, and drops them.
    for (const name of ["external", "worker"]) {
      assert.equal((await ways.ask(ways.way(name), path)).answer?.whole, false, name);
    }
  });

  await t.test("framing of a response is written anew (§6, §7.1)", async () => {
    const path = ways.answering(
      answer("transfer-ENCODING:  Chunked", '002;a="b"\r\nab\r\n1\r\nc\r\n00\r\n\r\n'),
    );
    for (const way of ways.all) {
      const { answer: got } = await ways.ask(way, path);
      assert.match(got?.head ?? "", /^Transfer-Encoding: chunked\r$/m, way.name);
      assert.deepEqual([got?.body, got?.whole], ["abc", true], way.name);
    }
  });

  await t.test(
    "a body until the close is chunks to HTTP/1.1, and until the close to HTTP/1.0 (§6.3)",
    async () => {
      const path = ways.on((asked) => {
        asked.send("HTTP/1.1 200 OK\r\n\r\nabc");
        asked.socket.end();
      });
      for (const way of ways.all) {
        const modern = await ways.ask(way, path);
        assert.match(modern.answer?.head ?? "", /^Transfer-Encoding: chunked\r$/m, way.name);
        assert.deepEqual([modern.answer?.body, modern.answer?.whole], ["abc", true], way.name);
        const old = await ways.ask(way, path, { version: "1.0" });
        assert.doesNotMatch(old.answer?.head ?? "", /transfer-encoding|content-length/i, way.name);
        assert.equal(old.answer?.body, "abc", way.name);
      }
    },
  );

  await t.test("what HEAD, 204 and 304 announce is told, and no byte of a body with it (§6.3)", async () => {
    const path = ways.on((asked) => {
      const status = asked.path.endsWith("204") ? "204 N" : asked.path.endsWith("304") ? "304 N" : "200 OK";
      asked.send(`HTTP/1.1 ${status}\r\nContent-Length: 6\r\n\r\n`);
    });
    for (const way of ways.all) {
      for (const [status, method, length] of [
        [200, "HEAD", 6],
        [304, "GET", 6],
        [304, "HEAD", 6],
        [204, "GET", -1],
        [204, "HEAD", -1],
      ] as const) {
        const client = await ways.send(way, request(way, `${path}/${status}`, { method }));
        const got = await client.answer(method);
        const told = /^content-length: (\d+)\r$/im.exec(got?.head ?? "")?.[1] ?? "-1";
        assert.deepEqual(
          [got?.status, Number(told), client.pending],
          [status, length, ""],
          `${way.name} ${method}`,
        );
        // The next answer on the connection is read from its beginning.
        client.send(request(way, `${path}/304`));
        assert.equal((await client.answer())?.status, 304, `${way.name} ${method}`);
      }
    }
  });
});

function answer(lines: string, rest: string): string {
  return `HTTP/1.1 200 OK\r\n${lines}\r\n\r\n${rest}`;
}
