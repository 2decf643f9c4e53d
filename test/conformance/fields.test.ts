import assert from "node:assert/strict";
import { test } from "node:test";
import { ok, request, Ways } from "./ways.ts";

// http-rules 2 and 10: RFC 9110 §7.6.1, §6.5, RFC 7239 §8.1. A reverse proxy's own cases stand in test/wire/exchanges and in
// test/integration/client-facts.test.ts.

const hop =
  "Connection: x-mine, Keep-Alive\r\nX-Mine: 1\r\nKeep-Alive: 5\r\nProxy-Connection: keep-alive\r\nTE: gzip\r\n" +
  "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n";

test("2. fields of one connection", { timeout: 120_000 }, async (t) => {
  const edits = 'injectRequestHeaders: { x-edge: "1" }, injectResponseHeaders: { x-edge: "1" }, via: edge';
  const ways = await Ways.start(t, edits, "forwarded: both");
  const reverse = ways.all.filter(({ prefix }) => prefix === "");

  await t.test("every field that Connection names goes no further, and the known ones with it", async () => {
    const path = ways.answering(ok);
    for (const way of ways.all) {
      await ways.ask(way, `${path}/${way.name}`, { lines: `${hop}X-Yours: 2\r\n` });
      const head = ways.reached(`${path}/${way.name}`)[0]?.head ?? "";
      assert.doesNotMatch(head, /x-mine|^keep-alive|proxy-connection|^te:|^upgrade|settings/im, way.name);
      assert.match(head, /^x-yours: 2\r$/im, way.name);
    }
  });

  await t.test("the same of a response, final or interim", async () => {
    const fields =
      "Connection: x-own\r\nX-Own: 1\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\nTE: x\r\nUpgrade: h2c\r\nX-Yours: 2\r\n";
    const path = ways.answering(
      `HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n${fields}\r\nHTTP/1.1 200 OK\r\n${fields}Content-Length: 0\r\n\r\n`,
    );
    for (const way of ways.all) {
      const client = await ways.send(way, request(way, path));
      await client.until((text) => text.includes("200 OK"));
      const text = client.pending;
      assert.doesNotMatch(text, /x-own|^keep-alive|proxy-connection|^te:|^upgrade/im, way.name);
      assert.match(text, /^x-yours: 2\r$/im, way.name);
    }
  });

  await t.test("a client cannot name what the proxy adds for deletion: it adds afterwards", async () => {
    const path = ways.answering(ok);
    const named =
      "Connection: x-edge, via, host, x-forwarded-for, x-forwarded-host, forwarded, content-length\r\n";
    for (const way of ways.all) {
      const place = `${path}/${way.name}`;
      await ways.ask(way, place, {
        method: "POST",
        lines: `${named}X-Edge: 6\r\nContent-Length: 1\r\n`,
        rest: "x",
      });
      const head = ways.reached(place)[0]?.head ?? "";
      assert.match(head, /^x-edge: 1\r$/im, way.name);
      assert.match(head, /^via: 1\.1 edge\r$/im, way.name);
      assert.match(head, new RegExp(`^host: ${way.authority}\r$`, "im"), way.name);
      assert.match(head, /^content-length: 1\r$/im, way.name);
      if (reverse.includes(way)) {
        assert.match(head, /^x-forwarded-for: 127\.0\.0\.1\r$/im, way.name);
        assert.match(head, /^x-forwarded-host: site\r$/im, way.name);
        assert.match(head, /^forwarded: for=127\.0\.0\.1;proto=http;host="site"\r$/im, way.name);
      }
    }
  });

  await t.test("an origin cannot name what the proxy adds either", async () => {
    const path = ways.answering(
      "HTTP/1.1 200 OK\r\nConnection: x-edge, via, content-length, date\r\nX-Edge: 6\r\nContent-Length: 2\r\n\r\nok",
    );
    for (const way of ways.all) {
      const { answer } = await ways.ask(way, path);
      assert.match(answer?.head ?? "", /^x-edge: 1\r$/im, way.name);
      assert.match(answer?.head ?? "", /^via: 1\.1 edge\r$/im, way.name);
      assert.match(answer?.head ?? "", /^date: /im, way.name);
      assert.equal(answer?.body, "ok", way.name);
    }
  });

  await t.test("TE tells the next server nothing but trailers, under Connection (§10.1.4)", async () => {
    const path = ways.answering(ok);
    for (const [lines, takes] of [
      ["TE: trailers\r\n", true],
      ["TE: gzip;q=0.5, trailers\r\n", true],
      ["TE: deflate\r\n", false],
      ["TE: trailers;q=0\r\n", false],
    ] as const) {
      const way = ways.way("external");
      await ways.ask(way, `${path}/te`, { lines });
      const head = ways.reached(`${path}/te`).at(-1)?.head ?? "";
      assert.equal(/^te: trailers\r$/im.test(head) && /^connection: te\r$/im.test(head), takes, lines);
      assert.doesNotMatch(head, /gzip|deflate|q=/, lines);
    }
  });

  await t.test("credentials for a forward proxy go no further (§11.7)", async () => {
    const path = ways.answering(ok);
    for (const name of ["network", "filter"]) {
      const way = ways.way(name);
      await ways.ask(way, `${path}/${name}`, {
        lines: "Proxy-Authorization: Basic eDp5\r\nAuthorization: Basic eDp5\r\n",
      });
      const head = ways.reached(`${path}/${name}`)[0]?.head ?? "";
      assert.doesNotMatch(head, /proxy-authorization/i, name);
      assert.match(head, /^authorization: Basic eDp5\r$/im, name);
    }
  });

  await t.test(
    "a response's trailers stay trailers, without those that frame, route or authenticate (§6.5.1)",
    async () => {
      const path = ways.answering(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\n" +
          "Set-Cookie: a=b\r\nHost: evil\r\nConnection: x\r\nTransfer-Encoding: chunked\r\n\r\n",
      );
      for (const way of ways.all) {
        const { answer } = await ways.ask(way, path);
        assert.equal(answer?.trailers, "X-Sum: 7\r\n", way.name);
        assert.doesNotMatch(answer?.head ?? "", /x-sum: 7|set-cookie|evil/i, way.name);
      }
    },
  );

  await t.test("a request's trailers stay trailers, and a Worker sees none of them as headers", async () => {
    const path = ways.answering(ok);
    for (const way of ways.all) {
      const place = `${path}/${way.name}`;
      await ways.ask(way, place, {
        method: "POST",
        lines: "Transfer-Encoding: chunked\r\nTrailer: x-sum\r\n",
        rest: "1\r\nx\r\n0\r\nX-Sum: 7\r\nAuthorization: Basic eDp5\r\nX-Forwarded-For: 6.6.6.6\r\nCookie: a=b\r\n\r\n",
      });
      const [reached] = ways.reached(place);
      assert.doesNotMatch(reached?.head ?? "", /x-sum: 7|authorization|6\.6\.6\.6|cookie/i, way.name);
      // A network's client has no way to send trailers, so they end there.
      const trailers = reverse.includes(way) ? "X-Sum: 7\r\n" : "";
      assert.equal(reached?.body, `1\r\nx\r\n0\r\n${trailers}\r\n`, way.name);
    }
  });

  await t.test("a request that has come through here before goes in a circle: 508 (§7.6.3)", async () => {
    const path = ways.answering(ok);
    for (const way of ways.all) {
      const { answer } = await ways.ask(way, path, { lines: "Via: 1.0 a, 1.1 edge\r\nVia: 2 b\r\n" });
      assert.equal(answer?.status, 508, way.name);
    }
    assert.equal(ways.reached(path).length, 0);
  });
});

test("10. who the client is", { timeout: 120_000 }, async (t) => {
  const ways = await Ways.start(t, "", "forwarded: both");
  const forged =
    "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\nX-Forwarded-Port: 1\r\n" +
    "Forwarded: for=6.6.6.6;host=evil\r\nX_Forwarded_For: 6.6.6.6\r\nx-forwarded_proto: https\r\n";

  await t.test("what a client tells of itself reaches neither the origin nor a Worker", async () => {
    const path = ways.answering(ok);
    for (const name of ["external", "worker"]) {
      await ways.ask(ways.way(name), `${path}/${name}`, { lines: forged });
      const head = ways.reached(`${path}/${name}`)[0]?.head ?? "";
      assert.doesNotMatch(head, /6\.6\.6\.6|evil|https|forwarded-port|_/i, name);
      assert.equal(head.match(/forwarded/gi)?.length, 4, name);
    }
  });

  await t.test("a forward proxy tells no origin who its client is", async () => {
    const path = ways.answering(ok);
    for (const name of ["network", "filter"]) {
      await ways.ask(ways.way(name), `${path}/${name}`);
      assert.doesNotMatch(
        ways.reached(`${path}/${name}`)[0]?.head ?? "",
        /forwarded|127\.0\.0\.1\r\n.*for/i,
        name,
      );
    }
  });
});

test("10. proxies in front", { timeout: 120_000 }, async (t) => {
  const ways = await Ways.start(t, 'trustedProxies: [ "127.0.0.1", "10.0.0.0/8" ]', "forwarded: x-forwarded");
  const told = async (lines: string): Promise<string> => {
    const path = ways.answering(ok);
    const seen: string[] = [];
    for (const name of ["external", "worker"]) {
      await ways.ask(ways.way(name), `${path}/${name}`, { lines });
      const head = ways.reached(`${path}/${name}`)[0]?.head ?? "";
      seen.push(/^x-forwarded-for: (.*)\r$/im.exec(head)?.[1] ?? "");
    }
    assert.equal(seen[0], seen[1]);
    return seen[0] ?? "";
  };

  await t.test(
    "the walk goes from right to left, and ends at the first hop that is not trusted (RFC 7239 §8.1)",
    async () => {
      assert.equal(
        await told("X-Forwarded-For: 6.6.6.6, 192.0.2.1, 10.0.0.1\r\n"),
        "192.0.2.1, 10.0.0.1, 127.0.0.1",
      );
    },
  );

  await t.test("several lines are one list, in their order", async () => {
    const lines = "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: 10.0.0.1\r\n";
    assert.equal(await told(lines), "192.0.2.1, 10.0.0.1, 127.0.0.1");
  });

  await t.test("a look-alike in underscores adds nothing to the list", async () => {
    assert.equal(
      await told("X_Forwarded_For: 6.6.6.6\r\nX-Forwarded-For: 192.0.2.1\r\n"),
      "192.0.2.1, 127.0.0.1",
    );
  });

  await t.test("a hop that is no address leads no further (RFC 7239 §6.3)", async () => {
    for (const hop of ["unknown", "_hidden", "127.0.0.1.evil", "0x7f.1", "", '"', "10.0.0.1 x"]) {
      assert.equal(await told(`X-Forwarded-For: 6.6.6.6, ${hop}\r\n`), "127.0.0.1", hop);
    }
  });

  await t.test("an IPv4 address in IPv6 is trusted or not as what it is", async () => {
    assert.equal(
      await told("X-Forwarded-For: 192.0.2.1, [::ffff:10.0.0.1]:80\r\n"),
      "192.0.2.1, ::ffff:10.0.0.1, 127.0.0.1",
    );
  });

  await t.test("Forwarded counts for nothing where X-Forwarded-For is what the proxies set", async () => {
    assert.equal(
      await told("Forwarded: for=6.6.6.6\r\nX-Forwarded-For: 192.0.2.1\r\n"),
      "192.0.2.1, 127.0.0.1",
    );
  });
});
