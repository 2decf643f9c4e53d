import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import type { Fault } from "../support/fault-origin.ts";
import { ok, request, Ways } from "./ways.ts";

// http-rules 4, 12 and 13: RFC 9110 §9.2.2, RFC 9112 §8, §9.3.1, §9.5. Each fault with its outcome stands in docs/faults.md.

test("12. retries", { timeout: 120_000 }, async (t) => {
  const ways = await Ways.start(t);

  /** Keeps a connection, and closes it without a word when it is used again. */
  const closing = (): Fault => {
    const used = new Set<unknown>();
    return (asked) => {
      if (used.has(asked.socket)) asked.socket.destroy();
      else asked.send(ok);
      used.add(asked.socket);
    };
  };

  await t.test(
    "a kept connection that closes as it is used again costs an idempotent request nothing (§9.3.1)",
    async () => {
      for (const way of ways.all) {
        const path = ways.on(closing());
        for (const method of ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"]) {
          assert.equal((await ways.ask(way, path)).answer?.status, 200, way.name);
          const { answer } = await ways.ask(way, path, { method });
          assert.equal(answer?.status, 200, `${way.name} ${method}`);
        }
      }
    },
  );

  await t.test("another is never sent twice: 502", async () => {
    for (const way of ways.all) {
      const path = ways.on(closing());
      for (const method of ["POST", "PATCH", "BREW"]) {
        const place = `${path}/${way.name}/${method}`;
        assert.equal((await ways.ask(way, place)).answer?.status, 200, way.name);
        const asked = { method, lines: "Content-Length: 3\r\n", rest: "abc" };
        const { answer } = await ways.ask(way, place, asked);
        if (answer?.status !== 200) assert.equal(answer?.status, 502, place);
        assert.equal(ways.reached(place).length, 2, place);
      }
    }
  });

  await t.test("a body that has begun to flow is never sent twice, whatever the method", async () => {
    for (const way of ways.all) {
      const path = ways.on(closing());
      const place = `${path}/${way.name}`;
      assert.equal((await ways.ask(way, place)).answer?.status, 200, way.name);
      const asked = { method: "PUT", lines: "Transfer-Encoding: chunked\r\n", rest: "3\r\nabc\r\n0\r\n\r\n" };
      const { answer } = await ways.ask(way, place, asked);
      if (answer?.status !== 200) assert.equal(answer?.status, 502, place);
      assert.equal(ways.reached(place).length, 2, place);
    }
  });

  await t.test("a request is repeated once at most", async () => {
    for (const way of ways.all) {
      const path = ways.on((asked) => {
        asked.socket.destroy();
      });
      assert.equal((await ways.ask(way, path)).answer?.status, 502, way.name);
      assert.ok(ways.reached(path).length <= 2, way.name);
    }
  });
});

test("13. early ends", { timeout: 120_000 }, async (t) => {
  const ways = await Ways.start(t);

  for (const [clause, head] of [
    ["before the response", ""],
    ["within the response's head", "HTTP/1.1 200 OK\r\nX: "],
    ["within the response's body", "HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\nabc"],
    ["after an interim response", "HTTP/1.1 103 Early Hints\r\n\r\n"],
  ] as const) {
    await t.test(`a client that leaves ${clause} ends the exchange with the origin`, async () => {
      const path = ways.on((asked) => asked.send(head));
      for (const way of ways.all) {
        const place = `${path}/${way.name}`;
        const client = await ways.send(way, request(way, place));
        const reached = await ways.origin.request(place);
        if (!head.includes("abc")) {
          client.socket.destroy();
        } else {
          await client.until((text) => text.endsWith("abc"));
          // An end of its side alone may be a client that still reads (RFC 9112 §9.6).
          client.socket.resetAndDestroy();
        }
        await reached.left();
      }
    });
  }

  await t.test("a client that leaves within its body ends the exchange with the origin", async () => {
    const path = ways.on(() => {});
    for (const way of ways.all) {
      const place = `${path}/${way.name}`;
      const asked = { method: "POST", lines: "Content-Length: 9\r\n", rest: "abc" };
      const client = await ways.send(way, request(way, place, asked));
      const reached = await ways.origin.request(place);
      client.socket.destroy();
      assert.equal(await reached.read(), false, place);
    }
  });

  for (const [clause, bytes] of [
    ["a length", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"],
    ["chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"],
    [
      "chunks, before the last line",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n",
    ],
  ] as const) {
    await t.test(`half a body with ${clause} passes for a whole one nowhere (§8)`, async () => {
      const path = ways.on((asked) => {
        asked.send(bytes);
        asked.socket.end();
      });
      for (const way of ways.all) {
        for (const version of ["1.1", "1.0"]) {
          const client = await ways.send(way, request(way, path, { version }));
          const reset = once(client.socket, "error").then(() => true);
          const answer = await client.answer();
          assert.equal(answer?.whole, false, `${way.name} ${version}`);
          // Without a length an HTTP/1.0 client knows of the end only by the close, so that must not look like one.
          if (version === "1.0" && !bytes.includes("Content-Length"))
            assert.equal(await reset, true, way.name);
        }
      }
    });
  }

  await t.test("an interim response is no answer: an origin that leaves after it is 502", async () => {
    const path = ways.on((asked) => {
      asked.send("HTTP/1.1 103 Early Hints\r\n\r\n");
      asked.socket.end();
    });
    for (const way of ways.all) assert.equal((await ways.ask(way, path)).answer?.status, 502, way.name);
  });
});

test("4. slow clients", { timeout: 120_000 }, async (t) => {
  const ways = await Ways.start(t, "timeouts: { head: 300ms, idle: 300ms, keepAlive: 300ms }");

  await t.test("a head that trickles in is 408 at its deadline (§9.5)", async () => {
    await Promise.all(
      ways.all.map(async (way) => {
        const client = await ways.send(way, `GET ${way.prefix}/ HTTP/1.1\r\nHost: site\r\n`);
        const drip = setInterval(() => client.send("X: y\r\n"), 20);
        const answer = await client.answer();
        clearInterval(drip);
        assert.equal(answer?.status, 408, way.name);
        await client.ended();
      }),
    );
  });

  await t.test("a body that stops is 408, and the origin never has a whole one", async () => {
    const path = ways.on(() => {});
    await Promise.all(
      ways.all.map(async (way) => {
        const place = `${path}/${way.name}`;
        const asked = { method: "POST", lines: "Content-Length: 9\r\n", rest: "abc" };
        const { answer, client } = await ways.ask(way, place, asked);
        assert.equal(answer?.status, 408, way.name);
        await client.ended();
        assert.equal(await ways.reached(place)[0]?.read(), false, way.name);
      }),
    );
  });

  await t.test("a kept connection is closed without a word", async () => {
    const path = ways.answering(ok);
    await Promise.all(
      ways.all.map(async (way) => {
        const { answer, client } = await ways.ask(way, path);
        assert.equal(answer?.status, 200, way.name);
        await client.ended();
        assert.equal(client.pending, "", way.name);
      }),
    );
  });

  await t.test("a connection on which nothing comes is closed without a word", async () => {
    await Promise.all(
      ways.all.map(async (way) => {
        const client = await ways.send(way, "");
        await client.ended();
        assert.equal(client.pending, "", way.name);
      }),
    );
  });
});
