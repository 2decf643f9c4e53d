import assert from "node:assert/strict";
import { test } from "node:test";
import { ok, request, Ways } from "./ways.ts";

// http-rules 8: RFC 9110 §7.8, §9.3.6, RFC 6455 §4. RFC 8441 belongs to HTTP/2.

const offer =
  "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const poison = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nPOISON";

test("8. Upgrade", { timeout: 120_000 }, async (t) => {
  const ways = await Ways.start(t);
  const direct = [ways.way("external"), ways.way("network")];

  await t.test("websocket is offered on, and the tunnel stands after the origin's 101", async () => {
    const path = ways.on((asked) => {
      asked.send("HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nfirst");
      asked.socket.on("data", (text) => asked.send(`[${text}]`));
    });
    for (const way of direct) {
      const client = await ways.send(way, request(way, path, { lines: offer }));
      await client.until((text) => text.endsWith("first"));
      assert.match(client.pending, /^HTTP\/1\.1 101 [^\r]*\r\n(?:.*\r\n)*\r\nfirst$/, way.name);
      assert.match(client.pending, /^Upgrade: websocket\r$/im, way.name);
      client.send("GET /smuggled HTTP/1.1\r\n\r\n");
      assert.ok(await client.until((text) => text.endsWith("[GET /smuggled HTTP/1.1\r\n\r\n]")), way.name);
      client.socket.destroy();
    }
  });

  await t.test("what a client sends before the 101 waits, and is no request", async () => {
    const path = ways.on((asked) => {
      asked.socket.once("data", (text) => asked.send(`[${text}]`));
      setImmediate(() => asked.send("HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"));
    });
    for (const way of direct) {
      const client = await ways.send(way, request(way, path, { lines: offer, rest: "GET /early HTTP" }));
      assert.ok(await client.until((text) => text.endsWith("\r\n\r\n[GET /early HTTP]")), way.name);
      client.socket.destroy();
    }
    assert.equal(ways.reached("/early").length, 0);
  });

  await t.test("h2c, HTTP2-Settings and every other offer are stripped (RFC 9113 §3.1)", async () => {
    const path = ways.answering(ok);
    for (const way of ways.all) {
      for (const [index, protocol] of ["h2c", "h2c, TLS/1.0", "foo", "websocket2", "web socket"].entries()) {
        const place = `${path}/${way.name}/${index}`;
        const lines = `Connection: Upgrade, HTTP2-Settings\r\nUpgrade: ${protocol}\r\nHTTP2-Settings: AAMAAABk\r\n`;
        assert.equal((await ways.ask(way, place, { lines })).answer?.status, 200, place);
        assert.doesNotMatch(ways.reached(place)[0]?.head ?? "", /upgrade|settings|h2c/i, place);
      }
    }
  });

  await t.test("websocket among others is offered alone", async () => {
    const path = ways.answering(ok);
    for (const way of direct) {
      const place = `${path}/${way.name}`;
      await ways.ask(way, place, {
        lines: "Connection: Upgrade\r\nUpgrade: h2c, WebSocket/13, websocket\r\n",
      });
      const head = ways.reached(place)[0]?.head ?? "";
      assert.match(head, /^upgrade: websocket\r$/im, way.name);
      assert.doesNotMatch(head, /h2c/, way.name);
    }
  });

  await t.test("Upgrade that Connection does not name, or in HTTP/1.0, is no offer", async () => {
    const path = ways.answering(ok);
    for (const way of ways.all) {
      const place = `${path}/${way.name}`;
      await ways.ask(way, place, { lines: "Upgrade: websocket\r\n" });
      await ways.ask(way, place, { lines: offer, version: "1.0" });
      for (const { head } of ways.reached(place))
        assert.doesNotMatch(head, /^(?:upgrade|connection: upgrade)/im, way.name);
      assert.equal(ways.reached(place).length, 2);
    }
  });

  for (const [clause, fields] of [
    ["without Upgrade", ""],
    ["to h2c", "Connection: upgrade\r\nUpgrade: h2c\r\n"],
    ["to two protocols", "Connection: upgrade\r\nUpgrade: websocket, h2c\r\n"],
  ] as const) {
    await t.test(`a 101 ${clause} opens no tunnel, whatever was offered: 502`, async () => {
      const path = ways.answering(`HTTP/1.1 101 S\r\n${fields}\r\n${poison}`);
      for (const way of ways.all) {
        for (const lines of ["", offer]) {
          const place = `${path}/${way.name}`;
          const { answer, client } = await ways.ask(way, place, { lines });
          assert.equal(answer?.status, 502, way.name);
          assert.doesNotMatch(`${answer?.body}${client.pending}`, /POISON/, way.name);
          await ways.reached(place).at(-1)?.left();
        }
      }
    });
  }

  await t.test("a 101 that nobody asked for opens no tunnel: 502", async () => {
    const path = ways.answering(
      `HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n${poison}`,
    );
    for (const way of ways.all) {
      const { answer, client } = await ways.ask(way, path);
      assert.equal(answer?.status, 502, way.name);
      assert.doesNotMatch(`${answer?.body}${client.pending}`, /POISON/, way.name);
    }
  });

  await t.test(
    "a handshake with a body is 400, and one that is no GET is no offer (RFC 6455 §4.1)",
    async () => {
      const path = ways.answering(ok);
      for (const way of ways.all) {
        const place = `${path}/${way.name}`;
        for (const lines of ["Content-Length: 1\r\n", "Transfer-Encoding: chunked\r\n"]) {
          const { answer, client } = await ways.ask(way, place, { lines: offer + lines });
          assert.equal(answer?.status, 400, way.name);
          await client.ended();
        }
        assert.equal(ways.reached(place).length, 0, way.name);
        await ways.ask(way, place, { method: "POST", lines: `${offer}Content-Length: 1\r\n`, rest: "x" });
        assert.doesNotMatch(ways.reached(place)[0]?.head ?? "", /upgrade/i, way.name);
      }
    },
  );

  await t.test("an origin may decline, and HTTP goes on", async () => {
    const path = ways.answering(
      "HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n",
    );
    for (const way of ways.all) {
      const client = await ways.send(way, request(way, path, { lines: offer }));
      assert.equal((await client.answer())?.status, 426, way.name);
      client.send(request(way, path, { lines: offer }));
      assert.equal((await client.answer())?.status, 426, way.name);
    }
  });
});

test("8. CONNECT", { timeout: 120_000 }, async (t) => {
  const ways = await Ways.start(t);
  const proxies = ways.all.filter(({ prefix }) => prefix !== "");
  const head = (target: string, lines = ""): string =>
    `CONNECT ${target} HTTP/1.1\r\nHost: x\r\n${lines}\r\n`;

  await t.test(
    "the 200 has neither Content-Length nor Transfer-Encoding, and bytes follow it (§9.3.6)",
    async () => {
      const path = ways.answering(ok);
      for (const way of proxies) {
        const client = await ways.send(
          way,
          `${head(way.authority)}GET ${path} HTTP/1.1\r\nHost: inner\r\n\r\n`,
        );
        await client.until((text) => text.endsWith("\r\n\r\nok"));
        assert.match(client.pending, /^HTTP\/1\.1 200 [^\r]*\r\n\r\nHTTP\/1\.1 200 OK\r\n/, way.name);
        assert.match(ways.reached(path).at(-1)?.head ?? "", /^Host: inner\r$/m, way.name);
        client.socket.destroy();
      }
    },
  );

  for (const target of [
    "site",
    "site:",
    "site:0",
    "site:65536",
    "site:http",
    "site:+80",
    "site:000080",
    ":80",
    "u@site:80",
    "site:80/x",
    "http://site:80/",
    "/x",
    "*",
    "[::1]",
    "::1:80",
    "[fe80::1%25lo]:80",
    "site:80:80",
    "si%74e:80",
  ]) {
    await t.test(`CONNECT ${target} is 400, and what follows is no request`, async () => {
      for (const way of proxies) {
        const client = await ways.send(way, `${head(target)}GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n`);
        assert.equal((await client.answer())?.status, 400, way.name);
        await client.ended();
        assert.equal(client.pending, "", way.name);
      }
    });
  }

  await t.test("CONNECT with a body, counted or in chunks, is 400", async () => {
    for (const way of proxies) {
      for (const lines of ["Content-Length: 3\r\n", "Transfer-Encoding: chunked\r\n"]) {
        const { answer } = await ways.raw(way, head(way.authority, lines));
        assert.equal(answer?.status, 400, `${way.name} ${lines}`);
      }
      // A length of nothing says what is true.
      const client = await ways.send(way, head(way.authority, "Content-Length: 0\r\n"));
      assert.ok(await client.until((text) => text.startsWith("HTTP/1.1 200 ")), way.name);
      client.socket.destroy();
    }
  });

  await t.test("a tunnel that is refused is closed, and what was sent for it is no request", async () => {
    const smuggled = `GET ${ways.way("network").prefix}/smuggled HTTP/1.1\r\nHost: x\r\n\r\n`;
    for (const way of proxies) {
      // A port where nobody listens, and an address that the rules do not allow.
      for (const [target, statuses] of [
        ["127.0.0.1:1", [502]],
        ["8.8.8.8:443", [403]],
      ] as const) {
        const client = await ways.send(way, head(target) + smuggled);
        const answer = await client.answer();
        assert.ok(
          statuses.some((status) => status === answer?.status),
          `${way.name} ${target} ${answer?.status}`,
        );
        await client.ended();
        assert.equal(client.pending, "", way.name);
      }
    }
    assert.equal(ways.reached("/smuggled").length, 0);
  });

  await t.test("a reverse proxy opens no tunnels: 405", async () => {
    for (const name of ["external", "worker"]) {
      const client = await ways.send(
        ways.way(name),
        `${head("site:80")}GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n`,
      );
      assert.equal((await client.answer())?.status, 405, name);
      await client.ended();
      assert.equal(client.pending, "", name);
    }
  });
});
