import assert from "node:assert/strict";
import { test } from "node:test";
import { ok, request, Ways } from "./ways.ts";

// http-rules 7: RFC 9110 §10.1.1, §15.2. More of it, byte by byte, stands in test/wire/exchanges/interim-responses.txt.

const forbidden = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";
const smuggled = "GET /smuggled HTTP/1.1\r\nHost: site\r\n\r\n";
const expecting = "Expect: 100-continue\r\nContent-Length: 3\r\n";

test("7. interim responses and Expect", { timeout: 120_000 }, async (t) => {
  const ways = await Ways.start(t);

  await t.test("a client that waits for 100 gets it, once, and its body goes on", async () => {
    const path = ways.on(async (asked) => {
      if (/^expect:/im.test(asked.head)) asked.send("HTTP/1.1 100 Continue\r\n\r\n");
      await asked.read();
      asked.send(ok);
    });
    for (const way of ways.all) {
      const place = `${path}/${way.name}`;
      const client = await ways.send(way, request(way, place, { method: "POST", lines: expecting }));
      await client.until((text) => text.endsWith("\r\n\r\n"));
      assert.equal(client.pending, "HTTP/1.1 100 Continue\r\n\r\n", way.name);
      client.send("abc");
      assert.equal((await client.answer())?.status, 200, way.name);
      assert.equal(ways.reached(place)[0]?.content, "abc", way.name);
    }
  });

  await t.test(
    "a final answer without a 100 ends the connection: nobody can tell a body from a next request",
    async () => {
      const path = ways.answering(forbidden);
      const way = ways.way("external");
      const lines = `Expect: 100-continue\r\nContent-Length: ${smuggled.length}\r\n`;
      const client = await ways.send(way, request(way, path, { method: "POST", lines }));
      const answer = await client.answer();
      assert.deepEqual([answer?.status, answer?.interim], [403, []]);
      assert.match(answer?.head ?? "", /^Connection: close\r$/m);
      client.send(smuggled);
      await client.ended();
      assert.equal(client.pending, "");
      assert.equal(ways.reached("/smuggled").length, 0);
    },
  );

  await t.test("after a 100 the body is read as the body, however early the answer came", async () => {
    const path = ways.answering(forbidden);
    // A Worker that passes the request on begins to read its body.
    const way = ways.way("worker");
    const lines = `Expect: 100-continue\r\nContent-Length: ${smuggled.length}\r\n`;
    const client = await ways.send(way, request(way, path, { method: "POST", lines }));
    const answer = await client.answer();
    assert.deepEqual([answer?.status, answer?.interim], [403, [100]]);
    client.send(smuggled + request(way, path));
    assert.equal((await client.answer())?.status, 403);
    assert.equal(client.pending, "");
    assert.equal(ways.reached("/smuggled").length, 0);
  });

  await t.test(
    "an origin that answers early gets no more of the body, and its connection is not used again",
    async () => {
      const path = ways.answering(forbidden);
      for (const way of ways.all) {
        const place = `${path}/${way.name}`;
        const asked = { method: "POST", lines: `Content-Length: ${smuggled.length + 1}\r\n`, rest: "x" };
        const { answer, client } = await ways.ask(way, place, asked);
        assert.equal(answer?.status, 403, way.name);
        await ways.reached(place)[0]?.left();
        client.send(smuggled + request(way, place));
        assert.equal((await client.answer())?.status, 403, way.name);
        assert.equal(ways.reached(place)[0]?.body, "x", way.name);
      }
      assert.equal(ways.reached("/smuggled").length, 0);
    },
  );

  await t.test("an origin that never says 100 gets the body after a while", async () => {
    const path = ways.on(async (asked) => {
      await asked.read();
      asked.send(ok);
    });
    for (const way of ways.all) {
      const place = `${path}/${way.name}`;
      const client = await ways.send(way, request(way, place, { method: "POST", lines: expecting }));
      await client.until((text) => text.includes("100 Continue"));
      client.send("abc");
      assert.equal((await client.answer())?.status, 200, way.name);
      assert.equal(ways.reached(place)[0]?.content, "abc", way.name);
    }
  });

  await t.test("without a body there is nothing to wait for, and nothing goes on", async () => {
    const path = ways.answering(ok);
    for (const way of ways.all) {
      for (const [index, lines] of [
        "Expect: 100-continue\r\n",
        "Expect: 100-continue\r\nContent-Length: 0\r\n",
      ].entries()) {
        const place = `${path}/${way.name}/${index}`;
        const { answer } = await ways.ask(way, place, { method: "POST", lines });
        assert.deepEqual([answer?.status, answer?.interim], [200, []], place);
        assert.doesNotMatch(ways.reached(place)[0]?.head ?? "", /expect/i, place);
      }
    }
  });

  await t.test("another expectation is 417, also beside 100-continue (§10.1.1)", async () => {
    const path = ways.answering(ok);
    for (const way of ways.all) {
      for (const value of ["200-ok", "100-continue, x", "y 100-continue", "100-continue;q=1", ""]) {
        const lines = `Expect: ${value}\r\nContent-Length: 3\r\n`;
        const { answer, client } = await ways.ask(way, path, { method: "POST", lines, rest: "abc" });
        assert.equal(answer?.status, 417, `${way.name} ${value}`);
        await client.ended();
      }
    }
    assert.equal(ways.reached(path).length, 0);
  });

  await t.test("100 before the answer to HEAD does not give it a body", async () => {
    const path = ways.answering("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n");
    for (const name of ["external", "worker"]) {
      const way = ways.way(name);
      const client = await ways.send(
        way,
        request(way, path, { method: "HEAD", lines: expecting, rest: "abc" }),
      );
      const answer = await client.answer("HEAD");
      assert.equal(answer?.status, 200, name);
      client.send(request(way, path, { method: "HEAD" }));
      assert.equal((await client.answer("HEAD"))?.status, 200, name);
      assert.equal(client.pending, "", name);
    }
  });

  await t.test("a 100 that nobody asked for is no answer (§15.2)", async () => {
    const path = ways.answering(`HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n${ok}`);
    for (const name of ["external", "worker"]) {
      const { answer } = await ways.ask(ways.way(name), path);
      assert.deepEqual([answer?.status, answer?.body, answer?.interim], [200, "ok", []], name);
    }
    // undici drops a connection that says 100 unasked: 502 rather than a doubt.
    for (const name of ["network", "filter"]) {
      assert.equal((await ways.ask(ways.way(name), path)).answer?.status, 502, name);
    }
  });

  await t.test("103 is forwarded with its fields, and not to an HTTP/1.0 client", async () => {
    const path = ways.answering(
      `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n${ok}`,
    );
    for (const name of ["external", "network"]) {
      const way = ways.way(name);
      const client = await ways.send(way, request(way, path));
      await client.until((text) => text.includes("200 OK"));
      assert.match(
        client.pending,
        /^HTTP\/1\.1 103 Early Hints\r\nLink: <\/a>\r\n\r\nHTTP\/1\.1 102 Processing\r\n\r\n/,
        name,
      );
    }
    for (const way of ways.all) {
      const { answer } = await ways.ask(way, path, { version: "1.0" });
      assert.deepEqual([answer?.status, answer?.interim], [200, []], way.name);
    }
  });

  await t.test("an HTTP/1.0 client that expects 100 gets none, and is not waited for", async () => {
    const path = ways.on(async (asked) => {
      await asked.read();
      asked.send(ok);
    });
    for (const way of ways.all) {
      const place = `${path}/${way.name}`;
      const { answer } = await ways.ask(way, place, {
        version: "1.0",
        method: "POST",
        lines: expecting,
        rest: "abc",
      });
      assert.deepEqual([answer?.status, answer?.interim], [200, []], way.name);
      assert.equal(ways.reached(place)[0]?.content, "abc", way.name);
    }
  });

  await t.test("interim responses without end are 502", async () => {
    const path = ways.answering(`${"HTTP/1.1 102 P\r\n\r\n".repeat(40)}${ok}`);
    for (const way of ways.all) assert.equal((await ways.ask(way, path)).answer?.status, 502, way.name);
  });
});
